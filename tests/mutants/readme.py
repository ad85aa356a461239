"""The table in `tests/README.md`: invariant → guards → tests. Made from the mutants, so that it
can't say what nobody has seen."""

from collections.abc import Iterable
from pathlib import Path

from mutants.model import INVARIANTS, Mutant

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- mutants: begin -->", "<!-- mutants: end -->"


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
    tests = "<br>".join(f"`{_short(test)}`" for test in mutant.tests)
    return f"| {mutant.guard} (`{mutant.name}`) | {tests} |\n".replace("\\", "\\\\")


def _short(test: str) -> str:
    return test.removeprefix("tests/").replace("|", "\\|")


def with_table(text: str, mutants: Iterable[Mutant]) -> str:
    """The README with the table as it is to be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(mutants)}\n{END}{after}"
