"""What an identity gets, keeps and loses as it, its class, its callers and its namespace change."""

from typing import Any

import pytest
from kubernetes.dynamic import DynamicClient

from testbed.bed import Bed
from testbed.operator_process import OperatorProcess
from testbed.tenant import Manifest, Tenant, class_manifest, full_spec
from testbed.waiting import wait_until

TRUST_DOMAIN = "cluster.local"


def policy_rules(tenant: Tenant, name: str) -> list[dict[str, Any]]:
    """Rules of an identity's AuthorizationPolicy; none let nobody in."""
    policy = tenant.get("AuthorizationPolicy", f"agentidentity-{name}")
    assert policy is not None, "the policy must stand"
    rules: list[dict[str, Any]] = policy["spec"].get("rules", [])
    return rules


def callers(tenant: Tenant, name: str) -> list[str]:
    """Principals that an identity's policy lets in."""
    sources = [s["source"] for rule in policy_rules(tenant, name) for s in rule["from"]]
    return sorted(p for source in sources for p in source["principals"])


def principal(tenant: Tenant, account: str) -> str:
    return f"{TRUST_DOMAIN}/ns/{tenant.namespace}/sa/{account}"


def wait_callers(tenant: Tenant, name: str, accounts: list[str]) -> None:
    expected = [principal(tenant, a) for a in accounts]
    wait_until(
        lambda: callers(tenant, name) == expected,
        timeout=20,
        what=f"{name} lets in {accounts}",
    )


def closed(tenant: Tenant, name: str) -> bool:
    """mTLS and deny stand; no binding, no role, nobody let in."""
    mtls = tenant.get("PeerAuthentication", f"agentidentity-{name}")
    return (
        mtls is not None
        and mtls["spec"]["mtls"] == {"mode": "STRICT"}
        and policy_rules(tenant, name) == []
        and "RoleBinding" not in tenant.owned(name)
        and tenant.vault_role(name) is None
    )


def wait_closed(tenant: Tenant, name: str) -> None:
    wait_until(lambda: closed(tenant, name), timeout=20, what=f"{name} is closed")


@pytest.fixture
def pair(tenant: Tenant) -> Tenant:
    """`agent`, ready, that lets `planner` in, and `planner`, ready."""
    tenant.identity("planner", **full_spec())
    tenant.wait_ready("planner")
    tenant.identity("agent", **full_spec(callers=("planner",)))
    tenant.wait_ready("agent")
    return tenant


def test_an_identity_gets_all_it_asks_for(pair: Tenant) -> None:
    body = pair.wait_ready("agent")
    assert body["status"]["spiffeID"] == f"spiffe://{principal(pair, 'agent')}"
    assert pair.owned("agent") == {
        "ServiceAccount": ["agent"],
        "RoleBinding": ["agentidentity:agent:ticket-reader"],
        "PeerAuthentication": ["agentidentity-agent"],
        "AuthorizationPolicy": ["agentidentity-agent"],
    }
    account = pair.get("ServiceAccount", "agent")
    assert account is not None
    assert account["automountServiceAccountToken"] is False
    assert callers(pair, "agent") == [principal(pair, "planner")]


def test_without_inbound_nobody_may_call(tenant: Tenant) -> None:
    tenant.identity("agent")
    tenant.wait_ready("agent")
    assert policy_rules(tenant, "agent") == []
    assert closed(tenant, "agent")


def test_a_caller_that_appears_is_let_in_and_one_that_goes_is_not(tenant: Tenant) -> None:
    tenant.identity("agent", **full_spec(callers=("planner",)))
    tenant.wait_ready("agent")
    assert tenant.condition("agent", "InboundReady")["reason"] == "CallersMissing"
    assert policy_rules(tenant, "agent") == []

    tenant.identity("planner")
    wait_callers(tenant, "agent", ["planner"])

    tenant.delete("AgentIdentity", "planner")
    wait_callers(tenant, "agent", [])
    assert policy_rules(tenant, "agent") == []


def test_a_caller_made_anew_with_another_account_is_let_in_as_that(pair: Tenant) -> None:
    pair.delete("AgentIdentity", "planner")
    pair.wait_gone("AgentIdentity", "planner")
    pair.identity("planner", serviceAccount={"name": "planner-two"})
    wait_callers(pair, "agent", ["planner-two"])


