"""What was measured, as one table and a small one of the requests, in Markdown."""

from collections.abc import Iterable, Iterator

from bench.audit import Requests, changes
from bench.deletion import MOST
from bench.results import Results, Size
from bench.rows import NEVER, NOTHING, rows_of

COLUMNS = ("", "floor", "operator", "times the floor", "aim", "naive")
NOTES = f"""\
`naive` is `tests/bench/naive_operator.py`: the same function by kopf's handlers, the official
client and hvac. `{NEVER}`: it can't; it sees no drift, and no handler of its is called for its
identities when a class changes."""


def render(results: Results) -> str:
    """All of it."""
    rows = (row.cells() for size in results.sizes for row in rows_of(size))
    parts = [_table(COLUMNS, rows), NOTES, *_given_up(results), _requests(results.sizes[-1])]
    return "\n\n".join(parts)


def _given_up(results: Results) -> Iterator[str]:
    for count in results.given_up:
        yield f"`naive` with {count:,} identities was given up after {results.limit:,.0f} s."


def _requests(size: Size) -> str:
    """Of each identity: changes first, then their sum, then what was only read."""
    columns = dict(_columns(size))
    kinds = sorted(set().union(*(requests for requests, _ in columns.values())))

    def row(name: str, numbers: Iterable[int]) -> tuple[str, ...]:
        each = [n / by for n, (_, by) in zip(numbers, columns.values(), strict=True)]
        return (name, *(f"{n:.2f}" if n else NOTHING for n in each))

    found = [requests for requests, _ in columns.values()]
    rows = [row(str(k), (r[k] for r in found)) for k in kinds if k.changes]
    rows += [row("**all mutating requests**", map(changes, found))]
    rows += [row(f"({k})", (r[k] for r in found)) for k in kinds if not k.changes]
    return _table(("requests for each identity", *columns), rows)


def _columns(size: Size) -> Iterator[tuple[str, tuple[Requests, int]]]:
    """Requests, and for how many identities they were."""
    yield "floor: create", (size.floor.requests, size.count)
    for name, life in (("operator", size.operator), ("naive", size.naive)):
        if life is None:
            continue
        yield f"{name}: create", (life.creation.requests, size.count)
        if life.changes:
            yield f"{name}: change", (life.changes.requests, len(life.changes.spread.seconds))
        if life.deletion:
            yield f"{name}: delete", (life.deletion.requests, min(MOST, size.count))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    marks = (":--", *("--:" for _ in head[1:]))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *rows))
