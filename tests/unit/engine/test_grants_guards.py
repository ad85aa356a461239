"""What an agent may call: what a grant gives and the agent itself asks for. And what a grant guards
stays shut, whatever becomes of the grant."""

from collections.abc import Iterator
from typing import Any

import pytest
from test_memory_guards import Json, told
from test_wiring_guards import CLEANUP, NAMES, Operator

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import ApiError
from agent_identity.core.checks import Standing
from agent_identity.core.errors import Failed, Problem
from agent_identity.core.grants import GrantFacts, judge_grant
from agent_identity.core.identity import parse_grant
from agent_identity.core.resource import GRANT_LABEL, MANAGED_BY, MANAGER, Key, Kind, Subject
from agent_identity.providers.istio.grants import MOST_CALLERS
from samples import CLUSTER, metadata

DOWN = Failed(Reason.UNREACHABLE, "no answer")
ORDERS = Key("agents", "orders", Subject.GRANT)
POLICIES = NAMES["AuthorizationPolicy"].rpartition("/")[0]
POLICY = f"{POLICIES}/agentaccessgrant-orders"
FURTHER = f"{POLICY}.1"
EVERYBODY = [{}]
MARKS = {MANAGED_BY: MANAGER, GRANT_LABEL: "orders"}


def rule(*agents: str, name: str = "read") -> Json:
    callers = [{"kind": "AgentIdentity", "name": agent} for agent in agents]
    return {"name": name, "from": callers, "ports": [8080], "protocol": "TCP"}


def asks(*rules: str, grant: str = "orders") -> Json:
    return {"outbound": [{"namespace": "agents", "grant": grant, "rules": list(rules)}]}


def workloads(count: int) -> Iterator[Json]:
    """Rules for so many callers that are no agents."""
    names = [f"workload-{number}" for number in range(count)]
    for begin in range(0, count, 64):
        account = {"kind": "ServiceAccount", "namespace": "web"}
        named = [account | {"name": name} for name in names[begin : begin + 64]]
        yield rule(name=f"from-{begin}") | {"from": named}


async def made(*agents: str, **spec: Any) -> Operator:
    """An operator, and agents that ask for rule `read` of grant `orders` unless said otherwise."""
    op = Operator()
    await op.serve()
    for name in agents:
        op.identity(name, **(spec or asks("read")))
        await op.turn(name)
    return op


async def granted(*agents: str, **spec: Any) -> Operator:
    """The same with that grant in force, and at rest."""
    op = await made(*agents)
    op.grant(rule(*agents), **spec)
    problem = await op.turn_grant()
    assert problem is None, problem
    for name in agents:
        await op.turn(name)
    await op.drain()
    op.quiet()
    return op


def policies(op: Operator) -> set[str]:
    """Of grants."""
    return {path for path in op.api.objects if path.startswith(f"{POLICIES}/agentaccessgrant-")}


def let_in(op: Operator, policy: str = POLICY) -> set[str] | None:
    """Accounts that a policy lets in; None without a policy, which lets in everybody."""
    found = op.api.objects.get(policy)
    if found is None:
        return None
    assert found["spec"]["action"] == "ALLOW"
    assert found["spec"]["selector"] == {"matchLabels": {"app": "orders"}}
    sources = [s["source"] for r in found["spec"].get("rules", ()) for s in r["from"]]
    return {p.rpartition("/")[2] for source in sources for p in source["principals"]}


def write(op: Operator, policy: str = POLICY, *, seen: bool = True, **parts: Any) -> None:
    """Somebody writes a policy."""
    plain = {"name": policy.rpartition("/")[2], "namespace": "agents"}
    there = op.api.objects.get(policy, {"metadata": plain})
    meta = there["metadata"] | parts.pop("metadata", {})
    body = op.api.put(policy, there | parts | {"metadata": meta})
    if seen:
        op.informers.saw(Kind.AUTHORIZATION_POLICY, body)


def lose(op: Operator, policy: str = POLICY) -> None:
    """Somebody deletes a policy."""
    del op.api.objects[policy]
    op.informers.owned[Kind.AUTHORIZATION_POLICY].forget(Key("agents", policy.rpartition("/")[2]))


