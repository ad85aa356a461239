"""What must heal by itself and at once: with the resync of production, which would hide it.

Each of these was once healed by the resync only, or not at all.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.dynamic import DynamicClient
from test_deletion import paused, stopped

from testbed.bed import Bed
from testbed.operator_process import OperatorProcess
from testbed.tenant import Tenant, class_manifest, client_with_a_role, full_spec, identity_manifest
from testbed.waiting import wait_until

HEAL_SECONDS = 30
END_SECONDS = 60
BINDING = "agentidentity:agent:ticket-reader"
OK = 200


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with Bed(tmp_path_factory.mktemp("bed-without-resync")) as running:
        yield running


@pytest.fixture(scope="module")
def operator(bed: Bed) -> Iterator[OperatorProcess]:
    settings = {"AGENT_IDENTITY_DELETION_DEADLINE_SECONDS": "20"}
    with bed.operator(settings=settings) as process:
        process.wait_ready()
        yield process


@pytest.fixture(scope="module")
def client(bed: Bed) -> DynamicClient:
    return client_with_a_role(bed)


@pytest.fixture
def agent(tenant: Tenant) -> Tenant:
    tenant.identity("agent", **full_spec())
    tenant.wait_ready("agent")
    return tenant


def strip_owner(tenant: Tenant, kind: str, name: str) -> None:
    tenant.patch(kind, name, {"metadata": {"ownerReferences": None}})


def rules_of(tenant: Tenant, name: str) -> Any:
    policy = tenant.get("AuthorizationPolicy", name)
    return None if policy is None else policy["spec"].get("rules")


def wide_open(namespace: str, name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {
            "selector": {"matchLabels": {"agentidentity.dev/identity": "agent"}},
            "rules": [{}],
        },
    }


def lists_of_classes(operator: OperatorProcess) -> list[dict[str, Any]]:
    """As far as they were answered."""
    return [
        event
        for event in operator.requests()
        if (event["verb"], event["objectRef"]["resource"]) == ("list", "agentidentityclasses")
    ]


def pod(namespace: str) -> dict[str, Any]:
    labels = {"agentidentity.dev/identity": "agent"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "agent-pod", "namespace": namespace, "labels": labels},
        "spec": {"serviceAccountName": "agent", "containers": [{"name": "a", "image": "a"}]},
    }


def test_a_binding_whose_owner_was_taken_off_does_not_outlive_its_class(agent: Tenant) -> None:
    strip_owner(agent, "RoleBinding", BINDING)
    agent.wait_reason("agent", "ForeignObject")
    agent.patch("AgentIdentityClass", agent.class_name, {"spec": {"rbac": {"clusterRoles": []}}})
    agent.wait_reason("agent", "NotInClass")
    agent.wait_gone("RoleBinding", BINDING)


def test_a_binding_without_owner_does_not_outlive_what_was_asked(
    agent: Tenant, operator: OperatorProcess
) -> None:
    operator.pause()
    strip_owner(agent, "RoleBinding", BINDING)
    agent.patch("AgentIdentity", "agent", {"spec": {"rbac": None}})
    operator.resume()
    agent.wait_gone("RoleBinding", BINDING)
    agent.wait_ready("agent")


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"app.kubernetes.io/managed-by": "agent-identity-operator"}},
        {
            "labels": {
                "app.kubernetes.io/managed-by": "agent-identity-operator",
                "agentidentity.dev/identity": "agent",
            }
        },
    ],
    ids=["wears managed-by", "wears both labels"],
)
def test_a_policy_that_wears_our_label_is_still_named(
    agent: Tenant, metadata: dict[str, Any]
) -> None:
    agent.create(wide_open(agent.namespace, "evil", **metadata))
    told = agent.wait_reason("agent", "ForeignPolicy", "InboundReady")
    assert "evil" in told["message"]


def test_a_policy_in_an_absent_identitys_name_with_our_owner_is_named(agent: Tenant) -> None:
    body = agent.get("AgentIdentity", "agent") or {}
    owner = {
        "apiVersion": body["apiVersion"],
        "kind": "AgentIdentity",
        "name": "agent",
        "uid": body["metadata"]["uid"],
        "controller": True,
    }
    labels = {
        "app.kubernetes.io/managed-by": "agent-identity-operator",
        "agentidentity.dev/identity": "ghost",
    }
    forged = wide_open(
        agent.namespace, "agentidentity-ghost", labels=labels, ownerReferences=[owner]
    )
    agent.create(forged)
    told = agent.wait_reason("agent", "ForeignPolicy", "InboundReady")
    assert "agentidentity-ghost" in told["message"]


def test_anothers_failing_identity_does_not_hold_up_a_revocation(agent: Tenant) -> None:
    role = f"unbindable-{agent.namespace}"
    agent.patch(
        "AgentIdentityClass",
        agent.class_name,
        {"spec": {"rbac": {"clusterRoles": ["ticket-reader", role]}}},
    )
    agent.wait_ready("agent")
    spec = full_spec(callers=("agent",)) | {"rbac": {"clusterRoles": [role]}}
    agent.create(identity_manifest(agent.namespace, "mallory", className=agent.class_name, **spec))
    wait_until(
        lambda: agent.condition("mallory").get("status") == "False", timeout=20, what="it fails"
    )
    agent.delete("AgentIdentity", "agent")
    agent.wait_gone("RoleBinding", BINDING, timeout=10)
    agent.wait_gone("AgentIdentity", "agent", timeout=15)


def test_a_withdrawal_that_failed_is_tried_again_though_the_spec_is_invalid(
    agent: Tenant, bed: Bed
) -> None:
    with stopped(bed):
        agent.patch(
            "AgentIdentity", "agent", {"spec": {"rbac": {"clusterRoles": ["cluster-admin"]}}}
        )
        agent.wait_reason("agent", "NotInClass")
    wait_until(
        lambda: agent.vault_role("agent") is None, timeout=HEAL_SECONDS, what="the role is gone"
    )


def test_both_policies_of_a_stalled_identity_come_back(agent: Tenant) -> None:
    agent.patch("AgentIdentity", "agent", {"spec": {"rbac": {"clusterRoles": ["cluster-admin"]}}})
    agent.wait_reason("agent", "NotInClass")
    for kind in ("AuthorizationPolicy", "PeerAuthentication"):
        agent.delete(kind, "agentidentity-agent")
    wait_until(lambda: len(agent.owned("agent")) == 3, timeout=HEAL_SECONDS, what="both are back")
    assert rules_of(agent, "agentidentity-agent") is None


def test_a_policy_left_for_pods_stays_closed_whoever_opens_it(agent: Tenant) -> None:
    agent.create(pod(agent.namespace))
    agent.delete("AgentIdentity", "agent")
    agent.wait_gone("AgentIdentity", "agent", timeout=END_SECONDS)
    agent.patch("AuthorizationPolicy", "agentidentity-agent", {"spec": {"rules": [{}]}})
    wait_until(
        lambda: rules_of(agent, "agentidentity-agent") is None,
        timeout=HEAL_SECONDS,
        what="it is closed again",
    )


def test_an_account_forced_off_takes_its_tokens_with_it(agent: Tenant, bed: Bed) -> None:
    path = f"kv/data/{agent.namespace}/agent/api-key"
    bed.openbao.write(path, {"data": {"key": "value"}})
    token = agent.vault_token("agent")
    agent.patch("ServiceAccount", "agent", {"metadata": {"finalizers": None}})
    agent.delete("ServiceAccount", "agent")
    wait_until(
        lambda: bed.openbao.request("GET", path, token=token)[0] != OK,
        timeout=HEAL_SECONDS,
        what="the token is dead",
    )
    agent.wait_ready("agent")


def test_no_right_is_given_while_there_is_no_account(agent: Tenant, bed: Bed) -> None:
    agent.bed.control_plane.kubectl(
        "delete", "serviceaccount/agent", f"rolebinding/{BINDING}", "-n", agent.namespace
    )
    wait_until(
        lambda: agent.get("RoleBinding", BINDING) and agent.get("ServiceAccount", "agent"),
        timeout=HEAL_SECONDS,
        what="both are back",
    )
    made = [
        e["objectRef"]["resource"]
        for e in bed.control_plane.audit_events()
        if e["verb"] == "create"
        and e["stage"] == "ResponseComplete"
        and e["responseStatus"]["code"] == 201
        and e["objectRef"].get("namespace") == agent.namespace
        and e["objectRef"]["resource"] in ("serviceaccounts", "rolebindings")
    ]
    assert made[-2:] == ["serviceaccounts", "rolebindings"]


def test_a_class_that_is_going_is_told_while_its_vault_is_down_over_a_restart(
    agent: Tenant, bed: Bed, operator: OperatorProcess
) -> None:
    with stopped(bed):
        operator.kill()
        agent.delete("AgentIdentityClass", agent.class_name)
        operator.start()
        operator.wait_ready()
        agent.wait_reason("agent", "ClassDeleting")
        agent.wait_gone("RoleBinding", BINDING)
    agent.wait_gone("AgentIdentityClass", agent.class_name, timeout=END_SECONDS)
    assert agent.vault_role("agent") is None


def test_a_class_that_goes_while_a_start_is_under_way_is_missed(
    agent: Tenant, bed: Bed, operator: OperatorProcess
) -> None:
    """Between the operator's own lists and those of its watch, which a Vault that hangs parts by
    seconds: no watch tells of it."""
    plain = f"plain-{agent.class_name}"
    agent.create(class_manifest(plain, None))
    agent.identity("other", className=plain)
    agent.wait_ready("other")
    operator.kill()
    with paused(bed):
        before = len(lists_of_classes(operator))
        operator.start()
        wait_until(lambda: len(lists_of_classes(operator)) > before, timeout=30, what="it lists")
        agent.delete("AgentIdentityClass", plain)
        operator.wait_ready()
    agent.wait_reason("other", "ClassNotFound")


def test_a_prefix_that_is_given_back_heals(tenant: Tenant, bed: Bed) -> None:
    path = "auth/kubernetes/role/test__marker"
    before = bed.openbao.read(path) or {}
    bed.openbao.write(path, before | {"bound_service_account_names": ["another-clusters-uid"]})
    tenant.patch(
        "AgentIdentityClass", tenant.class_name, {"spec": {"vault": {"maxTokenTTLSeconds": 3599}}}
    )
    tenant.wait_reason(tenant.class_name, "ClusterNameTaken", of="AgentIdentityClass")
    bed.openbao.write(path, before)
    tenant.wait_ready(tenant.class_name, of="AgentIdentityClass", timeout=HEAL_SECONDS)
