"""`graph` of a cluster, on answers that are made up: what may not be read is told, not guessed."""

import pytest
from answers import FakeCluster, edges, live, seen, with_status
from sets import RULE, full, identity

from agent_identity.cli.cluster import Absent
from agent_identity.cli.documents import Unreadable
from agent_identity.cli.graph import within

AGENT, PLANNER = "AgentIdentity agents/agent", "AgentIdentity agents/planner"
CALL = (PLANNER, AGENT, "in force")


def test_all_that_can_be_read_is_in_force() -> None:
    drawn = seen(FakeCluster())
    assert edges(drawn) == [CALL]
    assert drawn.notes == ()
    assert {n.others for n in drawn.nodes} == {"Nobody else."}


def test_without_its_policies_anybody_may_call() -> None:
    cluster = FakeCluster()
    cluster.without("AuthorizationPolicy")
    drawn = seen(cluster)
    assert (PLANNER, AGENT, "anybody") in edges(drawn)
    assert ("Anybody", AGENT, "anybody") in edges(drawn)
    assert "until its policies stand" in drawn.edges[0].why


REFUSED = {
    "classes": ("agentidentityclasses",),
    "classes, and the class too": ("agentidentityclasses", "agentidentityclasses/default"),
    "namespaces": ("namespaces",),
    "accounts": ("serviceaccounts",),
    "pods": ("pods",),
    "bindings": ("rolebindings",),
    "bindings of the cluster": ("clusterrolebindings",),
    "policies": ("authorizationpolicies", "peerauthentications"),
}


@pytest.mark.parametrize("paths", REFUSED.values(), ids=REFUSED)
def test_what_may_not_be_read_is_told_and_the_operators_word_counts(paths: tuple[str, ...]) -> None:
    cluster = FakeCluster()
    cluster.refused = paths
    drawn = seen(cluster)
    assert edges(drawn) == [CALL]
    assert any(note.startswith("not allowed to read") for note in drawn.notes)


def test_where_neither_policies_nor_the_operator_say_it_nothing_is_known() -> None:
    cluster = FakeCluster()
    cluster.refused = ("authorizationpolicies",)
    for body in cluster.objects:
        body.pop("status", None)
    states = {(e.source, e.state.value) for e in seen(cluster).edges if e.target == AGENT}
    assert states == {(PLANNER, "not known"), ("Anybody", "not known")}


def test_of_an_unread_class_the_operator_says_who_stalls() -> None:
    cluster = FakeCluster()
    cluster.refused = ("agentidentityclasses", "agentidentityclasses/default")
    cluster.objects[1] = with_status(cluster.objects[1], Stalled="True")
    assert edges(seen(cluster)) == [(PLANNER, AGENT, "not there")]


def test_one_that_is_being_deleted_is_no_caller() -> None:
    cluster = FakeCluster()
    cluster.objects[1]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    drawn = seen(cluster)
    assert edges(drawn) == [(PLANNER, AGENT, "not there")]
    assert drawn.edges[0].why == "is being deleted"


def test_one_without_an_account_yet_is_no_caller() -> None:
    cluster = FakeCluster()
    cluster.without("ServiceAccount")
    assert seen(cluster).edges[0].why == "has no account of its own yet"


def test_a_mesh_that_is_not_installed() -> None:
    cluster = FakeCluster()
    for kind in ("AuthorizationPolicy", "PeerAuthentication"):
        cluster.without(kind)
    cluster.gone = ("authorizationpolicies", "peerauthentications")
    drawn = seen(cluster)
    assert ("Anybody", AGENT, "anybody") in edges(drawn)
    assert drawn.notes == ()


def test_agents_that_may_be_read_in_one_namespace_only() -> None:
    abroad = RULE | {"from": [{"kind": "AgentIdentity", "namespace": "far", "name": "off"}]}
    agent = full(inbound={"enforcement": "Enforce", "rules": [RULE, abroad | {"name": "abroad"}]})
    cluster = FakeCluster(agent, identity("planner"), identity("off", "far"))
    cluster.refused = ("v1alpha1/agentidentities",)
    drawn = seen(cluster, "agents")
    # The operator says that all is in place, and names nobody as missing.
    assert edges(drawn) == [CALL, ("AgentIdentity far/off", AGENT, "in force")]
    assert "not allowed to read AgentIdentities in all namespaces" in drawn.notes
    with pytest.raises(Unreadable, match="--namespace"):
        seen(cluster)
    cluster.refused = ("agentidentities",)
    with pytest.raises(Unreadable, match="not allowed to read AgentIdentities in all"):
        seen(cluster, "agents")


def test_one_namespace_has_the_calls_into_it_and_out_of_it() -> None:
    agents = (full(), identity("planner"), identity("apart", "far"))
    whole = seen(FakeCluster(*agents))
    assert {n.id for n in within(whole, "agents").nodes} == {AGENT, PLANNER}
    assert {n.id for n in within(whole, "far").nodes} == {"AgentIdentity far/apart"}


AMBIENT = {"dataPlane": "Ambient", "waypoint": {"serviceAccount": "waypoint"}}


def ambient(*, served: bool) -> FakeCluster:
    cluster = FakeCluster(ambient=AMBIENT)
    selector = {"selector": {"agentidentity.dev/identity": "agent"}, "ports": [{"port": 8080}]}
    metadata = {"name": "agent", "namespace": "agents"}
    service = live({"kind": "Service", "metadata": metadata, "spec": selector})
    cluster.objects += [service] if served else []
    return cluster


def test_in_an_ambient_mesh_a_service_must_lead_to_the_agent() -> None:
    drawn = seen(ambient(served=False))
    assert edges(drawn) == [(PLANNER, AGENT, "closed")]
    assert "no Service selects" in drawn.edges[0].why


def test_in_an_ambient_mesh_the_waypoints_policy_must_stand() -> None:
    cluster = ambient(served=True)
    assert (PLANNER, AGENT, "anybody") in edges(seen(cluster))
    (main,) = (
        o
        for o in cluster.objects
        if o["metadata"]["name"] == "agentidentity-agent" and "action" in o["spec"]
    )
    metadata = main["metadata"] | {"name": "agentidentity-agent.waypoint"}
    cluster.objects.append(main | {"metadata": metadata})
    assert edges(seen(cluster)) == [CALL]


def test_services_that_may_not_be_read_are_the_operators_word() -> None:
    cluster = ambient(served=False)
    cluster.refused = ("services",)
    assert edges(seen(cluster)) == [CALL]
    cluster.objects[0] = with_status(cluster.objects[0], InboundReady="False")
    assert edges(seen(cluster)) == [(PLANNER, AGENT, "closed")]


def test_a_kind_that_is_not_installed() -> None:
    cluster = FakeCluster()
    cluster.gone = ("agentidentities",)
    with pytest.raises(Absent, match="not installed"):
        seen(cluster)


def test_a_policy_of_others_that_lets_in_more_is_told() -> None:
    cluster = FakeCluster()
    metadata = {"name": "open", "namespace": "agents"}
    policy = {"kind": "AuthorizationPolicy", "metadata": metadata}
    cluster.objects.append(live(policy | {"spec": {"action": "ALLOW", "rules": [{}]}}))
    assert {n.others for n in seen(cluster).nodes} == {
        "Besides, whom the policies of others let in: AuthorizationPolicy agents/open."
    }