def lose_by_force(op: Operator) -> None:
    """Somebody takes the grant's finalizers off, and it is gone."""
    body = op.api.objects.pop(op.grant_path("orders"))
    op.world.grants.lose(ORDERS, body["metadata"]["uid"])


def outbound(op: Operator, name: str = "agent") -> tuple[str, str]:
    """What an agent's status says of what it asks for."""
    row = op.condition("OutboundReady", name)
    return row["reason"], row["message"]


def status(op: Operator) -> Json:
    found: Json = op.api.objects[op.grant_path("orders")]["status"]
    return found


def is_gone(op: Operator) -> bool:
    return op.grant_path("orders") not in op.api.objects


# --- who is let in


@told
async def test_a_rule_without_callers_is_dropped_and_the_policy_stays() -> None:
    op = await made("agent")
    op.grant(rule("nobody"), rule("agent", name="write"))
    assert await op.turn_grant() is None
    assert let_in(op) == set()
    assert "rules" not in op.api.objects[POLICY]["spec"]
    op.grant(rule("nobody", name="write"), rule("agent"))
    await op.turn_grant()
    assert len(op.api.objects[POLICY]["spec"]["rules"]) == 1
    assert let_in(op) == {"agent"}


@told
async def test_an_agent_that_went_unseen_is_not_let_in() -> None:
    op = await made("agent", "other")
    del op.api.objects[op.path_of("agent")]
    op.grant(rule("agent", "other"))
    await op.turn_grant()
    assert let_in(op) == {"other"}


@told
async def test_a_class_that_was_taken_away_unseen_lets_nobody_in() -> None:
    op = await made("agent")
    op.namespace(seen=False)
    op.grant(rule("agent"))
    await op.turn_grant()
    assert let_in(op) == set()


@told
async def test_an_agent_that_cannot_be_read_waits_and_the_others_do_not() -> None:
    op = await made("agent", "other")
    op.api.broken[f"GET {op.path_of('agent')}"] = DOWN
    op.grant(rule("agent", "other"))
    problem = await op.turn_grant()
    assert problem is DOWN
    assert let_in(op) == {"other"}
    assert op.condition_of_grant()["reason"] == "Unreachable"
    op.api.broken.clear()
    assert await op.turn_grant() is None
    assert let_in(op) == {"agent", "other"}


@told
async def test_who_comes_while_others_are_read_has_its_turn_next() -> None:
    op = await made("agent", "late")
    op.identity("late")
    op.grant(rule("agent", "late"))
    plain = op.api.get

    async def meanwhile(path: str) -> Json:
        if path == op.path_of("agent"):
            op.identity("late", **asks("read"))
        return await plain(path)

    op.api.get = meanwhile  # type: ignore[method-assign]
    problem = await op.turn_grant()
    assert isinstance(problem, Failed)
    assert problem.reason is Reason.BUSY
    assert let_in(op) == {"agent"}
    op.api.get = plain  # type: ignore[method-assign]
    assert await op.turn_grant() is None
    assert let_in(op) == {"agent", "late"}


@told
async def test_a_grant_that_was_narrowed_unseen_lets_nobody_new_in() -> None:
    op = await granted("agent")
    op.identity("new", **asks("read"))
    await op.turn("new")
    op.grant(rule("agent", "new"))
    op.grant(rule("agent"), seen=False)
    await op.turn_grant()
    assert let_in(op) == {"agent"}


@told
async def test_a_grant_that_is_going_unseen_lets_nobody_new_in() -> None:
    op = await granted("agent")
    op.identity("new", **asks("read"))
    await op.turn("new")
    op.grant(rule("agent", "new"))
    op.delete_grant(seen=False)
    await op.turn_grant()
    assert let_in(op) == {"agent"}


@told
async def test_who_asks_for_nothing_any_more_is_shut_out_without_a_look() -> None:
    op = await granted("agent", "other")
    op.identity("agent")
    op.api.broken[f"GET {op.path_of('other')}"] = DOWN
    assert await op.turn_grant() is None
    assert let_in(op) == {"other"}


