"""Who is let in anew is looked at first; who is let in already, and who goes, waits for nobody."""

import asyncio

import pytest
from test_grants_guards import DOWN, POLICY, asks, granted, let_in, lose, rule, write
from test_memory_guards import Json, told
from test_wiring_guards import CLASS, FULL, NAMES, Operator

from agent_identity.core.errors import Failed
from agent_identity.core.identity import Identity
from agent_identity.core.resource import Key, Kind, Ref


def close_all(op: Operator) -> None:
    """An agent asks for nothing any more, and no watch has told."""
    op.identity("agent", seen=False)


@pytest.mark.parametrize("change", ["taken away", "changed"])
@told
async def test_a_grants_policy_that_others_changed_lets_in_nobody_unseen(change: str) -> None:
    op = await granted("agent", "other")
    await op.turn_grant()
    close_all(op)
    if change == "changed":
        write(op, spec={**op.api.objects[POLICY]["spec"], "rules": [{}]})
    else:
        lose(op)
    await op.turn_grant()
    assert let_in(op) == {"other"}


@told
async def test_who_is_in_a_grants_policy_is_not_read_when_another_one_comes() -> None:
    op = await granted("agent", "other")
    op.identity("third", **asks("read"))
    await op.turn("third")
    op.grant(rule("agent", "other", "third"))
    op.quiet()
    await op.turn_grant()
    assert let_in(op) == {"agent", "other", "third"}
    assert not op.touched(f"GET {op.path_of('agent')}", f"GET {op.path_of('other')}")
    assert op.touched(f"GET {op.path_of('third')}")


@told
async def test_who_goes_is_shut_out_though_the_grant_cannot_be_read() -> None:
    op = await granted("agent", "other")
    op.identity("agent")
    op.api.broken[f"GET {op.grant_path('orders')}"] = DOWN
    await op.turn_grant()
    assert let_in(op) == {"other"}


async def called(*names: str) -> Operator:
    """An identity that lets these in, at rest."""
    op = Operator()
    await op.serve()
    for name in names:
        op.identity(name)
        await op.turn(name)
    op.identity("callee", inbound={"enforcement": "Enforce", "rules": [rule(*names)]})
    assert await op.turn("callee") is None
    op.quiet()
    return op


def callers(op: Operator) -> set[str]:
    body = op.get("AuthorizationPolicy", "callee")
    assert body is not None
    sources = [s["source"] for r in body["spec"].get("rules", ()) for s in r["from"]]
    return {p.rpartition("/")[2] for source in sources for p in source["principals"]}


@told
async def test_an_identitys_policy_lets_in_nobody_unseen() -> None:
    op = await called("agent", "other")
    del op.api.objects[op.path_of("agent")]
    op.lose("AuthorizationPolicy", "callee")
    for _ in range(2):
        await op.turn("callee")
    assert callers(op) == {"other"}


@told
async def test_who_is_in_an_identitys_policy_is_not_read_when_another_one_comes() -> None:
    op = await called("agent")
    op.identity("other")
    await op.turn("other")
    rules = [rule("agent", "other")]
    op.identity("callee", inbound={"enforcement": "Enforce", "rules": rules})
    op.quiet()
    assert await op.turn("callee") is None
    assert callers(op) == {"agent", "other"}
    assert not op.touched(f"GET {op.path_of('agent')}")
    assert op.touched(f"GET {op.path_of('other')}")


@told
async def test_a_caller_that_cannot_be_read_is_not_let_in_and_the_rest_goes_on() -> None:
    op = await called("agent", "other")
    op.lose("AuthorizationPolicy", "callee")
    op.api.broken[f"GET {op.path_of('agent')}"] = DOWN
    rules = [rule("agent", "other")]
    inbound = {"enforcement": "Enforce", "rules": rules}
    op.identity("callee", inbound=inbound, **FULL)
    assert await op.turn("callee") is DOWN
    assert callers(op) == {"other"}
    assert "RoleBinding" in op.there("callee")
    assert op.condition("InboundReady", "callee")["reason"] == "Unreachable"
    op.api.broken.clear()
    assert await op.turn("callee") is None
    assert callers(op) == {"agent", "other"}


