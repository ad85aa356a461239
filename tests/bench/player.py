"""A plain client that sends for many identities what a recipe says."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.door import MERGE_PATCH, Door, as_admin, as_operator
from bench.recipe import UID, VERSION, Recipe, Step
from bench.workload import IDENTITIES_PATH, manifest
from testbed.bed import Bed

ADMIN = "admin"


@dataclass(slots=True)
class _Played:
    """answers: path → what the API server answered last about the object there. Read only where a
    later step needs it, since a floor does nothing that it need not."""

    name: str
    uid: str = ""
    answers: dict[str, bytes] = field(default_factory=dict)

    def metadata(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.answers[path])["metadata"]
        return found


class Player:
    """Usable inside `async with at_the_doors()`."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._doors: dict[str, Door] = {}
        self._played: dict[str, _Played] = {}

    @asynccontextmanager
    async def at_the_doors(self) -> AsyncIterator[None]:
        """Logged in anew: a floor may take longer than a token lives."""
        self._doors = as_operator(self._bed) | {ADMIN: as_admin(self._bed)}
        async with AsyncExitStack() as opened:
            for door in self._doors.values():
                await opened.enter_async_context(door)
            yield

    async def create(self, name: str, recipe: Recipe) -> None:
        """Create one identity, and do for it, step after step, what the operator would do."""
        played = self._played[name] = _Played(name)
        answer = await self._doors[ADMIN].send(
            "POST", IDENTITIES_PATH, json.dumps(manifest(name)).encode()
        )
        played.answers[f"{IDENTITIES_PATH}/{name}"] = answer
        played.uid = json.loads(answer)["metadata"]["uid"]
        await self.follow(name, recipe)

    async def change(self, name: str, patch: dict[str, Any], recipe: Recipe) -> None:
        """Change one identity, and likewise."""
        path, body = f"{IDENTITIES_PATH}/{name}", json.dumps(patch).encode()
        answer = await self._doors[ADMIN].send("PATCH", path, body, MERGE_PATCH)
        self._played[name].answers[path] = answer
        await self.follow(name, recipe)

    async def follow(self, name: str, recipe: Recipe) -> None:
        for step in recipe.steps:
            await self._send(self._played[name], recipe, step)

    async def _send(self, played: _Played, recipe: Recipe, step: Step) -> None:
        path, body, target = (
            recipe.fill(text, name=played.name, uid=played.uid)
            for text in (step.path, step.body, step.target)
        )
        if UID in body or VERSION in body:
            seen = played.metadata(target)
            body = body.replace(UID, seen["uid"]).replace(VERSION, seen["resourceVersion"])
        answer = await self._doors[step.server].send(
            step.method, path, body.encode() or None, step.content_type
        )
        if target:
            played.answers[target] = answer
