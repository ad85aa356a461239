"""`python -m bench.propagation`: how long after a change of who may call a call shows it.

One agent calls without a pause, while a grant and what the agent asks for are changed in turn. Each
change is timed from before it is sent: until a watch has told of the policy that the operator wrote
for it, and until a call came out the new way. Between the two are istiod, which waits for more
changes (0.1 s) before it pushes any, and Envoy. Nothing is asserted about time.
"""

import argparse
import asyncio
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple, Self

from bench.door import MERGE_PATCH, Door, as_admin
from bench.machine import describe
from bench.watch import LONGEST_LINE, NO_LIMIT
from testbed.bed import Bed
from testbed.endpoint import Json
from testbed.istiod import Istiod
from testbed.operator_process import OperatorProcess
from testbed.tenant import (
    Tenant,
    class_manifest,
    client_with_a_role,
    grant_manifest,
    identity_manifest,
    rule,
)
from testbed.toolchain import find_binaries
from testbed.workload import Workload
from testbed.workload_calls import Caller, Verdict, call
from testbed.workload_certificates import AUDIENCE, issued

NAMESPACE, CLASS, AGENT, GRANT = "bench", "bench", "caller", "orders"
OURS = f"/apis/agentidentity.dev/v1alpha1/namespaces/{NAMESPACE}"
GRANT_PATH, AGENT_PATH = f"{OURS}/agentaccessgrants/{GRANT}", f"{OURS}/agentidentities/{AGENT}"
POLICIES_PATH = f"/apis/security.istio.io/v1/namespaces/{NAMESPACE}/authorizationpolicies"
POLICY = f"agentaccessgrant-{GRANT}"
GIVE_UP_SECONDS = 60
RULES = [rule("read", {"kind": "AgentIdentity", "name": AGENT})]
OUTBOUND = [{"namespace": NAMESPACE, "grant": GRANT, "rules": ["read"]}]


class Change(NamedTuple):
    """spec: fields of a merge patch; let_in: whether the agent is, once it is in force."""

    name: str
    path: str
    spec: Json
    let_in: bool


# In this order each changes what a call comes to.
CHANGES = (
    Change("grant narrowed, first refused", GRANT_PATH, {"rules": []}, let_in=False),
    Change("grant widened, first admitted", GRANT_PATH, {"rules": RULES}, let_in=True),
    Change("outbound removed, first refused", AGENT_PATH, {"outbound": None}, let_in=False),
    Change("outbound added, first admitted", AGENT_PATH, {"outbound": OUTBOUND}, let_in=True),
)


class Timed(NamedTuple):
    """Seconds from before a change was sent."""

    name: str
    written: float
    enforced: float


