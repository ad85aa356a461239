"""Whether a fault was met, told by what the operator asked for meanwhile; and how what is about to
break finds it at work."""

import asyncio
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus

from faults.exchange import Exchange
from faults.modes import Mode, When
from faults.proxy import FaultProxy

# The operator gives up what it waits for after 5 s: until then all first writes are to come, and
# what is to break has to be broken.
_HELD_SECONDS = 4.0
_COME_SECONDS = 3.0


def was_faulted(asked: Iterable[Exchange], mode: Mode) -> bool:
    """A proxy did this to one of them."""
    return any(exchange.fault == mode.name for exchange in asked)


def was_refused(asked: Iterable[Exchange], server: str, status: int = 0) -> bool:
    """The server itself, `kube` or `vault`, has not done what one of them asked for, nor said that
    there is nothing. status: with which it refused; 0 for any, and for no answer at all."""
    refused = (e for e in asked if e.call.server == server and not _is_answered(e))
    return any(status in {0, exchange.status} for exchange in refused)


def _is_answered(exchange: Exchange) -> bool:
    return exchange.applied or exchange.status == HTTPStatus.NOT_FOUND


def was_at_work(asked: Iterable[Exchange], since: float) -> bool:
    """A write was under way at this moment, by the monotonic clock, or was still to come."""
    writes = (e for e in asked if e.changes and not e.call.tells)
    return any(not 0 < exchange.answered_at <= since for exchange in writes)


class Held:
    """The first write of each scene, which waits at a proxy until it is released, or for so many
    seconds."""

    def __init__(self, scenes: Collection[str], seconds: float) -> None:
        self._to_come = set(scenes)
        self._complete, self._released = asyncio.Event(), asyncio.Event()
        self._mode = Mode("held", When.BEFORE, delay=seconds, released=self._released)

    def choose(self, exchange: Exchange) -> Mode | None:
        is_first = exchange.changes and not exchange.call.tells
        if not is_first or exchange.scene not in self._to_come:
            return None
        self._to_come.discard(exchange.scene)
        if not self._to_come:
            self._complete.set()
        return self._mode

    async def complete(self) -> None:
        """Until all are under way, or one did not come while the others could be held: whoever
        it is of will have met nothing."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._complete.wait(), _COME_SECONDS)

    def release(self) -> None:
        self._released.set()


@contextmanager
def first_writes_held(
    proxy: FaultProxy, scenes: Collection[str], *, seconds: float = _HELD_SECONDS
) -> Iterator[Held]:
    """The first write of each scene waits at the proxy meanwhile, so that whatever breaks, breaks
    while it is under way: else the operator may have done all before, or may have been told by the
    first failure not to ask for the others."""
    usual, held = proxy.choose, Held(scenes, seconds)
    proxy.choose = lambda exchange: held.choose(exchange) or usual(exchange)
    try:
        yield held
    finally:
        proxy.choose = usual
        held.release()
