"""What is gone takes no memory, however it went; and what is made anew has nothing of it."""

import pytest
from test_grants_guards import granted, made, rule
from test_memory_guards import Json, told
from test_wiring_guards import CLEANUP, FULL, Operator

from agent_identity.core.plan import Action, Verb
from agent_identity.core.resource import Key, Kind, Subject
from agent_identity.reconcile.execute import Outcome

AGENT, ORDERS = Key("agents", "agent"), Key("agents", "orders", Subject.GRANT)


def kept(op: Operator, text: str) -> list[str]:
    """Which parts of the operator have a text in what they keep."""
    parts = (op.pipeline, op.revoker, op.grants, op.first, op.world.grants)
    return [type(part).__name__ for part in parts if text in str(vars(part))]


def vanish(op: Operator, path: str) -> None:
    """Somebody's deletion has come to its end, and the watch tells."""
    metadata = op.api.objects.pop(path)["metadata"]
    if "agentaccessgrants" in path:
        op.world.grants.lose(ORDERS, metadata["uid"])
    else:
        op.world.lose_identity(AGENT, metadata["uid"])


@told
async def test_of_a_stalled_identity_that_was_never_held_nothing_is_kept() -> None:
    op = Operator()
    op.identity(rbac={"clusterRoles": ["cluster-admin"]})
    await op.turn()
    assert CLEANUP not in op.api.objects[op.path_of("agent")]["metadata"].get("finalizers", ())
    assert kept(op, "uid-of-agent") != []
    vanish(op, op.path_of("agent"))
    assert kept(op, "uid-of-agent") == []


@told
async def test_of_an_identity_that_others_hold_longer_nothing_is_kept() -> None:
    op = Operator()
    await op.ready()
    body = op.api.objects[op.path_of("agent")]
    body["metadata"]["finalizers"].append("foregroundDeletion")
    op.delete()
    await op.turn()
    assert op.api.objects[op.path_of("agent")]["metadata"]["finalizers"] == ["foregroundDeletion"]
    vanish(op, op.path_of("agent"))
    assert kept(op, "uid-of-agent") == []


@told
async def test_of_an_identity_that_goes_during_its_turn_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    op = Operator()
    await op.ready()
    op.identity(rbac={"clusterRoles": ["cluster-admin"]}, vault=FULL["vault"])
    delete = op.api.delete

    async def delete_and_go(path: str, *, uid: str) -> Json:
        if op.path_of("agent") in op.api.objects:
            vanish(op, op.path_of("agent"))
        return await delete(path, uid=uid)

    monkeypatch.setattr(op.api, "delete", delete_and_go)
    await op.turn()
    assert op.touched("DELETE")
    assert kept(op, "uid-of-agent") == []


@told
async def test_of_one_that_was_made_anew_unseen_nothing_is_kept() -> None:
    op = Operator()
    await op.ready()
    body = op.api.objects.pop(op.path_of("agent"))
    anew = {**body["metadata"], "uid": "uid-anew", "finalizers": []}
    op.world.see_identity(op.api.put(op.path_of("agent"), body | {"metadata": anew}))
    assert "Pipeline" not in kept(op, "uid-of-agent")
    assert not op.world.is_live("uid-of-agent")
    assert op.world.is_live("uid-anew")


@told
async def test_who_waited_for_its_callees_and_is_gone_does_not_wait_any_more() -> None:
    op = await granted("agent")
    op.delete()
    await op.turn()
    assert "CalleesFirst" in kept(op, "name='agent'")
    vanish(op, op.path_of("agent"))
    assert "CalleesFirst" not in kept(op, "name='agent'")


@told
async def test_of_a_grant_that_was_never_held_nothing_is_kept() -> None:
    op = await made("agent")
    op.grant(rule("agent"), enforcement="Shadow")
    await op.turn_grant()
    assert kept(op, "uid-of-orders") != []
    vanish(op, op.grant_path("orders"))
    assert kept(op, "uid-of-orders") == []


@told
async def test_of_a_grant_that_goes_during_its_turn_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    op = await granted("agent", "other")
    op.grant(rule("agent"))
    replace = op.api.replace

    async def replace_and_go(path: str, body: Json) -> Json:
        answer: Json = await replace(path, body)
        vanish(op, op.grant_path("orders"))
        return answer

    monkeypatch.setattr(op.api, "replace", replace_and_go)
    await op.turn_grant()
    assert op.touched("PUT")
    assert "GrantPipeline" not in kept(op, "uid-of-orders")
    assert op.world.grants.written(ORDERS) == frozenset()


@told
async def test_a_grant_made_anew_unseen_has_nothing_of_the_one_before() -> None:
    op = await granted("agent")
    body = op.api.objects.pop(op.grant_path("orders"))
    anew = {**body["metadata"], "uid": "uid-anew", "finalizers": []}
    op.world.grants.see(op.api.put(op.grant_path("orders"), body | {"metadata": anew}))
    assert "GrantPipeline" not in kept(op, "uid-of-orders")
    assert op.world.grants.written(ORDERS) == frozenset()


@told
async def test_of_what_was_gone_before_it_was_taken_nothing_is_kept() -> None:
    op = Operator()
    await op.ready()
    (binding,) = (o for ref, o in op.world.owned.items() if ref.kind is Kind.ROLE_BINDING)
    op.lose("RoleBinding")
    delete = Action(Verb.DELETE, binding.ref, "rbac", seen=binding)
    await op.executor.take([delete], None, Outcome())
    assert op.touched("DELETE")
    assert binding.uid not in str(vars(op.world.objects))
