"""The oracles see what they are for, and forgive what is meant so."""

import json
from typing import Any

import pytest

from faults.fields.judging import dishonest, effects, settled, still_open, unlike
from faults.fields.rights import rights
from faults.recorder import Name

Body = dict[str, Any]
IDENTITY, ACCOUNT = "AgentIdentity/ns/agent", "ServiceAccount/ns/own"
POLICY, MTLS = "AuthorizationPolicy/ns/p", "PeerAuthentication/ns/p"
BINDING, OTHERS = "RoleBinding/ns/b", "AuthorizationPolicy/shop/q"
ROLE = "VaultRole/test_ns_own"
CLOSED = {"action": "ALLOW"}


def ready(status: str, *, stalled: bool = False, reason: str = "InPlace", **more: Any) -> Body:
    waits = status == "False" and not stalled
    said = {"Ready": status, "Reconciling": str(waits), "Stalled": str(stalled)}
    rows = [
        {"type": t, "status": s, "reason": reason, "message": "why", "observedGeneration": 2}
        for t, s in said.items()
    ]
    return {"observedGeneration": 2, "conditions": rows, **more}


def identity(status: Body, **metadata: Any) -> Body:
    return {"metadata": {"namespace": "ns", "name": "agent", **metadata}, "status": status}


def owned(**more: Any) -> Body:
    labels = {"agentidentity.dev/identity": "agent"}
    return {"metadata": {"namespace": "ns", "labels": labels, **more.pop("metadata", {})}, **more}


def calls(*accounts: str) -> Body:
    source = {"source": {"principals": [f"cluster.local/ns/ns/sa/{a}" for a in accounts]}}
    operation = {"operation": {"ports": ["80"]}}
    return {"action": "ALLOW", "rules": [{"from": [source], "to": [operation]}]}


def state(**changes: Body | None) -> dict[str, str]:
    """All that an agent has, with changes by the names above; None takes away."""
    whole: dict[str, Body | None] = {
        IDENTITY: identity(ready("True", spiffeID="x"), finalizers=["f"]),
        ACCOUNT: owned(metadata={"annotations": {"k": "v"}}),
        MTLS: owned(spec={"mtls": {"mode": "STRICT"}}),
        POLICY: owned(spec=calls("planner")),
        BINDING: owned(),
        OTHERS: {"metadata": {"namespace": "shop"}, "spec": calls("own")},
        ROLE: {"token_policies": ["p"]},
    }
    named = {globals()[name]: body for name, body in changes.items()}
    return {name: json.dumps(b) for name, b in (whole | named).items() if b is not None}


STALLED = identity(ready("False", stalled=True), finalizers=["f"])
SHUT: dict[str, Body | None] = {
    "IDENTITY": STALLED,
    "ACCOUNT": owned(),
    "POLICY": owned(spec=CLOSED),
    "BINDING": None,
    "OTHERS": None,
    "ROLE": None,
}


def test_a_stalled_agent_that_keeps_only_its_guards_is_closed() -> None:
    assert list(still_open(state(**SHUT), state())) == []
    assert list(still_open(state(), state())) == []


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ("BINDING", f"has {BINDING}"),
        ("ACCOUNT", f"has {ACCOUNT}"),
        ("POLICY", f"has {POLICY}"),
        ("ROLE", f"has {ROLE}"),
        ("OTHERS", f"named by {OTHERS}"),
    ],
)
def test_a_right_that_a_stalled_agent_keeps_is_seen(kept: str, told: str) -> None:
    left = {name: body for name, body in SHUT.items() if name != kept}
    assert any(told in line for line in still_open(state(**left), state()))


@pytest.mark.parametrize("lost", ["POLICY", "MTLS"])
def test_a_guard_that_is_lost_is_seen(lost: str) -> None:
    [line] = still_open(state(**{**SHUT, lost: None}), state())
    assert "everybody is let in" in line


def test_who_never_had_anything_is_like_who_has_nothing_any_more() -> None:
    nothing = {**SHUT, "ACCOUNT": None, "MTLS": None, "POLICY": None}
    nothing["IDENTITY"] = identity(ready("False", stalled=True))
    assert unlike(state(**nothing), state(**SHUT)) == []
    assert unlike(state(**nothing), state(**{**SHUT, "BINDING": owned()})) != []


@pytest.mark.parametrize("name", ["POLICY", "BINDING", "ROLE", "MTLS"])
def test_of_who_is_well_nothing_may_be_missing(name: str) -> None:
    assert unlike(state(), state()) == []
    assert unlike(state(), state(**{name: None})) != []
    assert unlike(state(**{name: None}), state()) != []


def test_what_vault_has_counts_only_while_it_does_what_it_is_told() -> None:
    troubled = ready("False", spiffeID="x")
    row = {"type": "VaultReady", "status": "False", "reason": "Unreachable", "message": "why"}
    troubled["conditions"].append(row)
    both = {"IDENTITY": identity(troubled, finalizers=["f"])}
    assert unlike(state(**both, ROLE=None), state(**both)) == []
    assert unlike(state(**both, BINDING=None), state(**both)) != []


def test_a_status_is_no_effect() -> None:
    said = identity(ready("True", spiffeID="y"), finalizers=["f"])
    assert effects(state(IDENTITY=said), IDENTITY) == effects(state(), IDENTITY)
    assert effects(state(ROLE=None), IDENTITY) != effects(state(), IDENTITY)


def test_a_status_is_of_the_generation_that_it_is_about() -> None:
    body = identity(ready("True"), generation=2)
    assert settled(body)
    assert list(dishonest(IDENTITY, body)) == []
    later = identity(ready("True"), generation=3)
    assert not settled(later)
    assert len(list(dishonest(IDENTITY, later))) == 3


def test_ready_and_stalled_at_once_is_dishonest() -> None:
    body = identity(ready("True", stalled=True), generation=2)
    [line] = dishonest(IDENTITY, body)
    assert "Ready, Reconciling, Stalled are" in line


def test_less_of_a_rule_is_no_more() -> None:
    name = Name("AuthorizationPolicy", "ns", "p")
    wide = rights({name: owned(spec=calls("a", "b"))})
    assert rights({name: owned(spec=calls("a"))}) < wide
    assert not rights({name: owned(spec={"action": "ALLOW", "rules": [{}]})}) & wide
    assert rights({name: owned(spec=CLOSED)}) == set()


def test_a_binding_and_an_annotation_are_rights() -> None:
    subjects = [{"kind": "ServiceAccount", "namespace": "ns", "name": "own"}]
    binding = owned(roleRef={"name": "reader"}, subjects=subjects)
    account = owned(metadata={"annotations": {"arn": "x"}})
    found = rights(
        {Name("RoleBinding", "ns", "b"): binding, Name("ServiceAccount", "ns", "own"): account}
    )
    assert found == {
        "ns/own is bound to reader in ns",
        "ServiceAccount/ns/own is annotated arn=x",
    }
