"""What the oracles say of the history of a wrong operator, and that they let a right one's pass."""

import json
from collections.abc import Callable
from itertools import count
from types import MappingProxyType
from typing import Any

import pytest

from faults.exchange import Call, Exchange
from faults.oracles import (
    End,
    Run,
    callees_first,
    guarded_first,
    honest,
    no_right_but_the_old_and_the_new,
    no_right_comes_back,
)
from faults.recorder import Body, Change, Name
from faults.replay import moments
from faults.scene import path_of, snapshot_of_vault
from faults.snapshot import State, snapshot

AGENT = Name("AgentIdentity", "a", "agent")
ACCOUNT = Name("ServiceAccount", "a", "agent")
BINDING = Name("RoleBinding", "a", "agentidentity:agent:reader")
MTLS = Name("PeerAuthentication", "a", "agentidentity-agent")
POLICY = Name("AuthorizationPolicy", "a", "agentidentity-agent")
CALLED = Name("AgentIdentity", "b", "called")
CALLED_POLICY = Name("AuthorizationPolicy", "b", "agentidentity-called")
GRANT = Name("AgentAccessGrant", "shop", "orders")
GRANT_POLICY = Name("AuthorizationPolicy", "shop", "agentaccessgrant-orders")
ROLE = "test_a_agent"
OWNED = (BINDING, POLICY, MTLS, ACCOUNT)
READY = MappingProxyType(
    {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True", "reason": "x"}]}
)
_SPECS: dict[Name, Body] = {
    POLICY: {"selector": {"matchLabels": {"agentidentity.dev/identity": "agent"}}},
    MTLS: {
        "selector": {"matchLabels": {"agentidentity.dev/identity": "agent"}},
        "mtls": {"mode": "STRICT"},
    },
    GRANT_POLICY: {"selector": {"matchLabels": {"app": "orders"}}, "action": "ALLOW"},
}
_LABELS = {"AgentIdentity": "identity", "AgentAccessGrant": "grant"}


def lets_in(name: Name) -> Body:
    principal = f"cluster.local/ns/{name.namespace}/sa/{name.name}"
    return {"rules": [{"from": [{"source": {"principals": [principal]}}]}]}


def role(*policies: str) -> Body:
    return {"bound_service_account_namespaces": ["a"], "token_policies": list(policies)}


SHUT: Body = {"bound_service_account_namespaces": ["_nobody_"], "token_policies": []}


class History:
    """Told one change after the other, each by the operator or by others, from an empty place."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._exchanges: list[Exchange] = []
        self._there: dict[Name, Body] = {}
        self._roles: dict[str, Body] = {}
        self._uids = count()
        self._acted: tuple[int, int, End, dict[str, Body]] = (0, 0, End({}, {}), {})

    # --- what happens

    def owns(self, owner: Name, *names: Name, ours: bool = True) -> None:
        """These are made, each as it is to be."""
        for name in names:
            self.write(name, owner=owner, ours=ours)

    def write(
        self, name: Name, spec: Body | None = None, *, owner: Name | None = None, ours: bool = True
    ) -> None:
        """Made, or its spec replaced."""
        there = self._there.get(name)
        body = dict(there or {"metadata": self._metadata(name, owner)})
        if name.kind == "RoleBinding":
            body |= {"roleRef": {"name": "reader"}}
            body |= {"subjects": [{"namespace": "a", "name": "agent"}]}
        else:
            body["spec"] = _SPECS.get(name, {}) | (spec or {})
        self._put(name, body, ours=ours)

    def marks(self, name: Name, *, ours: bool = False) -> None:
        """Deleted, and held by a finalizer."""
        body = self._there[name]
        metadata = body["metadata"] | {"deletionTimestamp": "now"}
        self._put(name, {**body, "metadata": metadata}, ours=ours)

    def says_ready(self, name: Name) -> None:
        self._put(name, {**self._there[name], "status": dict(READY)}, ours=True)

    def asks(self, name: Name, spec: Body) -> None:
        """Its author writes another spec."""
        body = self._there[name]
        self._put(name, {**body, "spec": spec, "status": {}}, ours=False)

    def disowns(self, name: Name) -> None:
        """Kept for the pods of an agent that goes."""
        body = self._there[name]
        metadata = {k: v for k, v in body["metadata"].items() if k != "ownerReferences"}
        self._put(name, {**body, "metadata": metadata}, ours=True)

    def goes(self, *names: Name, ours: bool = True) -> None:
        for name in names:
            body = self._there.pop(name)
            change = Change(self._now, len(self._changes) + 1, name, body, gone=True)
            self._changes.append(change)
            if ours:
                self._exchange("DELETE", path_of(name), {"status": "Success"})

    def role(self, body: Body | None) -> None:
        """Written or deleted by the operator."""
        path = f"/v1/auth/kubernetes/role/{ROLE}"
        text = json.dumps(body).encode()
        # What comes after the last change that was answered.
        self._exchange("GET", path_of(AGENT), {"metadata": {"resourceVersion": self._revision}})
        method = "POST" if body else "DELETE"
        exchange = self._exchange(method, path, {}, server="vault")
        exchange.body = text
        self.role_by_others(body)

    def role_by_others(self, body: Body | None) -> None:
        """Beside the proxy."""
        self._roles.pop(ROLE, None)
        if body is not None:
            self._roles[ROLE] = body

    def acts(self) -> None:
        """What follows is the workload's doing, and what comes of it."""
        numbers = self._revision, len(self._exchanges)
        self._acted = (*numbers, self.end, dict(self._roles))

    # --- what was seen

    @property
    def end(self) -> End:
        vault = snapshot_of_vault({f"role {n}": body for n, body in self._roles.items()}, {})
        return End(self._state, vault)

    @property
    def run(self) -> Run:
        before, first, old, roles = self._acted
        changes, exchanges = tuple(self._changes), tuple(self._exchanges)
        return Run({}, before, first, len(exchanges), old, self.end, changes, exchanges, roles)

    def by_the_operator(self) -> list[tuple[bool, bool]]:
        """Of each change: ours, collected."""
        return [(m.ours, m.collected) for m in moments(self._changes, self._exchanges, {})]

    @property
    def _state(self) -> State:
        return snapshot(self._there, {})

    @property
    def _revision(self) -> int:
        return len(self._changes)

    @property
    def _now(self) -> float:
        return 0.01 * (len(self._changes) + len(self._exchanges))

    def _metadata(self, name: Name, owner: Name | None) -> Body:
        metadata: Body = {"namespace": name.namespace, "name": name.name, "generation": 1}
        metadata["uid"] = f"uid-{next(self._uids)}-"
        if owner is not None:
            uid = self._there[owner]["metadata"]["uid"]
            controller = {"kind": owner.kind, "name": owner.name, "uid": uid, "controller": True}
            metadata["labels"] = {f"agentidentity.dev/{_LABELS[owner.kind]}": owner.name}
            metadata["ownerReferences"] = [controller]
        return metadata

    def _put(self, name: Name, body: Body, *, ours: bool) -> None:
        new = name not in self._there
        self._there[name] = body
        self._changes.append(Change(self._now, self._revision + 1, name, body, new=new))
        if ours:
            answer = {"metadata": {"resourceVersion": str(self._revision)}}
            self._exchange("PUT", path_of(name), answer)

    def _exchange(self, method: str, path: str, answer: Any, server: str = "kube") -> Exchange:
        exchange = Exchange(
            len(self._exchanges),
            self._now,
            "a",
            Call(server, method, path),
            status=200,
            answer=json.dumps(answer).encode(),
            sent_at=self._now,
            answered_at=self._now,
        )
        self._exchanges.append(exchange)
        return exchange


WIDE: Body = {"rbac": {"clusterRoles": ["reader"]}, "vault": {"policies": ["own", "team"]}}
NARROW: Body = {"vault": {"policies": ["own"]}}


def at_work() -> History:
    """An agent that has all that it asks for; then somebody acts."""
    history = History()
    history.write(AGENT, WIDE, ours=False)
    history.owns(AGENT, *reversed(OWNED))
    history.role(role("own", "team"))
    history.says_ready(AGENT)
    history.acts()
    return history


def narrowed(*, binding: bool = True, given: Body | None = None) -> History:
    """binding: whether it is taken away in time. given: the role of which Ready is said."""
    history = at_work()
    history.asks(AGENT, NARROW)
    if binding:
        history.goes(BINDING)
    history.role(given or role("own"))
    history.says_ready(AGENT)
    if not binding:
        history.goes(BINDING)
    history.role(role("own"))
    return history


# --- honest status


def test_ready_is_said_once_all_is_as_the_spec_of_now_wants_it() -> None:
    assert not list(honest(narrowed().run, narrowed().end))


def test_what_an_older_spec_wanted_does_not_make_ready() -> None:
    [line] = honest(narrowed(binding=False).run, narrowed().end)
    assert f"too much: {BINDING}" in line


def test_ready_with_the_role_of_an_older_spec_is_a_lie() -> None:
    wrong = narrowed(given=role("own", "team"))
    [line] = honest(wrong.run, narrowed().end)
    assert f"differs: role {ROLE}" in line


def without_vault() -> History:
    history = at_work()
    history.asks(AGENT, {"rbac": WIDE["rbac"]})
    return history


def test_a_role_that_nobody_can_log_in_by_is_as_good_as_gone() -> None:
    reference, shut = without_vault(), without_vault()
    reference.role(None)
    shut.role(SHUT)
    shut.says_ready(AGENT)
    assert not list(honest(shut.run, reference.end))


def test_ready_before_the_role_is_gone_is_a_lie() -> None:
    history = without_vault()
    history.says_ready(AGENT)
    history.role(None)
    [line] = honest(history.run, history.end)
    assert f"too much: role {ROLE}" in line


def test_a_role_that_others_took_away_is_not_there() -> None:
    history = without_vault()
    history.role_by_others(None)
    history.says_ready(AGENT)
    assert not list(honest(history.run, history.end))


def test_while_the_spec_stays_old_and_new_count() -> None:
    history = at_work()
    history.asks(AGENT, WIDE)
    history.says_ready(AGENT)
    history.goes(BINDING)
    assert not list(honest(history.run, history.end))


def granted(*, ready_first: bool = False, **given: Any) -> History:
    history = History()
    history.acts()
    history.write(GRANT, ours=False)
    if ready_first:
        history.says_ready(GRANT)
    history.write(GRANT_POLICY, given or lets_in(AGENT), owner=GRANT)
    history.says_ready(GRANT)
    history.write(GRANT_POLICY, lets_in(AGENT))
    return history


def test_a_grant_is_ready_once_its_policy_stands() -> None:
    assert not list(honest(granted().run, granted().end))


@pytest.mark.parametrize("wrong", [granted(ready_first=True), granted(**lets_in(CALLED))])
def test_a_grant_that_is_ready_before_its_policy_stands_is_a_lie(wrong: History) -> None:
    [line] = honest(wrong.run, granted().end)
    assert str(GRANT) in line


# --- what is left to the garbage collector


def deleted(*taken: Name, left: tuple[Name, ...] = ()) -> list[str]:
    """What *guards first* says where the operator takes this away, lets the agent go, and the
    collector takes what is left."""
    history = at_work()
    history.marks(AGENT)
    history.role(None)
    history.goes(*taken)
    history.goes(AGENT, ours=False)
    history.goes(*left, ours=False)
    return list(guarded_first(history.run, history.end))


@pytest.mark.parametrize("first", [POLICY, MTLS, ACCOUNT])
def test_who_leaves_rights_to_the_collector_is_to_blame_for_what_goes_first(first: Name) -> None:
    rest = tuple(name for name in OWNED if name != first)
    [line] = deleted(left=(first, *rest))
    assert line.endswith(f"after {first} went")


def test_who_takes_all_away_before_its_owner_goes_is_not() -> None:
    assert not deleted(*OWNED)


def test_guards_without_a_right_may_go_in_any_order() -> None:
    assert not deleted(BINDING, left=tuple(reversed(OWNED[1:])))


def test_what_goes_while_its_owner_is_there_is_not_collected() -> None:
    history = at_work()
    history.goes(BINDING, ours=False)
    history.marks(AGENT)
    history.goes(POLICY, ours=False)
    assert history.by_the_operator()[-3:] == [(False, False)] * 3


def test_what_a_namesake_had_is_collected() -> None:
    history = at_work()
    history.goes(AGENT, ours=False)
    history.write(AGENT, ours=False)
    history.goes(BINDING, ours=False)
    assert history.by_the_operator()[-1] == (True, True)


def test_what_has_no_owner_is_nobodys_to_collect() -> None:
    history = at_work()
    history.disowns(POLICY)
    history.goes(AGENT, ours=False)
    history.goes(POLICY, ours=False)
    assert history.by_the_operator()[-1] == (False, False)


def called(*, shut_out: bool) -> History:
    """An agent that may call another is deleted, and let go with its account."""
    history = at_work()
    history.write(CALLED, ours=False)
    history.write(CALLED_POLICY, lets_in(AGENT), owner=CALLED)
    history.acts()
    history.marks(AGENT)
    if shut_out:
        history.write(CALLED_POLICY, {})
    history.goes(AGENT, ours=False)
    history.goes(ACCOUNT, ours=False)
    return history


def test_an_account_left_to_the_collector_while_callees_name_it() -> None:
    history = called(shut_out=False)
    [line] = callees_first(history.run, history.end)
    assert str(CALLED_POLICY) in line


def test_an_account_left_to_the_collector_when_nobody_names_it_any_more() -> None:
    history = called(shut_out=True)
    assert not list(callees_first(history.run, history.end))


# --- a policy that is missing lets everybody in


def _rights(history: History) -> list[str]:
    return list(no_right_but_the_old_and_the_new(history.run, history.end))


def made_anew(name: Name, owner: Name, history: History, *, ours: bool) -> History:
    history.goes(name, ours=ours)
    history.owns(owner, name)
    return history


def with_a_grant() -> History:
    history = granted()
    history.acts()
    return history


GUARDED: tuple[tuple[Name, Name, Callable[[], History]], ...] = (
    (POLICY, AGENT, at_work),
    (MTLS, AGENT, at_work),
    (GRANT_POLICY, GRANT, with_a_grant),
)


@pytest.mark.parametrize(("name", "owner", "place"), GUARDED)
def test_a_policy_that_the_operator_makes_anew_opens_for_a_moment(
    name: Name, owner: Name, place: Callable[[], History]
) -> None:
    [line] = _rights(made_anew(name, owner, place(), ours=True))
    assert line.startswith("everybody may call")


@pytest.mark.parametrize(("name", "owner", "place"), GUARDED)
def test_what_others_delete_is_not_the_operators_to_answer_for(
    name: Name, owner: Name, place: Callable[[], History]
) -> None:
    assert not _rights(made_anew(name, owner, place(), ours=False))


@pytest.mark.parametrize(("name", "owner", "place"), GUARDED)
def test_what_others_are_deleting_may_be_let_go_and_made_anew(
    name: Name, owner: Name, place: Callable[[], History]
) -> None:
    history = place()
    history.marks(name, ours=False)
    assert not _rights(made_anew(name, owner, history, ours=True))


@pytest.mark.parametrize(("name", "owner", "place"), GUARDED)
def test_who_is_deleted_needs_no_guard_also_where_a_namesake_has_one(
    name: Name, owner: Name, place: Callable[[], History]
) -> None:
    history = place()
    history.marks(owner)
    history.goes(name)
    history.goes(owner, ours=False)
    history.write(owner, ours=False)
    history.owns(owner, name)
    assert not _rights(history)


def test_mtls_that_is_not_strict_for_a_moment() -> None:
    history = at_work()
    history.write(MTLS, {"mtls": {"mode": "PERMISSIVE"}})
    history.write(MTLS)
    [line] = _rights(history)
    assert line.endswith(f"after {MTLS} changed")
    assert "in plaintext" in line


def test_a_guard_that_is_not_wanted_any_more_may_go() -> None:
    history = at_work()
    history.asks(AGENT, {"inbound": {"enforcement": "Shadow"}})
    history.goes(POLICY, MTLS)
    assert not _rights(history)


def test_another_policy_for_the_same_pods_keeps_them_shut() -> None:
    history = with_a_grant()
    further = GRANT_POLICY._replace(name="agentaccessgrant-orders.1")
    history.write(further, _SPECS[GRANT_POLICY], owner=GRANT)
    history.goes(GRANT_POLICY)
    history.owns(GRANT, GRANT_POLICY)
    history.goes(further)
    assert not _rights(history)


def test_what_the_collector_takes_of_a_namesake_is_no_opening_of_the_operators() -> None:
    history = with_a_grant()
    history.goes(GRANT, ours=False)
    history.write(GRANT, ours=False)
    history.goes(GRANT_POLICY, ours=False)
    history.owns(GRANT, GRANT_POLICY)
    assert not _rights(history)


# --- no way back


def _back(history: History) -> list[str]:
    return list(no_right_comes_back(history.run, history.end))


def withdrawn(*, again: bool | None) -> History:
    """again: whether the operator gives once more what is withdrawn; None: somebody else does."""
    history = narrowed()
    if again is not False:
        history.write(BINDING, owner=AGENT, ours=bool(again))
        history.goes(BINDING)
    return history


def test_what_is_withdrawn_does_not_come_back_for_a_moment() -> None:
    [line] = _back(withdrawn(again=True))
    assert "is bound to reader" in line


@pytest.mark.parametrize("again", [False, None])
def test_what_is_withdrawn_stays_away_or_comes_by_others(*, again: bool | None) -> None:
    assert not _back(withdrawn(again=again))


def test_a_role_does_not_give_again_what_it_gave() -> None:
    history = narrowed()
    history.role(role("own", "team"))
    history.role(role("own"))
    assert [line.split(";")[0] for line in _back(history)] == [
        f"vault role {ROLE} gives team came back"
    ]


def test_what_is_wanted_in_the_end_may_come_back() -> None:
    history = at_work()
    history.goes(BINDING, ours=False)
    history.owns(AGENT, BINDING)
    assert not _back(history)
