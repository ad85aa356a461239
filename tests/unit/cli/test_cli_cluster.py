"""Reading a cluster needs a client that not everybody has."""

import sys
import tomllib
from pathlib import Path

import pytest
from sets import Program

from agent_identity.cli.cluster import connect
from agent_identity.cli.documents import Unreadable

MISSHAPEN = "can't use the kubeconfig: it has not the shape of one"
ROOT = Path(__file__).parents[3]


def test_who_has_no_client_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(Unreadable) as told:
        connect(None, None)
    # No name of an index: whoever takes it there could be anybody.
    assert str(told.value).endswith("from a checkout: pip install '.[cli]'")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert any(p.startswith("kubernetes") for p in extras["optional-dependencies"]["cli"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "can't use the kubeconfig: while parsing a flow node"),
        ("a: \x1b", "can't use the kubeconfig: unacceptable character"),
        ("- a", MISSHAPEN),
        ("!!bool maybe", MISSHAPEN),
        ("{current-context: a, contexts: [{name: a, context: 3}], clusters: 3}", MISSHAPEN),
        ("[" * 3000, MISSHAPEN),
    ],
    ids=["syntax", "a control", "a list", "a tag", "a number", "nested"],
)
def test_a_kubeconfig_that_cannot_be_read_is_told(program: Program, text: str, told: str) -> None:
    """Exit code 1 would say that the agent is not Ready."""
    code, out, err = program(
        "explain", "agents/agent", "--kubeconfig", program.file("kubeconfig", text)
    )
    assert (code, out) == (2, "")
    assert err.startswith(told)
    assert err.count("\n") == 1
