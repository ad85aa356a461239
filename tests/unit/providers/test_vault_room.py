"""Role payloads are whole, and policies are structures in which nobody's text stands."""

import json
from typing import Any

from agent_identity.core.checks import Standing
from agent_identity.core.facts import Facts
from agent_identity.providers.vault.desired import VaultRoom, class_policies
from samples import class_of, facts_of, identity_of

ROOM = VaultRoom()
WHOLE = {
    "bound_service_account_names",
    "bound_service_account_namespaces",
    "bound_service_account_namespace_selector",
    "audience",
    "alias_name_source",
    "token_policies",
    "token_no_default_policy",
    "token_type",
    "token_ttl",
    "token_max_ttl",
    "token_explicit_max_ttl",
    "token_period",
    "token_num_uses",
    "token_bound_cidrs",
}


def payload(facts: Facts) -> dict[str, Any]:
    (role,) = ROOM.desired(facts, Standing.GRANTED)
    return dict(role.body)


def facts_asking(*policies: str, **more: Any) -> Facts:
    return facts_of(identity_of(vault={"policies": list(policies), **more}))


def test_the_payload_is_always_whole() -> None:
    assert set(payload(facts_asking("team"))) == WHOLE
    assert set(payload(facts_asking("team", "own-secrets", tokenTTLSeconds=60))) == WHOLE


def test_it_names_one_account_one_namespace_and_an_audience() -> None:
    body = payload(facts_asking("own-secrets"))
    assert body["bound_service_account_names"] == ["agent"]
    assert body["bound_service_account_namespaces"] == ["agents"]
    assert body["audience"] == "vault"
    assert body["alias_name_source"] == "serviceaccount_uid"
    assert body["token_type"] == "service"
    assert body["token_no_default_policy"] is True


def test_policies_are_the_classs_own_and_those_of_others() -> None:
    assert payload(facts_asking("team", "own-secrets"))["token_policies"] == [
        "agentid_prod_default_own-secrets",
        "team-x",
    ]


def test_lifetimes() -> None:
    assert payload(facts_asking("team"))["token_ttl"] == 900
    assert payload(facts_asking("team", tokenTTLSeconds=60))["token_ttl"] == 60
    assert payload(facts_asking("team"))["token_max_ttl"] == 3600


def test_without_a_grant_there_is_no_role() -> None:
    for standing in (Standing.CLOSED, Standing.EXPELLED):
        assert ROOM.desired(facts_asking("team"), standing) == ()


def test_placeholders_become_vaults_own_templates() -> None:
    policies = class_policies("prod", class_of(), "auth_kubernetes_1")
    body = json.loads(policies["agentid_prod_default_own-secrets"])
    alias = "identity.entity.aliases.auth_kubernetes_1.metadata"
    path = (
        f"kv/data/{{{{{alias}.service_account_namespace}}}}/{{{{{alias}.service_account_name}}}}/*"
    )
    assert body == {"path": {path: {"capabilities": ["read"]}}}
    assert list(policies) == ["agentid_prod_default_own-secrets"]


def test_rules_on_one_path_add_up() -> None:
    vault = json.loads(class_of().vault.model_dump_json(by_alias=True, exclude_none=True))  # type: ignore[union-attr]
    rules = [
        {"path": "kv/data/{cluster}/x", "capabilities": [c]} for c in ("update", "read", "create")
    ]
    vault["policies"] = [{"name": "shared", "rules": rules}]
    (text,) = class_policies("prod", class_of(vault=vault), "acc").values()
    assert json.loads(text) == {
        "path": {"kv/data/prod/x": {"capabilities": ["create", "read", "update"]}}
    }
