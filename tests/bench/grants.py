"""`python -m bench.grants`: many grants and many agents, and what a change of one of them costs.

Each grant names its agents one by one, and each agent asks a few grants, as in a fleet that has
grown; nothing is asserted about time.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.audit import Audit, Requests
from bench.door import MERGE_PATCH, Door, as_admin, for_each
from bench.machine import describe
from bench.operator_run import wait_quiet
from bench.usage import rss_mib
from bench.watch import until_ready
from bench.workload import CLASS, IDENTITIES_PATH, NAMESPACE, manifest, names, settle
from testbed.bed import Bed
from testbed.operator_process import OperatorProcess
from testbed.tenant import grant_manifest, rule
from testbed.toolchain import find_binaries
from testbed.waiting import wait_until

GRANTS_PATH = f"/apis/agentidentity.dev/v1alpha1/namespaces/{NAMESPACE}/agentaccessgrants"
POLICIES_PATH = f"/apis/security.istio.io/v1/namespaces/{NAMESPACE}/authorizationpolicies"
RULE = "read"
AT_A_TIME = 16
# As many callers as one rule can name; a grant of more has more rules.
MOST_NAMED = 64
GIVE_UP_SECONDS = 900
# Looks of a period, spread over it, would let the operator be quiet only now and then.
NO_RESYNC = {"AGENT_IDENTITY_RESYNC_SECONDS": "86400"}


class Change(NamedTuple):
    """seconds: from the write until the policy without the caller was there. requests: all of the
    operator until it was at rest again."""

    seconds: float
    requests: Requests


class Fleet:
    """asked: agent → the grants that it asks. parts: grant → whom each of its rules names."""

    def __init__(self, bed: Bed, identities: int, grants: int, each: int) -> None:
        self._bed = bed
        self._audit = Audit(bed)
        self.agents = names(identities)
        self.grants = [f"service-{number:03d}" for number in range(grants)]
        chosen = random.Random(0)
        self.asked: Mapping[str, list[str]] = {
            agent: sorted(chosen.sample(self.grants, each)) for agent in self.agents
        }
        self.parts = {grant: self._parts(grant) for grant in self.grants}

    def _parts(self, grant: str) -> list[list[str]]:
        agents = [agent for agent in self.agents if grant in self.asked[agent]]
        return [agents[n : n + MOST_NAMED] for n in range(0, len(agents), MOST_NAMED)]

    def settle(self) -> float:
        """Seconds until all agents are Ready and all grants let in whom they should."""
        began = time.monotonic()
        asyncio.run(self._create())
        wait_until(
            self._all_let_in, timeout=GIVE_UP_SECONDS, what="every grant lets in its callers"
        )
        return time.monotonic() - began

    def change_some(self, operator: OperatorProcess, count: int) -> list[Change]:
        """One agent after the other asks one grant less."""
        chosen = random.Random(1).sample(self.agents, count)
        return [asyncio.run(self._change(operator, agent)) for agent in chosen]

    async def _create(self) -> None:
        async with as_admin(self._bed) as door, as_admin(self._bed) as watching:
            ready = asyncio.create_task(until_ready(watching, self.agents))

            async def grant(name: str) -> None:
                await door.send("POST", GRANTS_PATH, _body(self._grant(name)))

            async def agent(name: str) -> None:
                body = manifest(name)
                body["spec"]["outbound"] = self._outbound(name, self.asked[name])
                await door.send("POST", IDENTITIES_PATH, _body(body))

            await for_each(self.grants, grant, at_a_time=AT_A_TIME)
            await for_each(self.agents, agent, at_a_time=AT_A_TIME)
            await asyncio.wait_for(ready, GIVE_UP_SECONDS)

    def _grant(self, name: str) -> dict[str, Any]:
        rules = [rule(f"{RULE}-{n}", *map(_named, part)) for n, part in enumerate(self.parts[name])]
        return grant_manifest(NAMESPACE, name, *rules)

    def _outbound(self, agent: str, grants: Sequence[str]) -> list[dict[str, Any]]:
        """Of each grant the one rule that names the agent."""
        return [
            {"namespace": NAMESPACE, "grant": grant, "rules": [f"{RULE}-{n}"]}
            for grant in grants
            for n, part in enumerate(self.parts[grant])
            if agent in part
        ]

    def _all_let_in(self) -> bool:
        body = self._bed.control_plane.kubectl("get", "--raw", GRANTS_PATH).stdout
        found = {
            item["metadata"]["name"]: (item.get("status") or {}).get("callerCount")
            for item in json.loads(body)["items"]
        }
        wanted = [g for of in self.asked.values() for g in of]
        return all(found.get(grant) == wanted.count(grant) for grant in self.grants)

    async def _change(self, operator: OperatorProcess, agent: str) -> Change:
        wait_quiet(operator)
        mark, first, rest = self._audit.mark(), self.asked[agent][0], self.asked[agent][1:]
        patch = _body({"spec": {"outbound": self._outbound(agent, rest)}})
        async with as_admin(self._bed) as door:
            began = time.monotonic()
            await door.send("PATCH", f"{IDENTITIES_PATH}/{agent}", patch, MERGE_PATCH)
            await _until_without(door, f"agentaccessgrant-{first}", agent)
            seconds = time.monotonic() - began
        wait_quiet(operator)
        return Change(seconds, self._audit.since(mark))


async def _until_without(door: Door, policy: str, agent: str) -> None:
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while f'/sa/{agent}"'.encode() in await door.send("GET", f"{POLICIES_PATH}/{policy}"):
            pass


def _named(agent: str) -> dict[str, Any]:
    return {"kind": "AgentIdentity", "namespace": NAMESPACE, "name": agent}


def _body(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest).encode()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _told(changes: Sequence[Change]) -> list[str]:
    seconds = sorted(c.seconds for c in changes)
    writes = [{str(r): n for r, n in c.requests.items() if r.changes} for c in changes]
    usual = max(writes, key=writes.count)
    listed = ", ".join(f"{n} {what}" for what, n in sorted(usual.items()))
    most = max(sum(w.values()) for w in writes)
    p99 = seconds[min(len(seconds) - 1, round(len(seconds) * 0.99))]
    return [
        f"| until its caller is out of the policy, p50 | {_ms(statistics.median(seconds))} |",
        f"| the same, p99 | {_ms(p99)} |",
        f"| what one change writes ({writes.count(usual)} of {len(writes)} changes) | {listed} |",
        f"| writes of the change that wrote most | {most} |",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.grants", description=__doc__)
    parser.add_argument("--identities", type=int, default=2000)
    parser.add_argument("--grants", type=int, default=200)
    parser.add_argument("--each", type=int, default=5, help="grants that one agent asks")
    parser.add_argument("--changes", type=int, default=100)
    asked = parser.parse_args()
    binaries = find_binaries(_say)
    with (
        tempfile.TemporaryDirectory(prefix="grants-") as directory,
        Bed(Path(directory), report=_say, binaries=binaries) as bed,
    ):
        team, fleet = settle(bed), Fleet(bed, asked.identities, asked.grants, asked.each)
        with bed.operator(settings=NO_RESYNC) as operator:
            operator.wait_ready()
            team.wait_ready(CLASS, of="AgentIdentityClass")
            mark, audit = Audit(bed).mark(), Audit(bed)
            seconds = fleet.settle()
            wait_quiet(operator)
            made = sum(n for r, n in audit.since(mark).items() if r.changes)
            memory = rss_mib(operator.pid)
            _say(f"settled in {seconds:.0f} s")
            changes = fleet.change_some(operator, asked.changes)
    pairs = asked.identities * asked.each
    print(
        f"{asked.grants} grants, {asked.identities:,} agents, {pairs:,} of which one is let in by"
    )
    print(f"the other; {describe(binaries)}\n")
    print("| | |\n| --- | --: |")
    print(f"| until all agents are Ready and let in | {seconds:.0f} s |")
    print(f"| mutating requests of the operator until then | {made:,} |")
    print(f"| memory of the operator then | {memory:.0f} MiB |")
    print("\n".join(_told(changes)))


if __name__ == "__main__":
    main()
