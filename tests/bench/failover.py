"""`python -m bench.failover`: how long nobody works after the leader was killed, ten times.

Both servers' logs say who wrote what and when; nothing is asserted about time.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from bench.door import as_admin, for_each
from bench.machine import describe
from bench.watch import until_ready
from bench.workload import CLASS, IDENTITIES_PATH, manifest, settle
from testbed.bed import Bed
from testbed.endpoint import Json
from testbed.operator_process import OperatorProcess
from testbed.toolchain import find_binaries

GIVE_UP_SECONDS = 120
KILL_AFTER = 0.5
AT_A_TIME = 8
ROLES = "auth/kubernetes/role/"


class Takeover(NamedTuple):
    """Seconds from the kill: until the other one had the Lease, until it wrote first, and until all
    were Ready."""

    lease: float
    first_write: float
    all_ready: float


class Pair:
    """Two operators that take turns at being killed."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self.leader, self.standby = bed.operator(), bed.operator()

    @contextmanager
    def running(self) -> Iterator[None]:
        with self.leader:
            self.leader.wait_ready()
            with self.standby:
                yield

    def wait_in_place(self) -> None:
        self.leader.wait_ready()
        self.standby.wait_standby()

    def take_over(self, names: Sequence[str]) -> Takeover:
        """Kill the leader while it works on `names`, and wait until the other one has done all."""
        before = len(self.standby.changes())
        killed, ready = asyncio.run(self._kill_while_creating(names))
        first = self.standby.changes()[before]
        self.leader.start()
        self.leader, self.standby = self.standby, self.leader
        led = _leads_since(self.leader)
        return Takeover(led - killed, _received(first) - killed, ready - killed)

    async def _kill_while_creating(self, names: Sequence[str]) -> tuple[float, float]:
        async with as_admin(self._bed) as door, as_admin(self._bed) as watching:

            async def create(name: str) -> None:
                await door.send("POST", IDENTITIES_PATH, json.dumps(manifest(name)).encode())

            async with asyncio.timeout(GIVE_UP_SECONDS), asyncio.TaskGroup() as tasks:
                ready = tasks.create_task(until_ready(watching, names))
                creating = tasks.create_task(for_each(names, create, at_a_time=AT_A_TIME))
                await asyncio.sleep(KILL_AFTER)
                self.leader.kill()
                killed = time.time()
                await asyncio.gather(creating, ready)
        return killed, time.time()


def double_writes(bed: Bed, operators: Sequence[OperatorProcess]) -> int:
    """Objects and Vault roles that were made more often than once."""
    made: Counter[object] = Counter(
        (e["objectRef"]["resource"], e["objectRef"].get("namespace"), e["objectRef"].get("name"))
        for operator in operators
        for e in operator.changes()
        if e["verb"] == "create" and e["responseStatus"]["code"] == HTTPStatus.CREATED
    )
    made.update(
        e["path"]
        for e in bed.openbao.audit_requests()
        if e["operation"] in {"create", "update"}
        and e["path"].startswith(f"{ROLES}{bed.cluster_name}_")
        and not e["error"]
    )
    return sum(times - 1 for times in made.values())


def _received(event: Json) -> float:
    return datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()


def _leads_since(operator: OperatorProcess) -> float:
    """By its own log."""
    lines = (x for x in operator.log_lines() if "is the leader now" in x.get("message", ""))
    return datetime.fromisoformat(list(lines)[-1]["time"]).timestamp()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _measure(bed: Bed, kills: int, identities: int) -> tuple[list[Takeover], int]:
    pair, takeovers = Pair(bed), []
    with pair.running():
        team = settle(bed)
        team.wait_ready(CLASS, of="AgentIdentityClass")
        for turn in range(kills):
            pair.wait_in_place()
            takeovers.append(pair.take_over([f"agent-{turn}-{n}" for n in range(identities)]))
            lease, first, ready = takeovers[-1]
            _say(f"kill {turn + 1}: Lease {lease:.1f} s, write {first:.1f} s, Ready {ready:.1f} s")
        return takeovers, double_writes(bed, (pair.leader, pair.standby))


def _row(what: str, seconds: Sequence[float]) -> str:
    return f"| {what} | {statistics.median(seconds):.1f} s | {max(seconds):.1f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.failover", description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--identities", type=int, default=200, help="in the making at each kill")
    asked = parser.parse_args()
    binaries = find_binaries(_say)
    with (
        tempfile.TemporaryDirectory(prefix="failover-") as directory,
        Bed(Path(directory), report=_say, binaries=binaries) as bed,
    ):
        takeovers, doubles = _measure(bed, asked.kills, asked.identities)
    print(f"{asked.kills} kills, {asked.identities} identities each; {describe(binaries)}\n")
    print("| from the kill of the leader | median | worst |\n| --- | --: | --: |")
    print(_row("until the other one has the Lease", [t.lease for t in takeovers]))
    print(_row("until its first write", [t.first_write for t in takeovers]))
    print(_row("until all are Ready", [t.all_ready for t in takeovers]))
    print(f"\nwritten twice: {doubles}")


if __name__ == "__main__":
    main()