@told
async def test_a_grant_shuts_an_agent_out_before_anything_else_of_it_goes() -> None:
    op = await granted("agent")
    before = op.there()
    op.delete()
    await op.turn()
    assert op.there() == before
    assert ORDERS in await op.drain()
    assert await op.turn_grant() is None
    assert let_in(op) == set()
    await op.drain()
    await op.turn()
    assert op.path_of("agent") not in op.api.objects


# --- who looks when


@told
async def test_a_grant_is_looked_at_when_an_agent_asks_for_something_else() -> None:
    op = await granted("agent")
    op.identity("agent", **asks("write"))
    assert ORDERS in await op.drain()
    op.identity("agent")
    assert ORDERS in await op.drain()


@told
async def test_an_agent_hears_of_a_grant_that_comes_before_its_account() -> None:
    op = await made()
    plain = op.api.create

    async def meanwhile(path: str, body: Json) -> Json:
        if body["kind"] == "ServiceAccount":
            op.grant(rule("agent"), enforcement="Shadow")
            await op.drain()
            await op.turn_grant()
        return await plain(path, body)

    op.identity("agent", **asks("read"))
    await op.drain()
    op.api.create = meanwhile  # type: ignore[method-assign,assignment]
    await op.turn("agent")
    while op.queue.depth:
        for key in await op.drain():
            await (op.turn_grant() if key == ORDERS else op.turn(key.name))
    said = outbound(op)
    await op.turn("agent")
    assert outbound(op) == said


@told
async def test_a_grant_is_not_looked_at_for_what_is_asked_of_another() -> None:
    op = await granted("agent")
    another = asks("read", grant="another")["outbound"]
    op.identity("agent", outbound=asks("read")["outbound"] + another)
    assert ORDERS not in await op.drain()


@told
async def test_an_agent_is_looked_at_when_what_it_asks_for_comes_into_force() -> None:
    op = await granted("agent")
    op.identity("new", **asks("read"))
    await op.turn("new")
    op.grant(rule("agent", "new"))
    await op.drain()
    await op.turn_grant()
    assert await op.drain() == {Key("agents", "new")}
    await op.turn("new")
    assert outbound(op, "new")[0] == "InPlace"


@told
async def test_an_agent_is_looked_at_when_the_grant_it_asks_for_goes() -> None:
    op = await granted("agent")
    op.delete_grant()
    assert Key("agents", "agent") in await op.drain()
    await op.turn_grant()
    assert Key("agents", "agent") in await op.drain()
    await op.turn()
    assert outbound(op)[0] == "NotGranted"


# --- what is told


@told
async def test_a_grant_that_does_not_name_the_agent_looks_like_none() -> None:
    op = await made("agent", "other")
    before = outbound(op)
    assert before == ("NotGranted", "not granted: agents/orders rule read")
    for enforcement in ("Shadow", "Enforce"):
        op.grant(rule("other"), rule("agent", name="write"), enforcement=enforcement)
        await op.turn_grant()
        await op.turn()
        assert outbound(op) == before
    op.delete_grant()
    await op.turn()
    assert outbound(op) == before


@told
async def test_a_conflict_is_tried_again_and_no_status_tells_of_it() -> None:
    op = await granted("agent")
    write(op, spec={"rules": EVERYBODY})
    write(op, seen=False)
    before = op.api.objects[op.grant_path("orders")]
    problem = await op.turn_grant()
    assert problem is not None
    assert problem.reason is Reason.BUSY
    assert op.api.objects[op.grant_path("orders")] == before
    assert await op.turn_grant() is None
    assert let_in(op) == {"agent"}


@told
async def test_without_the_meshs_kinds_it_waits_and_its_end_does_not() -> None:
    op = await granted("agent")
    mesh = op.informers.owned[Kind.AUTHORIZATION_POLICY]
    lose(op)
    mesh.installed = False
    op.grant(rule("agent"), rule("agent", name="write"))
    await op.turn_grant()
    assert not op.touched("POST", "PUT")
    reasons = {op.condition_of_grant(kind)["reason"] for kind in ("Ready", "PolicyReady")}
    assert reasons == {"MeshNotInstalled"}
    op.delete_grant()
    assert await op.turn_grant() is None
    assert is_gone(op)
    assert not op.touched("POST", "PUT")


