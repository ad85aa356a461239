"""The table of guards in `tests/README.md` says what the mutants say."""

from mutants.model import INVARIANTS
from mutants.readme import README, with_table
from mutants.table import MUTANTS
from mutants.workspace import REPOSITORY


def test_the_readme_is_as_generated() -> None:
    text = README.read_text()
    assert with_table(text, MUTANTS) == text, "write it anew: python -m mutants --table"


def test_every_invariant_has_mutants_of_different_names() -> None:
    assert {mutant.invariant for mutant in MUTANTS} == set(INVARIANTS)
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_every_guard_is_where_its_mutant_says() -> None:
    for mutant in MUTANTS:
        text = (REPOSITORY / mutant.file).read_text()
        assert text.count(mutant.old) == 1, f"{mutant.name}: not once in {mutant.file}"
