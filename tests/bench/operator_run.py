"""The operator's life on one bed: identities come, it restarts, nothing happens, they go."""

import asyncio
import json
import re
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from bench.audit import Audit, Requests
from bench.door import Job, as_admin, for_each
from bench.usage import ProcessorTime, rss_mib, servers
from bench.watch import until_gone, until_ready
from bench.workload import CLASS, IDENTITIES_PATH, SAMPLE, manifest, names, settle
from testbed.bed import Bed
from testbed.operator_process import OperatorProcess
from testbed.waiting import wait_until

RESYNC_SECONDS = 10
OFTEN = {"AGENT_IDENTITY_RESYNC_SECONDS": str(RESYNC_SECONDS)}
PERIODS = 2
# An operator that has done nothing for so long is done.
QUIET_SECONDS = 1.0
GIVE_UP_SECONDS = 900
OPERATOR = "operator"
RECONCILED = re.compile(r'^agent_identity_reconciles_total{kind="identity".*} (.+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Creation:
    """seconds: from the first create until all are Ready. peak, rest: MiB."""

    seconds: float
    processor: dict[str, float]
    requests: Requests
    reconciles: float
    peak: float
    rest: float


@dataclass(frozen=True, slots=True)
class Restart:
    """seconds: from the start of the new process until it's ready. looked_at: until it has
    reconciled everything once."""

    seconds: float
    looked_at: float
    requests: Requests
    peak: float


@dataclass(frozen=True, slots=True)
class Deletion:
    """seconds: from the first DELETE until all are gone."""

    seconds: float
    processor: dict[str, float]
    requests: Requests


@dataclass(frozen=True, slots=True)
class Life:
    """steady: what was asked while nothing happened for PERIODS resyncs."""

    creation: Creation
    restart: Restart
    steady: Requests
    deletion: Deletion


class OperatorRun:
    """One bed, `count` identities, and operators one after the other."""

    def __init__(self, bed: Bed, count: int, at_a_time: int) -> None:
        self._bed, self._at_a_time = bed, at_a_time
        self._names = names(count)
        self._audit = Audit(bed)

    def measure(self) -> Life:
        team = settle(self._bed)
        with self._bed.operator() as first:
            first.wait_ready()
            team.wait_ready(CLASS, of="AgentIdentityClass")
            team.create(manifest(SAMPLE))
            team.wait_ready(SAMPLE)
            creation = self._create(first)
        restart, steady = self._restart_and_stay()
        with self._bed.operator() as last:
            last.wait_ready()
            return Life(creation, restart, steady, self._delete(last))

    def _create(self, operator: OperatorProcess) -> Creation:
        wait_quiet(operator)
        before = _reconciles(operator)
        mark, used = self._audit.mark(), ProcessorTime(servers() | {OPERATOR: operator.pid})
        seconds = asyncio.run(self._create_all())
        wait_quiet(operator)
        return Creation(
            seconds,
            used.spent(),
            self._audit.since(mark),
            _reconciles(operator) - before,
            operator.peak_rss_mib(),
            rss_mib(operator.pid),
        )

    async def _create_all(self) -> float:
        async with as_admin(self._bed) as door, as_admin(self._bed) as watching:

            async def create(name: str) -> None:
                await door.send("POST", IDENTITIES_PATH, json.dumps(manifest(name)).encode())

            return await self._until(until_ready(watching, self._names), create)

    def _restart_and_stay(self) -> tuple[Restart, Requests]:
        operator = self._bed.operator(settings=OFTEN)
        mark, started = self._audit.mark(), time.monotonic()
        with operator:
            operator.wait_ready()
            ready = time.monotonic() - started
            _wait_reconciled(operator, len(self._names))
            looked_at = time.monotonic() - started
            restart = Restart(ready, looked_at, self._audit.since(mark), operator.peak_rss_mib())
            mark = self._audit.mark()
            time.sleep(PERIODS * RESYNC_SECONDS)
            return restart, self._audit.since(mark)

    def _delete(self, operator: OperatorProcess) -> Deletion:
        wait_quiet(operator)
        mark, used = self._audit.mark(), ProcessorTime(servers() | {OPERATOR: operator.pid})
        seconds = asyncio.run(self._delete_all())
        return Deletion(seconds, used.spent(), self._audit.since(mark))

    async def _delete_all(self) -> float:
        async with as_admin(self._bed) as door, as_admin(self._bed) as watching:

            async def delete(name: str) -> None:
                await door.send("DELETE", f"{IDENTITIES_PATH}/{name}")

            return await self._until(until_gone(watching, self._names), delete)

    async def _until(self, seen: Coroutine[Any, Any, None], job: Job) -> float:
        """Seconds from the first of all jobs until the watch has seen what comes of them."""
        started = time.monotonic()
        async with asyncio.timeout(GIVE_UP_SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(seen)
            await for_each(self._names, job, at_a_time=self._at_a_time)
        return time.monotonic() - started


def _reconciles(operator: OperatorProcess) -> float:
    return sum(float(value) for value in RECONCILED.findall(operator.metrics()))


def _wait_reconciled(operator: OperatorProcess, count: int) -> None:
    wait_until(
        lambda: _reconciles(operator) >= count,
        timeout=GIVE_UP_SECONDS,
        what="every identity looked at after the restart",
    )


def wait_quiet(operator: OperatorProcess) -> None:
    """Until nothing has been reconciled for QUIET_SECONDS."""
    counts = [-1.0]

    def quiet() -> bool:
        counts.append(_reconciles(operator))
        return counts[-1] == counts[-2]

    wait_until(quiet, timeout=GIVE_UP_SECONDS, what="a quiet operator", interval=QUIET_SECONDS)