@told
async def test_of_a_policy_that_cannot_be_there_no_status_tells() -> None:
    op = await granted("agent")
    lose(op)
    op.informers.owned[Kind.AUTHORIZATION_POLICY].installed = False
    await op.turn_grant()
    assert not status(op).get("callers")
    assert not status(op).get("policies")


@told
async def test_of_a_policy_that_could_not_be_written_no_status_tells() -> None:
    op = await granted("agent", "other")
    op.grant(rule("agent"))
    op.api.broken[f"PUT {POLICY}"] = DOWN
    assert await op.turn_grant() is DOWN
    assert let_in(op) == {"agent", "other"}
    op.api.broken.clear()
    op.grant(rule("agent", "other", "new"))
    op.identity("new", **asks("read"))
    await op.turn("new")
    op.api.broken[f"PUT {POLICY}"] = DOWN
    await op.turn_grant()
    assert {c["name"] for c in status(op)["callers"]} == {"agent", "other"}


# --- rest and drift


@told
async def test_at_rest_a_grant_writes_nothing() -> None:
    op = await granted("agent")
    for _ in range(2):
        await op.turn_grant()
        await op.turn()
    assert op.api.changes() == []
    assert op.events.told == []


@pytest.mark.parametrize("first", ["identity", "grant"])
@told
async def test_after_a_restart_a_grant_writes_nothing(first: str) -> None:
    op = await granted("agent")
    op.start_anew()
    await op.serve()
    op.quiet()
    for turn in (op.turn, op.turn_grant) if first == "identity" else (op.turn_grant, op.turn):
        await turn()
    assert outbound(op)[0] == "InPlace"
    assert op.api.changes() == []
    assert op.events.told == []


@told
async def test_after_a_restart_what_a_stalled_grant_keeps_shut_is_not_called_in_force() -> None:
    op = await granted("agent")
    op.pod(app="orders")
    await op.turn_grant()
    await op.turn()
    op.start_anew()
    op.pod(app="orders")
    op.quiet()
    for turn in (op.turn, op.turn_grant, op.turn):
        await turn()
    assert outbound(op)[0] == "GrantNotReady"
    assert op.api.changes() == []


@told
async def test_who_was_shut_out_while_nobody_watched_is_looked_at() -> None:
    op = await granted("agent")
    op.start_anew()
    op.pod("other", app="orders")
    await op.turn()
    await op.drain()
    await op.turn_grant()
    assert let_in(op) == set()
    assert Key("agents", "agent") in await op.drain()
    await op.turn()
    assert outbound(op)[0] == "GrantNotReady"


@told
async def test_who_asks_while_the_policy_cannot_be_written_is_not_called_let_in() -> None:
    op = await granted("agent")
    op.identity("new", **asks("read"))
    op.grant(rule("agent", "new"))
    op.start_anew()
    op.api.broken[f"PUT {POLICY}"] = DOWN
    for _ in range(2):
        await op.turn("new")
        await op.turn()
        assert await op.turn_grant() is DOWN
    assert outbound(op, "new")[0] == "GrantNotReady"
    assert outbound(op)[0] == "InPlace"
    op.api.broken.clear()
    await op.turn_grant()
    await op.turn("new")
    assert outbound(op, "new")[0] == "InPlace"


@told
async def test_after_a_restart_nothing_is_written_of_more_than_a_status_names() -> None:
    op = await made("agent")
    many = [f"rule-{number}" for number in range(20)]
    op.grant(*(rule("agent", name=name) for name in many))
    await op.turn_grant()
    op.identity("agent", **asks(*many, "refused"))
    await op.turn_grant()
    await op.turn()
    op.start_anew()
    op.quiet()
    await op.turn()
    assert op.api.changes() == []


@told
async def test_what_others_change_is_put_back_and_told() -> None:
    op = await granted("agent")
    write(op, spec={"rules": EVERYBODY})
    await op.turn_grant()
    assert let_in(op) == {"agent"}
    lose(op)
    await op.turn_grant()
    assert let_in(op) == {"agent"}
    assert op.events.told == ["Repaired", "Repaired"]


@told
async def test_a_caller_more_or_less_is_no_drift() -> None:
    op = await granted("agent")
    op.identity("new", **asks("read"))
    await op.turn("new")
    op.grant(rule("agent", "new"))
    await op.turn_grant()
    op.identity("new")
    await op.turn_grant()
    assert let_in(op) == {"agent"}
    assert op.events.told == []


