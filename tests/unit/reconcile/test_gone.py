"""What is gone is remembered for as long as somebody may still tell of it."""

from types import SimpleNamespace

import pytest

from agent_identity.reconcile import gone as module
from agent_identity.reconcile.gone import Gone


def test_deletions_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    gone, now = Gone[str](), 0.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    for number in range(1, 1000):
        now += 1
        gone.add(f"thing-{number}")
    assert str(vars(gone)).count("thing-") < 100
    assert "thing-999" in gone
    now += 100
    assert "thing-999" not in gone
    assert str(vars(gone)).count("thing-") == 0


def test_one_that_goes_again_is_remembered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    gone, now = Gone[str](), 0.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    for version in (3, 7):
        gone.add("thing", version)
        now += 50
    assert gone.version("thing") == 7
