"""Deletion always ends and leaves no right; a policy that allows nothing stays while pods run."""

import asyncio
import json
import time
from collections.abc import Callable
from http import HTTPStatus

import pytest
from test_memory_guards import DELETED, Json, told
from test_order_guards import OPEN
from test_rest_guards import engine_of
from test_wiring_guards import CLEANUP, FULL, HOME, NAMES, Operator

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import ApiError
from agent_identity.core.errors import Failed
from agent_identity.core.resource import Key
from agent_identity.providers.contract import Debt
from agent_identity.reconcile.callees_first import PATIENCE_SECONDS
from agent_identity.reconcile.debts import Ledger

DOWN = Failed(Reason.UNREACHABLE, "no answer")
OVER = -1.0
"""A deadline that is over at once."""
LOOKS = 6
LEDGER = "/api/v1/namespaces/agent-identity-system/configmaps/agent-identity-debts"
CLOSED = {"PeerAuthentication", "AuthorizationPolicy"}


def debts(op: Operator) -> list[Json]:
    data = op.api.objects.get(LEDGER, {}).get("data", {})
    return [json.loads(text) for text in data.values()]


def gone(op: Operator, name: str = "agent") -> bool:
    return op.path_of(name) not in op.api.objects


@told
async def test_a_binding_that_something_holds_is_emptied() -> None:
    op = Operator()
    await op.ready()
    op.tamper("RoleBinding", metadata={"finalizers": ["example.com/x"]})
    op.delete()
    await op.turn()
    binding = op.api.body(f"PUT {NAMES['RoleBinding'].format('agent')}")
    assert binding["subjects"] == []
    assert "finalizers" not in binding["metadata"]
    assert gone(op)


@told
async def test_an_account_is_held_until_what_hangs_on_it_is_gone() -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    op.vault.broken["DELETE identity"] = DOWN
    op.delete()
    await op.turn()
    account = op.get("ServiceAccount")
    assert account is not None
    assert account["metadata"]["finalizers"] == [CLEANUP]
    assert account["metadata"]["deletionTimestamp"]
    op.vault.broken.clear()
    await op.turn()
    assert gone(op)
    assert op.vault.entities == {}


@told
async def test_nobody_new_can_be_the_account_before_its_entity_goes() -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    # The role went while nobody looked, so that only the account is left to take the entity along.
    del op.vault.stored[op.role_of("agent")]
    op.start_anew()
    await op.serve()
    op.quiet()
    op.delete()
    await op.turn()
    account = NAMES["ServiceAccount"].format("agent")
    order = op.at(f"DELETE {account}", "DELETE identity/entity", f"PUT {account}")
    assert order == sorted(order)
    assert op.vault.entities == {}


@told
async def test_an_account_deleted_by_hand_takes_its_tokens_with_it() -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    op.tamper("ServiceAccount", metadata={"deletionTimestamp": DELETED})
    await op.turn()
    assert op.vault.entities == {}
    assert op.get("ServiceAccount") is None


@told
async def test_nothing_is_in_place_before_an_account_that_went_is_there_again() -> None:
    op = Operator()
    await op.ready()
    op.tamper("ServiceAccount", metadata={"deletionTimestamp": DELETED})
    problem = await op.turn()
    assert problem is not None
    assert problem.reason == "Busy"
    assert await op.turn() is None
    assert op.get("ServiceAccount") is not None


@told
async def test_an_account_that_others_took_away_takes_its_tokens_with_it() -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    op.lose("ServiceAccount")
    await op.turn()
    assert op.vault.entities == {}


@told
async def test_rights_go_before_what_guards_them() -> None:
    op = Operator()
    await op.ready()
    op.delete()
    await op.turn()
    order = ("RoleBinding", "AuthorizationPolicy", "PeerAuthentication", "ServiceAccount")
    found = op.at(*(f"DELETE {NAMES[kind].format('agent')}" for kind in order))
    assert found == sorted(found)
    assert op.at(f"DELETE {op.role_of('agent')}")[0] < found[1]


# --- callees


@told
@pytest.mark.parametrize("end", ["deleted", "stalled"])
async def test_callees_close_before_anything_goes(end: str) -> None:
    """Somebody whose turn does not come keeps no right in place. The account waits longer: while
    it is let in somewhere, nobody new may be it."""
    op = Operator()
    await op.ready()
    before = op.there()
    caller = {"kind": "AgentIdentity", "name": "agent"}
    op.identity("callee", inbound={**OPEN, "rules": [{**OPEN["rules"][0], "from": [caller]}]})
    op.queue.add(Key("agents", "callee"))
    if end == "deleted":
        op.delete()
    else:
        op.identity(rbac={"clusterRoles": ["no-such"]})
    await op.turn()
    assert op.there() == before
    op.now += PATIENCE_SECONDS
    await op.turn()
    assert op.there() == {"ServiceAccount", *CLOSED}
    if end == "stalled":
        return
    await op.drain()
    await op.turn()
    assert gone(op)


