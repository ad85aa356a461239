"""Whether a fault was met, told by what the operator asked for meanwhile; and how what is about to
break finds it at work."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from faults.exchange import Exchange
from faults.modes import Mode, When
from faults.proxy import FaultProxy

# Longer than it takes to kill a server or to seal it, and shorter than the operator waits for it.
_HELD = Mode("held", When.BEFORE, delay=2.0)


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


@contextmanager
def first_writes_held(proxy: FaultProxy, scenes: Collection[str]) -> Iterator[None]:
    """The first write of each scene waits at the proxy, so that whatever breaks next, breaks while
    it is under way: else the operator may have done all before."""
    usual, left = proxy.choose, set(scenes)

    def choose(exchange: Exchange) -> Mode | None:
        is_first = exchange.changes and not exchange.call.tells and exchange.scene in left
        if not is_first:
            return usual(exchange)
        left.discard(exchange.scene)
        return _HELD

    proxy.choose = choose
    try:
        yield
    finally:
        proxy.choose = usual
