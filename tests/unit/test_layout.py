"""Where things are: what would break imports, or open a door, without any other test failing."""

import operator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_standard_librarys_operator_is_not_shadowed() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not list((ROOT / "operator").glob("*.py"))
    assert str(ROOT) not in str(operator.__file__)


def test_lock_files_hold_hashes_and_no_addresses() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text
