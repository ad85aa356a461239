"""kopf's watchers of our kinds: which there are, and which there should be.

kopf looks once which kinds are served, and starts no watcher anew that ended by cancellation. Who
asks here ends the process where a kind is not seen, so that kopf looks again.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import aiohttp

from agent_identity.clients.kube import IDENTITIES, OURS, ApiError, Kube
from agent_identity.core.errors import Failed

_PLURALS = frozenset(api.plural for api in OURS.values())
_LOOK_SECONDS = 1.0


class Watchers:
    """Whose CRD is gone when kopf looks has none, and the other kinds go on; until it is back."""

    def __init__(self) -> None:
        self._absent: frozenset[str] = frozenset()

    def missing(self) -> bool:
        """Whether a kind has none and is served, as far as one knows."""
        return not _unwatched() <= self._absent

    async def until_one_is_missing(self, kube: Kube) -> None:
        """Once they are all there. Nobody tells that one has ended, or that a kind is back."""
        for missing in (False, True):
            while self.missing() is not missing:
                await asyncio.sleep(_LOOK_SECONDS)
                if _unwatched():
                    await self._look(kube)

    async def _look(self, kube: Kube) -> None:
        """Where nobody answers, what was known stands."""
        with suppress(Failed):
            self._absent = _PLURALS - await _served(kube)


def noting_lists(noted: Callable[[], None]) -> aiohttp.ClientMiddlewareType:
    """For kopf's session. noted: called when it has listed one of our kinds, which it does before
    it watches it. That what it does not find there was deleted, it tells nobody."""

    async def note(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        answer = await handler(request)
        if answer.ok and request.url.name in _PLURALS and "watch" not in request.url.query:
            noted()
        return answer

    return note


def _unwatched() -> frozenset[str]:
    names = [task.get_name() for task in asyncio.all_tasks()]
    return frozenset(
        plural
        for plural in _PLURALS
        if not any(name.startswith(f"watcher for {plural}.") for name in names)
    )


async def _served(kube: Kube) -> frozenset[str]:
    """What kopf goes by as well."""
    try:
        found = await kube.get(IDENTITIES.prefix)
    except ApiError as error:
        if not error.absent:
            raise
        return frozenset()
    return frozenset(kind["name"] for kind in found.get("resources") or ())
