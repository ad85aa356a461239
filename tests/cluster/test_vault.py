"""Secrets: real logins with real tokens, what they may read, and that they end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.openbao import OPERATOR_POLICY
from testbed.tenant import Tenant, class_manifest, full_spec
from testbed.waiting import wait_until

FORBIDDEN = 403
OK = 200


@pytest.fixture
def agent(tenant: Tenant, bed: Bed) -> Tenant:
    """`agent`, ready, and a secret on its own path and on another's."""
    tenant.identity("agent", **full_spec())
    tenant.wait_ready("agent")
    for account in ("agent", "other"):
        bed.openbao.write(secret(tenant, account), {"data": {"key": account}})
    return tenant


def secret(tenant: Tenant, account: str) -> str:
    return f"kv/data/{tenant.namespace}/{account}/api-key"


def status_of(bed: Bed, path: str, token: str) -> int:
    status, _ = bed.openbao.request("GET", path, token=token)
    return status


def test_an_agent_reads_its_own_secret_and_no_other(agent: Tenant, bed: Bed) -> None:
    status, token = agent.vault_login("agent")
    assert status == OK
    assert status_of(bed, secret(agent, "agent"), token) == OK
    assert status_of(bed, secret(agent, "other"), token) == FORBIDDEN
    assert status_of(bed, "kv/data/elsewhere/agent/api-key", token) == FORBIDDEN


def test_a_token_is_neither_looked_up_nor_renewed_by_itself(agent: Tenant, bed: Bed) -> None:
    """It carries no `default` policy: it ends, and its agent logs in again."""
    token = agent.vault_token("agent")
    for method, path in (("GET", "lookup-self"), ("POST", "renew-self")):
        status, _ = bed.openbao.request(method, f"auth/token/{path}", token=token)
        assert status == FORBIDDEN
    assert status_of(bed, secret(agent, "agent"), token) == OK


@contextmanager
def entities_forbidden(bed: Bed) -> Iterator[None]:
    """The operator may do everything but end agents' tokens."""
    before = (bed.openbao.read(OPERATOR_POLICY) or {})["policy"]
    bed.openbao.write(OPERATOR_POLICY, {"policy": before.replace('"identity/', '"not-identity/')})
    try:
        yield
    finally:
        bed.openbao.write(OPERATOR_POLICY, {"policy": before})


NARROWED: list[dict[str, Any] | None] = [{"policies": ["team"]}, None]


@pytest.mark.parametrize("vault", NARROWED, ids=["fewer policies", "none"])
def test_while_a_token_gives_what_was_withdrawn_the_agent_is_not_ready(
    agent: Tenant, bed: Bed, vault: dict[str, Any] | None
) -> None:
    token = agent.vault_token("agent")
    with entities_forbidden(bed):
        agent.patch("AgentIdentity", "agent", {"spec": {"vault": vault}})
        agent.wait_reason("agent", "Forbidden", "VaultReady")
        assert status_of(bed, secret(agent, "agent"), token) == OK
        # Whatever a look at everything in between makes of it.
        agent.patch("AgentIdentityClass", agent.class_name, {"metadata": {"labels": {"a": "b"}}})
        agent.identity("later", **full_spec())
        agent.wait_ready("later")
        assert agent.condition("agent", "VaultReady")["reason"] == "Forbidden"
    agent.wait_ready("agent", timeout=60)
    assert status_of(bed, secret(agent, "agent"), token) == FORBIDDEN
    role = agent.vault_role("agent")
    assert (role is None) == (vault is None)
    assert role is None or role["bound_service_account_names"] == ["agent"]


def test_another_account_and_another_audience_are_refused(agent: Tenant) -> None:
    role = agent.role_name("agent")
    status, _ = agent.vault_login("default", role=role)
    assert status == FORBIDDEN
    status, _ = agent.vault_login("agent", audience="https://kubernetes.default.svc")
    assert status == FORBIDDEN


