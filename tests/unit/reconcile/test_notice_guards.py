"""Whoever a change concerns is looked at again; and who of two holds an account."""

from dataclasses import replace
from typing import Any

import pytest
from test_world import AGENT, PLANNER, Story, inbound

from agent_identity.core.identity import Namespace, parse_identity
from agent_identity.core.resource import Key
from agent_identity.reconcile.world import Pod
from samples import class_of, metadata

POD = Pod("agents", "p", {"agentidentity.dev/identity": "agent"})


@pytest.fixture
def story() -> Story:
    return Story()


def class_body(**spec: Any) -> dict[str, Any]:
    parsed = class_of(**spec).spec
    assert parsed is not None
    body = parsed.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"metadata": metadata("default", resourceVersion="9", generation=2), "spec": body}


def test_a_class_that_changes_has_its_identities_looked_at(story: Story) -> None:
    story.identity("agent")
    story.due()
    story.world.see_class(class_body(rbac={"clusterRoles": []}))
    assert AGENT in story.due()


def test_a_class_that_goes_has_its_identities_looked_at(story: Story) -> None:
    story.identity("agent")
    story.due()
    story.world.lose_class("default", "uid-of-default")
    assert AGENT in story.due()


def test_a_pod_that_goes_has_its_identity_looked_at(story: Story) -> None:
    story.world.pod_changed(None, POD)
    story.due()
    story.world.pod_changed(POD, None)
    assert AGENT in story.due()


def test_an_identity_that_is_going_is_nobodys_caller(story: Story) -> None:
    story.identity("agent", inbound=inbound("planner"))
    story.identity("planner")
    story.account("planner")
    assert story.world.principal(PLANNER)
    story.due()
    meta = metadata("planner", "agents", resourceVersion="99", deletionTimestamp="2026-01-02")
    story.world.see_identity({"metadata": meta, "spec": {}})
    assert story.world.principal(PLANNER) == ""
    assert AGENT in story.due()


def test_an_account_that_is_going_is_nobodys(story: Story) -> None:
    story.identity("planner")
    story.account("planner")
    story.account("planner", deletionTimestamp="2026-01-02")
    assert story.world.principal(PLANNER) == ""


def wants(story: Story, name: str, **more: Any) -> None:
    """An identity that wants the account `shared`."""
    meta = metadata(name, "agents", **more)
    story.world.see_identity({"metadata": meta, "spec": {"serviceAccount": {"name": "shared"}}})


def holder(story: Story, of: Key) -> str:
    """Who holds the account that this one wants; itself, where it has no rival."""
    facts = story.world.facts(of)
    assert facts is not None
    return facts.rival.name if facts.rival else of.name


def test_the_older_of_two_holds_the_account_whatever_their_uids(story: Story) -> None:
    wants(story, "agent", uid="a", creationTimestamp="2026-01-02T00:00:00Z")
    wants(story, "planner", uid="b", creationTimestamp="2026-01-01T00:00:00Z")
    assert holder(story, AGENT) == holder(story, PLANNER) == "planner"


def test_one_that_is_going_holds_no_account_that_is_not_there(story: Story) -> None:
    wants(story, "agent", creationTimestamp="2026-01-02T00:00:00Z")
    old = {"creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-03"}
    wants(story, "planner", **old)
    assert holder(story, AGENT) == "agent"


def test_what_was_told_in_status_decides_nothing(story: Story) -> None:
    story.identity("agent")
    story.account("agent")
    meta = metadata("agent", "agents", resourceVersion="99", generation=2)
    forged = {"serviceAccount": "admin", "spiffeID": "spiffe://cluster.local/ns/x/sa/admin"}
    body = {"metadata": meta, "spec": {}, "status": forged}
    assert parse_identity(body) == parse_identity(body | {"status": {}})
    story.world.see_identity(body)
    assert story.world.principal(AGENT) == "cluster.local/ns/agents/sa/agent"


def test_an_older_state_of_a_namespace_gives_nothing_back(story: Story) -> None:
    denied = Namespace("agents", "u", {"agents": "denied"}, deleting=False, version=9)
    allowed = replace(denied, labels={"agents": "allowed"}, version=8)
    story.world.namespace_seen(denied)
    story.world.namespace_seen(allowed)
    story.world.namespace_changed(denied, allowed)
    assert story.world.namespaces["agents"] == denied