def test_a_stalled_identity_is_closed_and_nobodys_caller(pair: Tenant) -> None:
    pair.patch("AgentIdentity", "planner", {"spec": {"rbac": {"clusterRoles": ["cluster-admin"]}}})
    told = pair.wait_reason("planner", "NotInClass")
    assert "cluster-admin" in told["message"]
    assert pair.condition("planner", "Stalled")["status"] == "True"
    wait_closed(pair, "planner")
    wait_callers(pair, "agent", [])

    pair.patch("AgentIdentity", "planner", {"spec": {"rbac": {"clusterRoles": ["ticket-reader"]}}})
    pair.wait_ready("planner")
    wait_callers(pair, "agent", ["planner"])


def test_a_namespace_that_loses_its_label_loses_everything_but_mtls_and_deny(
    pair: Tenant,
) -> None:
    pair.patch("Namespace", pair.namespace, {"metadata": {"labels": {"agents": None}}})
    pair.wait_reason("agent", "NamespaceNotAllowed")
    wait_closed(pair, "agent")
    pair.wait_gone("ServiceAccount", "agent")

    pair.patch("Namespace", pair.namespace, {"metadata": {"labels": {"agents": "allowed"}}})
    pair.wait_ready("agent")
    wait_callers(pair, "agent", ["planner"])


def test_a_class_that_lists_less_takes_away_and_one_that_lists_more_gives(pair: Tenant) -> None:
    pair.patch("AgentIdentityClass", pair.class_name, {"spec": {"rbac": {"clusterRoles": []}}})
    pair.wait_reason("agent", "NotInClass")
    wait_closed(pair, "agent")

    listed = {"spec": {"rbac": {"clusterRoles": ["ticket-reader"]}}}
    pair.patch("AgentIdentityClass", pair.class_name, listed)
    pair.wait_ready("agent")


def test_an_identity_waits_for_its_class(tenant: Tenant, bed: Bed) -> None:
    name = f"late-{tenant.namespace}"
    tenant.identity("agent", **(full_spec() | {"className": name}))
    tenant.wait_reason("agent", "ClassNotFound")
    assert tenant.condition("agent", "Reconciling")["status"] == "True"
    assert tenant.owned("agent") == {}

    tenant.create(class_manifest(name, bed))
    tenant.wait_ready("agent")


def test_a_class_in_use_that_is_deleted_takes_its_rights_with_it(pair: Tenant, bed: Bed) -> None:
    pair.delete("AgentIdentityClass", pair.class_name)
    pair.wait_gone("AgentIdentityClass", pair.class_name)
    for name in ("agent", "planner"):
        pair.wait_reason(name, "ClassNotFound")
        wait_closed(pair, name)
    policies = bed.openbao.list("sys/policies/acl")
    assert not [p for p in policies if p.startswith(f"agentid_test_{pair.class_name}_")]


def test_two_identities_want_one_account(tenant: Tenant) -> None:
    tenant.identity("first", **full_spec(), serviceAccount={"name": "shared"})
    tenant.wait_ready("first")
    tenant.identity("second", **full_spec(), serviceAccount={"name": "shared"})
    told = tenant.wait_reason("second", "AccountTaken")
    assert "AgentIdentity first" in told["message"]
    assert tenant.owned("second") == {}
    assert tenant.wait_ready("first")

    tenant.delete("AgentIdentity", "first")
    tenant.wait_ready("second")
    account = tenant.get("ServiceAccount", "shared")
    assert account is not None
    assert [o["name"] for o in account["metadata"]["ownerReferences"]] == ["second"]


def test_shadow_writes_nothing_and_says_what_it_would(tenant: Tenant, bed: Bed) -> None:
    name = f"shadow-{tenant.namespace}"
    tenant.create(class_manifest(name, bed, inbound={"minimumEnforcement": "Shadow"}))
    spec = full_spec(callers=("agent",)) | {"className": name}
    spec["inbound"]["enforcement"] = "Shadow"
    tenant.identity("agent", **spec)
    body = tenant.wait_ready("agent")
    assert tenant.condition("agent", "InboundReady")["reason"] == "Shadow"
    assert "AuthorizationPolicy" not in tenant.owned("agent")
    assert "PeerAuthentication" not in tenant.owned("agent")
    assert any("AuthorizationPolicy agentidentity-agent" in w for w in body["status"]["wouldWrite"])

    tenant.patch("AgentIdentity", "agent", {"spec": {"inbound": {"enforcement": "Enforce"}}})
    tenant.wait_ready("agent")
    assert "AuthorizationPolicy" in tenant.owned("agent")
    assert "wouldWrite" not in (tenant.get("AgentIdentity", "agent") or {})["status"]