@told
async def test_what_others_do_to_a_policy_during_a_turn_is_not_taken_for_ours() -> None:
    op = await called("agent", "other")
    inbound = {"enforcement": "Enforce", "rules": [rule("agent", "other")]}
    op.identity("callee", inbound=inbound, **FULL)
    plain = op.api.create

    async def meanwhile(path: str, body: Json) -> Json:
        op.lose("AuthorizationPolicy", "callee")
        op.api.create = plain  # type: ignore[method-assign]
        return await plain(path, body)

    op.api.create = meanwhile  # type: ignore[method-assign,assignment]
    await op.turn("callee")
    assert op.get("AuthorizationPolicy", "callee") is None
    del op.api.objects[op.path_of("agent")]
    for _ in range(2):
        await op.turn("callee")
    assert callers(op) == {"other"}


@told
async def test_a_wider_rule_of_a_grant_is_for_nobody_unseen() -> None:
    op = await granted("agent", "other")
    close_all(op)
    op.grant(rule("agent", "other") | {"ports": [8080, 9090]})
    await op.turn_grant()
    assert let_in(op) == {"other"}


@told
async def test_a_wider_rule_of_an_identity_is_for_nobody_unseen() -> None:
    op = await called("agent", "other")
    del op.api.objects[op.path_of("agent")]
    rules = [rule("agent", "other") | {"ports": [8080, 9090]}]
    op.identity("callee", inbound={"enforcement": "Enforce", "rules": rules})
    for _ in range(2):
        await op.turn("callee")
    assert callers(op) == {"other"}


@told
async def test_who_cannot_be_read_keeps_what_the_grant_gives_already() -> None:
    op = await granted("agent")
    op.grant(rule("agent"), rule("agent", name="write") | {"ports": [9090]})
    op.identity("agent", **asks("read", "write"))
    op.api.broken[f"GET {op.path_of('agent')}"] = DOWN
    assert await op.turn_grant() is DOWN
    assert let_in(op) == {"agent"}
    assert len(op.api.objects[POLICY]["spec"]["rules"]) == 1


@told
async def test_after_a_restart_one_read_of_the_policy_tells_who_is_in_it() -> None:
    op = await granted("agent", "other")
    op.identity("third", **asks("read"))
    await op.turn("third")
    op.grant(rule("agent", "other", "third"))
    op.start_anew()
    op.quiet()
    await op.turn_grant()
    assert let_in(op) == {"agent", "other", "third"}
    assert len(op.touched(f"GET {POLICY}")) == 1
    assert not op.touched(f"GET {op.path_of('agent')}", f"GET {op.path_of('other')}")


ACCOUNT = NAMES["ServiceAccount"].format("agent")


@told
async def test_a_grant_shuts_nobody_out_whose_account_was_not_seen_yet() -> None:
    op = await granted("agent", "other")
    op.grant(rule("agent", "other") | {"ports": [9090]})
    op.start_anew(unseen=ACCOUNT)
    await op.turn_grant()
    assert let_in(op) == {"agent", "other"}


@told
async def test_an_identity_shuts_nobody_out_whose_account_was_not_seen_yet() -> None:
    op = await called("agent", "other")
    rules = [rule("agent", "other") | {"ports": [9090]}]
    op.identity("callee", inbound={"enforcement": "Enforce", "rules": rules})
    op.start_anew(unseen=ACCOUNT)
    op.quiet()
    for _ in range(2):
        await op.turn("callee")
        assert callers(op) == {"agent", "other"}
    assert op.touched("PUT")


@pytest.mark.parametrize("why", ["no answer", "too many"])
@told
async def test_who_cannot_be_looked_at_is_shut_out(why: str) -> None:
    op = await granted("agent", "other")
    if why == "too many":
        body = op.api.objects[POLICY]
        source = body["spec"]["rules"][0]["from"][0]["source"]
        source["principals"] += [f"cluster.local/ns/agents/sa/more-{n}" for n in range(40)]
        write(op, spec=body["spec"])
    else:
        op.api.broken[f"GET {ACCOUNT}"] = DOWN
    op.start_anew(unseen=ACCOUNT)
    await op.turn_grant()
    assert let_in(op) == {"other"}


