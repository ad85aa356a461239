"""`graph` of grants: who may call a service is what its owner gives and the agent asks for."""

from typing import Any

import pytest
from answers import CLUSTER, FakeCluster, edges, live, policy_of, seen
from sets import OURS, RULE, Manifest, agent_class, identity

from agent_identity.cli.documents import Document, Documents
from agent_identity.cli.graph import Graph, Node
from agent_identity.cli.graph_build import graph
from agent_identity.cli.graph_files import of_files
from agent_identity.cli.manifests import manifests

GRANT, AGENT = "AgentAccessGrant shop/orders", "AgentIdentity agents/agent"
CALLERS: dict[str, Manifest] = {
    "agent": {"kind": "AgentIdentity", "namespace": "agents", "name": "agent"},
    "ghost": {"kind": "AgentIdentity", "namespace": "agents", "name": "ghost"},
    "everybody": {"kind": "AllAgentIdentities", "namespace": "agents"},
    "nobody": {"kind": "AllAgentIdentities", "namespace": "empty"},
    "gateway": {"kind": "ServiceAccount", "namespace": "web", "name": "gateway"},
    "account": {"kind": "ServiceAccount", "namespace": "agents", "name": "agent"},
}


def grant(*callers: str, **spec: Any) -> Manifest:
    rules = (
        [RULE | {"name": "read", "from": [CALLERS[name] for name in callers]}] if callers else []
    )
    given = {"enforcement": "Enforce", "rules": rules} | spec
    if "targetRefs" not in given:
        given["selector"] = {"matchLabels": {"app": "orders"}}
    metadata = {"name": "orders", "namespace": "shop"}
    return {"apiVersion": OURS, "kind": "AgentAccessGrant", "metadata": metadata, "spec": given}


def asking(name: str = "agent", *rules: str) -> Manifest:
    asked = {"namespace": "shop", "grant": "orders", "rules": list(rules or ("read",))}
    return identity(name, outbound=[asked])


def cluster_of(*bodies: Manifest) -> FakeCluster:
    """With every grant's policy standing."""
    grants = [live(b) for b in bodies if b["kind"] == "AgentAccessGrant"]
    cluster = FakeCluster(*(b for b in bodies if b["kind"] == "AgentIdentity"))
    cluster.objects += [*grants, *(policy_of(g) for g in grants)]
    return cluster


def drawn(*bodies: Manifest) -> Graph:
    return seen(cluster_of(*bodies))


def node(found: Graph, name: str) -> Node:
    return next(n for n in found.nodes if n.id == name)


def test_what_is_given_and_asked_for_is_in_force() -> None:
    found = drawn(grant("agent"), asking())
    assert edges(found) == [(AGENT, GRANT, "in force")]
    assert (found.edges[0].via, found.edges[0].calls) == (
        "rule read",
        "POST /v1/tasks on port 8080",
    )
    assert node(found, GRANT).guards == "pods labelled app=orders"
    assert node(found, GRANT).others == "Nobody else."


CASES = {
    "an agent that does not ask": ("agent", identity("agent"), AGENT, "not asked for"),
    "an agent that is not there": ("ghost", identity("agent"), "ghost", "not there"),
    "a namespace without agents": ("nobody", identity("agent"), "empty/*", "not there"),
    "a workload, which need not ask": ("gateway", identity("agent"), "web/gateway", "in force"),
    "an agent's own account": ("account", asking(), "agents/agent", "not there"),
}


@pytest.mark.parametrize(("caller", "agent", "source", "state"), CASES.values(), ids=CASES)
def test_whom_a_grant_names(caller: str, agent: Manifest, source: str, state: str) -> None:
    found = [e for e in drawn(grant(caller), agent).edges if e.state.value != "not granted"]
    assert [(e.source.endswith(source), e.state.value) for e in found] == [(True, state)]


def test_of_a_whole_namespace_those_who_ask_have_access() -> None:
    found = drawn(grant("everybody"), asking("a"), identity("b"), asking("c"))
    assert edges(found) == [
        ("AgentIdentity agents/a", GRANT, "in force"),
        ("AgentIdentity agents/c", GRANT, "in force"),
        ("AllAgentIdentities agents/*", GRANT, "not asked for"),
    ]


WHY = {
    "no grant": ((), "read", "there is no such grant"),
    "no rule": ((grant("agent"),), "write", "the grant has no such rule"),
    "not named": ((grant("gateway"),), "read", "the rule does not name this agent"),
}


@pytest.mark.parametrize(("grants", "rule", "why"), WHY.values(), ids=WHY)
def test_what_is_asked_for_and_not_granted(
    grants: tuple[Manifest, ...], rule: str, why: str
) -> None:
    found = [e for e in drawn(*grants, asking("agent", rule)).edges if e.via.startswith("spec")]
    assert [(e.source, e.target, e.state.value, e.why) for e in found] == [
        (AGENT, GRANT, "not granted", why)
    ]
    assert found[0].via == f"spec.outbound, rule {rule}"


def test_shadow_lets_anybody_in() -> None:
    cluster = cluster_of(grant("agent", enforcement="Shadow"), asking())
    cluster.without("AuthorizationPolicy")
    assert ("Anybody", GRANT, "shadow") in edges(seen(cluster))
    assert (AGENT, GRANT, "shadow") in edges(seen(cluster))


def test_a_policy_that_stands_keeps_shadow_from_opening_it() -> None:
    found = drawn(grant("agent", enforcement="Shadow"), asking())
    assert edges(found) == [(AGENT, GRANT, "closed")]
    assert node(found, GRANT).stalls


def test_until_its_policy_stands_anybody_may_call() -> None:
    cluster = cluster_of(grant("agent"), asking())
    cluster.objects = [o for o in cluster.objects if "grant" not in o["metadata"]["name"]]
    assert ("Anybody", GRANT, "anybody") in edges(seen(cluster))
    assert (AGENT, GRANT, "anybody") in edges(seen(cluster))


