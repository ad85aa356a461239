"""Everybody calls without a pause while who may call changes: nobody gets in who may not.

While a change is on its way, what the old state or the new one allows is right. Before it was sent
and once a caller has seen it, only the one is (`traffic.py`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from fleet import account, agent, http_rule, inbound, namespace, service_account
from oracle import Request
from scene import PLAINTEXT, Actor, Scene, request_of
from shops import asks
from traffic import AFTER, BEFORE, DURING, ENOUGH, Lane, Made, Traffic, Turn

from testbed.tenant import MESH, Manifest, class_manifest, grant_manifest, identity_manifest
from testbed.waiting import wait_until
from testbed.workload import HTTP_PORT, Workload

STALLS, CREW, CLASS = "stalls", "crew", "crew"
GRANT, IDENTITY = "AgentAccessGrant", "AgentIdentity"
MANY = 48
SELECTOR = {"matchLabels": {"app": "fruit"}}
READ = request_of("GET", "/read", HTTP_PORT)
WRITE = request_of("POST", "/write", HTTP_PORT)
ALICE, BOB, PORTER = agent("alice", CREW), agent("bob", CREW), account(STALLS, "porter")


def read(*callers: Manifest) -> Manifest:
    return http_rule("read", [*callers], [HTTP_PORT], ["GET"], ["/read"])


def write(*callers: Manifest) -> Manifest:
    return http_rule("write", [*callers], [HTTP_PORT], ["POST"], ["/write"])


def fruit(*rules: Manifest, on_delete: str = "Close", enforcement: str = "Enforce") -> Manifest:
    """A grant for the pod of this name."""
    return grant_manifest(STALLS, "fruit", *rules, onDelete=on_delete, enforcement=enforcement)


OUTBOUND = [
    asks("fruit", "read", "write", namespace=STALLS),
    asks("more", "read", namespace=STALLS),
]
OBJECTS = [
    namespace(STALLS),
    namespace(CREW, agents="allowed"),
    class_manifest(CLASS, None),
    *(identity_manifest(CREW, n, className=CLASS, outbound=OUTBOUND) for n in ("alice", "bob")),
    identity_manifest(CREW, "cook", className=CLASS, inbound=inbound(read(ALICE, PORTER))),
]


@dataclass
class Market:
    """Objects are changed through `scene`; fruit is called under grants, cook is an agent."""

    scene: Scene
    fruit: Workload
    cook: Workload
    actors: dict[str, Actor]

    def lane(self, who: str, server: Workload, request: Request = READ) -> Lane:
        return Lane(self.actors[who], server, request)

    def lanes(self) -> list[Lane]:
        everybody = [self.lane(who, self.fruit) for who in self.actors]
        at_cook = [self.lane(who, self.cook) for who in ("alice", "porter", "nobody")]
        return [*everybody, self.lane("alice", self.fruit, WRITE), *at_cook]

    def given(self, *grants: Manifest) -> None:
        """In force on return, whatever they are to whom."""
        self.scene.apply(*grants)
        self.scene.wait_ready(*grants)
        self.wait_in_force()

    def wait_in_force(self) -> None:
        for lane in self.lanes():
            what = f"{lane} is as the oracle says"
            wait_until(partial(self._is_in_force, lane), timeout=20, what=what)

    def change(self, write: Callable[[], object]) -> None:
        """While everybody calls."""
        with Traffic(self.lanes(), self._is_let_in) as traffic:
            judgement = traffic.change(write)
        print(judgement)
        assert not judgement.violations
        assert not judgement.outages
        assert not judgement.unsettled
        for counts in judgement.counts.values():
            assert counts[BEFORE] >= ENOUGH
            assert counts[DURING] >= 1
            assert counts[AFTER] >= ENOUGH

    def find(self, kind: str, name: str) -> Manifest:
        """An object as it was last applied."""
        [found] = self._named(kind, name)
        return found

    def replace(self, kind: str, name: str, **fields: object) -> None:
        """Other top-level fields of a spec; None takes one away."""
        manifest = self.find(kind, name)
        spec = {k: v for k, v in (manifest["spec"] | fields).items() if v is not None}
        self.scene.replace_spec(manifest, spec)

    def count_letting_in(self, agent: str) -> int:
        """Policies of the stalls whose rules name it."""
        policies = self.scene.client.resources.get(api_version=MESH, kind="AuthorizationPolicy")
        found = policies.get(namespace=STALLS).items
        return sum(f"/ns/{CREW}/sa/{agent}" in str(p.spec.to_dict()) for p in found)

    def restore(self) -> None:
        """No grant is left, nor what one left shut, and all else is as in the beginning."""
        self.scene.operator.start()
        for grant in [m for m in self.scene.applied if m["kind"] == GRANT]:
            self.scene.delete(grant)
        for grant in [m for m in self.scene.closed if m["kind"] == GRANT]:
            self.scene.open(grant)
        for manifest in OBJECTS:
            self._restore(manifest)
        self.wait_in_force()

    def _restore(self, manifest: Manifest) -> None:
        for known in self._named(manifest["kind"], manifest["metadata"]["name"]):
            if "spec" in manifest:
                self.scene.replace_spec(known, manifest["spec"])
            else:
                self.scene.relabel(known, **manifest["metadata"]["labels"])
            return
        self.scene.apply(manifest)

    def _named(self, kind: str, name: str) -> list[Manifest]:
        of_kind = [m for m in self.scene.applied if m["kind"] == kind]
        return [m for m in of_kind if m["metadata"]["name"] == name]

    def _is_let_in(self, lane: Lane) -> bool:
        return self.scene.expected(lane.actor, lane.server, lane.request)

    def _is_in_force(self, lane: Lane) -> bool:
        return lane.is_let_in() is self._is_let_in(lane)


@pytest.fixture(scope="module")
def whole_market(scene: Scene) -> Market:
    scene.apply(*OBJECTS, *(service_account(STALLS, name) for name in ("fruit", "porter")))
    scene.wait_ready(*OBJECTS[2:])
    served = scene.serve(STALLS, "fruit", account="fruit", labels={"app": "fruit"})
    cook = scene.serve(CREW, "cook", account="cook", agent="cook")
    scene.wait_guarded(cook, "cook")
    actors = {name: scene.actor(CREW, name) for name in ("alice", "bob")}
    actors |= {"porter": scene.actor(STALLS, "porter"), "nobody": PLAINTEXT}
    return Market(scene, served, cook, actors)


@pytest.fixture
def market(whole_market: Market) -> Iterator[Market]:
    """Nothing guards fruit, before and after."""
    yield whole_market
    whole_market.restore()


# --- grants


def test_a_grant_comes_where_nothing_guarded(market: Market) -> None:
    """Those whom it names are never kept out."""
    market.change(lambda: market.scene.apply(fruit(read(ALICE), write(ALICE))))


def test_a_grant_is_enforced_that_was_in_shadow(market: Market) -> None:
    market.given(fruit(read(ALICE, PORTER), enforcement="Shadow"))
    market.change(lambda: market.replace(GRANT, "fruit", enforcement="Enforce"))


def test_a_grant_is_narrowed(market: Market) -> None:
    market.given(fruit(read(ALICE, BOB, PORTER), write(ALICE)))
    market.change(lambda: market.replace(GRANT, "fruit", rules=[read(ALICE)]))


def test_a_grant_is_widened(market: Market) -> None:
    market.given(fruit(read(ALICE)))
    wider = [read(ALICE, BOB, PORTER), write(ALICE)]
    market.change(lambda: market.replace(GRANT, "fruit", rules=wider))


def test_callers_come_and_go_in_one_write(market: Market) -> None:
    market.given(fruit(read(ALICE, PORTER)))
    others = [read(BOB), write(ALICE)]
    market.change(lambda: market.replace(GRANT, "fruit", rules=others))


def test_a_caller_moves_from_one_grant_to_another(market: Market) -> None:
    """Two guard one pod: while either lets it in it is never kept out."""
    more = grant_manifest(STALLS, "more", read(BOB), selector=SELECTOR)
    market.given(fruit(read(ALICE), write(ALICE)), more)
    market.change(lambda: market.replace(GRANT, "more", rules=[read(ALICE, BOB, PORTER)]))
    market.change(lambda: market.replace(GRANT, "fruit", rules=[]))


def test_a_grant_that_closes_is_deleted_and_another_takes_over(market: Market) -> None:
    market.given(fruit(read(ALICE, PORTER)))
    market.change(lambda: market.scene.delete(market.find(GRANT, "fruit")))
    market.change(lambda: market.scene.apply(fruit(read(BOB))))


def test_what_a_grant_left_shut_is_not_opened_by_one_in_shadow(market: Market) -> None:
    market.given(fruit(read(ALICE, PORTER)))
    market.change(lambda: market.scene.delete(market.find(GRANT, "fruit")))
    market.scene.team(STALLS).wait_gone(GRANT, "fruit")

    def come_back() -> None:
        shadow = fruit(read(ALICE), enforcement="Shadow")
        market.scene.apply(shadow)
        market.scene.wait_ready(shadow)

    market.change(come_back)
    market.change(lambda: market.replace(GRANT, "fruit", enforcement="Enforce"))


def test_a_grant_that_opens_is_deleted(market: Market) -> None:
    market.given(fruit(read(ALICE, PORTER), on_delete="Open"))
    market.change(lambda: market.scene.delete(market.find(GRANT, "fruit")))


# --- agents


def test_an_agent_asks_no_more_and_asks_again(market: Market) -> None:
    market.given(fruit(read(ALICE, BOB), write(ALICE)))
    market.change(lambda: market.replace(IDENTITY, "alice", outbound=None))
    market.change(lambda: market.replace(IDENTITY, "alice", outbound=OUTBOUND))


@pytest.mark.parametrize("name", ["alice", "cook"])
def test_an_agent_is_deleted_while_its_pods_run_on_and_made_anew(market: Market, name: str) -> None:
    """One that calls, and one that is called."""
    market.given(fruit(read(ALICE, BOB), write(ALICE)))
    identity = market.find(IDENTITY, name)

    def delete() -> None:
        market.scene.delete(identity)
        market.scene.team(CREW).wait_gone(IDENTITY, name)

    market.change(delete)
    market.change(lambda: market.scene.apply(identity))


def test_a_class_is_for_other_namespaces_and_for_this_one_again(market: Market) -> None:
    market.given(fruit(read(ALICE, BOB, PORTER)))
    for value in ("elsewhere", "allowed"):
        selector = {"matchLabels": {"agents": value}}
        change = partial(market.replace, "AgentIdentityClass", CLASS, namespaceSelector=selector)
        market.change(change)


def test_a_namespace_loses_its_label_and_gets_it_again(market: Market) -> None:
    market.given(fruit(read(ALICE, BOB, PORTER)))
    for value in (None, "allowed"):
        place = market.find("Namespace", CREW)
        market.change(partial(market.scene.relabel, place, agents=value))


def test_an_expelled_agent_is_no_workload_either(market: Market) -> None:
    """Its account is gone, and its pods run on with a certificate."""
    market.given(fruit(read(account(CREW, "alice"), PORTER)))
    for value in (None, "allowed"):
        place = market.find("Namespace", CREW)
        market.change(partial(market.scene.relabel, place, agents=value))


# --- an operator that dies


def test_a_grant_is_deleted_while_no_operator_runs(market: Market) -> None:
    market.given(fruit(read(ALICE, PORTER)))

    def die() -> None:
        market.scene.operator.kill()
        market.scene.delete(market.find(GRANT, "fruit"))
        market.scene.operator.start()
        market.scene.operator.wait_ready()

    market.change(die)


def test_an_operator_dies_in_the_middle_of_shutting_an_agent_out(market: Market) -> None:
    """Of many that let it in some have shut it out then, and all have in the end."""
    many = [grant_manifest(STALLS, f"more-{n}", read(BOB), onDelete="Open") for n in range(MANY)]
    wishes = [asks(m["metadata"]["name"], "read", namespace=STALLS) for m in many]
    market.replace(IDENTITY, "bob", outbound=[*OUTBOUND, *wishes])
    market.scene.wait_ready(market.find(IDENTITY, "bob"))
    market.given(fruit(read(ALICE, BOB)), *many)

    assert market.count_letting_in("bob") == 1 + MANY

    def die() -> None:
        market.scene.delete(market.find(IDENTITY, "bob"))
        begun = "somebody has shut bob out"
        wait_until(
            lambda: market.count_letting_in("bob") <= MANY, timeout=20, what=begun, interval=0.001
        )
        market.scene.operator.kill()
        left = market.count_letting_in("bob")
        print(f"the operator died with {left} of {1 + MANY} left to do")
        assert left
        market.scene.operator.start()
        market.scene.operator.wait_ready()
        market.scene.team(CREW).wait_gone(IDENTITY, "bob")

    market.change(die)
    assert market.count_letting_in("bob") == 0


# --- the judge itself, by hand

NARROWED = Turn(old=True, new=False, sent=2, settled=4)
KEPT, WIDENED = NARROWED._replace(new=True), NARROWED._replace(old=False, new=True)
BY_HAND = [
    (NARROWED, Made(0, 1, let_in=True), True),
    (NARROWED, Made(0, 1, let_in=False), False),
    (NARROWED, Made(1, 3, let_in=False), True),
    (NARROWED, Made(3, 5, let_in=True), True),
    (NARROWED, Made(4, 5, let_in=True), False),
    (WIDENED, Made(1, 2, let_in=True), False),
    (WIDENED, Made(1, 3, let_in=True), True),
    (WIDENED, Made(5, 6, let_in=False), False),
    (KEPT, Made(1, 3, let_in=False), False),
    (KEPT, Made(3, 5, let_in=True), True),
]


@pytest.mark.parametrize(("turn", "call", "right"), BY_HAND)
def test_the_judge_knows_what_people_would_say(turn: Turn, call: Made, *, right: bool) -> None:
    assert turn.is_wrong(call) is not right