@told
async def test_who_leaves_a_policy_that_was_written_here_is_not_looked_at() -> None:
    op = await granted("agent", "other")
    op.identity("third", **asks("read"))
    await op.turn("third")
    op.grant(rule("other", "third"))
    op.quiet()
    assert await op.turn_grant() is None
    assert let_in(op) == {"other", "third"}
    assert not op.touched(f"GET {ACCOUNT}")


@told
async def test_an_answer_from_before_an_account_was_made_takes_it_for_nobody() -> None:
    op = await called("other")
    op.identity("callee", inbound={"enforcement": "Enforce", "rules": [rule("agent")]})
    await op.turn("callee")
    op.identity("agent")
    plain, overtaken = op.api.get, asyncio.Event()

    async def slow(path: str) -> Json:
        try:
            return await plain(path)
        finally:
            await overtaken.wait()

    op.api.get = slow  # type: ignore[method-assign]
    look = asyncio.create_task(op.executor.look_again(Ref(Kind.SERVICE_ACCOUNT, "agents", "agent")))
    await asyncio.sleep(0)
    op.api.get = plain  # type: ignore[method-assign]
    await op.turn("agent")
    overtaken.set()
    await look
    await op.turn("callee")
    assert callers(op) == {"agent"}


@told
async def test_a_policy_that_is_shut_is_shut_without_a_look_at_those_in_it() -> None:
    op = await called("agent", "other")
    op.start_anew()
    await op.serve()
    op.namespace(agents="no")
    op.quiet()
    await op.turn("callee")
    assert callers(op) == set()
    assert not op.touched(f"GET {ACCOUNT}")


@told
async def test_who_goes_is_shut_out_though_others_come_and_go_meanwhile() -> None:
    op = await called("other")
    rules = [
        rule() | {"from": [{"kind": "AllAgentIdentities", "namespace": "agents"}]},
        rule(name="web") | {"from": [{"kind": "ServiceAccount", "namespace": "web", "name": "x"}]},
    ]
    op.identity("callee", inbound={"enforcement": "Enforce", "rules": rules}, **FULL)
    for _ in range(2):
        await op.turn("callee")
    assert "x" in callers(op)
    op.identity("callee", inbound={"enforcement": "Enforce", "rules": rules[:1]}, **FULL)
    plain = op.api.get

    async def meanwhile(path: str) -> Json:
        op.identity("other", rbac={"clusterRoles": ["no-such"]})
        return await plain(path)

    op.api.get = meanwhile  # type: ignore[method-assign]
    op.lose("RoleBinding", "callee")
    await op.turn("callee")
    assert "x" not in callers(op)


@told
async def test_who_goes_is_shut_out_though_others_keep_coming() -> None:
    op = await called("agent", "other")
    rules = [rule() | {"from": [{"kind": "AllAgentIdentities", "namespace": "agents"}]}]
    op.identity("callee", inbound={"enforcement": "Enforce", "rules": rules})
    await op.turn("callee")
    op.identity("first")
    await op.turn("first")
    plain = op.api.get

    async def meanwhile(path: str) -> Json:
        if path == op.path_of("callee"):
            op.api.get = plain  # type: ignore[method-assign]
            op.identity("second")
            await op.turn("second")
        return await plain(path)

    op.identity("agent", rbac={"clusterRoles": ["no-such"]})
    op.api.get = meanwhile  # type: ignore[method-assign]
    await op.turn("callee")
    assert "other" in callers(op)
    assert "agent" not in callers(op)
    for _ in range(3):
        await op.turn("callee")
    assert callers(op) >= {"other", "first", "second"}


@told
async def test_what_was_given_up_is_told_though_something_else_is_busy() -> None:
    op = await called("other")
    inbound = {"enforcement": "Enforce", "rules": [rule("other")]}
    op.identity("callee", inbound=inbound, vault={"policies": ["team"]})
    await op.turn("callee")
    op.tamper("AuthorizationPolicy", "callee", seen=False, metadata={"annotations": {"a": "b"}})
    op.identity("callee", vault=FULL["vault"])
    op.vault.broken["WRITE auth"] = DOWN
    assert await op.turn("callee") is DOWN


