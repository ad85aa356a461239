"""A waypoint passes on whatever no policy is bound to. So its own policy stands before the agent's
lets it in, and goes after that lets it in no more."""

import pytest
from test_memory_guards import told
from test_order_guards import OPEN
from test_wiring_guards import FULL, NAMES, Operator

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import ApiError
from agent_identity.reconcile.services import parse_service

WORKLOAD = NAMES["AuthorizationPolicy"].format("agent")
WAYPOINT = f"{WORKLOAD}.waypoint"
MESH = {
    "type": "Istio",
    "istio": {"dataPlane": "Ambient", "waypoint": {"serviceAccount": "waypoint"}},
}
DOWN = ApiError(500, Reason.UNREACHABLE, "no answer")
HTTP = {"protocol": "HTTP", "http": {"methods": ["GET"], "paths": ["/"]}, "ports": [8080]}
CALLED = {"inbound": {**OPEN, "rules": [OPEN["rules"][0] | HTTP]}}


def service(*ports: tuple[int, int | str]) -> dict[str, object]:
    led = [{"port": port, "targetPort": to} for port, to in ports]
    spec = {"selector": {"agentidentity.dev/identity": "agent"}, "ports": led}
    return {"metadata": {"name": "agent", "namespace": "agents"}, "spec": spec}


async def behind_a_waypoint() -> Operator:
    op = Operator()
    op.agent_class(mesh=MESH)
    op.world.service_changed(None, parse_service(service((80, 8080))))
    op.identity("caller")
    await op.serve()
    await op.turn("caller")
    await op.ready(**FULL, **CALLED)
    assert passes(op)
    return op


def passes(op: Operator) -> bool:
    """Whether the agent's policy lets the waypoint in."""
    rules = op.api.objects[WORKLOAD]["spec"].get("rules", ())
    return any("waypoint" in p for r in rules for p in r["from"][0]["source"]["principals"])


def is_safe(op: Operator) -> bool:
    return WAYPOINT in op.api.objects or not passes(op)


@pytest.mark.parametrize("broken", ["", f"PUT {WORKLOAD}"])
@told
async def test_a_waypoint_is_shut_out_before_its_policy_goes(broken: str) -> None:
    op = await behind_a_waypoint()
    op.api.broken = {broken: DOWN} if broken else {}
    op.agent_class(mesh=MESH, rbac={"clusterRoles": []})
    await op.turn()
    assert is_safe(op)
    assert passes(op) == bool(broken)


@pytest.mark.parametrize("broken", ["", f"PUT {WORKLOAD}"])
@told
async def test_at_an_identitys_end_it_is_shut_out_before_its_policy_goes(broken: str) -> None:
    op = await behind_a_waypoint()
    op.pod()
    op.api.broken = {broken: DOWN} if broken else {}
    op.delete()
    await op.turn()
    assert is_safe(op)
    op.api.broken.clear()
    assert await op.turn() is None
    assert not passes(op)
    assert WAYPOINT not in op.api.objects
    if not broken:
        assert op.at(f"PUT {WORKLOAD}") < op.at(f"DELETE {WAYPOINT}")


@told
async def test_it_is_let_in_after_its_policy_stands() -> None:
    op = await behind_a_waypoint()
    op.agent_class(mesh=MESH, rbac={"clusterRoles": []})
    await op.turn()
    op.lose("AuthorizationPolicy", "agent.waypoint")
    op.agent_class(mesh=MESH)
    op.api.broken[f"POST {WAYPOINT}"] = DOWN
    assert await op.turn() is not None
    assert not passes(op)
    op.api.broken.clear()
    await op.turn()
    assert passes(op)


@told
async def test_while_its_policy_cannot_be_made_a_right_is_narrowed_all_the_same() -> None:
    op = await behind_a_waypoint()
    op.lose("AuthorizationPolicy", "agent.waypoint")
    op.api.broken[f"POST {WAYPOINT}"] = DOWN
    op.identity(**{**FULL, **CALLED, "vault": {"policies": ["team"]}})
    op.tamper("AuthorizationPolicy", spec={**op.api.objects[WORKLOAD]["spec"], "rules": []})
    assert await op.turn() is not None
    assert op.vault.stored[op.role_of("agent")]["token_policies"] == ["team-x"]


def test_a_port_by_name_may_lead_to_any_of_the_pods() -> None:
    led = parse_service(service((80, "admin"), (81, 8080))).service
    assert led is not None
    assert led.ports == ((80, 0), (81, 8080))