@told
async def test_a_callee_that_lags_for_ever_holds_nobody() -> None:
    """Nor does one that had no time: the deletion may be older than this process."""
    op = Operator(deadline=OVER)
    await op.ready()
    caller = {"kind": "AgentIdentity", "name": "agent"}
    op.identity("callee", inbound={**OPEN, "rules": [{**OPEN["rules"][0], "from": [caller]}]})
    op.queue.add(Key("agents", "callee"))
    before = op.there()
    op.delete()
    await op.turn()
    assert op.there() == before
    op.now += PATIENCE_SECONDS
    await op.turn()
    assert gone(op)


@told
async def test_a_callee_that_failed_to_close_is_waited_for_as_long() -> None:
    op = Operator()
    await op.ready()
    caller = {"kind": "AgentIdentity", "name": "agent"}
    op.identity("callee", inbound={**OPEN, "rules": [{**OPEN["rules"][0], "from": [caller]}]})
    await op.drain()
    op.queue.back_off(Key("agents", "callee"))
    before = op.there()
    op.delete()
    await op.drain()
    await op.turn()
    assert op.there() == before
    op.now += PATIENCE_SECONDS
    await op.turn()
    assert gone(op)


@told
async def test_who_may_be_a_caller_again_waits_anew_the_next_time() -> None:
    op = Operator()
    await op.ready()
    caller = {"kind": "AgentIdentity", "name": "agent"}
    op.identity("callee", inbound={**OPEN, "rules": [{**OPEN["rules"][0], "from": [caller]}]})
    op.queue.add(Key("agents", "callee"))
    before = op.there()
    for _ in range(2):
        op.identity(rbac={"clusterRoles": ["no-such"]})
        await op.turn()
        assert op.there() == before
        op.identity(**FULL)
        await op.turn()
        op.now += PATIENCE_SECONDS


@told
async def test_a_callee_that_met_a_conflict_is_waited_for_until_it_has_closed() -> None:
    op = Operator()
    await op.ready()
    caller = {"kind": "AgentIdentity", "name": "agent"}
    op.identity("callee", inbound={**OPEN, "rules": [{**OPEN["rules"][0], "from": [caller]}]})
    await op.turn("callee")
    await op.drain()
    close = f"PUT {NAMES['AuthorizationPolicy'].format('callee')}"
    op.api.broken[close] = ApiError(HTTPStatus.CONFLICT, Reason.REJECTED, "changed meanwhile")
    before = op.there()
    engine = engine_of(op, op.pipeline)
    run = asyncio.create_task(engine.run())
    await engine.ready.wait()
    op.delete()
    # So often that the agent has had its turn again, while the callee waited for its own.
    await until(lambda: len(op.touched(close)) > LOOKS)
    assert op.there() == before
    op.api.broken.clear()
    await until(lambda: gone(op))
    assert "rules" not in (op.get("AuthorizationPolicy", "callee") or {})["spec"]
    run.cancel()


async def until(so: Callable[[], bool]) -> None:
    while not so():  # noqa: ASYNC110  servers in memory tell nobody
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("end", ["deleted", "stalled"])
@told
async def test_those_who_lose_their_rights_together_do_not_wait_for_each_other(end: str) -> None:
    """One that is deleted waits for them, since none of them waits for that one."""
    op = Operator()
    everybody = {"kind": "AllAgentIdentities", "namespace": "agents"}
    calls = {**OPEN, "rules": [{**OPEN["rules"][0], "from": [everybody]}]}
    for name in ("agent", "other"):
        await op.ready(name, inbound=calls, **FULL)
    op.namespace(agents="denied")
    await op.turn("other")
    assert "RoleBinding" in op.there("other")
    if end == "deleted":
        op.delete()
    await op.drain()
    op.queue.put_off(Key("agents", "other"), 60)
    await op.turn()
    assert ("RoleBinding" in op.there()) == (end == "deleted")


# --- what a deletion can't wait for


