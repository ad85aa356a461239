"""Fresh reads before a right is given, shared by all who ask at the same time.

Whoever asks gets an answer to a read that began after they asked; a burst of a thousand new
identities of one class costs a handful of reads of that class, and not a thousand.
"""

import asyncio

from agent_identity.clients.kube import Json, Kube


class FreshReads:
    """Quorum reads through the API server."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._running: dict[str, asyncio.Task[Json]] = {}
        self._next: dict[str, asyncio.Task[Json]] = {}

    async def read(self, path: str) -> Json:
        """The object as it is at some moment after this call. Raises ApiError."""
        waiting = self._next.get(path)
        if waiting is None:
            waiting = asyncio.create_task(self._after(path, self._running.get(path)))
            self._next[path] = waiting
        return await asyncio.shield(waiting)

    async def _after(self, path: str, running: asyncio.Task[Json] | None) -> Json:
        if running is not None:
            await asyncio.wait([running])
        # From here on a newcomer needs a read of its own: this one has begun.
        self._running[path] = self._next.pop(path)
        try:
            return await self._kube.get(path)
        finally:
            if self._running.get(path) is asyncio.current_task():
                del self._running[path]
