"""A waypoint passes on whatever no policy is bound to. So its own policy stands before the agent's
lets it in, and goes after that lets it in no more."""

import pytest
from test_grants_guards import POLICY, asks, rule
from test_memory_guards import told
from test_order_guards import OPEN
from test_wiring_guards import FULL, NAMES, Operator

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import ApiError
from agent_identity.core.observed import observe_object
from agent_identity.core.resource import Key, Kind, Subject
from agent_identity.reconcile.services import parse_service
from samples import metadata

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


# --- what others bind to what leads to an agent

WAYPOINT_ELSEWHERE = {"serviceAccount": "waypoint", "namespace": "gateways"}
ELSEWHERE = MESH | {"istio": {"dataPlane": "Ambient", "waypoint": WAYPOINT_ELSEWHERE}}
AGENT, ORDERS = Key("agents", "agent"), Key("agents", "orders", Subject.GRANT)


ORDERS_SERVICE = {**service((80, 8080)), "metadata": {"name": "orders", "namespace": "agents"}}


def bound(op: Operator, kind: str, name: str, namespace: str) -> None:
    """Somebody lets everybody in there."""
    spec = {"targetRefs": [{"kind": kind, "name": name}], "rules": [{}]}
    body = {"metadata": metadata("theirs", namespace), "spec": spec}
    op.world.object_changed(None, observe_object(Kind.AUTHORIZATION_POLICY, body))


@pytest.mark.parametrize(
    ("kind", "name", "namespace"),
    [("Service", "agent", "agents"), ("Gateway", "waypoint", "gateways")],
    ids=["service", "waypoint"],
)
@told
async def test_a_policy_of_others_at_what_leads_to_an_agent_is_told(
    kind: str, name: str, namespace: str
) -> None:
    op = await behind_a_waypoint()
    op.agent_class(mesh=ELSEWHERE)
    await op.turn()
    await op.drain()
    bound(op, kind, name, namespace)
    assert await op.drain() == {AGENT, *([Key("agents", "caller")] if kind == "Gateway" else ())}
    await op.turn()
    assert op.condition("InboundReady")["reason"] == Reason.FOREIGN_POLICY


@told
async def test_a_policy_for_all_pods_where_the_waypoint_is_is_nobodys_here() -> None:
    op = await behind_a_waypoint()
    op.agent_class(mesh=ELSEWHERE)
    await op.turn()
    body = {"metadata": metadata("theirs", "gateways"), "spec": {"rules": [{}]}}
    op.world.object_changed(None, observe_object(Kind.AUTHORIZATION_POLICY, body))
    await op.turn()
    assert op.condition("InboundReady")["status"] == "True"


async def of_others(op: Operator, kind: str, name: str) -> None:
    """A grant in force before whatever leads to others."""
    op.grant(rule("caller"), selector=None, targetRefs=[{"kind": kind, "name": name}])
    assert await op.turn_grant() is None
    await op.drain()


async def is_refused(op: Operator) -> bool:
    """Whether the grant is looked at again by itself, and lets nobody in then."""
    if ORDERS not in await op.drain():
        return False
    problem = await op.turn_grant()
    assert not op.api.objects[POLICY]["spec"].get("rules")
    return problem is not None and problem.reason is Reason.AGENT_SELECTED


@told
async def test_a_grant_at_a_service_that_leads_to_an_agent_lets_nobody_in() -> None:
    op = await behind_a_waypoint()
    await of_others(op, "Service", "orders")
    op.world.service_changed(None, parse_service(ORDERS_SERVICE))
    assert await is_refused(op)
    op.world.service_changed(parse_service(ORDERS_SERVICE), None)
    assert ORDERS in await op.drain()
    assert await op.turn_grant() is None


@told
async def test_a_grant_at_an_agents_waypoint_lets_nobody_in() -> None:
    op = Operator()
    await op.serve()
    op.identity("caller", **asks("read"))
    await op.turn("caller")
    await of_others(op, "Gateway", "waypoint")
    op.agent_class(mesh=MESH)
    assert await is_refused(op)
    told_of = op.world.grants.facts(ORDERS)
    assert told_of is not None
    assert told_of.agents == ("caller",)
    op.agent_class(mesh=ELSEWHERE)
    assert ORDERS in await op.drain()
    assert await op.turn_grant() is None


@told
async def test_a_grant_at_an_agents_waypoint_is_refused_once_the_agent_comes() -> None:
    op = Operator()
    op.agent_class(mesh=MESH)
    await op.serve()
    await of_others(op, "Gateway", "waypoint")
    op.identity("caller")
    assert await is_refused(op)
    op.identity("caller", **asks("read"))
    assert ORDERS not in await op.drain()


@told
async def test_names_of_agents_elsewhere_are_not_told_to_a_grants_author() -> None:
    op = Operator()
    waypoint = {"serviceAccount": "waypoint", "namespace": "agents"}
    op.agent_class(mesh=MESH | {"istio": {"dataPlane": "Ambient", "waypoint": waypoint}})
    meta = metadata("secret", "elsewhere")
    op.world.see_identity({"metadata": meta, "spec": {}})
    op.grant(selector=None, targetRefs=[{"kind": "Gateway", "name": "waypoint"}])
    facts = op.world.grants.facts(ORDERS)
    assert facts is not None
    assert facts.agents == ("of another namespace",)


def test_a_port_by_name_may_lead_to_any_of_the_pods() -> None:
    led = parse_service(service((80, "admin"), (81, 8080))).service
    assert led is not None
    assert led.ports == ((80, 0), (81, 8080))
