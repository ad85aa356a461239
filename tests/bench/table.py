"""What was measured, as one table and a small one of the requests, in Markdown."""

from collections.abc import Iterable

from bench.audit import Requests
from bench.floor import Floor
from bench.operator_run import PERIODS, RESYNC_SECONDS, Life
from bench.usage import OTHERS

Row = tuple[str, str, str]
NOTHING = ""


def render(floor: Floor, life: Life, count: int) -> str:
    """Both tables."""
    rows = [*_times(floor, life, count), *_processors(floor, life), *_rest(life, count)]
    main = _table(("", "floor", "operator"), rows)
    return f"{main}\n\n{_table(('requests per identity', *COLUMNS), _requests(floor, life, count))}"


COLUMNS = ("floor", "operator: create", "operator: delete")


def _times(floor: Floor, life: Life, count: int) -> list[Row]:
    made = life.creation.seconds
    return [
        (f"{count:,} identities created and Ready, s", _f(floor.seconds), _f(made)),
        ("ratio to the floor (aim: at most 1.3)", "1", f"**{made / floor.seconds:.2f}**"),
        (f"{count:,} identities deleted and gone, s", NOTHING, _f(life.deletion.seconds)),
        ("restart: ready after, s", NOTHING, _f(life.restart.seconds)),
        ("restart: all looked at after, s", NOTHING, _f(life.restart.looked_at)),
    ]


def _processors(floor: Floor, life: Life) -> list[Row]:
    """Each program, then all that take part: their ratio is what a busy machine disturbs least."""
    below, used = floor.processor, life.creation.processor
    both = [(name, below.get(name), seconds) for name, seconds in used.items() if name != OTHERS]
    rows = [(f"creation: CPU of {name}, s", _f(one), _f(other)) for name, one, other in both]
    all_below, all_used = (sum(c.values()) - c[OTHERS] for c in (below, used))
    ratio = f"{_f(all_used)} ({all_used / all_below:.2f} times)"
    return [
        *rows,
        ("creation: CPU of all of these, s", _f(all_below), ratio),
        (
            "creation: CPU of programs without a part in it, s",
            _f(below[OTHERS]),
            _f(used[OTHERS]),
        ),
    ]


def _rest(life: Life, count: int) -> list[Row]:
    creation, restart = life.creation, life.restart
    both = [
        ("peak memory, MiB (aim: at most 110)", _f(max(creation.peak, restart.peak))),
        ("memory at rest after creation, MiB", _f(creation.rest)),
        ("reconciles per identity", f"{creation.reconciles / count:.2f}"),
        ("mutating requests after the restart (aim: 0)", str(_changes(restart.requests))),
        (
            f"mutating requests in {PERIODS} resyncs of {RESYNC_SECONDS} s (aim: 0)",
            str(_changes(life.steady)),
        ),
    ]
    return [(name, NOTHING, value) for name, value in both]


def _requests(floor: Floor, life: Life, count: int) -> list[tuple[str, ...]]:
    """Changes first, then their sum, then what was only read."""
    columns = (floor.requests, life.creation.requests, life.deletion.requests)
    kinds = sorted(set().union(*columns))

    def row(name: str, values: Iterable[int]) -> tuple[str, ...]:
        return (name, *(f"{value / count:.2f}" if value else NOTHING for value in values))

    changes = [row(str(k), (c[k] for c in columns)) for k in kinds if k.changes]
    reads = [row(f"({k})", (c[k] for c in columns)) for k in kinds if not k.changes]
    total = row("**all mutating requests**", map(_changes, columns))
    return [*changes, total, *reads]


def _changes(requests: Requests) -> int:
    return sum(number for kind, number in requests.items() if kind.changes)


def _f(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    marks = (":--", *("--:" for _ in head[1:]))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *rows))