@pytest.mark.parametrize("broken", ["DELETE auth", "DELETE identity", ""])
@told
async def test_after_its_deadline_it_ends_and_owes(broken: str) -> None:
    op = Operator(deadline=OVER)
    await op.ready()
    op.log_in()
    op.vault.broken[broken] = DOWN
    op.delete()
    await op.turn()
    assert gone(op)
    assert op.there() <= {"VaultRole"}
    assert debts(op)
    assert {d["account"] for d in debts(op)} == {"agent"}
    assert "CleanupOwed" in op.events.told


@pytest.mark.parametrize("vault", ["known", "never seen"])
@told
async def test_that_something_is_owed_is_told_once_and_when_it_is_stored(vault: str) -> None:
    op = Operator(deadline=OVER)
    await op.ready()
    op.log_in()
    if vault == "never seen":
        op.restart()
    op.vault.broken[""] = DOWN
    await op.serve()
    op.quiet()
    op.delete()
    told_of = []
    for out_of_order in (f"PATCH {LEDGER}", f"PATCH {op.path_of('agent')}", "nothing"):
        op.api.broken = {out_of_order: DOWN}
        await op.turn()
        told_of.append(op.events.told.count("CleanupOwed"))
    assert gone(op)
    assert told_of == [0, 1, 1]


@told
async def test_after_its_deadline_a_vault_that_was_never_seen_is_owed() -> None:
    op = Operator(deadline=OVER)
    await op.ready()
    op.restart()
    op.vault.broken[""] = DOWN
    await op.serve()
    op.delete()
    await op.turn()
    assert gone(op)
    assert [(d["account"], d["home"]) for d in debts(op)] == [("agent", HOME)]


@told
async def test_a_vault_that_was_never_reached_is_owed_nothing() -> None:
    op = Operator()
    op.vault.broken[""] = DOWN
    await op.serve()
    op.identity(**FULL)
    await op.turn()
    assert "ServiceAccount" in op.there()
    op.delete()
    await op.turn()
    assert gone(op)
    assert debts(op) == []


@told
async def test_what_fails_ever_again_is_tried_at_its_deadline() -> None:
    op = Operator(deadline=0.1)
    await op.ready()
    op.vault.broken[""] = DOWN
    op.delete()
    await op.turn()
    await op.drain()
    assert await op.turn() is not None
    assert await op.queue.get() == Key("agents", "agent")
    op.now += 1
    assert await op.turn() is None
    assert gone(op)


@told
async def test_before_its_deadline_it_waits_and_says_so() -> None:
    op = Operator()
    await op.ready()
    op.vault.broken[""] = DOWN
    op.delete()
    await op.turn()
    assert not gone(op)
    assert op.condition()["reason"] == "Deleting"
    assert debts(op) == []


@told
async def test_what_is_owed_is_stored_before_the_identity_goes() -> None:
    op = Operator(deadline=OVER)
    await op.ready()
    op.vault.broken[""] = DOWN
    op.api.broken[f"PATCH {LEDGER}"] = DOWN
    op.delete()
    await op.turn()
    assert not gone(op)


@told
async def test_what_is_owed_is_paid_when_vault_answers() -> None:
    op = Operator(deadline=OVER)
    await op.ready()
    op.log_in()
    op.vault.broken[""] = DOWN
    op.delete()
    await op.turn()
    # What is owed for thousands has to go into one object.
    assert len(debts(op)) == 1
    op.vault.broken.clear()
    await op.serve()
    assert op.vault.entities == {}
    assert op.role_of("agent") not in op.vault.stored
    assert debts(op) == []


@told
async def test_what_is_owed_outlives_the_process() -> None:
    op = Operator()
    debt = Debt("uid", HOME, "agents", "agent")
    await op.ledger.record([debt])
    after = Ledger(op.api.kube, "agent-identity-system", recorded=lambda _: None)
    await after.load()
    assert after.owed_to(HOME) == [debt]


@told
async def test_paying_takes_no_role_from_one_that_has_the_account_by_now() -> None:
    op = Operator()
    await op.ready()
    await op.ledger.record([Debt("uid-of-an-earlier-one", HOME, "agents", "agent")])
    await op.serve()
    assert "VaultRole" in op.there()
    assert debts(op) == []


# --- its own finalizer


@told
async def test_it_stays_until_everything_is_seen_to_be_gone() -> None:
    op = Operator()
    await op.ready()
    op.tamper(
        "RoleBinding", metadata={"finalizers": ["example.com/x"], "deletionTimestamp": DELETED}
    )
    plain = op.api.replace

    async def held(path: str, body: Json) -> Json:
        """Somebody puts the finalizer back at once."""
        body["metadata"].setdefault("finalizers", ["example.com/x"])
        return await plain(path, body)

    op.api.replace = held  # type: ignore[method-assign,assignment]
    op.delete()
    await op.turn()
    assert op.get("RoleBinding") is not None
    assert not gone(op)


