"""`graph` of files: every state of an edge, whom rules mean, and what is assumed."""

import json
from typing import Any

import pytest
from sets import RULE, Manifest, Program, agent_class, full, identity, namespace, whole

CALLERS: Manifest = {
    "planner": {"kind": "AgentIdentity", "name": "planner"},
    "ghost": {"kind": "AgentIdentity", "name": "ghost"},
    "gateway": {"kind": "ServiceAccount", "namespace": "web", "name": "gateway"},
    "research": {"kind": "AllAgentIdentities", "namespace": "research"},
    "own account": {"kind": "ServiceAccount", "namespace": "agents", "name": "planner"},
}


def named(*names: str, **more: Any) -> Manifest:
    """What an identity's inbound is with one rule that names these."""
    rule = RULE | {"from": [CALLERS[name] for name in names]} | more
    return {"enforcement": "Enforce", "rules": [rule]}


def drawn(program: Program, *manifests: Manifest, flags: tuple[str, ...] = ()) -> Any:
    """code, and what was told, beside what is drawn."""
    file = program.file("all.yaml", list(manifests))
    code, out, err = program("graph", file, "--output", "json", *flags)
    return json.loads(out) | {"code": code, "told": err}


def edges(found: Any) -> list[tuple[str, str, str]]:
    return [(e["source"], e["target"], e["state"]) for e in found["edges"]]


def node(found: Any, name: str) -> Any:
    return next(n for n in found["nodes"] if n["id"] == name)


AGENT, PLANNER = "AgentIdentity agents/agent", "AgentIdentity agents/planner"


def test_a_caller_that_is_there_is_let_in(program: Program) -> None:
    found = drawn(program, *whole())
    assert found["code"] == 0
    assert found["notes"] == []
    (edge,) = found["edges"]
    assert (edge["source"], edge["target"], edge["state"]) == (PLANNER, AGENT, "in force")
    assert (edge["via"], edge["calls"]) == ("rule tasks", "POST /v1/tasks on port 8080")
    assert node(found, AGENT)["others"] == "Nobody else."


CASES = {
    "an agent that is there": ("planner", "AgentIdentity agents/planner", "in force"),
    "an agent that is not there": ("ghost", "AgentIdentity agents/ghost", "not there"),
    "a workload": ("gateway", "ServiceAccount web/gateway", "in force"),
    "a namespace without agents": ("research", "AllAgentIdentities research/*", "not there"),
    "an agent's own account": ("own account", "ServiceAccount agents/planner", "not there"),
}


@pytest.mark.parametrize(("caller", "source", "state"), CASES.values(), ids=CASES)
def test_whom_a_rule_means(program: Program, caller: str, source: str, state: str) -> None:
    class_, space, planner, _ = whole()
    found = drawn(program, class_, space, planner, full(inbound=named(caller)))
    assert edges(found) == [(source, AGENT, state)]


def test_every_agent_of_a_namespace_is_one_node(program: Program) -> None:
    group = "AllAgentIdentities research/*"
    there = [namespace("research"), *(identity(n, "research") for n in ("a", "b"))]
    found = drawn(program, *whole()[:3], *there, full(inbound=named("research")))
    assert edges(found) == [(group, AGENT, "in force")]
    assert node(found, group)["trouble"] == ""


def test_a_caller_that_stalls_is_not_let_in(program: Program) -> None:
    class_, space, _, agent = whole()
    found = drawn(program, class_, space, identity("planner", rbac={"clusterRoles": ["x"]}), agent)
    assert edges(found) == [(PLANNER, AGENT, "not there")]
    assert node(found, PLANNER)["trouble"].startswith("stalls: NotInClass")
    assert found["code"] == 1


def test_the_rules_of_one_that_stalls_let_nobody_in(program: Program) -> None:
    class_, space, planner, _ = whole()
    found = drawn(program, class_, space, planner, full(rbac={"clusterRoles": ["x"]}))
    assert edges(found) == [(PLANNER, AGENT, "closed")]
    assert node(found, AGENT)["others"].startswith("Not to be said")
    assert found["code"] == 1


def test_shadow_lets_anybody_in(program: Program) -> None:
    lax = agent_class(inbound={"minimumEnforcement": "Shadow"})
    shadow = full(inbound={"enforcement": "Shadow", "rules": [RULE]})
    found = drawn(program, lax, *whole()[1:3], shadow)
    assert edges(found) == [(PLANNER, AGENT, "shadow"), ("Anybody", AGENT, "shadow")]


