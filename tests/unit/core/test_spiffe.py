"""SPIFFE-ID standard, section 2: what is legal is made, what is not is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_identity.core.errors import Invalid
from agent_identity.core.spiffe import SpiffeID

LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)


def test_the_two_forms() -> None:
    name = SpiffeID("cluster.local", "agents", "billing")
    assert str(name) == "spiffe://cluster.local/ns/agents/sa/billing"
    assert name.principal == "cluster.local/ns/agents/sa/billing"


@pytest.mark.parametrize(
    "domain",
    ["", "Cluster.local", "td:8443", "user@td", "td/x", "td%41", "a" * 256, "tdé", "td\n", "a*b"],
)
def test_a_trust_domain_that_the_standard_refuses(domain: str) -> None:
    with pytest.raises(Invalid):
        SpiffeID(domain, "agents", "billing")


@pytest.mark.parametrize("segment", ["", ".", "..", "a/b", "a%2fb", "a b", "ä", "a*", "a\n", "a?"])
def test_a_path_segment_that_the_standard_refuses(segment: str) -> None:
    with pytest.raises(Invalid):
        SpiffeID("td", segment, "billing")
    with pytest.raises(Invalid):
        SpiffeID("td", "agents", segment)


def test_the_limit_is_2048_bytes() -> None:
    rest = len("spiffe://td/ns/") + len("/sa/a")
    SpiffeID("td", "n" * (2048 - rest), "a")
    with pytest.raises(Invalid):
        SpiffeID("td", "n" * (2049 - rest), "a")


@given(LABEL, LABEL, LABEL, LABEL)
def test_different_accounts_have_different_ids(ns1: str, sa1: str, ns2: str, sa2: str) -> None:
    same = SpiffeID("td", ns1, sa1).principal == SpiffeID("td", ns2, sa2).principal
    assert same == ((ns1, sa1) == (ns2, sa2))


@given(st.text(), st.text(), st.text())
def test_whatever_is_accepted_has_five_plain_parts(domain: str, ns: str, sa: str) -> None:
    try:
        name = SpiffeID(domain, ns, sa)
    except Invalid:
        return
    parts = name.principal.split("/")
    assert len(parts) == 5
    assert parts[1::2] == ["ns", "sa"]
    assert "*" not in name.principal
    assert not name.principal.startswith("spiffe:")