@told
async def test_a_caller_that_came_while_nobody_watched_is_no_drift() -> None:
    op = await granted("agent", "late")
    op.identity("late")
    await op.turn_grant()
    op.identity("late", **asks("read"))
    op.start_anew()
    await op.turn_grant()
    assert let_in(op) == {"agent", "late"}
    assert op.events.told == []


@told
async def test_what_others_changed_while_nobody_watched_is_told() -> None:
    op = await granted("agent")
    write(op, spec={"rules": EVERYBODY})
    op.start_anew()
    await op.turn_grant()
    assert let_in(op) == {"agent"}
    assert op.events.told == ["Repaired"]


@told
async def test_to_open_again_what_was_stalled_repairs_nothing() -> None:
    op = await granted("agent")
    op.pod(app="orders")
    await op.turn_grant()
    op.pod(runs=False)
    await op.turn_grant()
    assert let_in(op) == {"agent"}
    assert "Repaired" not in op.events.told


# --- what is not ours


@pytest.mark.parametrize("labels", [{}, MARKS], ids=["unmarked", "our labels"])
@told
async def test_a_policy_of_others_stalls_a_grant_and_nothing_is_done_to_it(
    labels: dict[str, str],
) -> None:
    op = await made("agent")
    write(op, metadata={"labels": labels}, spec={"rules": EVERYBODY})
    op.grant(rule("agent"))
    for _ in range(2):
        problem = await op.turn_grant()
        assert problem is not None
        assert problem.reason is Reason.FOREIGN_OBJECT
    op.delete_grant()
    await op.turn_grant()
    assert op.api.objects[POLICY]["spec"] == {"rules": EVERYBODY}
    assert not op.touched(f"PUT {POLICIES}/agentaccess", f"DELETE {POLICIES}/agentaccess")


@told
async def test_a_further_policy_of_others_shuts_the_grants_own() -> None:
    op = await granted("agent")
    write(op, FURTHER, spec={"rules": EVERYBODY})
    problem = await op.turn_grant()
    assert problem is not None
    assert problem.reason is Reason.FOREIGN_OBJECT
    assert let_in(op) == set()
    assert op.api.objects[FURTHER]["spec"] == {"rules": EVERYBODY}


# --- what it guards


@told
async def test_a_grant_is_held_before_its_policy_is_made() -> None:
    op = await made("agent")
    op.grant(rule("agent"))
    await op.turn_grant()
    finalizer, policy = op.at(f"PATCH {op.grant_path('orders')}", f"POST {POLICY}")
    assert finalizer < policy
    assert op.api.objects[op.grant_path("orders")]["metadata"]["finalizers"] == [CLEANUP]


@told
async def test_a_grant_that_matches_an_agents_pods_lets_nobody_in() -> None:
    op = await granted("agent")
    op.pod(app="orders")
    problem = await op.turn_grant()
    assert problem is not None
    assert problem.reason is Reason.AGENT_SELECTED
    assert let_in(op) == set()


@told
async def test_back_to_shadow_opens_nothing() -> None:
    op = await granted("agent")
    op.grant(rule("agent"), enforcement="Shadow")
    problem = await op.turn_grant()
    assert problem is not None
    assert problem.reason is Reason.INVALID_SPEC
    assert let_in(op) == set()


def test_in_the_meshs_root_namespace_a_grant_is_entitled_to_nothing() -> None:
    spec = {"selector": {"matchLabels": {"app": "orders"}}, "enforcement": "Enforce", "rules": []}
    grant = parse_grant({"metadata": metadata("orders", "istio-system"), "spec": spec})
    verdict = judge_grant(GrantFacts(CLUSTER, grant, observed={}))
    assert verdict.standing is Standing.CLOSED
    assert verdict.problem is not None
    assert verdict.problem.reason is Reason.MESH_ROOT_NAMESPACE


# --- more callers than one policy holds


