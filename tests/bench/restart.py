"""The operator is started anew with many identities, and later nothing happens at all."""

import asyncio
import time
from dataclasses import dataclass

from bench.audit import Audit, Requests, changes
from bench.contender import Contender
from bench.door import as_admin
from bench.operator_run import reconciles, wait_idle
from bench.scene import Scene, merge
from bench.single_changes import watching
from bench.usage import rss_mib
from bench.workload import IDENTITIES_PATH, other_spec
from testbed.operator_process import OperatorProcess
from testbed.waiting import wait_until

PERIODS = 2
# All are looked at once in a period, which has to be possible with a part of one core.
PERIOD_SECONDS, PERIOD_SECONDS_PER_IDENTITY = 10, 0.01
CHANGED_AGAIN = 500


@dataclass(frozen=True, slots=True)
class Restart:
    """Seconds from the start of the new process: until it was ready, and until an identity that
    was changed while it was away was Ready. elsewhere: changes of anything but that identity."""

    ready: float
    changed: float
    requests: Requests
    elsewhere: int
    peak: float
    rest: float


@dataclass(frozen=True, slots=True)
class Rest:
    """In PERIODS resyncs of this many seconds, when nothing happens. processor: seconds."""

    period: float
    changes: int
    processor: float


def restart(scene: Scene, contender: Contender) -> Restart:
    """Another process, after the first has been stopped."""
    process, audit = contender.make(scene.bed), Audit(scene.bed)
    changed, mark = scene.names[scene.count // 2], audit.mark()
    try:
        ready, done = asyncio.run(_change_and_start(scene, process, changed))
        wait_idle(process)
        requests, elsewhere = audit.since(mark), audit.changes_elsewhere(mark, changed)
        peak, rest = process.peak_rss_mib(), rss_mib(process.pid)
    finally:
        process.stop()
    return Restart(ready, done, requests, elsewhere, peak, rest)


async def _change_and_start(
    scene: Scene, process: OperatorProcess, name: str
) -> tuple[float, float]:
    """Seconds until the process was ready, and until the change was seen to."""
    async with asyncio.timeout(scene.limit), as_admin(scene.bed) as door, watching(scene) as watch:
        body = await merge(door, f"{IDENTITIES_PATH}/{name}", other_spec(CHANGED_AGAIN))
        began = time.monotonic()
        await asyncio.to_thread(process.start)
        done = asyncio.create_task(watch.until(name, body["metadata"]["generation"]))
        await asyncio.to_thread(process.wait_ready)
        return time.monotonic() - began, await done - began


def stay(scene: Scene, contender: Contender) -> Rest:
    """Resyncs that find nothing to do."""
    period = max(PERIOD_SECONDS, PERIOD_SECONDS_PER_IDENTITY * scene.count)
    often = {"AGENT_IDENTITY_RESYNC_SECONDS": str(period)}
    audit = Audit(scene.bed)
    with contender.make(scene.bed, often) as process:
        process.wait_ready()
        wait_until(
            lambda: reconciles(process) >= scene.count,
            timeout=scene.limit,
            what="every identity looked at after the start",
        )
        mark, used = audit.mark(), process.cpu_seconds()
        time.sleep(PERIODS * period)
        return Rest(period, changes(audit.since(mark)), process.cpu_seconds() - used)
