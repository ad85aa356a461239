"""The floor: what the same requests cost when nothing but a plain client sends them."""

import asyncio
import json
import time
from dataclasses import dataclass

from bench.audit import Audit, Requests
from bench.door import Door, as_admin, as_operator, for_each
from bench.recipe import Recipe, Recorder
from bench.usage import ProcessorTime, servers
from bench.workload import CLASS, IDENTITIES_PATH, SAMPLE, manifest, names, settle
from testbed.bed import Bed


@dataclass(frozen=True, slots=True)
class Floor:
    """seconds: from the first create to the last answer. processor: program → seconds."""

    seconds: float
    processor: dict[str, float]
    requests: Requests


def measure_floor(bed: Bed, count: int, at_a_time: int) -> Floor:
    recipe = _record(bed)
    audit = Audit(bed)
    mark, used = audit.mark(), ProcessorTime(servers())
    seconds = asyncio.run(_play(bed, recipe, names(count), at_a_time))
    return Floor(seconds, used.spent(), audit.since(mark))


def _record(bed: Bed) -> Recipe:
    """The operator brings the sample about and is stopped."""
    team = settle(bed)
    with bed.operator() as operator:
        operator.wait_ready()
        team.wait_ready(CLASS, of="AgentIdentityClass")
        mark = Audit(bed).mark()
        created = team.create(manifest(SAMPLE))
        team.wait_ready(SAMPLE)
    return Recorder(bed, created, mark).recipe()


async def _play(bed: Bed, recipe: Recipe, wanted: list[str], at_a_time: int) -> float:
    doors = as_operator(bed)
    async with as_admin(bed) as admin, doors["kubernetes"], doors["vault"]:

        async def bring_about(name: str) -> None:
            await _bring_about(name, recipe, admin, doors)

        started = time.monotonic()
        await for_each(wanted, bring_about, at_a_time=at_a_time)
        return time.monotonic() - started


async def _bring_about(name: str, recipe: Recipe, admin: Door, doors: dict[str, Door]) -> None:
    """Create one identity, and do for it, step after step, what the operator would do."""
    answer = await admin.send("POST", IDENTITIES_PATH, json.dumps(manifest(name)).encode())
    made = json.loads(answer)["metadata"]
    for step in recipe.steps:
        path, body = (
            recipe.fill(text, name=name, uid=made["uid"], version=made["resourceVersion"])
            for text in (step.path, step.body)
        )
        await doors[step.server].send(step.method, path, body.encode(), step.content_type)
