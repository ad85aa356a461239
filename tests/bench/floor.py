"""The floor: what the same requests cost when nothing but a plain client sends them."""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bench.audit import Audit, Requests
from bench.door import Job, for_each
from bench.player import Player
from bench.recipe import Recipe
from bench.recording import BASELINE, CHANGE, CREATE, RESTORE, WITHDRAW, record
from bench.scene import Scene
from bench.single_changes import PAUSE_SECONDS, Spread, chosen
from bench.stages import Stage
from bench.usage import ProcessorTime, servers
from bench.workload import other_spec


@dataclass(frozen=True, slots=True)
class Floor:
    """seconds: from the first create to the last answer. processor: program → seconds. changes: of
    what is written, one request after the other; whole_changes: of what is read for it as well.
    of_class: phase → seconds for all identities."""

    seconds: float
    processor: dict[str, float]
    requests: Requests
    changes: Spread | None
    whole_changes: Spread | None
    of_class: Mapping[str, float]


def measure_floor(scene: Scene, stages: Collection[Stage], how_many: int) -> Floor:
    """how_many: single changes."""
    recipes = record(scene.bed)
    return asyncio.run(_measure(scene, recipes, stages, how_many))


async def _measure(
    scene: Scene, recipes: Mapping[str, Recipe], stages: Collection[Stage], how_many: int
) -> Floor:
    audit, play = Audit(scene.bed), _Play(scene, recipes)
    mark, used = audit.mark(), ProcessorTime(servers())
    seconds = await play.creation()
    spent, requests = used.spent(), audit.since(mark)
    bare, whole = await play.changes(how_many) if Stage.CHANGE in stages else (None, None)
    of_class = await play.class_changes() if Stage.CLASS in stages else {}
    return Floor(seconds, spent, requests, bare, whole, of_class)


class _Play:
    def __init__(self, scene: Scene, recipes: Mapping[str, Recipe]) -> None:
        self._scene, self._player, self._recipes = scene, Player(scene.bed), recipes

    async def creation(self) -> float:
        recipe = self._recipes[CREATE].changes

        async def create(name: str) -> None:
            await self._player.create(name, recipe)

        return await self._time_all(create)

    async def changes(self, how_many: int) -> tuple[Spread, Spread]:
        """Half of them each, without and with what is only read."""
        names = chosen(self._scene, 2 * how_many)
        recipe = self._recipes[CHANGE]
        async with self._player.at_the_doors():
            bare = [await self._change(n, one, recipe.changes) for n, one in enumerate(names[::2])]
            whole = [await self._change(n, one, recipe) for n, one in enumerate(names[1::2])]
        return Spread(bare), Spread(whole)

    async def _change(self, turn: int, name: str, recipe: Recipe) -> float:
        await asyncio.sleep(PAUSE_SECONDS)
        began = time.monotonic()
        await self._player.change(name, other_spec(turn), recipe)
        return time.monotonic() - began

    async def class_changes(self) -> dict[str, float]:
        return {name: await self._follow(name) for name in (BASELINE, WITHDRAW, RESTORE)}

    async def _follow(self, phase: str) -> float:
        recipe = self._recipes[phase].changes

        async def follow(name: str) -> None:
            await self._player.follow(name, recipe)

        return await self._time_all(follow)

    async def _time_all(self, job: Job) -> float:
        async with self._player.at_the_doors():
            began = time.monotonic()
            await for_each(self._scene.names, job, at_a_time=self._scene.at_a_time)
            return time.monotonic() - began
