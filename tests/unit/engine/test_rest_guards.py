"""At rest nothing is written; what drifts is repaired and told; one's trouble is nobody else's."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
from test_memory_guards import DELETED, Json, told
from test_order_guards import OPEN
from test_wiring_guards import FULL, NAMES, Operator

from agent_identity.api.conditions import Reason
from agent_identity.core.checks import Standing, Verdict
from agent_identity.core.errors import Failed, Problem, Waiting
from agent_identity.core.facts import Facts
from agent_identity.core.identity import AgentClass
from agent_identity.core.resource import Key, Kind, Resource
from agent_identity.providers.rbac.desired import RbacRoom
from agent_identity.reconcile.decide import Decision, decide, plan
from agent_identity.reconcile.engine import Engine
from samples import facts_of, identity_of

DOWN = Failed(Reason.UNREACHABLE, "no answer")
ABSENT = [{"kind": "AgentIdentity", "name": "x"}]
MISSING = {**OPEN, "rules": [{**OPEN["rules"][0], "from": ABSENT}]}


@told
async def test_at_rest_nothing_is_written() -> None:
    op = Operator()
    await op.ready()
    for _ in range(2):
        await op.turn()
        await op.serve()
    assert op.api.changes() == []
    assert op.events.told == []


@told
async def test_our_own_writes_make_nothing_due() -> None:
    op = Operator()
    await op.serve()
    op.identity()
    await op.drain()
    facts = op.world.facts(Key("agents", "agent"))
    assert facts is not None
    await op.own.write_status(
        facts.identity, {"conditions": [{"type": "Ready", "status": "True", "reason": "x"}]}
    )
    assert op.touched("PATCH")
    assert await op.drain() == set()


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("verb", ["create", "replace"])
@told
async def test_our_own_writes_make_nothing_due_where_the_watch_tells_first(
    monkeypatch: pytest.MonkeyPatch, kind: str, verb: str
) -> None:
    op = Operator()
    await op.ready()
    if verb == "create":
        op.lose(kind)
    else:
        op.tamper(kind, metadata={"finalizers": ["example.com/x"]})
    write = getattr(op.api, verb)

    async def write_and_tell(path: str, body: Json) -> Json:
        answer: Json = await write(path, body)
        op.informers.saw(Kind(kind), answer)
        return answer

    monkeypatch.setattr(op.api, verb, write_and_tell)
    await op.drain()
    await op.turn()
    assert op.touched({"create": "POST", "replace": "PUT"}[verb])
    assert await op.drain() == set()


@told
async def test_what_is_being_deleted_while_it_is_written_is_news(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the watch tells it, ahead of the answer: the version in between is never seen."""
    op = Operator()
    await op.ready()
    op.tamper("AuthorizationPolicy", metadata={"annotations": {"a": "b"}})
    write = op.api.replace

    async def write_and_delete(path: str, body: Json) -> Json:
        answer: Json = await write(path, body)
        going = {**answer["metadata"], "deletionTimestamp": DELETED, "resourceVersion": "999"}
        op.informers.saw(Kind.AUTHORIZATION_POLICY, {**answer, "metadata": going})
        return answer

    monkeypatch.setattr(op.api, "replace", write_and_delete)
    await op.drain()
    await op.turn()
    assert await op.drain() == {Key("agents", "agent")}


@pytest.mark.parametrize("kind", NAMES)
@told
async def test_what_goes_before_its_answer_has_come_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    op = Operator()
    await op.ready()
    op.lose(kind)
    create = op.api.create

    async def create_and_lose(path: str, body: Json) -> Json:
        answer: Json = await create(path, body)
        informer, metadata = op.informers.owned[Kind(kind)], answer["metadata"]
        informer.remember(answer)
        informer.forget(Key("agents", metadata["name"]), int(metadata["resourceVersion"]) + 1)
        del op.api.objects[NAMES[kind].format("agent")]
        next(op.api.versions)
        return answer

    with monkeypatch.context() as during:
        during.setattr(op.api, "create", create_and_lose)
        await op.turn()
    assert op.get(kind) is None
    assert Key("agents", "agent") in await op.drain()
    await op.turn()
    assert op.get(kind) is not None


