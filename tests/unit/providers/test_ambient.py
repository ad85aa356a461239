"""Ambient: ports at the workload, HTTP and gRPC at the waypoint, and nothing that ztunnel drops."""

from typing import Any

from agent_identity.api.rules import Caller
from agent_identity.core.checks import Standing
from agent_identity.core.facts import AgentService, Facts
from agent_identity.core.resource import Kind
from agent_identity.providers.istio.desired import IstioRoom
from samples import class_of, facts_of, identity_of

ROOM = IstioRoom()
PLANNER = "cluster.local/ns/agents/sa/planner"
WAYPOINT = "cluster.local/ns/agents/sa/waypoint"
HTTP = {"methods": ["POST"], "paths": ["/v1/tasks"]}
SERVICE = AgentService("agent", ((80, 8080),))


def rule(name: str, protocol: str = "HTTP", port: int = 8080) -> dict[str, Any]:
    said = {"http": HTTP} if protocol == "HTTP" else {}
    named = [{"kind": "AgentIdentity", "name": "planner"}]
    return {"name": name, "from": named, "ports": [port], "protocol": protocol, **said}


def facts_with(
    *rules: dict[str, Any],
    services: tuple[AgentService, ...] = (SERVICE,),
    waypoint: dict[str, str] | None = None,
) -> Facts:
    istio = {"dataPlane": "Ambient", "waypoint": waypoint or {"serviceAccount": "waypoint"}}
    agent_class = class_of(mesh={"type": "Istio", "istio": istio})
    assert agent_class.problem == ""
    identity = identity_of(inbound={"enforcement": "Enforce", "rules": list(rules)})
    callers = {Caller(kind="AgentIdentity", name="planner"): (PLANNER,)}
    return facts_of(identity, agent_class, callers=callers, services=services)


def written(facts: Facts) -> dict[str, dict[str, Any]]:
    """Name → spec of the AuthorizationPolicies."""
    resources = ROOM.desired(facts, Standing.GRANTED)
    return {
        r.ref.name: r.body["spec"] for r in resources if r.ref.kind == Kind.AUTHORIZATION_POLICY
    }


def sentence(principal: str, **operation: list[str]) -> dict[str, Any]:
    return {
        "from": [{"source": {"principals": [principal]}}],
        "to": [{"operation": operation}],
    }


def test_the_workload_lets_in_the_waypoint_and_the_waypoint_names_the_callers() -> None:
    assert written(facts_with(rule("tasks"))) == {
        "agentidentity-agent": {
            "selector": {"matchLabels": {"agentidentity.dev/identity": "agent"}},
            "action": "ALLOW",
            "rules": [sentence(WAYPOINT, ports=["8080"])],
        },
        "agentidentity-agent.waypoint": {
            "targetRefs": [{"group": "", "kind": "Service", "name": "agent"}],
            "action": "ALLOW",
            "rules": [sentence(PLANNER, ports=["80"], methods=["POST"], paths=["/v1/tasks"])],
        },
    }


def test_nothing_is_written_that_ztunnel_drops() -> None:
    """A rule with HTTP fields it would not enforce; a TCP rule needs no waypoint."""
    found = written(facts_with(rule("tasks"), rule("db", "TCP", 5432)))
    workload = found["agentidentity-agent"]["rules"]
    assert workload == [sentence(PLANNER, ports=["5432"]), sentence(WAYPOINT, ports=["8080"])]
    assert len(found["agentidentity-agent.waypoint"]["rules"]) == 1


def test_without_callers_not_even_the_waypoint_passes() -> None:
    facts = facts_with(rule("tasks"))
    nobody = facts_of(facts.identity, facts.agent_class, callers={}, services=(SERVICE,))
    assert [spec.get("rules") for spec in written(nobody).values()] == [None, None]


def test_a_port_of_a_service_that_leads_elsewhere_too_is_not_opened() -> None:
    other = AgentService("metrics", ((80, 9090), (8080, 8080)))
    found = written(facts_with(rule("tasks"), services=(SERVICE, other)))
    (said,) = found["agentidentity-agent.waypoint"]["rules"]
    assert said["to"][0]["operation"]["ports"] == ["8080"]


def test_what_a_waypoint_can_not_pass_on_is_told() -> None:
    no_service = facts_with(rule("tasks"), services=())
    other_port = facts_with(rule("tasks", port=9090))
    for facts, says in ((no_service, "no Service selects"), (other_port, "rules tasks alone")):
        problem = ROOM.report(facts).problem
        assert problem is not None
        assert says in problem.message
    assert ROOM.report(facts_with(rule("tasks"))).problem is None
    assert ROOM.report(facts_with(rule("db", "TCP"), services=())).problem is None


def test_a_waypoint_that_guards_not_all_services_is_let_in_nowhere() -> None:
    """A policy has at most 16 targetRefs: by a seventeenth Service anybody would come in."""
    services = tuple(AgentService(f"agent-{i:02}", ((80, 8080),)) for i in range(17))
    for some, passes in ((services[:16], True), (services, False)):
        facts = facts_with(rule("tasks"), services=some)
        assert bool(written(facts)["agentidentity-agent"].get("rules")) is passes
        assert (ROOM.report(facts).problem is None) is passes
    assert "17 Services" in str(ROOM.report(facts_with(rule("tasks"), services=services)).problem)


def test_a_waypoint_with_nothing_to_pass_on_is_let_in_nowhere() -> None:
    """It would pass what comes by Services that select the pods otherwise."""
    for facts in (
        facts_with(rule("tasks"), services=()),
        facts_with(rule("tasks", port=9090)),
    ):
        assert "rules" not in written(facts)["agentidentity-agent"]


def test_a_waypoint_of_another_namespace_is_named_by_it() -> None:
    waypoint = {"serviceAccount": "shared", "namespace": "ingress"}
    found = written(facts_with(rule("tasks"), waypoint=waypoint))
    (said,) = found["agentidentity-agent"]["rules"]
    assert said["from"][0]["source"]["principals"] == ["cluster.local/ns/ingress/sa/shared"]


def test_an_identity_that_may_have_nothing_has_no_policy_at_the_waypoint() -> None:
    """Nobody passes the workload's, so that at the waypoint goes."""
    facts = facts_with(rule("tasks"))
    account = facts_of(facts.identity, facts.agent_class)
    assert [r.ref.name for r in ROOM.desired(account, Standing.CLOSED)] == []
    assert ROOM.retired(facts.identity.key, facts)[1].body["spec"].get("rules") is None
