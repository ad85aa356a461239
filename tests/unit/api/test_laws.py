"""Rules over several fields hold in our own parser too: admission is a moment and may be off."""

from typing import Any

import pytest

from agent_identity.core.identity import parse_identity
from samples import class_of, identity_of, metadata

CALLER = {"kind": "AgentIdentity", "name": "planner"}
HTTP = {"methods": ["GET"], "paths": ["/"]}
GRPC = {"services": ["a.B"], "methods": ["*"]}


def rule(**more: Any) -> dict[str, Any]:
    return {"name": "r", "from": [CALLER], "ports": [80], "protocol": "TCP"} | more


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (rule(protocol="HTTP"), "required with protocol HTTP"),
        (rule(protocol="GRPC"), "required with protocol GRPC"),
        (rule(http=HTTP), "required with protocol HTTP"),
        (rule(protocol="HTTP", http=HTTP, grpc=GRPC), "required with protocol GRPC"),
        (rule(**{"from": [{"kind": "AgentIdentity"}]}), "name is required"),
        (
            rule(**{"from": [{"kind": "AllAgentIdentities", "namespace": "n", "name": "x"}]}),
            "name is required",
        ),
        (rule(**{"from": [{"kind": "ServiceAccount", "name": "x"}]}), "namespace is required"),
    ],
)
def test_a_rule_that_would_mean_more_is_refused(broken: dict[str, Any], told: str) -> None:
    identity = identity_of(inbound={"enforcement": "Enforce", "rules": [broken]})
    assert identity.spec is None
    assert told in identity.problem


def vault_with(policy: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = class_of().vault
    assert body is not None
    dumped: dict[str, Any] = body.model_dump(by_alias=True, exclude_none=True, mode="json")
    return dumped | {"policies": [{"name": "p"} | policy]} | more


def of_path(path: str) -> dict[str, Any]:
    return {"rules": [{"path": path, "capabilities": ["read"]}]}


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"policyName": "x"} | of_path("kv/x"),
        {"policyName": "root"},
        {"policyName": "default"},
        {"policyName": "agentid_prod_default_x"},
        of_path("sys/policies/acl/x"),
        of_path("team/sys/policies/acl/x"),
        of_path("auth/x"),
        of_path("identity/x"),
        of_path("kv/{serviceAccount}/x"),
        of_path("kv/{serviceAccount}/{namespace}"),
        of_path("{namespace}/x"),
        of_path("*"),
        of_path("kv/+/x"),
        of_path("kv/../sys"),
        of_path("kv/a*"),
    ],
)
def test_a_policy_that_would_reach_further_is_refused(policy: dict[str, Any]) -> None:
    assert class_of(vault=vault_with(policy)).spec is None


def test_a_policy_within_bounds_is_not() -> None:
    for path in ("kv/data/{namespace}/{serviceAccount}/*", "kv/shared", "kv/{cluster}/x"):
        assert class_of(vault=vault_with(of_path(path))).problem == ""


def test_a_default_life_over_the_maximum_is_refused() -> None:
    vault = vault_with(of_path("kv/x"), defaultTokenTTLSeconds=3601)
    assert "over maxTokenTTLSeconds" in class_of(vault=vault).problem


@pytest.mark.parametrize("spec", ["text", [], {"serviceAccount": "text"}, {"className": 7}, None])
def test_whatever_stands_in_a_spec_nothing_is_raised(spec: Any) -> None:

    identity = parse_identity({"metadata": metadata("agent", "agents"), "spec": spec})
    assert identity.spec is None or spec is None
    assert identity.account == "agent"