@told
async def test_others_finalizers_stay() -> None:
    op = Operator()
    # Before a Vault role goes, the identity is read afresh.
    await op.ready(rbac=FULL["rbac"])
    op.delete()
    body = op.api.objects[op.path_of("agent")]
    body["metadata"]["finalizers"].append("example.com/x")
    op.api.put(op.path_of("agent"), body)
    await op.turn()
    assert op.api.objects[op.path_of("agent")]["metadata"]["finalizers"][-1] == "example.com/x"


@told
async def test_what_an_orphaning_deletion_left_goes_too() -> None:
    op = Operator()
    await op.ready()
    for kind in NAMES:
        op.tamper(kind, metadata={"ownerReferences": []})
    op.delete()
    await op.turn()
    assert op.there() == set()
    assert gone(op)


@told
async def test_what_a_finalizer_taken_off_by_force_left_is_swept() -> None:
    op = Operator()
    await op.ready()
    del op.api.objects[op.path_of("agent")]
    op.world.lose_identity(Key("agents", "agent"), "uid-of-agent")
    await op.turn()
    assert op.there() <= {"VaultRole"}


@pytest.mark.parametrize("account", ["agent", "another"])
@told
async def test_what_it_left_goes_though_another_of_its_name_has_come(account: str) -> None:
    op = Operator()
    await op.ready()
    del op.api.objects[op.path_of("agent")]
    op.world.lose_identity(Key("agents", "agent"), "uid-of-agent")
    # As the garbage collector does, which our finalizer holds up.
    op.tamper("ServiceAccount", metadata={"deletionTimestamp": "2026-01-02T00:00:00Z"})
    for kind in CLOSED:
        op.lose(kind)
    held = [op.api.objects[NAMES[k].format("agent")] for k in ("ServiceAccount", "RoleBinding")]
    earlier = {body["metadata"]["uid"] for body in held}
    op.identity(serviceAccount={"name": account})
    await op.turn()
    assert not earlier & {body["metadata"].get("uid") for body in op.api.objects.values()}
    await op.turn()
    assert op.condition()["status"] == "True"


@told
async def test_the_account_that_it_left_stays_until_every_vault_was_looked_at() -> None:
    op = Operator()
    await op.ready()
    entity = op.log_in()
    op.tamper("ServiceAccount", metadata={"deletionTimestamp": "2026-01-02T00:00:00Z"})
    del op.api.objects[op.path_of("agent")]
    op.identity()
    op.start_anew()
    op.vault.broken["LIST"] = DOWN
    await op.serve()
    assert await op.turn() is not None
    assert op.get("ServiceAccount")
    assert entity["id"] in op.vault.entities
    op.vault.broken.clear()
    await op.serve()
    await op.turn()
    assert entity["id"] not in op.vault.entities


@pytest.mark.parametrize("right", ["RoleBinding", "VaultRole"])
@told
async def test_what_guards_a_right_stays_until_the_right_is_gone(right: str) -> None:
    op = Operator()
    await op.ready()
    role = f"DELETE {op.role_of('agent')}"
    op.vault.broken = {role: DOWN} if right == "VaultRole" else {}
    binding = f"DELETE {NAMES['RoleBinding'].format('agent')}"
    op.api.broken = {binding: DOWN} if right == "RoleBinding" else {}
    op.delete()
    await op.turn()
    account = op.get("ServiceAccount")
    assert op.there() >= CLOSED
    assert account is not None
    assert account["metadata"]["finalizers"] == [CLEANUP]
    assert account["metadata"]["deletionTimestamp"], "it can log in nowhere any more"
    for server in (op.api, op.vault):
        server.broken.clear()
    await op.turn()
    assert op.there() == set()


@pytest.mark.parametrize("clock", ["ahead", "behind"])
@told
async def test_a_deadline_counts_from_the_first_try(clock: str) -> None:
    op = Operator()
    await op.ready()
    op.vault.broken["DELETE"] = DOWN
    op.delete(at=time.time() + (-1000 if clock == "ahead" else 1000))
    await op.turn()
    assert not gone(op)
    op.now += op.deadline + 1
    await op.turn()
    assert gone(op)
    assert debts(op)


async def left_shut() -> Operator:
    """An identity went, and its pods run on."""
    op = Operator()
    await op.ready()
    op.pod()
    op.delete()
    assert await op.turn() is None
    assert op.there() == CLOSED
    return op


