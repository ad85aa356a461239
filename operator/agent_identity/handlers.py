"""The doors for kopf's events. No I/O here: what comes is noted, and its key becomes due.

kopf owns the watch of our kinds; nothing else of it is used, so that it writes nothing on
anybody's objects.
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import aiohttp
import kopf

from agent_identity.api.v1alpha1 import GROUP, VERSION
from agent_identity.clients.kube import PAGE
from agent_identity.core.resource import Key, Subject
from agent_identity.reconcile.world import World

Body = Mapping[str, Any]
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
    s.watching.chunk_size = PAGE
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
    _log_in(registry, server, connect)

    def lose_class(metadata: Body) -> None:
        world.lose_class(metadata["name"], metadata["uid"])

    def lose_identity(metadata: Body) -> None:
        world.lose_identity(Key(metadata["namespace"], metadata["name"]), metadata["uid"])

    def lose_grant(metadata: Body) -> None:
        key = Key(metadata["namespace"], metadata["name"], Subject.GRANT)
        world.grants.lose(key, metadata["uid"])

    _watch(registry, "agentidentities", world.see_identity, lose_identity)
    _watch(registry, "agentidentityclasses", world.see_class, lose_class)
    _watch(registry, "agentaccessgrants", world.grants.see, lose_grant)
    return registry


def _log_in(
    registry: kopf.OperatorRegistry, server: str, connect: Callable[[], aiohttp.ClientSession]
) -> None:
    logged_in_at = -_LOGIN_PAUSE

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        # kopf logs in again at once after every 401; a token that is refused would spin.
        nonlocal logged_in_at
        await asyncio.sleep(max(0.0, logged_in_at + _LOGIN_PAUSE - time.monotonic()))
        logged_in_at = time.monotonic()
        return kopf.AiohttpSession(server=server, aiohttp_session=connect())


def _watch(
    registry: kopf.OperatorRegistry,
    plural: str,
    see: Callable[[Body], None],
    lose: Callable[[Body], None],
) -> None:
    """lose: takes the metadata of what was deleted."""

    @kopf.on.event(GROUP, VERSION, plural, id=plural, registry=registry)
    async def event(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002
        if type == "DELETED":
            lose(body["metadata"])
        else:
            see(dict(body))