def test_the_role_is_whole_and_exact(agent: Tenant) -> None:
    role = dict(agent.vault_role("agent") or {})
    role.pop("token_strictly_bind_ip", None)
    assert role == {
        "alias_name_source": "serviceaccount_uid",
        "audience": "vault",
        "bound_service_account_names": ["agent"],
        "bound_service_account_namespaces": [agent.namespace],
        "bound_service_account_namespace_selector": "",
        "token_policies": [f"agentid_test_{agent.class_name}_own-secrets"],
        "token_no_default_policy": True,
        "token_type": "service",
        "token_ttl": 900,
        "token_max_ttl": 3600,
        "token_explicit_max_ttl": 0,
        "token_period": 0,
        "token_num_uses": 0,
        "token_bound_cidrs": [],
    }


@pytest.mark.parametrize(
    "tampered",
    [
        {"bound_service_account_names": ["agent", "default"]},
        {"bound_service_account_namespaces": ["*"]},
        {"token_policies": ["root-like"], "token_ttl": 1800},
        {"audience": ""},
    ],
    ids=lambda t: next(iter(t)),
)
def test_a_changed_role_is_put_back_and_an_event_says_so(
    agent: Tenant, bed: Bed, tampered: dict[str, object]
) -> None:
    before = agent.vault_role("agent")
    bed.openbao.write(f"auth/kubernetes/role/{agent.role_name('agent')}", tampered)
    wait_until(lambda: agent.vault_role("agent") == before, timeout=30, what="the role is put back")
    wait_until(
        lambda: [e for e in agent.events("agent") if e["reason"] == "Repaired"],
        timeout=10,
        what="an event tells of it",
    )


def test_a_deleted_role_comes_back(agent: Tenant, bed: Bed) -> None:
    before = agent.vault_role("agent")
    bed.openbao.delete(f"auth/kubernetes/role/{agent.role_name('agent')}")
    wait_until(lambda: agent.vault_role("agent") == before, timeout=30, what="the role is back")


def test_narrower_policies_end_the_tokens_that_were_issued(agent: Tenant, bed: Bed) -> None:
    agent.patch(
        "AgentIdentity", "agent", {"spec": {"vault": {"policies": ["own-secrets", "team"]}}}
    )
    agent.wait_ready("agent")
    token = agent.vault_token("agent")
    assert status_of(bed, secret(agent, "agent"), token) == OK

    agent.patch("AgentIdentity", "agent", {"spec": {"vault": {"policies": ["team"]}}})
    agent.wait_ready("agent")
    assert status_of(bed, secret(agent, "agent"), token) == FORBIDDEN
    assert (agent.vault_role("agent") or {})["token_policies"] == ["team-x"]


def test_a_deleted_identity_leaves_no_working_token(agent: Tenant, bed: Bed) -> None:
    token = agent.vault_token("agent")
    agent.delete("AgentIdentity", "agent")
    agent.wait_gone("AgentIdentity", "agent")
    assert agent.vault_role("agent") is None
    assert agent.get("ServiceAccount", "agent") is None
    assert status_of(bed, secret(agent, "agent"), token) == FORBIDDEN


def test_an_identity_made_anew_inherits_nothing(agent: Tenant, bed: Bed) -> None:
    token = agent.vault_token("agent")
    agent.delete("AgentIdentity", "agent")
    agent.wait_gone("AgentIdentity", "agent")
    agent.identity("agent", **full_spec())
    agent.wait_ready("agent")
    assert status_of(bed, secret(agent, "agent"), token) == FORBIDDEN


def test_a_token_that_the_api_server_still_believes_ends_too(agent: Tenant, bed: Bed) -> None:
    """For up to 10 s after it last looked, the API server believes a token of an account that is
    gone: it logs in at the role of one that was made anew under its name."""
    token = next((t for _ in range(5) if (t := login_of_a_dead_account(agent, bed))), "")
    assert token, "no login came within the API server's 10 s"
    assert status_of(bed, secret(agent, "agent"), token) == OK
    wait_until(
        lambda: status_of(bed, secret(agent, "agent"), token) == FORBIDDEN,
        timeout=40,
        what="the late token is dead",
    )
    tokens_of_now = agent.vault_token("agent")
    assert status_of(bed, secret(agent, "agent"), tokens_of_now) == OK