@pytest.mark.parametrize("kind", NAMES)
@told
async def test_what_was_changed_is_put_back_and_told(kind: str) -> None:
    op = Operator()
    await op.ready()
    op.tamper(kind, metadata={"finalizers": ["example.com/x"]})
    await op.turn()
    assert "example.com/x" not in (op.get(kind) or {})["metadata"].get("finalizers", [])
    assert op.events.told == ["Repaired"]


@told
async def test_a_forged_status_is_put_back() -> None:
    op = Operator()
    await op.ready()
    await op.drain()
    body = op.api.objects[op.path_of("agent")]
    honest = body["status"]
    body["status"] = honest | {"spiffeID": "spiffe://cluster.local/ns/kube-system/sa/admin"}
    op.world.see_identity(op.api.put(op.path_of("agent"), body))
    assert Key("agents", "agent") in await op.drain()
    await op.turn()
    assert op.api.objects[op.path_of("agent")]["status"] == honest


@told
async def test_callers_that_are_missing_do_not_hold_ready_back() -> None:
    op = Operator()
    await op.ready(inbound=MISSING)
    assert op.condition("InboundReady")["reason"] == "CallersMissing"
    assert op.condition()["status"] == "True"


class Broken(RbacRoom):
    """A room that can't say what it wants."""

    room = "broken"
    kinds = ()

    def desired(self, facts: Facts, standing: Standing) -> tuple[Resource, ...]:
        raise Waiting(Reason.BUSY, "not yet")


def test_a_room_that_cannot_say_keeps_no_other_from_it() -> None:
    facts = facts_of(identity_of(rbac={"clusterRoles": ["ticket-reader"]}))
    decision = decide(facts, [Broken(), RbacRoom()])
    assert [r.ref.kind for r in decision.desired] == ["RoleBinding"]
    assert set(decision.problems) == {"broken"}


@told
async def test_what_the_verdict_forbids_goes_though_its_room_cannot_say_what_it_wants() -> None:
    op = Operator()
    await op.ready()
    facts = op.world.facts(Key("agents", "agent"))
    assert facts is not None
    bindings = {r: seen for r, seen in facts.observed.items() if r.kind == "RoleBinding"}
    waits = {"rbac": Waiting(Reason.BUSY, "not yet")}
    forbidden = Decision(Verdict(Standing.CLOSED), (), waits)
    assert [a.ref for a in plan(forbidden, bindings, [RbacRoom()]).takes] == list(bindings)
    assert not plan(Decision(Verdict(Standing.GRANTED), (), waits), bindings, [RbacRoom()])


@told
async def test_a_class_whose_vault_is_down_still_says_how_its_mesh_is() -> None:
    op = Operator()
    op.vault.broken[""] = DOWN
    await op.serve()
    status = op.api.objects["/apis/agentidentity.dev/v1alpha1/agentidentityclasses/default"][
        "status"
    ]
    found = {c["type"]: c["status"] for c in status["conditions"]}
    assert (found["VaultReady"], found["MeshReady"]) == ("False", "True")


class Clumsy:
    """A pipeline with a bug in one identity."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()

    async def reconcile(self, facts: Facts) -> Problem | None:
        if facts.identity.key.name == "agent":
            raise ZeroDivisionError
        self.reached.set()
        return None


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _nothing() -> None:
    return


def engine_of(
    op: Operator,
    pipeline: Any,
    *informers: Any,
    take_in: Callable[[], Awaitable[None]] = _nothing,
    resync_seconds: float = 600,
) -> Engine:
    """An engine whose own watches and loops do nothing, with one worker."""
    idle: Any = SimpleNamespace(run=_for_ever, all=informers, load=_nothing, take_in=take_in)
    idle.mesh_installed = bool
    return Engine(
        world=op.world,
        queue=op.queue,
        informers=idle,
        own_lists=idle,
        pipeline=pipeline,
        revoker=op.revoker,
        classes=op.classes,
        grants=op.grants,
        ledger=idle,
        events=idle,
        workers=1,
        resync_seconds=resync_seconds,
    )


class Idle:
    """A pipeline that finds everything in place."""

    async def reconcile(self, facts: Facts) -> None:
        return


@told
async def test_no_event_puts_off_the_look_of_a_period() -> None:
    """An event ends what is due later; so a period's look is made due when its time has come."""
    op = Operator()
    op.identity()
    delays: list[float] = []
    thrice = asyncio.Event()

    def due(key: Key, delay: float = 0.0) -> None:
        if key == Key("agents", "agent"):
            delays.append(delay)
        if len(delays) == 3:
            thrice.set()

    op.queue.add = due  # type: ignore[method-assign]
    run = asyncio.create_task(engine_of(op, Idle(), resync_seconds=0.01).run())
    await thrice.wait()
    run.cancel()
    assert delays[:3] == [0.0] * 3


