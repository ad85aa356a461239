"""Deletion always ends and leaves no right, whoever does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kubernetes.dynamic import DynamicClient

from testbed.bed import Bed
from testbed.openbao import OPERATOR_POLICY
from testbed.operator_process import OperatorProcess
from testbed.ports import LOOPBACK, free_port
from testbed.tenant import Manifest, Tenant, class_manifest, full_spec
from testbed.waiting import wait_until

FORBIDDEN = 403
OK = 200
END_SECONDS = 60


@pytest.fixture
def agent(tenant: Tenant, bed: Bed) -> Tenant:
    tenant.identity("agent", **full_spec())
    tenant.wait_ready("agent")
    bed.openbao.write(secret(tenant), {"data": {"key": "value"}})
    return tenant


def secret(tenant: Tenant) -> str:
    return f"kv/data/{tenant.namespace}/agent/api-key"


def works(bed: Bed, tenant: Tenant, token: str) -> bool:
    return bed.openbao.request("GET", secret(tenant), token=token)[0] == OK


@contextmanager
def stopped(bed: Bed) -> Iterator[None]:
    bed.openbao.stop()
    try:
        yield
    finally:
        bed.openbao.start()


@contextmanager
def paused(bed: Bed) -> Iterator[None]:
    bed.openbao.pause()
    try:
        yield
    finally:
        bed.openbao.resume()


@contextmanager
def sealed(bed: Bed) -> Iterator[None]:
    bed.openbao.seal()
    try:
        yield
    finally:
        bed.openbao.unseal()


@contextmanager
def forbidden(bed: Bed) -> Iterator[None]:
    """The operator's own policy gives it nothing."""
    before = (bed.openbao.read(OPERATOR_POLICY) or {})["policy"]
    bed.openbao.write(OPERATOR_POLICY, {"policy": 'path "none" { capabilities = ["read"] }'})
    try:
        yield
    finally:
        bed.openbao.write(OPERATOR_POLICY, {"policy": before})


OUTAGES = [stopped, paused, sealed, forbidden]


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda o: o.__name__)
def test_deletion_ends_without_vault_and_what_is_owed_goes_later(
    agent: Tenant, bed: Bed, operator: OperatorProcess, outage
) -> None:
    token = agent.vault_token("agent")
    with outage(bed):
        agent.delete("AgentIdentity", "agent")
        agent.wait_gone("AgentIdentity", "agent", timeout=END_SECONDS)
        assert agent.owned("agent") == {}
        assert owed(operator) == len(debts(agent)) > 0
    wait_until(
        lambda: agent.vault_role("agent") is None, timeout=END_SECONDS, what="the role is gone"
    )
    wait_until(lambda: not works(bed, agent, token), timeout=END_SECONDS, what="the token is dead")
    wait_until(lambda: nothing_owed(agent), timeout=30, what="nothing is owed any more")
    wait_until(lambda: owed(operator) == 0, timeout=5, what="the metric says so")


def test_a_vault_that_was_never_reached_is_owed_nothing(tenant: Tenant, bed: Bed) -> None:
    name = f"{tenant.class_name}-nowhere"
    manifest = class_manifest(name, bed)
    manifest["spec"]["vault"]["address"] = f"https://{LOOPBACK}:{free_port()}"
    tenant.create(manifest)
    tenant.wait_reason(name, "Unreachable", of="AgentIdentityClass")
    tenant.identity("lost", **full_spec(), className=name)
    wait_until(lambda: tenant.owned("lost"), timeout=30, what="it has what is no secret")
    tenant.wait_reason("lost", "Unreachable")
    tenant.delete("AgentIdentity", "lost")
    tenant.wait_gone("AgentIdentity", "lost", timeout=END_SECONDS)
    assert not [text for text in debts(tenant).values() if '"lost"' in text]
    tenant.delete("AgentIdentityClass", name)
    tenant.wait_gone("AgentIdentityClass", name, timeout=END_SECONDS)


