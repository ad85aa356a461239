"""The tables in `tests/README.md`: invariant → guards → tests, made from the mutants, so that they
can't say what nobody has seen; what was found → tests; and attacks → tests."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from mutants.attacks import attack_tables
from mutants.found import found_tables
from mutants.model import INVARIANTS, Mutant, shown

README = Path(__file__).resolve().parents[1] / "README.md"
MUTANTS, FOUND, ATTACKS = "mutants", "found", "attacks"


def table(mutants: Iterable[Mutant]) -> str:
    """One table for each invariant, in their order."""
    of: dict[int, list[Mutant]] = {number: [] for number in INVARIANTS}
    for mutant in mutants:
        of[mutant.invariant].append(mutant)
    return "\n".join(_section(number, found) for number, found in of.items())


def _section(number: int, mutants: list[Mutant]) -> str:
    head = f"**{number}.** {INVARIANTS[number]}\n\n| Guard | Without it fails |\n|---|---|\n"
    return head + "".join(_row(mutant) for mutant in mutants)


def _row(mutant: Mutant) -> str:
    tests = "<br>".join(f"`{shown(test)}`" for test in mutant.tests)
    return f"| {mutant.guard} (`{mutant.name}`) | {tests} |\n".replace("\\", "\\\\")


def with_table(text: str, mutants: Sequence[Mutant]) -> str:
    """The README with the tables as they are to be."""
    for name, tables in (
        (MUTANTS, table(mutants)),
        (FOUND, found_tables(mutants)),
        (ATTACKS, attack_tables()),
    ):
        text = _with(text, name, tables)
    return text


def _with(text: str, name: str, tables: str) -> str:
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{tables}\n{end}{after}"
