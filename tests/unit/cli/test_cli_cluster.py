"""Reading a cluster needs a client that not everybody has."""

import sys
import tomllib
from pathlib import Path

import pytest

from agent_identity.cli.cluster import connect
from agent_identity.cli.documents import Unreadable

ROOT = Path(__file__).parents[3]


def test_who_has_no_client_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(Unreadable) as told:
        connect(None, None)
    # No name of an index: whoever takes it there could be anybody.
    assert str(told.value).endswith("from a checkout: pip install '.[cli]'")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert any(p.startswith("kubernetes") for p in extras["optional-dependencies"]["cli"])