def debts(tenant: Tenant) -> dict[str, str]:
    maps = tenant.client.resources.get(api_version="v1", kind="ConfigMap")
    found = maps.get(
        namespace="agent-identity-system", label_selector="app.kubernetes.io/managed-by"
    )
    data = [m.to_dict().get("data") or {} for m in found.items]
    return {k: v for d in data for k, v in d.items()}


def nothing_owed(tenant: Tenant) -> bool:
    """Fails with what is owed: by this test, or by an earlier one that left something."""
    assert debts(tenant) == {}
    return True


def owed(operator: OperatorProcess) -> float:
    """How many debts its metrics show."""
    [line] = [x for x in operator.metrics().splitlines() if x.startswith("agent_identity_debts ")]
    return float(line.split()[1])


def test_what_is_owed_outlives_the_operator(
    agent: Tenant, bed: Bed, operator: OperatorProcess
) -> None:
    token = agent.vault_token("agent")
    with stopped(bed):
        agent.delete("AgentIdentity", "agent")
        agent.wait_gone("AgentIdentity", "agent", timeout=END_SECONDS)
        operator.kill()
    operator.start()
    operator.wait_ready()
    wait_until(lambda: not works(bed, agent, token), timeout=END_SECONDS, what="the token is dead")


@pytest.mark.parametrize("outage", [None, stopped], ids=["vault up", "vault stopped"])
def test_a_deleted_namespace_ends(agent: Tenant, bed: Bed, outage) -> None:
    token = agent.vault_token("agent")

    def delete_namespace() -> None:
        agent.delete("Namespace", agent.namespace)
        agent.wait_gone("Namespace", agent.namespace, timeout=END_SECONDS)

    if outage is None:
        delete_namespace()
    else:
        with outage(bed):
            delete_namespace()
    wait_until(
        lambda: agent.vault_role("agent") is None, timeout=END_SECONDS, what="the role is gone"
    )
    wait_until(lambda: not works(bed, agent, token), timeout=END_SECONDS, what="the token is dead")


def test_a_finalizer_taken_off_by_force_leaves_nothing(
    agent: Tenant, bed: Bed, operator: OperatorProcess
) -> None:
    token = agent.vault_token("agent")
    operator.kill()
    agent.patch("AgentIdentity", "agent", {"metadata": {"finalizers": None}})
    agent.delete("AgentIdentity", "agent")
    agent.wait_gone("AgentIdentity", "agent")
    operator.start()
    operator.wait_ready()
    agent.wait_gone("ServiceAccount", "agent", timeout=END_SECONDS)
    assert not works(bed, agent, token)
    wait_until(lambda: agent.vault_role("agent") is None, timeout=30, what="the role is swept")


def test_a_binding_with_a_foreign_finalizer_grants_nothing_after_deletion(agent: Tenant) -> None:
    binding = "agentidentity:agent:ticket-reader"
    agent.patch("RoleBinding", binding, {"metadata": {"finalizers": ["example.com/held"]}})
    agent.delete("AgentIdentity", "agent")
    agent.wait_gone("AgentIdentity", "agent", timeout=END_SECONDS)
    assert agent.get("RoleBinding", binding) is None
    user = f"--as=system:serviceaccount:{agent.namespace}:agent"
    can = agent.bed.control_plane.kubectl(
        "auth", "can-i", "get", "configmaps", "-n", agent.namespace, user, check=False
    )
    assert can.stdout.strip() == "no"


@pytest.fixture
def pod(agent: Tenant, client: DynamicClient) -> Iterator[str]:
    """A pod of the agent that runs on."""
    yield run_pod(agent)
    remove_pod(agent, client)


def run_pod(agent: Tenant) -> str:
    made = agent.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "agent-pod",
                "namespace": agent.namespace,
                "labels": {"agentidentity.dev/identity": "agent"},
            },
            "spec": {"serviceAccountName": "agent", "containers": [{"name": "a", "image": "a"}]},
        }
    )
    return str(made["metadata"]["name"])