def test_one_that_stalls_lets_nobody_in() -> None:
    cluster = cluster_of(grant("agent"), asking())
    labels = {"agentidentity.dev/identity": "x", "app": "orders"}
    pod = {"kind": "Pod", "metadata": {"name": "p", "namespace": "shop", "labels": labels}}
    cluster.objects.append(pod)
    found = seen(cluster)
    assert edges(found) == [(AGENT, GRANT, "closed")]
    assert node(found, GRANT).trouble.startswith("stalls: AgentSelected")


def test_one_that_is_being_deleted() -> None:
    cluster = cluster_of(grant("agent"), asking())
    for body in cluster.objects:
        if body["kind"] == "AgentAccessGrant":
            body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert seen(cluster).edges[0].why == "is being deleted"


def test_policies_of_others_on_the_same_workload_are_told() -> None:
    cluster = cluster_of(grant("agent"), asking())
    metadata = {"name": "wide", "namespace": "shop"}
    cluster.objects.append(
        live(
            {
                "kind": "AuthorizationPolicy",
                "metadata": metadata,
                "spec": {"action": "ALLOW", "rules": [{}]},
            }
        )
    )
    told = node(seen(cluster), GRANT).others
    assert told == "Besides, whom the policies of others let in: shop/wide."


def test_what_stands_before_the_service_is_told() -> None:
    refs = [{"kind": "Service", "name": "orders"}, {"kind": "Gateway", "name": "front"}]
    found = drawn(grant("agent", targetRefs=refs), asking())
    assert node(found, GRANT).guards == "Gateway front, Service orders"


# --- what may not be read


def test_grants_that_may_not_be_read_are_the_operators_word() -> None:
    cluster = cluster_of(grant("agent"), asking())
    cluster.refused = ("agentaccessgrants",)
    assert edges(seen(cluster)) == [(AGENT, GRANT, "not known")]
    (identity_,) = (o for o in cluster.objects if o["kind"] == "AgentIdentity")
    identity_["status"]["conditions"].append({"type": "OutboundReady", "status": "True"})
    found = seen(cluster)
    assert edges(found) == [(AGENT, GRANT, "in force")]
    assert found.edges[0].why == "as the operator says"
    assert "not allowed to read AgentAccessGrants in all namespaces" in found.notes


def test_policies_that_may_not_be_read_are_the_operators_word() -> None:
    cluster = cluster_of(grant("agent"), asking())
    cluster.refused = ("authorizationpolicies",)
    assert (AGENT, GRANT, "not known") in edges(seen(cluster))
    for body in cluster.objects:
        if body["kind"] == "AgentAccessGrant":
            body["status"] = {"conditions": [{"type": "PolicyReady", "status": "True"}]}
    assert edges(seen(cluster)) == [(AGENT, GRANT, "in force")]


def test_callers_that_may_not_be_read_are_in_the_grants_status() -> None:
    cluster = cluster_of(grant("agent", "gateway"), identity("local"))
    for body in cluster.objects:
        if body["kind"] == "AgentIdentity":
            body["metadata"]["namespace"] = "shop"
    cluster.refused = ("v1alpha1/agentidentities",)
    assert (AGENT, GRANT, "not known") in edges(seen(cluster, "shop"))
    told = {"kind": "AgentIdentity", "namespace": "agents", "name": "agent", "rules": ["read"]}
    for body in cluster.objects:
        if body["kind"] == "AgentAccessGrant":
            body["status"] = {"callers": [told]}
    assert (AGENT, GRANT, "in force") in edges(seen(cluster, "shop"))


def test_a_class_that_may_not_be_read_takes_nothing_away() -> None:
    cluster = cluster_of(grant("agent", "everybody"), asking())
    cluster.objects = [o for o in cluster.objects if o["kind"] != "AgentIdentityClass"]
    cluster.objects.append(live(agent_class("other")))
    cluster.refused = ("agentidentityclasses", "agentidentityclasses/default")
    assert (AGENT, GRANT, "in force") in edges(seen(cluster))


# --- files


def drawn_of_files(granted: Manifest | None, *agents: Manifest) -> Graph:
    """As it will be; a class is left out where none is among the agents."""
    read = Documents(tuple(Document("x", body, None) for body in agents))  # type: ignore[arg-type]
    world = manifests(read, CLUSTER, namespace="default")
    if granted:
        world.around.world.grants.see(live(granted))
    return graph(of_files(world))


def test_of_files_it_is_as_the_operator_will_have_it() -> None:
    found = drawn_of_files(grant("agent"), agent_class(), asking())
    assert edges(found) == [(AGENT, GRANT, "in force")]
    assert node(found, GRANT).others == "Nobody else."


def test_of_files_without_the_class_the_spec_says_who_asks() -> None:
    found = drawn_of_files(grant("agent", "everybody"), asking())
    assert (AGENT, GRANT, "in force") in edges(found)
    assert edges(drawn_of_files(grant("agent"), identity("agent"))) == [
        (AGENT, GRANT, "not asked for")
    ]


def test_of_files_a_grant_may_be_elsewhere() -> None:
    found = drawn_of_files(None, agent_class(), asking())
    assert edges(found) == [(AGENT, GRANT, "not granted")]
    assert found.edges[0].why == "there is no such grant among the files"


def test_of_files_nobody_knows_whether_the_policy_of_one_that_stalls_stands() -> None:
    wrong = grant("agent") | {"spec": {"enforcement": "Enforce"}}
    found = node(drawn_of_files(wrong, agent_class(), asking()), GRANT)
    assert found.stalls
    assert found.others.startswith("Not to be said")
