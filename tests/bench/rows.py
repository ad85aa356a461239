"""What is told of each measurement, row by row."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from bench.audit import changes, lists
from bench.deletion import MOST
from bench.life import Life
from bench.recording import BASELINE, RESTORE, WITHDRAW
from bench.restart import PERIODS
from bench.results import Size
from bench.usage import CLIENT, OPERATOR, OTHERS, SERVERS

P = TypeVar("P")
NOTHING, NEVER = "", "-"
MS = 1000
LARGEST = 5000
OF_CLASS = {
    BASELINE: "a rule more in the class, until {} policies have it, s",
    WITHDRAW: "a ClusterRole less in the class, until {} bindings are gone, s",
    RESTORE: "that ClusterRole again, until {} are Ready, s",
}


@dataclass(frozen=True, slots=True)
class Row:
    """aim: the most that the times of the floor should be, or else the operator's own value."""

    what: str
    floor: float | None
    operator: float
    naive: str
    aim: str
    digits: int
    compared: bool

    def cells(self) -> tuple[str, ...]:
        below = NOTHING if self.floor is None else shown(self.floor, self.digits)
        own = shown(self.operator, self.digits)
        return (self.what, below, own, self._times(), self.aim, self.naive)

    def _times(self) -> str:
        return f"**{self.operator / self.floor:.2f}**" if self.floor and self.compared else NOTHING


def shown(value: float, digits: int = 1) -> str:
    return f"{value:,.{digits}f}"


@dataclass(frozen=True, slots=True)
class Rows(Generic[P]):
    """Of one measurement, of both. naive: None where there is none; never: it could not be."""

    operator: P
    naive: P | None
    never: bool = False

    def row(
        self,
        what: str,
        value: Callable[[P], float],
        floor: float | None = None,
        *,
        aim: str = NOTHING,
        digits: int = 1,
        compared: bool = True,
    ) -> Row:
        missing = NEVER if self.never else NOTHING
        naive = missing if self.naive is None else shown(value(self.naive), digits)
        return Row(what, floor, value(self.operator), naive, aim, digits, compared)


def rows_of(size: Size) -> Iterator[Row]:
    """All that was measured with this number of identities."""
    for told in (_creation, _memory, _changes, _restart, _rest, _class, _deletion):
        yield from told(size)


def _both(size: Size, piece: Callable[[Life], P | None]) -> Rows[P] | None:
    """None where it was not measured."""
    own = piece(size.operator)
    return None if own is None else Rows(own, piece(size.naive) if size.naive else None)


def _creation(size: Size) -> Iterator[Row]:
    floor, count, number = size.floor, f"{size.count:,}", size.count
    if both := _both(size, lambda life: life.creation):
        told = f"{count} identities, until all are Ready, s"
        yield both.row(told, lambda c: c.seconds, floor.seconds, aim="≤ 1.15")
        told = f"{count}: that for each of them, ms"
        yield both.row(told, lambda c: c.seconds / number * MS, floor.seconds / number * MS)
        told, below = f"{count}: CPU of all who take part, s", _together(floor.processor)
        yield both.row(told, lambda c: _together(c.processor), below)
        told, below = f"{count}: CPU of the servers, s", _of_servers(floor.processor)
        yield both.row(told, lambda c: _of_servers(c.processor), below)
        told, below = f"{count}: CPU of who asks them, s", floor.processor[CLIENT]
        yield both.row(told, lambda c: c.processor[OPERATOR], below)
        told, below = f"{count}: CPU of other programs, s", floor.processor[OTHERS]
        yield both.row(told, lambda c: c.processor[OTHERS], below, compared=False)
        told, below = f"{count}: mutating requests for each", changes(floor.requests) / number
        yield both.row(told, lambda c: changes(c.requests) / number, below, digits=2)


def _memory(size: Size) -> Iterator[Row]:
    count, aim = f"{size.count:,}", "≤ 100" if size.count == LARGEST else NOTHING
    if both := _both(size, lambda life: life.creation):
        yield both.row(f"{count}: most memory, MiB", lambda c: c.peak, aim=aim)
        yield both.row(f"{count}: memory at rest, MiB", lambda c: c.rest, aim=aim)


def _changes(size: Size) -> Iterator[Row]:
    bare, whole, count = size.floor.changes, size.floor.whole_changes, f"{size.count:,}"
    both = _both(size, lambda life: life.changes)
    if both is None or bare is None or whole is None:
        return
    told = f"one change among {count}, until Ready, ms: p50"
    yield both.row(told, lambda c: c.spread.p50 * MS, bare.p50 * MS)
    yield both.row("the same: p99", lambda c: c.spread.p99 * MS, bare.p99 * MS, aim="≤ 1.5")
    told = "p50, the floor with all that is read for it too"
    yield both.row(told, lambda c: c.spread.p50 * MS, whole.p50 * MS)
    told = "p99, likewise"
    yield both.row(told, lambda c: c.spread.p99 * MS, whole.p99 * MS)
    told = "mutating requests for one change"
    yield both.row(told, lambda c: changes(c.requests) / len(c.spread.seconds), digits=2)


def _restart(size: Size) -> Iterator[Row]:
    told = f"restart with {size.count:,}"
    if both := _both(size, lambda life: life.restart):
        yield both.row(f"{told}, until it works, s", lambda r: r.ready)
        yield both.row(f"{told}, until a change made meanwhile is Ready, s", lambda r: r.changed)
        yield both.row(f"{told}: requests that list", lambda r: lists(r.requests), digits=0)
        what = f"{told}: changes of anything else"
        yield both.row(what, lambda r: r.elsewhere, digits=0, aim="0")
        yield both.row(f"{told}: most memory, MiB", lambda r: r.peak)
        yield both.row(f"{told}: memory at rest, MiB", lambda r: r.rest)


def _rest(size: Size) -> Iterator[Row]:
    if (own := size.operator.rest) is None:
        return
    both = Rows(own, None, never=size.naive is not None)
    told = f"{PERIODS} resyncs of {size.count:,}"
    yield both.row(f"{told}: mutating requests", lambda r: r.changes, digits=0, aim="0")
    yield both.row(f"{told}: CPU of the operator, s", lambda r: r.processor)


def _class(size: Size) -> Iterator[Row]:
    count = f"{size.count:,}"
    for phase, took in size.operator.of_class.items():
        both = Rows(took, None, never=size.naive is not None)
        told, below = OF_CLASS[phase].format(count), size.floor.of_class.get(phase)
        yield both.row(told, lambda t: t.seconds, below)
        yield both.row("mutating requests for it", lambda t: changes(t.requests), digits=0)


def _deletion(size: Size) -> Iterator[Row]:
    if both := _both(size, lambda life: life.deletion):
        told = f"{min(MOST, size.count):,} of {size.count:,} deleted, until gone, s"
        yield both.row(told, lambda t: t.seconds)
        told = "mutating requests for each of them"
        yield both.row(told, lambda t: changes(t.requests) / min(MOST, size.count), digits=2)


def _together(processor: Mapping[str, float]) -> float:
    return sum(processor.values()) - processor[OTHERS]


def _of_servers(processor: Mapping[str, float]) -> float:
    return sum(processor[name] for name in SERVERS.values())
