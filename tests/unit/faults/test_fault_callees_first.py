"""Who is deleted keeps all that it has in the cluster until those it calls have shut it out."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from faults.exchange import Call, Exchange
from faults.oracles import CALLEES_SECONDS, LABEL, End, Run, callees_first
from faults.recorder import Change, Name
from faults.scene import path_of

Body = dict[str, Any]
IDENTITY, CALLEE = Name("AgentIdentity", "a", "agent"), Name("AgentIdentity", "b", "callee")
CALLEES = Name("AuthorizationPolicy", "b", "agentidentity-callee")
GRANTS = Name("AuthorizationPolicy", "b", "agentgrant-orders")
ACCOUNT = Name("ServiceAccount", "a", "agent")
BINDING = Name("RoleBinding", "a", "agentidentity:agent:reader")
MTLS = Name("PeerAuthentication", "a", "agentidentity-agent")
POLICY = Name("AuthorizationPolicy", "a", "agentidentity-agent")
OWN = [BINDING, POLICY, MTLS, ACCOUNT]
LABELS: Mapping[Name, Body] = {
    **{name: {LABEL: "agent"} for name in OWN},
    CALLEES: {LABEL: "callee"},
    GRANTS: {"agentidentity.dev/grant": "orders"},
}
EMPTY = End({}, {})


def body(name: Name, **spec: Any) -> Body:
    return {"metadata": {"labels": LABELS.get(name, {})}, "spec": spec}


def lets_in(name: Name, *accounts: str) -> Body:
    principals = [f"cluster.local/ns/a/sa/{account}" for account in accounts]
    rules = [{"from": [{"source": {"principals": principals}}]}] if accounts else []
    return body(name, rules=rules)


class History:
    """What happened from revision 1 on, when all of it was there; the agent is in the policies that
    are `open_to` it."""

    def __init__(self, *open_to: Name) -> None:
        self.changes: list[Change] = []
        self.exchanges: list[Exchange] = []
        for name in (IDENTITY, CALLEE, *OWN):
            self.happens(name, body(name))
        for name in open_to:
            self.happens(name, lets_in(name, "agent", "other"))
        self.before = len(self.changes)

    def happens(self, name: Name, to: Body, *, at: float = 0.0, gone: bool = False) -> None:
        self.changes.append(Change(at, len(self.changes) + 1, name, to, gone=gone))

    def is_deleted(self, name: Name) -> None:
        deleted = body(name)
        deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self.happens(name, deleted)

    def shuts_out(self, policy: Name) -> None:
        self.happens(policy, lets_in(policy, "other"))

    def asks(self, method: str, name: Name) -> None:
        """The operator's request that leads to the next change."""
        metadata = {"resourceVersion": str(len(self.changes) + 1)}
        answer = json.dumps({"metadata": metadata}).encode()
        call, number = Call("kube", method, path_of(name)), len(self.exchanges)
        self.exchanges.append(Exchange(number, 0.0, "a", call, answer=answer, status=200))

    def takes(self, name: Name, *, at: float = 1.0) -> None:
        """The operator deletes it."""
        self.asks("DELETE", name)
        self.loses(name, at=at)

    def loses(self, name: Name, *, at: float = 1.0) -> None:
        """Whoever takes it away."""
        self.happens(name, body(name), at=at, gone=True)

    def judged(self) -> list[str]:
        told = (tuple(self.changes), tuple(self.exchanges))
        run = Run({}, self.before, 0, len(self.exchanges), EMPTY, EMPTY, *told, {})
        return list(callees_first(run, EMPTY))


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("policy", [CALLEES, GRANTS])
def test_nothing_goes_while_a_callee_lets_it_in(own: Name, policy: Name) -> None:
    history = History(policy)
    history.is_deleted(IDENTITY)
    history.takes(own)
    [line] = history.judged()
    assert line == f"{policy} still lets {IDENTITY} in; after {own} went"


def test_one_callee_that_has_shut_it_out_is_not_all() -> None:
    history = History(CALLEES, GRANTS)
    history.is_deleted(IDENTITY)
    history.shuts_out(CALLEES)
    history.takes(MTLS)
    assert len(history.judged()) == 1


def test_all_may_go_once_the_callees_have_shut_it_out() -> None:
    history = History(CALLEES, GRANTS)
    history.is_deleted(IDENTITY)
    history.shuts_out(CALLEES)
    history.shuts_out(GRANTS)
    for own in OWN:
        history.takes(own)
    assert history.judged() == []


def test_a_callee_that_goes_too_is_not_waited_for() -> None:
    history = History(CALLEES)
    history.is_deleted(IDENTITY)
    history.is_deleted(CALLEE)
    for own in OWN:
        history.takes(own)
    assert history.judged() == []


def test_a_callee_that_does_not_come_to_it_is_waited_for_so_long() -> None:
    history = History(CALLEES)
    history.is_deleted(IDENTITY)
    for own in OWN:
        history.takes(own, at=CALLEES_SECONDS + 0.1)
    assert history.judged() == []


def test_what_others_take_away_is_not_the_operators() -> None:
    history = History(CALLEES)
    history.is_deleted(IDENTITY)
    for own in OWN:
        history.loses(own)
    assert history.judged() == []


def test_its_own_policy_may_let_in_who_it_is() -> None:
    history = History(POLICY)
    history.is_deleted(IDENTITY)
    for own in OWN:
        history.takes(own)
    assert history.judged() == []


def test_who_stays_may_have_less_while_it_is_let_in() -> None:
    history = History(CALLEES)
    history.takes(BINDING)
    assert history.judged() == []


def test_a_guard_that_is_changed_has_not_gone() -> None:
    """Such as one that stays for pods that run on."""
    history = History(CALLEES)
    history.is_deleted(IDENTITY)
    history.asks("PUT", POLICY)
    history.happens(POLICY, lets_in(POLICY))
    assert history.judged() == []
