"""A class whose data plane is Ambient: the pair of policies, as Services come and go."""

from typing import Any

import pytest

from testbed.tenant import Manifest, Tenant, class_manifest, full_spec
from testbed.waiting import wait_until

WORKLOAD, WAYPOINT = "agentidentity-agent", "agentidentity-agent.waypoint"


def service(tenant: Tenant, **selector: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "agent", "namespace": tenant.namespace},
        "spec": {"selector": selector, "ports": [{"port": 80, "targetPort": 8080}]},
    }


def policy(tenant: Tenant, name: str) -> Any:
    found = tenant.get("AuthorizationPolicy", name)
    return found["spec"] if found else None


def principals(spec: Any) -> list[str]:
    return [p for r in spec.get("rules", ()) for f in r["from"] for p in f["source"]["principals"]]


@pytest.fixture
def ambient(tenant: Tenant) -> Tenant:
    """A namespace with `planner`, Ready, and `agent`, which lets it in by HTTP."""
    istio = {"dataPlane": "Ambient", "waypoint": {"serviceAccount": "waypoint"}}
    spec = class_manifest(tenant.class_name, tenant.bed, mesh={"type": "Istio", "istio": istio})
    tenant.patch("AgentIdentityClass", tenant.class_name, {"spec": {"mesh": spec["spec"]["mesh"]}})
    tenant.wait_ready(tenant.class_name, of="AgentIdentityClass")
    tenant.identity("planner")
    tenant.wait_ready("planner")
    tenant.identity("agent", **full_spec(callers=("planner",)))
    return tenant


def test_the_waypoint_has_its_policy_while_a_service_leads_to_the_agent(ambient: Tenant) -> None:
    ambient.wait_reason("agent", "WaypointMissing", "InboundReady")
    home = f"cluster.local/ns/{ambient.namespace}/sa"
    assert principals(policy(ambient, WORKLOAD)) == []
    assert policy(ambient, WAYPOINT) is None

    ambient.create(service(ambient, **{"agentidentity.dev/identity": "agent"}))
    ambient.wait_ready("agent")
    said = policy(ambient, WAYPOINT)
    assert said["targetRefs"] == [{"group": "", "kind": "Service", "name": "agent"}]
    assert principals(said) == [f"{home}/planner"]
    assert principals(policy(ambient, WORKLOAD)) == [f"{home}/waypoint"]

    ambient.delete("Service", "agent")
    ambient.wait_reason("agent", "WaypointMissing", "InboundReady")
    wait_until(lambda: policy(ambient, WAYPOINT) is None, timeout=20, what="it goes")
    assert principals(policy(ambient, WORKLOAD)) == []


def test_a_service_of_others_is_no_way_to_the_agent(ambient: Tenant) -> None:
    ambient.create(service(ambient, app="agent"))
    ambient.identity("later")
    ambient.wait_ready("later")
    # Its class's Vault may not have been looked at yet, and until then nothing is said of it.
    ambient.wait_reason("agent", "WaypointMissing", "InboundReady")
    assert policy(ambient, WAYPOINT) is None


def test_with_its_identity_both_go(ambient: Tenant) -> None:
    ambient.create(service(ambient, **{"agentidentity.dev/identity": "agent"}))
    ambient.wait_ready("agent")
    ambient.delete("AgentIdentity", "agent")
    ambient.wait_gone("AgentIdentity", "agent")
    assert policy(ambient, WORKLOAD) is None
    assert policy(ambient, WAYPOINT) is None


def test_a_class_that_turns_back_to_sidecars_names_the_callers_itself(ambient: Tenant) -> None:
    ambient.create(service(ambient, **{"agentidentity.dev/identity": "agent"}))
    ambient.wait_ready("agent")
    mesh = {"type": "Istio", "istio": {"dataPlane": "Sidecar", "waypoint": None}}
    ambient.patch("AgentIdentityClass", ambient.class_name, {"spec": {"mesh": mesh}})
    wait_until(lambda: policy(ambient, WAYPOINT) is None, timeout=20, what="it goes")
    home = f"cluster.local/ns/{ambient.namespace}/sa"
    wait_until(
        lambda: principals(policy(ambient, WORKLOAD)) == [f"{home}/planner"],
        timeout=20,
        what="the workload's policy names the callers",
    )


def bound(tenant: Tenant, name: str, to: str) -> Manifest:
    """A policy that lets everybody in, at a Service."""
    target = {"group": "", "kind": "Service", "name": to}
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": tenant.namespace},
        "spec": {"targetRefs": [target], "rules": [{}]},
    }


def test_a_policy_of_others_at_the_agents_service_is_told(ambient: Tenant) -> None:
    ambient.create(service(ambient, **{"agentidentity.dev/identity": "agent"}))
    ambient.wait_ready("agent")
    ambient.create(bound(ambient, "theirs", "agent"))
    ambient.wait_reason("agent", "ForeignPolicy", "InboundReady")
    ambient.delete("AuthorizationPolicy", "theirs")
    ambient.wait_ready("agent")


def test_a_grant_at_the_agents_service_lets_nobody_in(ambient: Tenant) -> None:
    read = {
        "name": "read",
        "from": [{"kind": "ServiceAccount", "namespace": ambient.namespace, "name": "web"}],
        "ports": [80],
        "protocol": "TCP",
    }
    target = {"kind": "Service", "name": "agent"}
    ambient.grant("orders", read, targetRefs=[target])
    ambient.wait_ready("orders", of="AgentAccessGrant")
    assert principals(policy(ambient, "agentaccessgrant-orders"))

    ambient.create(service(ambient, **{"agentidentity.dev/identity": "agent"}))
    ambient.wait_reason("orders", "AgentSelected", of="AgentAccessGrant")
    wait_until(
        lambda: not principals(policy(ambient, "agentaccessgrant-orders")),
        timeout=20,
        what="it lets nobody in",
    )
