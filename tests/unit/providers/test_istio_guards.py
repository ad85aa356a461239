"""Istio takes a `*` in a principal for a wildcard: none is ever written."""

import pytest

from agent_identity.api.rules import Caller, Rule
from agent_identity.providers.istio.desired import istio_rule

RULE = Rule(name="r", from_=(Caller(kind="AgentIdentity", name="x"),), ports=(1,), protocol="TCP")


@pytest.mark.parametrize("name", ["td/ns/a/sa/*", "*/ns/a/sa/b", "td/ns/*/sa/b"])
def test_no_wildcard_in_five_parts_either(name: str) -> None:
    with pytest.raises(ValueError, match="exact principals"):
        istio_rule(RULE, [name])
