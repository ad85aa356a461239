"""`check --against`: each kind of widening is told, for whom, and no narrowing is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sets import RULE, Manifest, Program, agent_class, edited, identity, namespace, whole

from agent_identity.core.rights import path_covers

AGENT = "AgentIdentity agents/agent"
CLASS = "AgentIdentityClass default"
Edit = Callable[[list[Manifest]], None]


def spec_of(manifests: list[Manifest], name: str) -> Any:
    return next(m["spec"] for m in manifests if m["metadata"]["name"] == name and "spec" in m)


def of_agent(change: Callable[[Any], None]) -> Edit:
    return lambda manifests: change(spec_of(manifests, "agent"))


def of_class(change: Callable[[Any], None]) -> Edit:
    return lambda manifests: change(spec_of(manifests, "default"))


def rule_of(change: Callable[[Any], None]) -> Edit:
    return of_agent(lambda spec: change(spec["inbound"]["rules"][0]))


def shadow(manifests: list[Manifest]) -> None:
    of_class(lambda s: s.update(inbound={"minimumEnforcement": "Shadow"}))(manifests)
    of_agent(lambda s: s.update(inbound={"enforcement": "Shadow"}))(manifests)


def other_class(manifests: list[Manifest]) -> None:
    manifests.append(agent_class("wide"))
    spec_of(manifests, "agent")["className"] = "wide"


def policies(spec: Any) -> Any:
    return spec["vault"]["policies"][0]["rules"]


WIDER: dict[str, tuple[Edit, str, str]] = {
    "a caller": (
        rule_of(lambda r: r["from"].append({"kind": "AgentIdentity", "name": "x"})),
        AGENT,
        "AgentIdentity agents/x may call POST /v1/tasks on port 8080",
    ),
    "all agents": (
        rule_of(lambda r: r["from"].append({"kind": "AllAgentIdentities", "namespace": "n"})),
        AGENT,
        "AllAgentIdentities n/* may call POST /v1/tasks on port 8080",
    ),
    "a port": (
        rule_of(lambda r: r["ports"].append(9090)),
        AGENT,
        "AgentIdentity agents/planner may call POST /v1/tasks on port 9090",
    ),
    "a method": (
        rule_of(lambda r: r["http"]["methods"].append("GET")),
        AGENT,
        "AgentIdentity agents/planner may call GET /v1/tasks on port 8080",
    ),
    "a path": (
        rule_of(lambda r: r["http"].update(paths=["/v1/*"])),
        AGENT,
        "AgentIdentity agents/planner may call POST /v1/* on port 8080",
    ),
    "any protocol": (
        rule_of(lambda r: r.update(protocol="TCP", http=None)),
        AGENT,
        "AgentIdentity agents/planner may call anything on port 8080",
    ),
    "no enforcement": (shadow, AGENT, "anybody may call everything"),
    "a lower minimum": (shadow, CLASS, "enforcement Shadow, with which anybody may call"),
    "a policy of others": (
        of_agent(lambda s: s["vault"]["policies"].append("team")),
        AGENT,
        "Vault policy team-x",
    ),
    "a longer token": (
        of_agent(lambda s: s["vault"].update(tokenTTLSeconds=601)),
        AGENT,
        "a Vault token for 601 s",
    ),
    "the default token": (
        of_agent(lambda s: s["vault"].pop("tokenTTLSeconds")),
        AGENT,
        "a Vault token for 900 s",
    ),
    "an annotation": (
        of_agent(
            lambda s: s.update(
                serviceAccount={"annotations": {"eks.amazonaws.com/role-arn": "arn:x"}}
            )
        ),
        AGENT,
        "account annotation eks.amazonaws.com/role-arn = arn:x",
    ),
    "a pull secret": (
        of_agent(lambda s: s.update(serviceAccount={"imagePullSecrets": [{"name": "x"}]})),
        AGENT,
        "images pulled with Secret x",
    ),
    "another class": (other_class, AGENT, "class wide"),
    "a wider path, for the agent": (
        of_class(lambda s: policies(s)[0].update(path="kv/data/{namespace}/*")),
        AGENT,
        "Vault read kv/data/{namespace}/*",
    ),
    "a wider path, for the class": (
        of_class(lambda s: policies(s)[0].update(path="kv/data/{namespace}/*")),
        CLASS,
        "Vault read kv/data/{namespace}/* (policy own-secrets)",
    ),
    "a capability": (
        of_class(lambda s: policies(s)[0]["capabilities"].append("update")),
        AGENT,
        "Vault update kv/data/{namespace}/{serviceAccount}/*",
    ),
    "a longer life of tokens": (
        of_class(lambda s: s["vault"].update(maxTokenTTLSeconds=7200)),
        AGENT,
        "a Vault token renewed for up to 7200 s",
    ),
    "another audience": (
        of_class(lambda s: s["vault"]["agentAuth"].update(audience="others")),
        AGENT,
        "Vault logins with tokens for audience others",
    ),
    "a baseline rule": (
        of_class(
            lambda s: s.update(
                inbound={
                    "minimumEnforcement": "Enforce",
                    "rules": [
                        RULE | {"from": [{"kind": "ServiceAccount", "namespace": "m", "name": "p"}]}
                    ],
                }
            )
        ),
        AGENT,
        "ServiceAccount m/p may call POST /v1/tasks on port 8080",
    ),
    "more namespaces": (
        of_class(lambda s: s.update(namespaceSelector={"matchLabels": {}})),
        CLASS,
        "namespaces labelled anyhow",
    ),
    "an annotation key": (
        of_class(lambda s: s["serviceAccounts"]["annotationKeys"].append("example.com/x")),
        CLASS,
        "account annotation example.com/x",
    ),
    "a role to ask for": (
        of_class(lambda s: s["rbac"]["clusterRoles"].append("admin")),
        CLASS,
        "ClusterRole admin",
    ),
    "a new agent": (
        lambda m: m.append(identity("new", rbac={"clusterRoles": ["ticket-reader"]})),
        "AgentIdentity agents/new",
        "ClusterRole ticket-reader",
    ),
}


def compared(program: Program, old: list[Manifest], new: list[Manifest]) -> tuple[int, Any]:
    old_file, new_file = program.file("old.yaml", old), program.file("new.yaml", new)
    code, out, err = program("check", new_file, "--against", old_file, "-o", "json")
    assert out, err
    return code, json.loads(out)


def told(rows: list[Any]) -> set[tuple[str, str]]:
    return {(row["holder"], row["what"]) for row in rows}


@pytest.mark.parametrize(("edit", "holder", "what"), WIDER.values(), ids=WIDER)
def test_what_is_wider_is_told_and_the_way_back_is_not(
    program: Program, edit: Edit, holder: str, what: str
) -> None:
    wider = edited(edit)
    code, answer = compared(program, whole(), wider)
    assert (holder, what) in told(answer["gained"])
    assert code == 3
    risks = [f for f in answer["findings"] if f["severity"] == "risk"]
    assert any(what in f["message"] and f["subject"] == holder for f in risks)
    code, back = compared(program, wider, whole())
    assert (holder, what) in told(back["lost"])
    # Of two classes, or two audiences, none is the wider one.
    if not what.startswith(("class", "Vault logins")):
        assert (code, back["gained"]) == (0, [])


def test_nothing_has_changed(program: Program) -> None:
    code, answer = compared(program, whole(), whole()[::-1])
    assert (code, answer["gained"], answer["lost"], answer["findings"]) == (0, [], [], [])


def test_a_wider_class_names_its_agents(program: Program) -> None:
    edit = of_class(lambda s: s["rbac"]["clusterRoles"].append("admin"))
    _, answer = compared(program, whole(), edited(edit))
    (row,) = answer["gained"]
    assert row["agents"] == ["agents/agent", "agents/planner"]
    file, _, line = row["where"].rpartition(":")
    assert "clusterRoles:" in Path(file).read_text().splitlines()[int(line) - 1]


def test_a_class_widens_each_of_its_agents_that_asked(program: Program) -> None:
    both = [*whole(), identity("third", vault={"policies": ["own-secrets"]})]
    wider = [*both]
    wider[0] = agent_class()
    policies(wider[0]["spec"])[0]["path"] = "kv/data/*"
    _, answer = compared(program, both, wider)
    assert {h for h, _ in told(answer["gained"])} == {AGENT, "AgentIdentity agents/third", CLASS}


def test_a_new_agent_that_asks_for_nothing_is_no_risk(program: Program) -> None:
    assert compared(program, whole(), [*whole(), identity("new")])[0] == 0


def test_a_new_agent_is_told_by_what_it_gets_and_not_by_how(program: Program) -> None:
    _, answer = compared(
        program, whole(), [*whole(), identity("new", vault={"policies": ["team"]})]
    )
    assert told(answer["gained"]) == {("AgentIdentity agents/new", "Vault policy team-x")}


def test_an_agent_that_stalls_has_nothing_and_gains_when_it_is_mended(program: Program) -> None:
    asking = edited(of_agent(lambda s: s["rbac"]["clusterRoles"].append("admin")))
    code, answer = compared(program, whole(), asking)
    assert code == 1
    assert not answer["gained"]
    mended = edited(of_agent(lambda s: s["rbac"]["clusterRoles"].append("admin")))
    spec_of(mended, "default")["rbac"]["clusterRoles"].append("admin")
    _, answer = compared(program, asking, mended)
    assert (AGENT, "ClusterRole ticket-reader") in told(answer["gained"])


def test_a_namespace_that_gets_its_label_gives_rights(program: Program) -> None:
    agent = identity(rbac={"clusterRoles": ["ticket-reader"]})
    closed = [agent_class(), namespace(team="x"), agent]
    opened = [closed[0], namespace(), closed[2]]
    code, answer = compared(program, closed, opened)
    assert code == 3
    assert (AGENT, "ClusterRole ticket-reader") in told(answer["gained"])


FIXED: dict[str, tuple[Edit, str]] = {
    "the account": (
        of_agent(lambda s: s.update(serviceAccount={"name": "x"})),
        "the account's name can't be changed: it is agent",
    ),
    "the address": (
        of_class(lambda s: s["vault"].update(address="https://other.example")),
        "can't be changed: roles live there",
    ),
    "the mount": (
        of_class(lambda s: s["vault"]["agentAuth"].update(mount="other")),
        "can't be changed: roles live there",
    ),
    "the Vault namespace": (
        of_class(lambda s: s["vault"].update(namespace="other")),
        "can't be changed: roles live there",
    ),
    "vault altogether": (of_class(lambda s: s.pop("vault")), "can't be changed"),
}


@pytest.mark.parametrize(("edit", "message"), FIXED.values(), ids=FIXED)
def test_what_cannot_be_changed_is_an_error(program: Program, edit: Edit, message: str) -> None:
    code, answer = compared(program, whole(), edited(edit))
    errors = [f["message"] for f in answer["findings"] if f["severity"] == "error"]
    assert code == 1
    assert any(message in m for m in errors)


def test_whoever_moves_a_class_is_told_the_way_that_there_is(program: Program) -> None:
    _, answer = compared(program, whole(), edited(FIXED["the address"][0]))
    (advice,) = (f["advice"] for f in answer["findings"] if f["path"] == "spec.vault.address")
    assert advice == "Delete the class and apply it again."


COVERS = [
    ("/v1/*", "/v1/tasks", True),
    ("/v1/*", "/v1/{*}/x", True),
    ("/v1/*", "/v1", False),
    ("/*", "/", True),
    ("/v1/tasks", "/v1/*", False),
    ("/v1/{*}", "/v1/a", True),
    ("/v1/{*}", "/v1/a/b", False),
    ("/v1/{*}", "/v1/*", False),
    ("/v1/{*}", "/v1/{**}", False),
    ("/v1/{*}", "/v1/", False),
    ("/v1/{**}", "/v1/a/b", True),
    ("/v1/{**}", "/v1/*", True),
    ("/v1/{**}", "/v2/a", False),
    ("/{*}/a", "/x/a", True),
    ("/{*}/a", "/x/b", False),
    ("/a/b", "/a", False),
    ("*", "/anything", True),
]


@pytest.mark.parametrize(("one", "other", "expected"), COVERS)
def test_which_path_covers_which(one: str, other: str, *, expected: bool) -> None:
    assert path_covers(one, other) is expected
