"""Who is let in anew is looked at first; who is let in already, and who goes, waits for nobody."""

import pytest
from test_grants_guards import DOWN, POLICY, asks, granted, let_in, lose, rule, write
from test_memory_guards import told
from test_wiring_guards import NAMES, Operator

from agent_identity.core.errors import Failed


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
async def test_a_caller_that_cannot_be_read_is_not_let_in() -> None:
    op = await called("agent")
    op.lose("AuthorizationPolicy", "callee")
    op.api.broken[f"GET {op.path_of('agent')}"] = DOWN
    assert isinstance(await op.turn("callee"), Failed)
    assert NAMES["AuthorizationPolicy"].format("callee") not in op.api.objects
    op.api.broken.clear()
    await op.turn("callee")
    assert callers(op) == {"agent"}