@told
async def test_at_rest_and_after_a_restart_nothing_is_read() -> None:
    op = await granted("agent")
    for _ in range(2):
        await op.turn_grant()
        assert not op.touched("GET")
        op.start_anew()


@told
async def test_what_was_written_need_not_be_read_when_one_more_comes() -> None:
    op = await granted("agent")
    op.identity("new", **asks("read"))
    await op.turn("new")
    op.grant(rule("agent", "new"))
    op.quiet()
    await op.turn_grant()
    assert not op.touched(f"GET {POLICY}")


@told
async def test_a_caller_that_moved_to_another_class_unseen_is_not_let_in() -> None:
    op = await called("agent", "other")
    lax = op.api.objects[CLASS]
    op.world.see_class(lax | {"metadata": lax["metadata"] | {"name": "lax", "uid": "uid-of-lax"}})
    op.identity("agent", seen=False, className="lax")
    op.lose("AuthorizationPolicy", "callee")
    for _ in range(2):
        await op.turn("callee")
    assert callers(op) == {"other"}


@told
async def test_an_identity_that_moved_to_another_class_unseen_is_given_nothing() -> None:
    op = await called("agent")
    lax = op.api.objects[CLASS]
    op.world.see_class(lax | {"metadata": lax["metadata"] | {"name": "lax", "uid": "uid-of-lax"}})
    body = op.api.objects[op.path_of("agent")]
    op.api.put(op.path_of("agent"), body | {"spec": {"className": "lax"}})
    op.lose("PeerAuthentication")
    await op.turn("agent")
    assert op.get("PeerAuthentication") is None


# --- a status


UNWELL = {"conditions": [{"type": "Ready", "status": "False", "reason": "Sealed", "message": "x"}]}


async def seen_once() -> tuple[Operator, Identity]:
    """An identity at rest, and how it was seen."""
    op = Operator()
    await op.ready()
    await op.drain()
    return op, op.world.identities[Key("agents", "agent")]


@told
async def test_a_status_that_comes_late_is_refused() -> None:
    """From a leader that slept: another one leads, which let it read nothing any more."""
    op, seen = await seen_once()
    path = op.path_of("agent")
    newer = op.api.put(path, op.api.objects[path] | {"status": {"of": "the next leader"}})
    op.api.broken[f"GET {path}"] = DOWN
    with pytest.raises(Failed):
        await op.own.write_status(seen, UNWELL)
    assert op.api.objects[path] == newer
    assert op.events.told == []


@told
async def test_a_status_is_said_though_others_wrote_meanwhile() -> None:
    op, seen = await seen_once()
    path = op.path_of("agent")
    there = op.api.objects[path]
    annotated = there["metadata"] | {"annotations": {"example.com/x": "y"}}
    op.api.put(path, there | {"metadata": annotated})
    await op.own.write_status(seen, UNWELL)
    body = op.api.objects[path]
    assert body["metadata"]["annotations"] == {"example.com/x": "y"}
    assert {**body["status"], **UNWELL} == body["status"]
    assert await op.drain() == set()


@told
async def test_a_status_is_not_said_of_another_one_of_that_name() -> None:
    op, seen = await seen_once()
    path = op.path_of("agent")
    there = op.api.objects.pop(path)
    op.api.put(path, there | {"metadata": there["metadata"] | {"uid": "uid-of-another"}})
    await op.own.write_status(seen, UNWELL)
    assert op.api.objects[path]["status"] == there["status"]
    assert op.events.told == []
    assert Key("agents", "agent") in await op.drain()


@told
async def test_a_class_that_gets_its_finalizer_says_how_it_stands_at_once() -> None:
    op = Operator()
    await op.serve()
    assert op.touched(f"PATCH {CLASS}") == [f"PATCH {CLASS}", f"PATCH {CLASS}/status"]