@told
async def test_nothing_is_decided_before_everything_was_listed() -> None:
    op, clumsy = Operator(), Clumsy()
    watch = SimpleNamespace(run=_for_ever, synced=asyncio.Event())
    engine = engine_of(op, clumsy, watch)
    run = asyncio.create_task(engine.run())
    op.identity("other")
    for _ in range(50):
        await asyncio.sleep(0)
    assert not engine.ready.is_set()
    assert not clumsy.reached.is_set()
    watch.synced.set()
    await engine.ready.wait()
    run.cancel()


@told
async def test_a_class_whose_first_look_lasts_is_not_worked_on_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent_identity.reconcile.engine._FIRST_LOOK_SECONDS", 0)
    begun: list[str] = []

    async def reconcile(agent_class: AgentClass) -> None:
        begun.append(agent_class.name)
        await _for_ever()

    op = Operator()
    op.classes = cast("Any", SimpleNamespace(reconcile=reconcile))
    engine = engine_of(op, Clumsy())
    run = asyncio.create_task(engine.run())
    await engine.ready.wait()
    op.identity("other", **FULL)
    for _ in range(50):
        await asyncio.sleep(0)
    assert begun == ["default"]
    run.cancel()


@told
async def test_a_list_that_fails_is_made_again_before_the_next_resync(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_pause = SimpleNamespace(uniform=lambda *_: 0, Random=random.Random)
    monkeypatch.setattr("agent_identity.reconcile.engine.random", without_pause)
    lists: list[bool] = []
    failed = asyncio.Event()

    async def take_in() -> None:
        lists.append(len(lists) != 1)
        if not lists[-1]:
            failed.set()
            raise DOWN

    engine = engine_of(Operator(), Clumsy(), take_in=take_in, resync_seconds=0.5)
    run = asyncio.create_task(engine.run())
    await failed.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert lists == [True, False, True]
    run.cancel()


@told
async def test_after_the_lists_of_who_watches_ours_are_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent_identity.reconcile.engine._TOGETHER_SECONDS", 0)
    lists = asyncio.Semaphore(0)

    async def take_in() -> None:
        lists.release()

    engine = engine_of(Operator(), Clumsy(), take_in=take_in)
    run = asyncio.create_task(engine.run())
    await engine.ready.wait()
    await lists.acquire()
    for _ in range(2):
        assert lists.locked()
        engine.listed_elsewhere.set()
        await lists.acquire()
    run.cancel()


@told
async def test_after_many_pages_of_theirs_ours_are_listed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent_identity.reconcile.engine._TOGETHER_SECONDS", 0)
    lists = 0

    async def take_in() -> None:
        nonlocal lists
        lists += 1

    engine = engine_of(Operator(), Clumsy(), take_in=take_in)
    run = asyncio.create_task(engine.run())
    await engine.ready.wait()
    for _ in range(10):
        engine.listed_elsewhere.set()
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    run.cancel()
    assert lists == 2, "one at the start, and one after all of theirs"


@told
async def test_a_bug_in_one_identity_ends_no_worker() -> None:
    op, clumsy = Operator(), Clumsy()
    engine = engine_of(op, clumsy)
    run = asyncio.create_task(engine.run())
    await engine.ready.wait()
    for name in ("agent", "other"):
        op.identity(name, **FULL)
    reached = asyncio.create_task(clumsy.reached.wait())
    await asyncio.wait([run, reached], return_when=asyncio.FIRST_COMPLETED)
    assert clumsy.reached.is_set()
    run.cancel()


class Recovering:
    """A pipeline whose backend does not answer the first time."""

    def __init__(self) -> None:
        self.looks: list[float] = []

    async def reconcile(self, facts: Facts) -> Problem | None:
        self.looks.append(time.monotonic())
        return Failed(Reason.UNREACHABLE, "no answer") if len(self.looks) == 1 else None


@told
async def test_what_was_given_up_is_looked_at_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events in between, of which there may be any number, change nothing about it."""
    monkeypatch.setattr("agent_identity.reconcile.engine._DOUBT_SECONDS", 0.3)
    monkeypatch.setattr("agent_identity.reconcile.queue._FIRST_DELAY", 0.01)
    op, pipeline = Operator(), Recovering()
    engine = engine_of(op, pipeline)
    run = asyncio.create_task(engine.run())
    await engine.ready.wait()
    op.identity(**FULL)
    for looks in (2, 3, 4):
        async with asyncio.timeout(5):
            while len(pipeline.looks) < looks:  # noqa: ASYNC110  nothing tells of a look
                await asyncio.sleep(0.01)
        if looks == 2:
            op.queue.add(Key("agents", "agent"))
    assert pipeline.looks[3] - pipeline.looks[0] >= 0.3
    run.cancel()


@told
async def test_a_role_that_was_given_up_and_comes_late_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody asks for it any more, and its class has looked already: only it lists the roles."""
    monkeypatch.setattr("agent_identity.reconcile.engine._DOUBT_SECONDS", 0.3)
    monkeypatch.setattr("agent_identity.reconcile.engine._SUSPECT_SECONDS", 0.01)
    monkeypatch.setattr("agent_identity.reconcile.queue._FIRST_DELAY", 0.01)
    op, late = Operator(), Operator.role_of("agent")
    engine = engine_of(op, Recovering())
    run = asyncio.create_task(engine.run())
    await engine.ready.wait()
    async with asyncio.timeout(5):
        await _listed(op, 1)
        op.identity()
        await _listed(op, 2)
        op.vault.stored[late] = {"token_policies": ["team"]}
        while late in op.vault.stored:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)
    run.cancel()