def login_of_a_dead_account(agent: Tenant, bed: Bed) -> str:
    """A Vault token that an account got after it was gone; empty where it came too late."""
    jwt = bed.control_plane.token(agent.namespace, "agent", audience="vault")
    role = agent.role_name("agent")
    bed.openbao.login(mount="kubernetes", role=role, jwt=jwt)
    agent.delete("AgentIdentity", "agent")
    agent.wait_gone("AgentIdentity", "agent")
    agent.identity("agent", **full_spec())
    agent.wait_ready("agent")
    _, answer = bed.openbao.login(mount="kubernetes", role=role, jwt=jwt)
    return str((answer.get("auth") or {}).get("client_token") or "")


def test_an_account_deleted_by_hand_ends_its_tokens_and_comes_back(agent: Tenant, bed: Bed) -> None:
    token = agent.vault_token("agent")
    before = (agent.get("ServiceAccount", "agent") or {})["metadata"]["uid"]
    agent.delete("ServiceAccount", "agent")

    def made_anew() -> bool:
        account = agent.get("ServiceAccount", "agent")
        return account is not None and account["metadata"]["uid"] != before

    wait_until(made_anew, timeout=20, what="the account is there again")
    assert status_of(bed, secret(agent, "agent"), token) == FORBIDDEN


def test_a_role_that_nobody_wants_is_swept_and_a_stranger_stays(agent: Tenant, bed: Bed) -> None:
    ours = f"auth/kubernetes/role/{agent.role_name('ghost')}"
    strangers = "auth/kubernetes/role/other-cluster_team_agent"
    body = {
        "bound_service_account_names": ["ghost"],
        "bound_service_account_namespaces": [agent.namespace],
        "audience": "vault",
    }
    for path in (ours, strangers):
        bed.openbao.write(path, body)
    wait_until(lambda: bed.openbao.read(ours) is None, timeout=30, what="the ghost is swept")
    assert bed.openbao.read(strangers) is not None


def test_moving_to_a_class_without_the_secret_takes_the_role_away(agent: Tenant, bed: Bed) -> None:
    name = f"bare-{agent.namespace}"
    agent.create(class_manifest(name, None))
    token = agent.vault_token("agent")
    agent.patch("AgentIdentity", "agent", {"spec": {"className": name, "vault": None}})
    agent.wait_ready("agent")
    assert agent.vault_role("agent") is None
    assert status_of(bed, secret(agent, "agent"), token) == FORBIDDEN


def test_a_policy_changed_behind_our_back_is_put_back(agent: Tenant, bed: Bed) -> None:
    path = f"sys/policies/acl/agentid_test_{agent.class_name}_own-secrets"
    before = (bed.openbao.read(path) or {})["policy"]
    bed.openbao.write(path, {"policy": 'path "*" { capabilities = ["sudo"] }'})
    wait_until(
        lambda: (bed.openbao.read(path) or {})["policy"] == before,
        timeout=30,
        what="the policy is put back",
    )


def test_a_policy_that_the_class_drops_is_removed(tenant: Tenant, bed: Bed) -> None:
    path = f"sys/policies/acl/agentid_test_{tenant.class_name}_own-secrets"
    assert bed.openbao.read(path) is not None
    only = [
        {"name": "team", "policyName": "team-x"},
        {"name": "own", "rules": [{"path": "kv/data/{namespace}/*", "capabilities": ["read"]}]},
    ]
    tenant.patch("AgentIdentityClass", tenant.class_name, {"spec": {"vault": {"policies": only}}})
    wait_until(lambda: bed.openbao.read(path) is None, timeout=30, what="the policy is gone")
    assert bed.openbao.read(f"sys/policies/acl/agentid_test_{tenant.class_name}_own") is not None
