"""Who is looked at when something changes, and who an agent is to those it calls."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest

from agent_identity.core.facts import ForeignBinding
from agent_identity.core.identity import Namespace
from agent_identity.core.names import account_ref
from agent_identity.core.observed import observe_object
from agent_identity.core.resource import Key, Kind, Subject
from agent_identity.reconcile.bindings import parse_cluster_binding
from agent_identity.reconcile.objects import LATE_LOGIN_SECONDS, Objects
from agent_identity.reconcile.pods import Pod
from agent_identity.reconcile.world import World
from samples import CLUSTER, class_of, metadata, namespace_of

AGENT, PLANNER = Key("agents", "agent"), Key("agents", "planner")


class Story:
    """A world, and the keys that became due since one last looked."""

    def __init__(self) -> None:
        self._due: set[Key] = set()
        self.world = World(CLUSTER, self._due.add)
        self.version = 1
        self.world.namespace_changed(None, namespace_of())
        self.world.classes["default"] = class_of()

    def due(self) -> set[Key]:
        keys = set(self._due)
        self._due.clear()
        return keys

    def identity(self, name: str, **spec: Any) -> None:
        self.version += 1
        meta = metadata(name, "agents", resourceVersion=str(self.version), generation=self.version)
        self.world.see_identity({"metadata": meta, "spec": spec})

    def account(self, name: str, owner: str | None = None, **more: Any) -> None:
        self.version += 1
        body = {
            "metadata": metadata(name, "agents", resourceVersion=str(self.version))
            | {
                "labels": {
                    "app.kubernetes.io/managed-by": "agent-identity-operator",
                    "agentidentity.dev/identity": name,
                },
                "ownerReferences": [
                    {
                        "apiVersion": "agentidentity.dev/v1alpha1",
                        "kind": "AgentIdentity",
                        "controller": True,
                        "uid": owner or f"uid-of-{name}",
                    }
                ],
            }
            | more
        }
        seen = observe_object(Kind.SERVICE_ACCOUNT, body)
        self.world.object_changed(self.world.owned.get(seen.ref), seen)


@pytest.fixture
def story() -> Story:
    return Story()


def inbound(*callers: str) -> dict[str, Any]:
    rule = {
        "name": "r",
        "from": [{"kind": "AgentIdentity", "name": c} for c in callers],
        "ports": [1],
        "protocol": "TCP",
    }
    return {"enforcement": "Enforce", "rules": [rule]}


def test_an_agent_is_somebody_once_its_account_is_its_own(story: Story) -> None:
    story.identity("planner")
    assert story.world.principal(PLANNER) == ""
    story.account("planner")
    assert story.world.principal(PLANNER) == "cluster.local/ns/agents/sa/planner"
    story.account("planner", owner="somebody-else")
    assert story.world.principal(PLANNER) == ""


def test_those_who_name_it_are_looked_at_when_it_becomes_or_ceases_to_be(story: Story) -> None:
    story.identity("agent", inbound=inbound("planner"))
    story.identity("planner")
    story.due()
    story.account("planner")
    assert AGENT in story.due()
    story.identity("planner", rbac={"clusterRoles": ["cluster-admin"]})
    assert AGENT in story.due()
    story.identity("planner")
    assert AGENT in story.due()
    story.world.lose_identity(PLANNER, "uid-of-planner")
    assert AGENT in story.due()


def test_those_who_let_all_agents_in_are_looked_at_too(story: Story) -> None:
    rule = inbound()["rules"][0] | {"from": [{"kind": "AllAgentIdentities", "namespace": "agents"}]}
    story.identity("agent", inbound={"enforcement": "Enforce", "rules": [rule]})
    story.due()
    story.identity("planner")
    story.account("planner")
    assert AGENT in story.due()


def test_what_is_no_news_makes_nobody_due(story: Story) -> None:
    story.identity("agent")
    story.due()
    body = {
        "metadata": metadata("agent", "agents", resourceVersion="99", generation=story.version),
        "spec": {},
    }
    story.world.see_identity(body)
    assert story.due() == set()


def test_an_older_version_is_not_taken_for_news(story: Story) -> None:
    story.identity("agent", rbac={"clusterRoles": ["ticket-reader"]})
    old = {"metadata": metadata("agent", "agents"), "spec": {}}
    story.world.see_identity(old)
    facts = story.world.facts(AGENT)
    assert facts is not None
    assert facts.identity.spec is not None
    assert facts.identity.spec.rbac is not None


class Seen(NamedTuple):
    """One kind of ours, as the world is told of it and keeps it."""

    see: Callable[[Any], None]
    lose: Callable[[str], None]
    there: Callable[[], list[str]]


KINDS: dict[str, Callable[[World], Seen]] = {
    "identity": lambda world: Seen(
        partial(world.see_identity, own=True),
        lambda uid: world.lose_identity(AGENT, uid),
        lambda: [one.meta.uid for one in world.identities.values()],
    ),
    "grant": lambda world: Seen(
        partial(world.grants.see, own=True),
        lambda uid: world.grants.lose(Key("agents", "agent", Subject.GRANT), uid),
        lambda: [one.meta.uid for one in world.grants.all.values()],
    ),
    "class": lambda world: Seen(
        partial(world.see_class, own=True),
        lambda uid: world.lose_class("agent", uid),
        lambda: [one.meta.uid for one in world.classes.values()],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_from_before_a_deletion_brings_nothing_of_ours_back(kind: str) -> None:
    world = World(CLUSTER, lambda _: None)
    see, lose, there = KINDS[kind](world)

    def one(uid: str, version: int) -> dict[str, Any]:
        meta = metadata("agent", "agents", uid=uid, resourceVersion=str(version), generation=1)
        return {"metadata": meta, "spec": {}}

    see(one("first", 10))
    lose("first")
    # Newer than what was known: a write of ours, whose answer came after the watch's DELETED.
    see(one("first", 12))
    assert there() == []
    see(one("second", 20))
    lose("first")
    see(one("first", 12))
    assert there() == ["second"]


def test_of_two_the_owner_of_the_live_account_holds_it(story: Story) -> None:
    story.identity("agent", serviceAccount={"name": "shared"})
    story.identity("planner", serviceAccount={"name": "shared"})
    for name, loses in (("agent", "planner"), ("planner", "agent")):
        story.account("shared", owner=f"uid-of-{name}")
        rivals = {k: story.world.facts(Key("agents", k)) for k in ("agent", "planner")}
        facts = rivals[loses]
        assert facts is not None
        assert facts.rival is not None
        assert facts.rival.name == name


def test_without_an_account_the_older_holds_it_then_the_lesser_uid(story: Story) -> None:
    story.identity("planner", serviceAccount={"name": "shared"})
    story.identity("agent", serviceAccount={"name": "shared"})
    facts = story.world.facts(PLANNER)
    assert facts is not None
    assert facts.rival is not None
    assert facts.rival.name == "agent"


def test_a_namespace_that_changes_labels_has_its_identities_looked_at(story: Story) -> None:
    story.identity("agent")
    story.due()
    story.world.namespace_changed(namespace_of(), namespace_of(agents="denied"))
    assert AGENT in story.due()


def test_pods_are_counted_by_label(story: Story) -> None:
    pod = Pod("agents", "p", {"agentidentity.dev/identity": "agent"})
    story.world.pod_changed(None, pod)
    assert story.world.has_pods(AGENT)
    story.world.pod_changed(pod, None)
    assert not story.world.has_pods(AGENT)


def test_a_foreign_object_that_goes_has_its_namesake_looked_at(story: Story) -> None:
    story.identity("agent")
    facts = story.world.facts(AGENT)
    assert facts is not None
    body = {"metadata": metadata("agent", "agents")}
    foreign = observe_object(Kind.SERVICE_ACCOUNT, body)
    story.world.object_changed(None, foreign)
    story.due()
    assert foreign.ref == account_ref(facts.identity)
    story.world.object_changed(foreign, None)
    assert AGENT in story.due()


def policy(name: str, uid: str = "u", **marks: str) -> Any:
    labels = {"app.kubernetes.io/managed-by": "agent-identity-operator", **marks} if marks else {}
    body = {
        "metadata": metadata(name, "agents", uid=uid) | {"labels": labels},
        "spec": {"rules": [{}]},
    }
    return observe_object(Kind.AUTHORIZATION_POLICY, body)


def test_a_policy_that_only_wears_our_label_is_foreign(story: Story) -> None:
    story.identity("agent")
    story.world.object_changed(None, policy("wide-open", **{"agentidentity.dev/identity": "agent"}))
    facts = story.world.facts(AGENT)
    assert facts is not None
    assert [p.name for p in facts.foreign_policies] == ["wide-open"]


def test_an_older_read_of_a_namespace_does_not_bring_its_label_back(story: Story) -> None:
    story.world.namespace_seen(Namespace("agents", "u", {}, deleting=False, version=9))
    old = Namespace("agents", "u", {"agents": "allowed"}, deleting=False, version=5)
    story.world.namespace_seen(old)
    assert story.world.namespaces["agents"].labels == {}


def test_an_account_that_others_took_away_is_remembered_until_dealt_with(story: Story) -> None:
    story.identity("agent")
    story.account("agent")
    (ref,) = story.world.objects.labelled(AGENT)
    account = story.world.owned[ref]
    story.world.object_changed(account, None)
    assert story.world.objects.gone_accounts(AGENT) == [account]
    story.world.objects.forget_gone_account(AGENT, account)
    assert story.world.objects.gone_accounts(AGENT) == []


def test_an_account_that_we_took_away_is_not(story: Story) -> None:
    story.identity("agent")
    story.account("agent")
    (ref,) = story.world.objects.labelled(AGENT)
    account = story.world.owned[ref]
    story.world.objects.taken(account)
    story.world.object_changed(account, None)
    assert story.world.objects.gone_accounts(AGENT) == []


@pytest.mark.parametrize("ours", [True, False])
def test_an_account_that_went_is_dealt_with_again_once_it_can_log_in_nowhere(
    story: Story, *, ours: bool
) -> None:
    now = 100.0
    objects = Objects(lambda _: "", clock=lambda: now)
    story.identity("agent")
    story.account("agent")
    (account,) = story.world.objects.labelled(AGENT).values()
    objects.change(None, account)
    if ours:
        objects.taken(account)
    objects.change(account, None)
    objects.forget_gone_account(AGENT, account)
    now += LATE_LOGIN_SECONDS - 0.1
    assert objects.past_late_logins() == []
    assert objects.gone_accounts(AGENT) == []
    now += 0.1
    assert objects.past_late_logins() == [AGENT]
    assert objects.gone_accounts(AGENT) == [account]
    assert objects.past_late_logins() == []


def test_our_own_write_is_no_news_to_us_but_to_those_that_name_us(story: Story) -> None:
    story.identity("agent", inbound=inbound("planner"))
    story.identity("planner")
    story.due()
    with story.world.own_write():
        story.account("planner")
    assert story.due() == {AGENT}


def binding(*subjects: Key, name: str = "old") -> dict[str, Any]:
    named = [{"kind": "ServiceAccount", "namespace": s.namespace, "name": s.name} for s in subjects]
    return {"metadata": metadata(name, "agents"), "subjects": named}


def test_a_binding_makes_those_due_whose_account_it_names(story: Story) -> None:
    story.identity("planner")
    story.identity("agent")
    story.due()
    seen = observe_object(Kind.ROLE_BINDING, binding(PLANNER))
    story.world.object_changed(None, seen)
    assert story.due() == {PLANNER}
    facts = story.world.facts(PLANNER)
    assert facts is not None
    assert facts.foreign_bindings == (ForeignBinding("agents", "old"),)
    story.world.object_changed(seen, None)
    assert story.due() == {PLANNER}
    facts = story.world.facts(PLANNER)
    assert facts is not None
    assert facts.foreign_bindings == ()


def test_a_binding_of_the_cluster_counts_too(story: Story) -> None:
    story.identity("planner")
    story.identity("agent")
    story.due()
    before = parse_cluster_binding(binding(PLANNER))
    after = parse_cluster_binding(binding(AGENT))
    story.world.bindings.cluster_binding_changed(None, before)
    assert story.due() == {PLANNER}
    story.world.bindings.cluster_binding_changed(before, after)
    assert story.due() == {PLANNER, AGENT}
    assert story.world.bindings.of(PLANNER) == ()
    assert story.world.bindings.of(AGENT) == (ForeignBinding("", "old"),)