async def _listed(op: Operator, times: int) -> None:
    """The roles, so often."""
    while op.vault.calls.count("LIST auth/kubernetes/role") < times:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


class Glance:
    """A pipeline that waits for nothing."""

    def __init__(self) -> None:
        self.looks = 0

    async def reconcile(self, facts: Facts) -> Failed:
        self.looks += 1
        return DOWN


@told
async def test_turns_that_wait_for_nothing_keep_nothing_else_waiting() -> None:
    """As those of thousands whose Vault is known to be down."""
    op, glance = Operator(), Glance()
    engine = engine_of(op, glance)
    run = asyncio.create_task(engine.run())
    await engine.ready.wait()
    for number in range(20):
        op.identity(f"agent-{number}", **FULL)
    seen = [0]
    while seen[-1] < 20:
        await asyncio.sleep(0)
        seen.append(glance.looks)
    assert max(after - before for before, after in pairwise(seen)) == 1, "it has one worker"
    run.cancel()


class Busy:
    """A pipeline that is never done."""

    def __init__(self) -> None:
        self.looks = 0

    async def reconcile(self, facts: Facts) -> Problem | None:
        self.looks += 1
        return Failed(Reason.BUSY, "not yet", retry_after=0.001)


@told
async def test_what_is_busy_for_long_is_looked_at_less_and_less_often() -> None:
    op, busy = Operator(), Busy()
    engine = engine_of(op, busy)
    run = asyncio.create_task(engine.run())
    await engine.ready.wait()
    op.identity(**FULL)
    await asyncio.sleep(0.4)
    assert 1 < busy.looks < 60
    run.cancel()