@told
async def test_a_further_policy_that_is_not_needed_any_more_goes() -> None:
    op = await made()
    op.grant(*workloads(MOST_CALLERS + 1))
    assert await op.turn_grant() is None
    assert policies(op) == {POLICY, FURTHER}
    op.quiet()
    op.grant(*workloads(MOST_CALLERS))
    assert await op.turn_grant() is None
    assert policies(op) == {POLICY}
    assert len(let_in(op) or ()) == MOST_CALLERS
    wider, further = op.at(f"PUT {POLICY}", f"DELETE {FURTHER}")
    assert wider < further


@told
async def test_who_moves_to_a_further_policy_is_there_before_it_leaves() -> None:
    op = await made()
    op.grant(*workloads(MOST_CALLERS))
    await op.turn_grant()
    op.grant(*workloads(MOST_CALLERS + 1))
    await op.turn_grant()
    further, narrower = op.at(f"POST {FURTHER}", f"PUT {POLICY}")
    assert further < narrower


@told
async def test_who_cannot_move_stays_and_who_leaves_goes() -> None:
    op = await made()
    op.grant(*workloads(MOST_CALLERS))
    await op.turn_grant()
    before = let_in(op) or set()
    op.api.broken[f"POST {POLICIES}"] = DOWN
    first, *rest = workloads(MOST_CALLERS + 2)
    op.grant(first | {"from": first["from"][1:]}, *rest)
    assert await op.turn_grant() is DOWN
    assert policies(op) == {POLICY}
    assert let_in(op) == before - {"workload-0"}
    op.quiet()
    assert await op.turn_grant() is DOWN
    assert not op.touched("PUT")
    op.api.broken.clear()
    assert await op.turn_grant() is None
    assert len(let_in(op) | let_in(op, FURTHER)) == MOST_CALLERS + 1


@told
async def test_who_may_less_and_cannot_move_keeps_the_rest() -> None:
    op = await made()
    wide, narrow = ({"methods": ["GET"], "paths": paths} for paths in (["/a", "/b"], ["/a"]))
    op.grant(*(r | {"protocol": "HTTP", "http": wide} for r in workloads(MOST_CALLERS)))
    await op.turn_grant()
    before = let_in(op)
    op.api.broken[f"POST {POLICIES}"] = DOWN
    op.grant(*(r | {"protocol": "HTTP", "http": narrow} for r in workloads(MOST_CALLERS + 1)))
    assert await op.turn_grant() is DOWN
    assert let_in(op) == before
    told = [r["to"][0]["operation"]["paths"] for r in op.api.objects[POLICY]["spec"]["rules"]]
    assert told
    assert all(paths == ["/a"] for paths in told)


@pytest.mark.parametrize("how", ["it goes", "it went by force", "it shrinks", "it stays"])
@told
async def test_no_policy_goes_while_what_stays_cannot_be_made(how: str) -> None:
    op = await made()
    op.grant(*workloads(MOST_CALLERS + 1))
    await op.turn_grant()
    if how != "it stays":
        lose(op)
    op.api.broken = {f"{verb} {POLICIES}": DOWN for verb in ("POST", "PUT")}
    if how == "it goes":
        op.delete_grant()
    elif how == "it went by force":
        lose_by_force(op)
    else:
        op.grant(*workloads(MOST_CALLERS))
    assert await op.turn_grant() is DOWN
    assert FURTHER in policies(op)
    op.api.broken.clear()
    await op.turn_grant()
    assert policies(op) == {POLICY}


# --- its end


@told
async def test_a_grant_that_goes_leaves_its_workload_shut() -> None:
    op = await made()
    op.grant(*workloads(MOST_CALLERS + 1))
    await op.turn_grant()
    op.quiet()
    op.delete_grant()
    assert await op.turn_grant() is None
    assert is_gone(op)
    assert policies(op) == {POLICY}
    assert let_in(op) == set()
    assert "ownerReferences" not in op.api.objects[POLICY]["metadata"]
    shut, further = op.at(f"PUT {POLICY}", f"DELETE {FURTHER}")
    assert shut < further
    op.quiet()
    assert await op.turn_grant() is None
    assert op.api.calls == []


@told
async def test_a_grant_that_says_so_opens_when_it_goes_with_all_its_policies() -> None:
    op = await made()
    op.grant(*workloads(MOST_CALLERS + 1), onDelete="Open")
    await op.turn_grant()
    op.delete_grant()
    assert await op.turn_grant() is None
    assert is_gone(op)
    assert policies(op) == set()


