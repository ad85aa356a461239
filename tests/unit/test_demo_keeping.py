"""What whoever keeps the demo running is told: here he may do what nobody may elsewhere."""

import io
import signal
from pathlib import Path
from typing import Any, cast

import pytest

from demo import keeping
from demo.interrupts import Interrupted
from demo.screen import Screen
from testbed.bed import ADMIN_MAY


class Kept:
    """A stage that is interrupted at once."""

    log_file = Path("operator.log")

    def exports(self) -> list[str]:
        return []

    def renew_tokens(self) -> None:
        raise Interrupted(signal.SIGINT)


def test_it_says_whom_the_guards_exempt_here_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "RENEWAL_SECONDS", 0)
    shown = io.StringIO()
    keeping.keep_until_interrupted(cast("Any", Kept()), Screen(shown, colour=False))
    for groups in ADMIN_MAY.values():
        for group in next(iter(groups.values())):
            assert f"You are {group}, whom the guards exempt here" in shown.getvalue()
