"""Whom a write of a policy lets in newly, and what counts as being let in already."""

from typing import Any

import pytest

from agent_identity.core.openings import openings_in, openings_of
from agent_identity.core.resource import Kind, Ref, Resource

POLICY = Kind.AUTHORIZATION_POLICY
Json = dict[str, Any]


def rule(*principals: str, **operation: list[str]) -> Json:
    source = {"source": {"principals": list(principals)}}
    return {"from": [source], "to": [{"operation": {"ports": ["8080"]} | operation}]}


def policy(*rules: Json, action: str = "ALLOW", **metadata: Any) -> Json:
    return {"metadata": {"name": "x", **metadata}, "spec": {"action": action, "rules": [*rules]}}


def new(before: Json, after: Json) -> frozenset[str]:
    wanted = openings_of(Resource(Ref(POLICY, "agents", "x"), after, "istio"))
    return wanted.beside(openings_in(POLICY, before))


OPEN = rule("a", methods=["GET", "PUT"], paths=["/x", "/y"])


@pytest.mark.parametrize(
    "narrower",
    [
        rule("a", methods=["GET", "PUT"], paths=["/x", "/y"]),
        rule("a", methods=["GET"], paths=["/y"]),
    ],
)
def test_who_is_let_in_to_as_much_is_not_new(narrower: Json) -> None:
    assert new(policy(OPEN), policy(narrower)) == set()
    assert new(policy(rule("a")), policy(narrower)) == set()


@pytest.mark.parametrize(
    "wider",
    [
        rule("a"),
        rule("a", methods=["GET"]),
        rule("a", methods=["GET", "PUT"], paths=["/x", "/y", "/z"]),
        rule("a", methods=["DELETE"], paths=["/x"]),
        rule("a", methods=["GET"], paths=["/x"], ports=[]),
        rule("a", methods=["GET"], paths=["/x"], ports=["9090"]),
    ],
)
def test_who_gets_more_is_new(wider: Json) -> None:
    assert new(policy(OPEN), policy(wider)) == {"a"}


def test_only_who_comes_is_new() -> None:
    assert new(policy(rule("a", "b")), policy(rule("a", "b", "c"))) == {"c"}
    assert new(policy(), policy(rule("a"))) == {"a"}
    assert new(policy(rule("a", "b")), policy(rule("b"))) == set()


@pytest.mark.parametrize(
    "other",
    [
        rule("a") | {"when": [{"key": "request.headers[x]", "values": ["y"]}]},
        rule("a", hosts=["never.example"]),
        rule("a", notPaths=["/x"]),
        {"from": [{"source": {"principals": ["a"], "ipBlocks": ["10.0.0.1"]}}], "to": []},
        {**rule("a"), "from": [{"source": {"principals": ["a"], "namespaces": ["x"]}}]},
        {**rule("a"), "from": [{"source": {"principals": ["a"]}}] * 2},
        {"to": rule("a")["to"]},
        {},
    ],
)
def test_a_rule_of_another_form_lets_nobody_in_already(other: Json) -> None:
    assert new(policy(other), policy(rule("a", paths=["/x"]))) == {"a"}


@pytest.mark.parametrize(
    "other",
    [
        policy(rule("a"), action="DENY"),
        policy(rule("a"), annotations={"istio.io/dry-run": "true"}),
        policy(rule("a")) | {"spec": policy(rule("a"))["spec"] | {"selector": {"x": "y"}}},
    ],
)
def test_a_policy_that_is_another_in_all_else_lets_nobody_in_already(other: Json) -> None:
    assert new(other, policy(rule("a"))) == {"a"}


def test_to_guard_something_else_is_no_narrowing() -> None:
    ref = Ref(POLICY, "agents", "x")
    shut = openings_of(Resource(ref, policy(), "istio"))
    assert shut.only_narrows(openings_in(POLICY, policy(rule("a"))))
    elsewhere = policy(rule("a")) | {"spec": policy(rule("a"))["spec"] | {"selector": {"x": "y"}}}
    assert not shut.only_narrows(openings_in(POLICY, elsewhere))


def test_what_is_written_in_a_form_that_cannot_be_told_is_a_bug() -> None:
    with pytest.raises(ValueError, match="another form"):
        new(policy(), policy({"to": rule("a")["to"]}))
