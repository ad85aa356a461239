"""An orderly end: nothing begins, and what has begun is waited for."""

import asyncio
from typing import Any

from test_memory_guards import told
from test_rest_guards import engine_of
from test_wiring_guards import FULL, Operator


class Slow:
    """A pipeline that begins and waits to be let go on."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.busy = asyncio.Event()
        self.ended: list[str] = []
        self.go_on = asyncio.Event()

    async def reconcile(self, facts: Any) -> None:
        self.begun.append(facts.identity.key.name)
        self.busy.set()
        await self.go_on.wait()
        self.ended.append(facts.identity.key.name)


async def at_work() -> tuple[Any, Slow, "asyncio.Task[None]"]:
    """One identity is worked on, another one waits for the worker."""
    op, slow = Operator(), Slow()
    await op.drain()
    engine = engine_of(op, slow)
    run = asyncio.create_task(engine.run())
    await engine.ready.wait()
    for name in ("first", "second"):
        op.identity(name, **FULL)
    await slow.busy.wait()
    return engine, slow, run


@told
async def test_what_has_begun_is_waited_for_and_nothing_else_begins() -> None:
    engine, slow, run = await at_work()
    finish = asyncio.create_task(engine.finish(5))
    await asyncio.sleep(0.05)
    assert not finish.done()
    slow.go_on.set()
    assert await finish
    assert slow.ended == slow.begun == ["first"]
    run.cancel()


@told
async def test_what_does_not_end_is_waited_for_no_longer_than_asked() -> None:
    engine, slow, run = await at_work()
    assert not await engine.finish(0.05)
    assert slow.ended == []
    run.cancel()


@told
async def test_who_waits_for_a_key_is_told_that_none_will_come() -> None:
    op = Operator()
    await op.drain()
    waiting = asyncio.create_task(op.queue.get())
    await asyncio.sleep(0)
    op.queue.close()
    assert await waiting is None