def test_the_classs_baseline_is_added_to_every_agent(tenant: Tenant, bed: Bed) -> None:
    name = f"baseline-{tenant.namespace}"
    rule = {
        "name": "scrape",
        "from": [{"kind": "ServiceAccount", "namespace": "monitoring", "name": "prometheus"}],
        "ports": [9090],
        "protocol": "HTTP",
        "http": {"methods": ["GET"], "paths": ["/metrics"]},
    }
    tenant.create(class_manifest(name, bed, inbound={"rules": [rule]}))
    tenant.identity("agent", className=name)
    tenant.wait_ready("agent")
    assert callers(tenant, "agent") == [f"{TRUST_DOMAIN}/ns/monitoring/sa/prometheus"]


@pytest.mark.parametrize(
    ("kind", "body", "named"),
    [
        (
            "AuthorizationPolicy",
            {"selector": {"matchLabels": {"app": "agent"}}, "rules": [{}]},
            "AuthorizationPolicy",
        ),
        ("AuthorizationPolicy", {"rules": [{}]}, "AuthorizationPolicy"),
    ],
    ids=["selects a pod of the agent", "selects the whole namespace"],
)
def test_a_foreign_policy_that_weakens_ours_is_named(
    pair: Tenant, client: DynamicClient, kind: str, body: dict[str, Any], named: str
) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "agent-pod",
            "namespace": pair.namespace,
            "labels": {"app": "agent", "agentidentity.dev/identity": "agent"},
        },
        "spec": {"serviceAccountName": "agent", "containers": [{"name": "a", "image": "a"}]},
    }
    pair.create(pod)
    pair.create(
        {
            "apiVersion": "security.istio.io/v1",
            "kind": kind,
            "metadata": {"name": "wide-open", "namespace": pair.namespace},
            "spec": body,
        }
    )
    told = pair.wait_reason("agent", "ForeignPolicy", "InboundReady")
    assert f"{named} {pair.namespace}/wide-open" in told["message"]
    assert pair.condition("agent")["status"] == "False"

    pair.delete(kind, "wide-open")
    pair.wait_ready("agent")
    client.resources.get(api_version="v1", kind="Pod").delete(
        name="agent-pod", namespace=pair.namespace, body={"gracePeriodSeconds": 0}
    )


def test_nothing_is_ready_before_an_account_that_went_is_there_again(
    pair: Tenant, client: DynamicClient, operator: OperatorProcess
) -> None:
    operator.kill()
    pair.delete("ServiceAccount", "agent")
    pair.patch("AgentIdentity", "agent", {"spec": {"rbac": None}})
    changed = pair.get("AgentIdentity", "agent")
    assert changed is not None
    operator.start()
    operator.wait_ready()
    pair.wait_ready("agent")
    account = pair.get("ServiceAccount", "agent")
    assert account is not None
    assert first_ready(client, changed) > int(account["metadata"]["resourceVersion"])


def first_ready(client: DynamicClient, seen: Manifest) -> int:
    """The version at which an identity was first called Ready for the generation that was seen."""
    metadata = seen["metadata"]
    kind = client.resources.get(api_version=seen["apiVersion"], kind=seen["kind"])
    since = metadata["resourceVersion"]
    for event in kind.watch(metadata["namespace"], resource_version=since, timeout=30):
        body = event["raw_object"]
        rows = {r["type"]: r for r in body["status"].get("conditions", ())}
        named = body["metadata"]["name"] == metadata["name"]
        up_to_date = rows["Ready"]["observedGeneration"] == metadata["generation"]
        if named and up_to_date and rows["Ready"]["status"] == "True":
            return int(body["metadata"]["resourceVersion"])
    raise AssertionError("it was never called Ready")


def test_status_is_put_back_when_somebody_forges_it(pair: Tenant) -> None:
    forged = {"status": {"spiffeID": "spiffe://cluster.local/ns/kube-system/sa/admin"}}
    pair.client.resources.get(
        api_version="agentidentity.dev/v1alpha1", kind="AgentIdentity"
    ).status.patch(
        name="agent",
        namespace=pair.namespace,
        body=forged,
        content_type="application/merge-patch+json",
    )
    expected = f"spiffe://{principal(pair, 'agent')}"
    wait_until(
        lambda: (pair.get("AgentIdentity", "agent") or {})["status"]["spiffeID"] == expected,
        timeout=20,
        what="the status is ours again",
    )