@told
async def test_what_a_grant_that_went_by_force_left_is_shut() -> None:
    op = await made()
    op.grant(*workloads(MOST_CALLERS + 1), onDelete="Open")
    await op.turn_grant()
    lose_by_force(op)
    assert await op.turn_grant() is None
    assert policies(op) == {POLICY}
    assert let_in(op) == set()


@told
async def test_a_grant_made_anew_keeps_its_policy() -> None:
    op = await granted("agent")
    lose_by_force(op)
    op.grant(rule("agent"), seen=False)
    await op.turn_grant()
    assert let_in(op) == {"agent"}
    await op.turn_grant()
    assert op.world.grants.facts(ORDERS) is not None


@told
async def test_a_grant_that_cannot_shut_what_it_guards_does_not_go() -> None:
    op = await granted("agent")
    op.api.broken[f"PUT {POLICY}"] = DOWN
    op.delete_grant()
    assert await op.turn_grant() is DOWN
    assert not is_gone(op)
    op.api.broken.clear()
    await op.turn_grant()
    assert is_gone(op)
    assert let_in(op) == set()


@told
async def test_others_finalizers_stay_on_a_grant() -> None:
    op = await granted("agent")
    body = op.api.objects[op.grant_path("orders")]
    body["metadata"]["finalizers"].append("example.com/x")
    op.delete_grant()
    assert await op.turn_grant() is None
    left = op.api.objects[op.grant_path("orders")]["metadata"]["finalizers"]
    assert left == ["example.com/x"]


@pytest.mark.parametrize("how", ["it goes", "by force"])
@told
async def test_though_its_first_policy_is_gone_a_grant_that_goes_opens_nothing(how: str) -> None:
    op = await made()
    op.grant(*workloads(MOST_CALLERS + 1))
    await op.turn_grant()
    lose(op)
    if how == "it goes":
        op.delete_grant()
    else:
        lose_by_force(op)
    await op.turn_grant()
    assert [let_in(op, policy) for policy in policies(op)] == [set()]


@told
async def test_in_a_namespace_that_is_going_its_end_waits_for_no_policy() -> None:
    op = await granted("agent")
    lose(op)
    going = ApiError(403, Reason.FORBIDDEN, "it is going", cause="NamespaceTerminating")
    op.api.broken["POST"] = going
    op.delete_grant()
    assert await op.turn_grant() is None
    assert is_gone(op)


@pytest.mark.parametrize("how", ["it goes", "by force"])
@told
async def test_a_policy_that_guards_nothing_named_any_more_holds_no_grant(how: str) -> None:
    op = await granted("agent")
    write(op, spec={"rules": EVERYBODY})
    if how == "it goes":
        op.grant(selector=None)
        op.delete_grant()
    else:
        lose_by_force(op)
    assert await op.turn_grant() is None
    assert is_gone(op)
    assert policies(op) == set()


# --- what an earlier one left shut


@told
async def test_the_next_grant_of_the_name_takes_over_what_was_left_shut() -> None:
    op = await granted("agent")
    op.delete_grant()
    await op.turn_grant()
    op.quiet()
    op.grant(rule("agent"))
    assert await op.turn_grant() is None
    assert let_in(op) == {"agent"}
    assert not op.touched("DELETE", "POST")


LATER: dict[str, Any] = {
    "shadow": {"enforcement": "Shadow"},
    "unreadable": {"selector": None},
    "elsewhere": {"selector": {"matchLabels": {"app": "other"}}},
}


@pytest.mark.parametrize("later", LATER)
@told
async def test_no_later_grant_of_the_name_opens_what_was_left_shut(later: str) -> None:
    op = await granted("agent")
    op.delete_grant()
    await op.turn_grant()
    op.grant(rule("agent"), **LATER[later])
    await op.turn_grant()
    assert let_in(op) == set()


@told
async def test_a_later_grant_that_is_stalled_opens_nothing_either() -> None:
    op = await granted("agent")
    op.delete_grant()
    await op.turn_grant()
    op.pod(app="orders")
    op.grant(rule("agent"))
    problem: Problem | None = await op.turn_grant()
    assert problem is not None
    assert let_in(op) == set()
