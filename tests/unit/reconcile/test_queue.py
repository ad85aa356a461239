"""The work queue: each key once, one worker a key, namespaces in turn."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from agent_identity.core.resource import Key, Subject
from agent_identity.reconcile.queue import WorkQueue

Test = Callable[[], Coroutine[Any, Any, None]]


def in_loop(test: Test) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), 2))

    return run


A, B, C = Key("a", "1"), Key("a", "2"), Key("b", "1")


@in_loop
async def test_a_key_that_waits_is_there_once() -> None:
    queue = WorkQueue()
    for _ in range(5):
        queue.add(A)
    assert await queue.get() == A
    assert queue.depth == 0


@in_loop
async def test_a_key_that_comes_while_it_is_worked_on_comes_again_afterwards() -> None:
    queue = WorkQueue()
    queue.add(A)
    await queue.get()
    queue.add(A)
    assert queue.depth == 0
    queue.done(A)
    assert await queue.get() == A


@in_loop
async def test_namespaces_take_turns() -> None:
    queue = WorkQueue()
    for key in (A, B, C):
        queue.add(key)
    assert [await queue.get() for _ in range(3)] == [A, C, B]


@in_loop
async def test_each_class_takes_turns_like_a_namespace() -> None:
    queue = WorkQueue()
    classes = [Key("", name, Subject.CLASS) for name in ("x", "y", "z")]
    for key in (A, B, *classes):
        queue.add(key)
    assert [await queue.get() for _ in range(5)] == [A, *classes, B]


@in_loop
async def test_classes_leave_workers_to_all_others() -> None:
    queue = WorkQueue(classes_at_once=2)
    x, y, z = (Key("", name, Subject.CLASS) for name in ("x", "y", "z"))
    for key in (x, y, z, A):
        queue.add(key)
    assert [await queue.get() for _ in range(3)] == [x, y, A]
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(A)
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(x)
    assert await waiting == z


@in_loop
async def test_what_is_taken_out_of_turn_is_given_to_nobody_else() -> None:
    queue = WorkQueue()
    for key in (A, B):
        queue.add(key)
    queue.take(A)
    queue.take(C)
    queue.add(C)
    assert await queue.get() == B
    assert queue.depth == 0
    queue.done(A)
    assert queue.depth == 0
    queue.done(C)
    assert await queue.get() == C


@in_loop
async def test_a_moment_that_lasts_is_looked_at_less_and_less_often() -> None:
    queue = WorkQueue()
    queue.put_off(A, 0)
    assert queue.depth == 1
    queue.done(await queue.get() or B)
    await asyncio.sleep(0.1)
    queue.put_off(A, 0)
    assert queue.depth == 0
    queue.done(await queue.get() or B)
    queue.succeeded(A)
    queue.put_off(A, 0)
    assert queue.depth == 1


@in_loop
async def test_the_earlier_of_two_times_counts() -> None:
    queue = WorkQueue()
    queue.add(A, 60)
    queue.add(A, 0.01)
    queue.add(A, 60)
    assert await queue.get() == A


@in_loop
async def test_a_delayed_key_that_becomes_due_is_not_due_twice() -> None:
    queue = WorkQueue()
    queue.add(A, 0.01)
    queue.add(A)
    await queue.get()
    queue.done(A)
    queue.add(B, 0.05)
    assert await queue.get() == B


@in_loop
async def test_what_is_due_or_worked_on_is_pending_and_what_backs_off_is_not() -> None:
    queue = WorkQueue()
    queue.add(A)
    assert queue.pending(A)
    await queue.get()
    assert queue.pending(A)
    queue.back_off(A)
    queue.done(A)
    assert not queue.pending(A)
    assert await queue.get() == A


@pytest.mark.parametrize(("failing", "within"), [(100, 15.0), (1500, 30.0)])
def test_where_very_many_fail_each_is_tried_less_often(
    failing: int, within: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("agent_identity.reconcile.queue.time.monotonic", lambda: now[0])
    queue = WorkQueue()

    async def fail(count: int) -> None:
        for _ in range(count):
            key = await queue.get()
            assert key is not None
            queue.back_off(key)
            queue.done(key)

    async def story() -> None:
        for number in range(failing):
            queue.add(Key("a", str(number)))
        for _ in range(10):
            await fail(failing)
            now[0] += 1000.0
        await fail(failing)
        queue.add(C)
        now[0] += within / 2 - 1
        assert await queue.get() == C
        assert queue.depth == 0
        now[0] += within / 2 + 1
        await queue.get()
        assert queue.depth == failing - 1

    asyncio.run(story())


@in_loop
async def test_what_was_put_off_is_failing_until_it_succeeds() -> None:
    queue = WorkQueue()
    queue.add(A)
    await queue.get()
    queue.put_off(A, 0.01)
    queue.done(A)
    assert not queue.pending(A)
    assert queue.failing(A)
    assert await queue.get() == A
    assert queue.failing(A)
    queue.succeeded(A)
    assert not queue.failing(A)


@in_loop
async def test_many_workers_get_all_keys() -> None:
    queue = WorkQueue()
    keys = {Key(f"n{i % 7}", str(i)) for i in range(100)}
    seen: list[Key] = []

    async def work() -> None:
        while len(seen) < len(keys):
            key = await queue.get()
            seen.append(key)
            await asyncio.sleep(0)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(8)]
    for key in keys:
        queue.add(key)
    await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
    for worker in workers:
        worker.cancel()
    assert sorted(seen) == sorted(keys)