@dataclass
class PolicyWatch:
    """Who is told at once whether the grant's policy, as it is now, lets anybody in."""

    door: Door
    lets_in: bool | None = None
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        query = {"watch": "1", "fieldSelector": f"metadata.name={POLICY}"}
        while True:
            async with self.door.session.get(
                POLICIES_PATH, params=query, timeout=NO_LIMIT, read_bufsize=LONGEST_LINE
            ) as response:
                while line := await response.content.readline():
                    await self._see(json.loads(line)["object"])

    async def _see(self, policy: Json) -> None:
        async with self.changed:
            self.lets_in = bool(policy["spec"].get("rules"))
            self.changed.notify_all()

    async def until(self, *, let_in: bool) -> float:
        """When it is so."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.lets_in is let_in)
        return time.monotonic()


class Street:
    """A service under a grant, and an agent that calls it."""

    def __init__(self, bed: Bed, operator: OperatorProcess, istiod: Istiod) -> None:
        self._bed, self._operator, self._istiod = bed, operator, istiod
        self.team = Tenant(bed, client_with_a_role(bed), NAMESPACE, CLASS)
        self.server = Workload(
            bed.directory / GRANT, istiod, NAMESPACE, GRANT, account=GRANT, labels={"app": GRANT}
        )
        self._running = ExitStack()
        self._caller: Caller | None = None

    def __enter__(self) -> Self:
        self._operator.wait_ready()
        self._create_objects()
        self._running.enter_context(self.server)
        token = self._bed.control_plane.token(NAMESPACE, AGENT, audience=AUDIENCE)
        keys = issued(self._istiod, token)
        self._caller = Caller.with_certificate(AGENT, keys, self._bed.directory / "keys")
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _create_objects(self) -> None:
        labels = {"agents": "allowed"}
        for kind, name, more in (("Namespace", NAMESPACE, labels), ("ServiceAccount", GRANT, {})):
            place = {} if kind == "Namespace" else {"namespace": NAMESPACE}
            metadata = {"name": name, "labels": more, **place}
            self.team.create({"apiVersion": "v1", "kind": kind, "metadata": metadata})
        self.team.create(class_manifest(CLASS, None))
        self.team.create(identity_manifest(NAMESPACE, AGENT, className=CLASS, outbound=OUTBOUND))
        self.team.wait_ready(AGENT)
        self.team.create(grant_manifest(NAMESPACE, GRANT, *RULES))
        self.wait_at_rest()

    def wait_at_rest(self) -> None:
        """Until the operator has said all that it has to say."""
        self.team.wait_ready(GRANT, of="AgentAccessGrant")
        self.team.wait_ready(AGENT)

    def first_call(self, *, let_in: bool) -> float:
        """When the first call came to this end."""
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < deadline:
            if self._is_let_in() is let_in:
                return time.monotonic()
        raise TimeoutError(f"no call was {'let in' if let_in else 'refused'}")

    def _is_let_in(self) -> bool:
        assert self._caller is not None
        outcome = call(self._caller, self.server, "GET", "/v1/orders")
        return outcome.verdict is Verdict.LET_IN


async def _measure(bed: Bed, street: Street, count: int) -> list[Timed]:
    async with as_admin(bed) as door, as_admin(bed) as watching, asyncio.TaskGroup() as tasks:
        policy = PolicyWatch(watching)
        watch = tasks.create_task(policy.run())
        await policy.until(let_in=True)
        await asyncio.to_thread(street.first_call, let_in=True)
        changes = islice(cycle(CHANGES), count)
        timed = [await _time(change, door, policy, street) for change in changes]
        watch.cancel()
    return timed


async def _time(change: Change, door: Door, policy: PolicyWatch, street: Street) -> Timed:
    sent = time.monotonic()
    async with asyncio.timeout(GIVE_UP_SECONDS), asyncio.TaskGroup() as tasks:
        written = tasks.create_task(policy.until(let_in=change.let_in))
        calling = asyncio.to_thread(street.first_call, let_in=change.let_in)
        enforced = tasks.create_task(calling)
        body = json.dumps({"spec": change.spec}).encode()
        await door.send("PATCH", change.path, body, MERGE_PATCH)
    await asyncio.to_thread(street.wait_at_rest)
    return Timed(change.name, written.result() - sent, enforced.result() - sent)


def _rows(timed: Sequence[Timed]) -> Iterator[str]:
    for name in (*(c.name for c in CHANGES), "all"):
        of = [t for t in timed if name in {t.name, "all"}]
        columns = [[t.written for t in of], [t.enforced - t.written for t in of]]
        columns.append([t.enforced for t in of])
        shown = (f"{statistics.median(c):.3f} | {_p99(c):.3f}" for c in columns)
        yield f"| {name} | {len(of)} | {' | '.join(shown)} |"


def _p99(seconds: Sequence[float]) -> float:
    """The least that 99 of 100 are not above."""
    return sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1]


@contextmanager
def _street(directory: Path) -> Iterator[tuple[Bed, Street]]:
    binaries = find_binaries(_say)
    with (
        Bed(directory, report=_say, binaries=binaries) as bed,
        bed.operator() as operator,
        Istiod(directory / "istiod", bed.control_plane, binaries) as istiod,
        Street(bed, operator, istiod) as street,
    ):
        yield bed, street


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.propagation", description=__doc__)
    parser.add_argument("--changes", type=int, default=100)
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory(prefix="propagation-") as directory,
        _street(Path(directory)) as (bed, street),
    ):
        _say(f"making {asked.changes} changes")
        timed = asyncio.run(_measure(bed, street, asked.changes))
    print(f"{asked.changes} changes; {describe(find_binaries(_say))}")
    print(f"load average {load:.1f} before and {os.getloadavg()[0]:.1f} after\n")
    print(
        "| seconds from the write | n | policy written p50 | p99 | then enforced p50 | p99"
        " | together p50 | p99 |\n| :-- | --: | --: | --: | --: | --: | --: | --: |"
    )
    print("\n".join(_rows(timed)))


if __name__ == "__main__":
    main()