@pytest.mark.parametrize("why", ["class", "ceiling", "namespace"])
@told
async def test_what_was_left_shut_stays_though_an_identity_comes_that_is_granted_nothing(
    why: str,
) -> None:
    op = await left_shut()
    if why == "namespace":
        op.namespace(agents="forbidden")
    asked: dict[str, Json] = {
        "class": {"className": "not-there-yet"},
        "ceiling": {"rbac": {"clusterRoles": ["no-such"]}},
        "namespace": {},
    }
    op.identity(**asked[why])
    assert await op.turn() is not None
    assert op.there() == CLOSED
    policy = op.get("AuthorizationPolicy")
    assert policy is not None
    assert not policy["metadata"].get("ownerReferences")
    op.pod(runs=False)
    await op.turn()
    assert op.there() == set()


@told
async def test_a_pod_that_no_watch_has_told_of_is_left_guarded() -> None:
    op = Operator()
    await op.ready()
    op.pod(seen=False)
    op.delete()
    await op.turn()
    assert gone(op)
    assert op.there() == CLOSED
    op.pod()
    op.pod(runs=False)
    await op.turn()
    assert op.there() == set()


@pytest.mark.parametrize("late", [False, True])
@told
async def test_while_its_pods_cannot_be_seen_rights_go_and_policies_stay(late: bool) -> None:  # noqa: FBT001
    op = Operator()
    await op.ready()
    op.api.broken["LIST"] = DOWN
    op.delete()
    assert await op.turn() is DOWN
    assert op.there() == CLOSED
    assert not gone(op)
    if late:
        op.now += op.deadline + 1
        await op.turn()
        assert gone(op)
        assert op.there() == CLOSED
    op.api.broken.clear()
    await op.turn()
    assert op.there() == set()


@told
async def test_what_it_left_is_swept_though_its_pods_cannot_be_seen() -> None:
    op = Operator()
    await op.ready()
    op.api.broken["LIST"] = DOWN
    del op.api.objects[op.path_of("agent")]
    op.world.lose_identity(Key("agents", "agent"), "uid-of-agent")
    assert await op.turn() is DOWN
    assert op.there() <= {*CLOSED, "VaultRole"}


@told
async def test_what_was_left_shut_stays_for_a_pod_that_no_watch_has_told_of() -> None:
    op = Operator()
    await op.ready()
    op.pod()
    op.delete()
    await op.turn()
    op.world.pod_changed(op.world.pods.of(Key("agents", "agent"))[0], None)
    op.identity(className="missing")
    await op.turn()
    assert op.there() == CLOSED
    op.pod(runs=False)
    await op.turn()
    assert op.there() == set()


@told
async def test_what_was_left_shut_is_looked_at_again_where_its_pods_cannot_be_seen() -> None:
    op = Operator()
    await op.ready()
    op.pod()
    op.delete()
    await op.turn()
    op.pod(runs=False)
    op.api.broken["LIST"] = DOWN
    op.identity(className="missing")
    assert await op.turn() is DOWN
    assert op.there() == CLOSED
    assert op.condition()["reason"] == "ClassNotFound"
    op.api.broken.clear()
    await op.turn()
    assert op.there() == set()


@told
async def test_in_a_namespace_that_is_going_pods_hold_no_identity() -> None:
    op = Operator()
    await op.ready()
    op.pod()
    for kind in ("AuthorizationPolicy", "PeerAuthentication", "RoleBinding"):
        op.lose(kind)
    op.delete()
    going = "unable to create new content in namespace agents because it is being terminated"
    refused = ApiError(403, Reason.FORBIDDEN, going, cause="NamespaceTerminating")
    op.api.broken["POST /apis/security.istio.io"] = refused
    assert await op.turn() is None
    assert gone(op)


@told
async def test_two_that_make_one_account_at_the_same_time_are_no_bug() -> None:
    op = Operator()
    await op.serve()
    shared = {"serviceAccount": {"name": "shared"}}
    plain, first, second = op.api.create, asyncio.Event(), asyncio.Event()

    async def slow(path: str, body: Json) -> Json:
        if body["kind"] == "ServiceAccount":
            if not first.is_set():
                first.set()
                await second.wait()
            second.set()
        return await plain(path, body)

    op.api.create = slow  # type: ignore[method-assign,assignment]
    op.identity("a", **shared)
    op.identity("b", **shared)
    making = asyncio.create_task(op.turn("a"))
    await first.wait()
    op.delete("a")
    for task in (op.turn("b"), making):
        problem = await task
        assert problem is None or isinstance(problem, Failed)
