"""Which foreign policies weaken ours: exactly those that let in more, for its pods."""

from typing import Any

import pytest

from agent_identity.api.v1alpha1 import Waypoint
from agent_identity.core.facts import AgentService
from agent_identity.core.mesh import Reach, passed_by, weakening
from agent_identity.core.observed import observe_object
from agent_identity.core.resource import Key, Kind, Observed
from samples import metadata

ROOT = "istio-system"
LABELS = {"agentidentity.dev/identity": "agent", "app": "agent"}
OPEN: dict[str, Any] = {"rules": [{}]}
OURS, OTHERS = {"matchLabels": {"app": "agent"}}, {"matchLabels": {"app": "other"}}
PERMISSIVE = {"mtls": {"mode": "PERMISSIVE"}}
PORT_OPEN = {"mtls": {"mode": "STRICT"}, "portLevelMtls": {"8080": {"mode": "DISABLE"}}}
AP, PA = Kind.AUTHORIZATION_POLICY, Kind.PEER_AUTHENTICATION


def policy(kind: Kind, spec: dict[str, Any], namespace: str = "agents", born: int = 1) -> Observed:
    stamp = f"202{born}-01-01T00:00:00Z"
    meta = metadata("theirs", namespace, creationTimestamp=stamp)
    return observe_object(kind, {"metadata": meta, "spec": spec})


OWN = policy(PA, {"selector": OURS, "mtls": {"mode": "STRICT"}}, born=3)
WAYPOINT = Waypoint(service_account="waypoint", namespace="gateways")
SERVICES = (AgentService("agent", ((80, 8080),)),)
HOMES = frozenset({"agents", ROOT})
REACH = Reach(HOMES, (LABELS,), passed_by(Key("agents", "agent"), WAYPOINT, SERVICES, ROOT))


def bound(kind: str, name: str, namespace: str = "agents") -> Observed:
    return policy(AP, {"targetRefs": [{"kind": kind, "name": name}], **OPEN}, namespace)


CASES = {
    "all pods of the namespace": (policy(AP, OPEN), True),
    "pods of ours": (policy(AP, {"selector": OURS, **OPEN}), True),
    "pods of others": (policy(AP, {"selector": OTHERS, **OPEN}), False),
    "all pods of the mesh": (policy(AP, OPEN, ROOT), True),
    "one that only denies": (policy(AP, {"action": "DENY", **OPEN}), False),
    "one that only audits": (policy(AP, {"action": "AUDIT", **OPEN}), False),
    "one without rules": (policy(AP, {}), False),
    "one for a gateway": (policy(AP, {"targetRefs": [{"name": "gw"}], **OPEN}), False),
    "one for a Service that leads to it": (bound("Service", "agent"), True),
    "one for a Service of others": (bound("Service", "other"), False),
    "one for a Service elsewhere": (bound("Service", "agent", "gateways"), False),
    "one for its waypoint": (bound("Gateway", "waypoint", "gateways"), True),
    "one for a Gateway elsewhere": (bound("Gateway", "waypoint"), False),
    "one for all pods where its waypoint is": (policy(AP, OPEN, "gateways"), False),
    "one for all waypoints": (bound("GatewayClass", "istio-waypoint", ROOT), True),
    "older and permissive": (policy(PA, {"selector": OURS, **PERMISSIVE}), True),
    "older, one port open": (policy(PA, {"selector": OURS, **PORT_OPEN}), True),
    "older and strict": (policy(PA, {"selector": OURS, "mtls": {"mode": "STRICT"}}), False),
    "younger and permissive": (policy(PA, {"selector": OURS, **PERMISSIVE}, born=4), False),
    "permissive for the namespace": (policy(PA, PERMISSIVE), False),
    "permissive for the mesh": (policy(PA, {"selector": OURS, **PERMISSIVE}, ROOT), False),
}


@pytest.mark.parametrize(("foreign", "weakens"), CASES.values(), ids=CASES)
def test_only_what_lets_in_more_is_named(foreign: Observed, weakens: bool) -> None:  # noqa: FBT001
    assert bool(weakening([foreign], REACH, OWN, ROOT)) == weakens


def test_without_a_waypoint_what_is_bound_to_a_service_is_nobodys() -> None:
    reach = Reach(HOMES, (LABELS,), passed_by(Key("agents", "agent"), None, SERVICES, ROOT))
    assert weakening([bound("Service", "agent")], reach, OWN, ROOT) == ()
