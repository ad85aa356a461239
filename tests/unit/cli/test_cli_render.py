"""`render` prints what the operator would write, to the letter."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sets import ROOT, RULE, Program, agent_class, full, identity, namespace, whole

from agent_identity.cli.documents import Document, Documents, read_documents
from agent_identity.cli.manifests import manifests
from agent_identity.cli.render import PSEUDO, render
from agent_identity.cli.surroundings import pure_rooms
from agent_identity.core.identity import parse_class, parse_identity
from agent_identity.core.resource import Key, canonical
from agent_identity.reconcile.decide import decide
from samples import CLUSTER, facts_of, metadata

FLAGS = ("--cluster-name", "prod", "--trust-domain", "cluster.local")


def test_the_examples_are_rendered_as_agreed(
    program: Program, monkeypatch: pytest.MonkeyPatch, golden: Any
) -> None:
    monkeypatch.chdir(ROOT)
    code, out, err = program("render", "examples/quickstart", *FLAGS)
    assert (code, err) == (0, "")
    golden("render.yaml", out)
    code, out, _ = program("render", "examples/quickstart", *FLAGS, "-o", "table")
    golden("render.txt", out)


def rules() -> st.SearchStrategy[list[dict[str, Any]]]:
    ports = st.lists(st.integers(1, 65535), min_size=1, max_size=3, unique=True)
    paths = st.lists(st.sampled_from(["/", "/v1/*", "/a/{*}", "/b/{**}"]), min_size=1, unique=True)
    rule = st.builds(
        lambda name, p, path: (
            RULE | {"name": name, "ports": p, "http": {"methods": ["GET"], "paths": path}}
        ),
        st.sampled_from(["a", "b", "c"]),
        ports,
        paths,
    )
    return st.lists(rule, max_size=3, unique_by=lambda r: r["name"])


def specs() -> st.SearchStrategy[dict[str, Any]]:
    inbound = st.builds(
        lambda found, how: {"enforcement": how, "rules": found},
        rules(),
        st.sampled_from(["Enforce", "Shadow"]),
    )
    account = st.sampled_from(
        [{"name": "other"}, {"annotations": {"eks.amazonaws.com/role-arn": "x"}}]
    )
    vault = st.builds(
        lambda p, s: {"policies": p, "tokenTTLSeconds": s},
        st.lists(st.sampled_from(["own-secrets", "team", "none"]), min_size=1, unique=True),
        st.integers(60, 3700),
    )
    return st.fixed_dictionaries(
        {},
        optional={
            "inbound": inbound,
            "serviceAccount": account,
            "rbac": st.just({"clusterRoles": ["ticket-reader"]}),
            "vault": vault,
        },
    )


@settings(deadline=None)
@given(specs())
def test_it_is_what_is_decided(spec: dict[str, Any]) -> None:
    lax = agent_class(inbound={"minimumEnforcement": "Shadow"})
    asked = identity(**spec)
    given_set = [lax, namespace(), identity("planner"), asked]
    read = manifests(_documents(given_set), CLUSTER, namespace="default")
    found = render(read, Key("agents", "agent"))

    uid = {"uid": "uid-of-agents/agent"}
    parsed = parse_identity(asked | {"metadata": metadata("agent", "agents") | uid})
    ceiling = parse_class(lax | {"metadata": metadata("default")})
    callers = {
        c: ("cluster.local/ns/agents/sa/planner",)
        for rule in (parsed.spec.inbound.rules or () if parsed.spec and parsed.spec.inbound else ())
        for c in rule.from_
    }
    decision = decide(facts_of(parsed, ceiling, callers=callers), pure_rooms(CLUSTER))
    if decision.verdict.problem:
        assert len(found.stalled) == 1
        assert found.objects == ()
        return
    written = [
        w.body["spec"]["payload"] if w.body.get("apiVersion") == PSEUDO else w.body
        for w in found.objects
        if w.owner == "AgentIdentity agents/agent"
    ]
    expected = [r.body for r in decision.desired]
    assert sorted(map(canonical, written)) == sorted(map(canonical, expected))


def _documents(given_set: list[dict[str, Any]]) -> Documents:
    read = read_documents(yaml.safe_dump_all(given_set), "x")
    assert all(isinstance(d, Document) for d in read.items)
    return read


def test_the_order_of_files_does_not_matter(program: Program) -> None:
    one = program("render", program.file("a.yaml", whole()), *FLAGS)
    other = program("render", program.file("b.yaml", whole()[::-1]), *FLAGS)
    assert one == other


def test_one_identity_and_the_policies_of_its_class(program: Program) -> None:
    file = program.file("a.yaml", [*whole(), agent_class("other")])
    _, out, _ = program("render", file, *FLAGS, "--identity", "agents/planner", "-o", "json")
    items = json.loads(out)["items"]
    assert {i["metadata"]["name"] for i in items} == {
        *("agentid_prod_default_own-secrets", "planner", "agentidentity-planner"),
    }
    assert program("render", file, *FLAGS, "--identity", "agents/nobody")[0] == 2
    assert program("render", file, *FLAGS, "--identity", "a/b/c")[0] == 2


def test_what_is_assumed_is_told_beside_it(program: Program) -> None:
    file = program.file("a.yaml", [agent_class(), full()])
    code, out, err = program("render", file, *FLAGS)
    assert code == 0
    assert "namespace agents is not among the files: taken for allowed" in err
    assert "caller AgentIdentity agents/planner is not among the files" in err
    policy = next(o for o in yaml.safe_load_all(out) if o["kind"] == "AuthorizationPolicy")
    assert "rules" not in policy["spec"]


def test_for_what_stalls_nothing_is_written(program: Program) -> None:
    file = program.file("a.yaml", [*whole(), identity("x", rbac={"clusterRoles": ["y"]})])
    code, out, err = program("render", file, *FLAGS)
    assert code == 1
    assert "agents/x: NotInClass" in err
    assert "name: x" not in out
    assert "name: planner" in out
    assert program("render", program.file("b.yaml", [full()]), *FLAGS)[0] == 1


def test_a_misspelt_field_ends_it_with_code_1(program: Program) -> None:
    code, _, err = program("render", program.file("a.yaml", [full(classname="x")]), *FLAGS)
    assert code == 1
    assert "spec.classname: there is no such field" in err


def test_settings_come_from_flags_then_from_the_environment(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = program.file("a.yaml", whole())
    code, _, err = program("render", file)
    assert code == 2
    assert "AGENT_IDENTITY_CLUSTER_NAME is required" in err
    monkeypatch.setenv("AGENT_IDENTITY_CLUSTER_NAME", "of-the-environment")
    monkeypatch.setenv("AGENT_IDENTITY_TRUST_DOMAIN", "example.org")
    assert "of-the-environment_agents_agent" in program("render", file)[1]
    out = program("render", file, "--cluster-name", "of-the-flag")[1]
    assert "of-the-flag_agents_agent" in out
    assert "example.org/ns/agents/sa/planner" in out


def test_an_object_from_a_cluster_keeps_its_uid(program: Program) -> None:
    dumped = full()
    dumped["metadata"] |= {"uid": "1234", "resourceVersion": "77", "generation": 3}
    file = program.file("a.yaml", [agent_class(), namespace(), identity("planner"), dumped])
    assert "uid: '1234'" in program("render", file, *FLAGS)[1]
