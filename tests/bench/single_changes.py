"""One identity after the other is changed, among many that are at rest."""

import asyncio
import math
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench.audit import Audit, Requests
from bench.door import Door, as_admin
from bench.operator_run import wait_idle
from bench.scene import Scene, merge
from bench.watch import Body, events, is_ready, version_now
from bench.workload import IDENTITIES_PATH, other_spec
from testbed.operator_process import OperatorProcess

# Long enough that one change never waits for what is left of the one before.
PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds of each change."""

    seconds: Sequence[float]

    @property
    def p50(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        """The least that 99 of 100 are not above."""
        return sorted(self.seconds)[math.ceil(0.99 * len(self.seconds)) - 1]


@dataclass(frozen=True, slots=True)
class Changes:
    """Each from before it was sent until the identity was Ready for it."""

    spread: Spread
    requests: Requests


@dataclass
class ReadyWatch:
    """Who is told at once how identities stand."""

    door: Door
    version: str
    bodies: dict[str, Body] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        async for _, body in events(self.door, IDENTITIES_PATH, self.version):
            async with self.changed:
                self.bodies[body["metadata"]["name"]] = body
                self.changed.notify_all()

    async def until(self, name: str, generation: int) -> float:
        """When it was Ready for this generation, or a later one."""
        async with self.changed:
            await self.changed.wait_for(lambda: self._is_ready(name, generation))
        return time.monotonic()

    def _is_ready(self, name: str, generation: int) -> bool:
        body = self.bodies.get(name)
        return body is not None and body["metadata"]["generation"] >= generation and is_ready(body)


@asynccontextmanager
async def watching(scene: Scene) -> AsyncIterator[ReadyWatch]:
    """A watch that is running."""
    async with as_admin(scene.bed) as door, asyncio.TaskGroup() as tasks:
        watch = ReadyWatch(door, await version_now(door, IDENTITIES_PATH))
        running = tasks.create_task(watch.run())
        yield watch
        running.cancel()


def chosen(scene: Scene, how_many: int) -> list[str]:
    """The same ones for everybody who is measured."""
    return random.Random(0).sample(scene.names, min(how_many, scene.count))


def change_some(scene: Scene, operator: OperatorProcess, how_many: int) -> Changes:
    wait_idle(operator)
    audit = Audit(scene.bed)
    mark = audit.mark()
    seconds = asyncio.run(_change(scene, chosen(scene, how_many)))
    wait_idle(operator)
    return Changes(Spread(seconds), audit.since(mark))


async def _change(scene: Scene, wanted: Sequence[str]) -> list[float]:
    async with as_admin(scene.bed) as door, watching(scene) as watch:
        return [
            await _change_one(scene, door, watch, name, turn) for turn, name in enumerate(wanted)
        ]


async def _change_one(scene: Scene, door: Door, watch: ReadyWatch, name: str, turn: int) -> float:
    path = f"{IDENTITIES_PATH}/{name}"
    await asyncio.sleep(PAUSE_SECONDS)
    async with asyncio.timeout(scene.limit):
        began = time.monotonic()
        body = await merge(door, path, other_spec(turn))
        return await watch.until(name, body["metadata"]["generation"]) - began