def test_without_a_mesh_anybody_is_let_in(program: Program) -> None:
    found = drawn(program, agent_class(mesh={"type": "None"}), namespace(), identity("agent"))
    assert edges(found) == [("Anybody", AGENT, "anybody")]
    assert "no mesh" in found["edges"][0]["why"]


AMBIENT = {"dataPlane": "Ambient", "waypoint": {"serviceAccount": "waypoint"}}


def test_an_ambient_mesh_lets_callers_in_through_a_waypoint(program: Program) -> None:
    classes = agent_class(mesh={"type": "Istio", "istio": AMBIENT})
    found = drawn(program, classes, *whole()[1:])
    assert edges(found) == [(PLANNER, AGENT, "in force")]
    assert "for an ambient mesh: taken for granted that Services lead" in found["told"]


def test_an_ambient_mesh_without_a_waypoint_lets_in_by_port_only(program: Program) -> None:
    classes = agent_class(mesh={"type": "Istio", "istio": {"dataPlane": "Ambient"}})
    tcp = {k: v for k, v in RULE.items() if k != "http"} | {"name": "tcp", "protocol": "TCP"}
    agent = full(inbound={"enforcement": "Enforce", "rules": [RULE, tcp]})
    found = drawn(program, classes, *whole()[1:3], agent)
    states = {e["via"]: (e["state"], e["why"]) for e in found["edges"]}
    assert states["rule tcp"] == ("in force", "")
    assert states["rule tasks"][0] == "closed"
    assert "names no waypoint" in states["rule tasks"][1]


def test_the_rules_of_a_class_are_its_agents(program: Program) -> None:
    classes = agent_class(inbound={"rules": named("gateway")["rules"]})
    found = drawn(program, classes, namespace(), identity("agent"))
    assert edges(found) == [("ServiceAccount web/gateway", AGENT, "in force")]
    assert found["edges"][0]["via"] == "class default's rule tasks"


def test_what_is_not_among_the_files_is_assumed_and_told(program: Program) -> None:
    found = drawn(program, identity("planner"), full())
    assert edges(found) == [(PLANNER, AGENT, "in force")]
    space, class_ = found["notes"]
    assert space == "namespace agents is not among the files: taken for allowed"
    assert class_.startswith("class default is not among the files")
    assert found["told"] == f"{space}\n{class_}\n"


def test_one_agent_and_what_is_around_it(program: Program) -> None:
    class_, space, planner, _ = whole()
    manifests = [class_, space, namespace("research"), identity("a", "research"), planner]
    manifests += [full(inbound=named("planner", "research")), identity("apart")]
    found = drawn(program, *manifests, flags=("--identity", "research/a"))
    assert edges(found) == [("AllAgentIdentities research/*", AGENT, "in force")]
    assert len(found["nodes"]) == 3
    file = program.file("all.yaml", manifests)
    code, _, err = program("graph", file, "--identity", "agents/nobody")
    assert (code, err.splitlines()[-1]) == (1, "there is no AgentIdentity agents/nobody")


def test_the_namespace_of_those_that_name_none(program: Program) -> None:
    bare = identity("agent")
    del bare["metadata"]["namespace"]
    found = drawn(program, bare, flags=("-n", "there"))
    assert [n["id"] for n in found["nodes"]] == ["AgentIdentity there/agent"]


def test_files_without_an_agent(program: Program) -> None:
    code, _, err = program("graph", program.file("x.yaml", [agent_class(), namespace()]))
    assert code == 2
    assert "there is no AgentIdentity and no AgentAccessGrant in what was given" in err


def test_an_object_that_is_wrong_is_told_and_drawn(program: Program) -> None:
    found = drawn(program, *whole(), identity("odd", inbund={}))
    assert found["code"] == 1
    assert "there is no such field" in found["told"]
    assert node(found, "AgentIdentity agents/odd")["stalls"]


def test_a_file_that_can_not_be_written(program: Program) -> None:
    file = program.file("all.yaml", whole())
    code, _, err = program("graph", file, "--file", f"{file}/below/a/file")
    assert code == 2
    assert f"{file}/below/a/file: Not a directory" in err


def test_the_same_files_in_another_order_are_the_same_graph(program: Program) -> None:
    for form in ("mermaid", "dot", "json", "html"):
        one = program("graph", program.file("a.yaml", whole()), "-o", form)
        other = program("graph", program.file("b.yaml", whole()[::-1]), "-o", form)
        assert one == other
