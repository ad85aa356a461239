"""Many identities at once, from nothing until all are Ready."""

import asyncio
import json
from dataclasses import dataclass

from bench.audit import Audit, Requests
from bench.door import as_admin
from bench.operator_run import wait_idle
from bench.scene import Scene
from bench.usage import OPERATOR, ProcessorTime, rss_mib, servers
from bench.watch import until_ready
from bench.workload import IDENTITIES_PATH, manifest
from testbed.operator_process import OperatorProcess


@dataclass(frozen=True, slots=True)
class Creation:
    """seconds: from the first create until all are Ready. processor: program → seconds, until it
    was idle again. peak, rest: MiB."""

    count: int
    seconds: float
    processor: dict[str, float]
    requests: Requests
    peak: float
    rest: float


def create_all(scene: Scene, operator: OperatorProcess) -> Creation:
    """Raises TimeoutError past the scene's limit."""
    wait_idle(operator)
    audit = Audit(scene.bed)
    mark, used = audit.mark(), ProcessorTime(servers() | {OPERATOR: operator.pid})
    seconds = asyncio.run(_create(scene))
    wait_idle(operator)
    spent = used.spent()
    return Creation(
        scene.count,
        seconds,
        spent,
        audit.since(mark),
        operator.peak_rss_mib(),
        rss_mib(operator.pid),
    )


async def _create(scene: Scene) -> float:
    async with as_admin(scene.bed) as door, as_admin(scene.bed) as watching:

        async def create(name: str) -> None:
            await door.send("POST", IDENTITIES_PATH, json.dumps(manifest(name)).encode())

        return await scene.time_until(until_ready(watching, scene.names), create, scene.names)
