"""The fence: a process that may not hold the Lease any more sends nothing that changes anything.

Every request of a fenced session is stopped here as late as can be, after all that may take time:
queues, connections, handshakes. A process that was stopped or a machine that slept for an hour
finds the fence shut when it goes on, whatever it was about to send.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import aiohttp

if TYPE_CHECKING:
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


class _FencedSocket(socket.socket):
    """Asks the fence in the very call that gives bytes to the kernel: what comes before it,
    encryption most of all, takes long enough to be stopped in."""

    fence: Fence
    method = "GET"
    """Of the request that is under way on it."""

    def send(self, *arguments: Any) -> int:
        self._check()
        return super().send(*arguments)

    def sendmsg(self, *arguments: Any) -> int:
        self._check()
        return super().sendmsg(*arguments)

    def _check(self) -> None:
        try:
            self.fence.check(self.method)
        except FenceShutError as error:
            # What asyncio takes for the end of a connection, and not for a bug.
            raise ConnectionAbortedError(str(error)) from error


_sockets: "WeakValueDictionary[int, _FencedSocket]" = WeakValueDictionary()


def sockets_behind(fence: Fence) -> Callable[[aiohttp.AddrInfoType], socket.socket]:
    """For a connector: makes sockets that ask the fence."""

    def make(address: aiohttp.AddrInfoType) -> socket.socket:
        made = _FencedSocket(*address[:3])
        made.fence = fence
        _sockets[made.fileno()] = made
        return made

    return make


def fenced_session(fence: Fence, user_agent: str) -> aiohttp.ClientSession:
    """For backends that present their own credentials."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=sockets_behind(fence)),
        middlewares=(watched_by(fence),),
        request_class=FencedRequest,
        headers={"User-Agent": user_agent},
    )


class FencedRequest(aiohttp.ClientRequest):
    """Tells its socket what it is, so that the socket asks the fence."""

    async def send(self, conn: "Connection") -> aiohttp.ClientResponse:
        plain = conn.transport.get_extra_info("socket") if conn.transport else None
        fenced = _sockets.get(plain.fileno()) if plain is not None else None
        if fenced is None:
            raise FenceShutError("this connection can't be stopped")
        fenced.method = self.method
        return await super().send(conn)
