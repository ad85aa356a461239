"""The fence: a process that may not hold the Lease any more sends nothing that changes anything.

Every request of a fenced session is stopped here as late as can be, after all that may take time:
queues, connections, handshakes. A process that was stopped or a machine that slept for an hour
finds the fence shut when it goes on, whatever it was about to send.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.connector import Connection

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_FOR_EVER = float("inf")
_NEVER = float("-inf")
_LOOK_SECONDS = 0.02


def boot_clock() -> float:
    """Seconds by a clock that goes on while the process is stopped or the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class FenceShutError(aiohttp.ClientConnectionError):
    """The request was not sent. One of aiohttp's, since whoever has a session knows these."""


class Fence:
    """Shut until it is told for how long it holds. refused: set once it has stopped a request."""

    def __init__(self, clock: Callable[[], float] = boot_clock) -> None:
        self.now = clock
        self._until = _NEVER
        self._closed = False
        self._under_way = 0
        self._moved_at = clock()
        self.refused = asyncio.Event()

    def hold_until(self, moment: float = _FOR_EVER) -> None:
        """moment: by `now`."""
        self._until = moment

    def close(self) -> None:
        """For good, and meant: what it stops from now on is no alarm."""
        self._closed = True

    @property
    def seconds_left(self) -> float:
        return _NEVER if self._closed else self._until - self.now()

    def holds(self) -> bool:
        """Whether this process may change something now."""
        return self.seconds_left > 0

    def check(self, method: str) -> None:
        """Raises FenceShutError for a request that would change something and must not."""
        if method in _READS or self.holds():
            return
        if not self._closed:
            self.refused.set()
        raise FenceShutError("the Lease is not held")

    @contextmanager
    def passing(self, method: str) -> Iterator[None]:
        """Around a request until its answer begins."""
        if method in _READS:
            yield
            return
        self.check(method)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._moved_at = self.now()

    async def quiet(self, seconds: float = 0.0) -> None:
        """Until every change that was sent is answered, and none was sent for so long."""
        # What is waited for is partly that nothing happens, which no event tells.
        while self._under_way or self.now() - self._moved_at < seconds:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)


def watched_by(fence: Fence) -> aiohttp.ClientMiddlewareType:
    """Refuses early, before a connection is made, and counts what is under way."""

    async def watch(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        with fence.passing(request.method):
            return await handler(request)

    return watch


def fenced_session(fence: Fence, user_agent: str) -> aiohttp.ClientSession:
    """For backends that present their own credentials."""
    return aiohttp.ClientSession(
        middlewares=(watched_by(fence),),
        request_class=stopped_by(fence),
        headers={"User-Agent": user_agent},
    )


def stopped_by(fence: Fence) -> type[aiohttp.ClientRequest]:
    """A class of requests that ask the fence once more in the very step that writes the bytes."""

    class Fenced(aiohttp.ClientRequest):
        async def send(self, conn: "Connection") -> aiohttp.ClientResponse:
            # One without a body is written in here, and nothing is waited for before.
            fence.check(self.method)
            return await super().send(conn)

        async def write_bytes(
            self,
            writer: "AbstractStreamWriter",
            conn: "Connection",
            content_length: int | None = None,
        ) -> None:
            # One with a body is written whole in here, which may be a turn of the loop later.
            try:
                fence.check(self.method)
            except FenceShutError as error:
                # Who waits for the answer hears of it through the connection only.
                if conn.protocol is not None:
                    conn.protocol.set_exception(error)
                return
            await super().write_bytes(writer, conn, content_length)

    return Fenced