def remove_pod(agent: Tenant, client: DynamicClient) -> None:
    if agent.get("Pod", "agent-pod"):
        client.resources.get(api_version="v1", kind="Pod").delete(
            name="agent-pod", namespace=agent.namespace, body={"gracePeriodSeconds": 0}
        )


def test_a_policy_stays_closed_while_pods_run_on(
    agent: Tenant, client: DynamicClient, pod: str
) -> None:
    agent.delete("AgentIdentity", "agent")
    agent.wait_gone("AgentIdentity", "agent", timeout=END_SECONDS)
    left = {"PeerAuthentication", "AuthorizationPolicy"}
    assert set(agent.owned("agent")) == left
    policy = agent.get("AuthorizationPolicy", "agentidentity-agent")
    assert policy is not None
    assert "rules" not in policy["spec"]
    assert "ownerReferences" not in policy["metadata"]

    remove_pod(agent, client)
    wait_until(lambda: agent.owned("agent") == {}, timeout=30, what="the policies are swept")


def test_a_policy_that_somebody_is_deleting_still_shuts_what_runs_on(
    agent: Tenant, operator: OperatorProcess, pod: str
) -> None:
    policy = "agentidentity-agent"
    operator.kill()
    agent.patch("AuthorizationPolicy", policy, {"metadata": {"finalizers": ["example.com/held"]}})
    agent.delete("AuthorizationPolicy", policy)
    agent.delete("AgentIdentity", "agent")
    operator.start()
    operator.wait_ready()
    agent.wait_gone("AgentIdentity", "agent", timeout=END_SECONDS)
    found = agent.get("AuthorizationPolicy", policy)
    assert found is not None, "its pods are open to everybody"
    assert "rules" not in found["spec"]
    assert "deletionTimestamp" not in found["metadata"]


@pytest.mark.parametrize(
    ("ceiling", "asked"),
    [
        ({"inbound": {"minimumEnforcement": "Shadow"}}, {"inbound": {"enforcement": "Shadow"}}),
        ({"mesh": {"type": "None"}}, {}),
    ],
    ids=["Shadow", "no mesh"],
)
def test_pods_that_no_policy_guarded_are_not_shut(
    tenant: Tenant, bed: Bed, client: DynamicClient, ceiling: Manifest, asked: Manifest
) -> None:
    name = f"{tenant.class_name}-open"
    tenant.create(class_manifest(name, bed, **ceiling))
    tenant.identity("agent", className=name, vault={"policies": ["own-secrets"]}, **asked)
    tenant.wait_ready("agent")
    run_pod(tenant)
    tenant.delete("AgentIdentity", "agent")
    tenant.wait_gone("AgentIdentity", "agent", timeout=END_SECONDS)
    assert tenant.get("Pod", "agent-pod") is not None
    assert tenant.owned("agent") == {}
    remove_pod(tenant, client)


def test_an_identity_made_anew_takes_its_closed_policy_over(agent: Tenant, pod: str) -> None:
    agent.delete("AgentIdentity", "agent")
    agent.wait_gone("AgentIdentity", "agent", timeout=END_SECONDS)
    agent.identity("agent", **full_spec())
    agent.wait_ready("agent")
    policy = agent.get("AuthorizationPolicy", "agentidentity-agent")
    assert policy is not None
    assert [o["name"] for o in policy["metadata"]["ownerReferences"]] == ["agent"]
    assert "agentidentity.dev/retired" not in policy["metadata"]["labels"]


def test_callees_close_before_the_identity_is_gone(tenant: Tenant) -> None:
    tenant.identity("planner")
    tenant.wait_ready("planner")
    tenant.identity("agent", **full_spec(callers=("planner",)))
    tenant.wait_ready("agent")
    tenant.delete("AgentIdentity", "planner")
    tenant.wait_gone("AgentIdentity", "planner")
    policy = tenant.get("AuthorizationPolicy", "agentidentity-agent")
    assert policy is not None
    assert "rules" not in policy["spec"]
