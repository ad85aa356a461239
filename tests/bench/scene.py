"""A bed, the identities on it, and how long something takes there."""

import asyncio
import json
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from bench.audit import Requests
from bench.door import MERGE_PATCH, Door, Job, for_each
from bench.workload import names
from testbed.bed import Bed

Seen = Coroutine[Any, Any, None]


@dataclass(frozen=True, slots=True)
class Took:
    """requests: the operator's, within."""

    seconds: float
    requests: Requests


@dataclass(frozen=True, slots=True)
class Scene:
    """at_a_time: requests of a client that are under way. limit: seconds after which whatever is
    measured is given up."""

    bed: Bed
    count: int
    at_a_time: int
    limit: float

    @property
    def names(self) -> list[str]:
        return names(self.count)

    async def time_until(self, seen: Seen, job: Job, wanted: Sequence[str]) -> float:
        """Seconds from the first of all jobs until it was seen what comes of them."""
        started = time.monotonic()
        async with asyncio.timeout(self.limit), asyncio.TaskGroup() as tasks:
            tasks.create_task(seen)
            await for_each(wanted, job, at_a_time=self.at_a_time)
        return time.monotonic() - started


async def merge(door: Door, path: str, patch: dict[str, Any]) -> dict[str, Any]:
    """The object as it is then."""
    answer: dict[str, Any] = json.loads(
        await door.send("PATCH", path, json.dumps(patch).encode(), MERGE_PATCH)
    )
    return answer
