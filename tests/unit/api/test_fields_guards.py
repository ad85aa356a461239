"""The second wall: what the API server's schema refuses, the operator's own parser refuses too."""

from typing import Any

import pytest

from samples import class_of, identity_of

VAULT: dict[str, Any] = {
    "address": "https://vault.example:8200",
    "login": {"mount": "kubernetes", "role": "operator"},
    "agentAuth": {"mount": "kubernetes", "audience": "vault"},
    "defaultTokenTTLSeconds": 900,
    "maxTokenTTLSeconds": 3600,
}


def with_path(path: str) -> str:
    rules = [{"path": path, "capabilities": ["read"]}]
    return class_of(vault=VAULT | {"policies": [{"name": "p", "rules": rules}]}).problem


@pytest.mark.parametrize("path", ["kv/data/{namespace}/{serviceAccount}/*", "kv/data/x", "kv/"])
def test_a_plain_vault_path_is_taken(path: str) -> None:
    assert with_path(path) == ""


@pytest.mark.parametrize(
    "path",
    [
        "{namespace}/x",
        "{cluster}/x",
        "*",
        "kv/*/x",
        "kv/data/a*",
        "kv/+/x",
        "kv/../sys",
        "kv/{{identity.entity.id}}/x",
        "kv/{other}/x",
        "kv/x{namespace}/x",
        'kv/"x',
        "/kv/x",
        "kv/x\n",
    ],
)
def test_a_vault_path_that_means_more_than_it_says_is_refused(path: str) -> None:
    assert "path" in with_path(path)


@pytest.mark.parametrize("name", ["*", "a+b", "a/b", "A", "a\n", "../a"])
def test_a_foreign_policys_name_is_plain(name: str) -> None:
    policies = [{"name": "p", "policyName": name}]
    assert "policyName" in class_of(vault=VAULT | {"policies": policies}).problem


@pytest.mark.parametrize("name", ["*", "a/b", "a b", "a\n", ""])
def test_a_cluster_roles_name_is_plain(name: str) -> None:
    assert "clusterRoles" in identity_of(rbac={"clusterRoles": [name]}).problem


@pytest.mark.parametrize("name", ["*", "a/b", "a_b", "A", "a.b", "a\n", ""])
def test_an_accounts_name_is_a_label(name: str) -> None:
    assert "serviceAccount" in identity_of(serviceAccount={"name": name}).problem


@pytest.mark.parametrize("address", ["http://vault", "https://a@b", "https://a/b", "https://a?b"])
def test_an_address_is_https_and_a_host(address: str) -> None:
    assert "address" in class_of(vault=VAULT | {"address": address}).problem


@pytest.mark.parametrize("path", ["*", "/a*", "/*/a", "/a/../b", "/a%2fb", "a", "/{x}", "/a b"])
def test_an_http_path_means_what_it_says(path: str) -> None:
    rule = {
        "name": "r",
        "from": [{"kind": "AgentIdentity", "name": "x"}],
        "ports": [1],
        "protocol": "HTTP",
        "http": {"methods": ["GET"], "paths": [path]},
    }
    assert "paths" in identity_of(inbound={"enforcement": "Enforce", "rules": [rule]}).problem


def test_a_misspelt_field_is_refused() -> None:
    assert "inbuond" in identity_of(inbuond={"enforcement": "Enforce"}).problem


@pytest.mark.parametrize("path", ["sys/policies/acl/x", "auth/kubernetes/role/x", "identity/*"])
def test_an_agent_gets_no_path_that_is_vaults_own(path: str) -> None:
    assert "no paths under sys" in with_path(path)


@pytest.mark.parametrize("name", ["root", "default", "agentid_prod_default_x"])
def test_nobodys_own_policy_is_handed_out(name: str) -> None:
    policies = [{"name": "p", "policyName": name}]
    assert "policyName can't be" in class_of(vault=VAULT | {"policies": policies}).problem


@pytest.mark.parametrize("protocol", ["HTTP", "GRPC"])
def test_an_http_rule_says_which_requests(protocol: str) -> None:
    rule = {
        "name": "r",
        "from": [{"kind": "AgentIdentity", "name": "x"}],
        "ports": [1],
        "protocol": protocol,
    }
    asked = identity_of(inbound={"enforcement": "Enforce", "rules": [rule]})
    assert f"is required with protocol {protocol}" in asked.problem
