"""The doors for kopf's events. No I/O here: what comes is noted, and its key becomes due.

kopf owns the watch of our kinds; nothing else of it is used, so that it writes nothing on
anybody's objects.
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

import aiohttp
import kopf

from agent_identity.api.v1alpha1 import GROUP, VERSION
from agent_identity.core.resource import Key, Subject
from agent_identity.reconcile.world import World

_LOGIN_PAUSE = 3.0
_BACK_OFFS = (0.1, 0.5, 1, 2, 4, 8)


class _ForEver(Collection[float]):
    """Back-offs with jitter that never run out: else an outage of a minute ends the process."""

    def __iter__(self) -> Iterator[float]:
        for seconds in _BACK_OFFS:
            yield seconds * random.uniform(0.75, 1.25)
        while True:
            yield _BACK_OFFS[-1] * random.uniform(0.75, 1.25)

    def __len__(self) -> int:
        return len(_BACK_OFFS)

    def __contains__(self, item: object) -> bool:
        return item in _BACK_OFFS


class _NoDiffBase(kopf.DiffBaseStorage):
    """Nothing is compared by kopf, so nothing is copied or stored."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        return


class _NoProgress(kopf.ProgressStorage):
    """There are no handlers whose progress would have to be stored."""

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        return

    def purge(self, **_: Any) -> None:
        return

    def touch(self, **_: Any) -> None:
        return

    def clear(self, *, essence: Any) -> Any:
        return essence


def kopf_settings() -> kopf.OperatorSettings:
    """What keeps kopf quick, patient and without writes."""
    s = kopf.OperatorSettings()
    s.peering.standalone = True
    s.scanning.disabled = True
    s.posting.enabled = False
    s.watching.chunk_size = 500
    s.watching.server_timeout = 600
    s.watching.connect_timeout = 10
    s.networking.request_timeout = 30
    s.networking.connect_timeout = 10
    s.networking.error_backoffs = _ForEver()
    s.queueing.idle_timeout = 0.1
    # kopf takes off a finalizer of its own that no handler of its asks for: never ours.
    s.persistence.finalizer = f"{GROUP}/unused"
    s.persistence.diffbase_storage = _NoDiffBase()
    s.persistence.progress_storage = _NoProgress()
    return s


def register(
    world: World, server: str, connect: Callable[[], aiohttp.ClientSession]
) -> kopf.OperatorRegistry:
    """A registry whose handlers feed `world`. connect: makes kopf's session with the server."""
    registry = kopf.OperatorRegistry()

    logged_in_at = -_LOGIN_PAUSE

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        # kopf logs in again at once after every 401; a token that is refused would spin.
        nonlocal logged_in_at
        await asyncio.sleep(max(0.0, logged_in_at + _LOGIN_PAUSE - time.monotonic()))
        logged_in_at = time.monotonic()
        return kopf.AiohttpSession(server=server, aiohttp_session=connect())

    @kopf.on.event(GROUP, VERSION, "agentidentities", registry=registry)
    async def identity(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002
        metadata = body["metadata"]
        if type == "DELETED":
            key = Key(metadata["namespace"], metadata["name"])
            world.lose_identity(key, metadata["uid"])
        else:
            world.see_identity(dict(body))

    @kopf.on.event(GROUP, VERSION, "agentidentityclasses", registry=registry)
    async def agent_class(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002
        if type == "DELETED":
            world.lose_class(body["metadata"]["name"], body["metadata"]["uid"])
        else:
            world.see_class(dict(body))

    @kopf.on.event(GROUP, VERSION, "agentaccessgrants", registry=registry)
    async def grant(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002
        metadata = body["metadata"]
        if type == "DELETED":
            key = Key(metadata["namespace"], metadata["name"], Subject.GRANT)
            world.grants.lose(key, metadata["uid"])
        else:
            world.grants.see(dict(body))

    return registry
