"""What a fence lets out: judged by what arrives at the other end of a real connection."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Self

import aiohttp
import pytest

from agent_identity.clients.kube import Kube
from agent_identity.clients.lease import Fence, FenceShutError, boot_clock, fenced_session
from agent_identity.core.errors import Failed

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHANGES = ["POST", "PUT", "PATCH", "DELETE"]
Story = Callable[..., Coroutine[Any, Any, None]]


def told(story: Story) -> Callable[..., None]:
    @wraps(story)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(story(*args, **kwargs), 10))

    return run


class Clock:
    """Stands still, until it has been read a number of times: then an hour is over."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.reads_left: int | None = None

    def __call__(self) -> float:
        if self.reads_left is not None:
            self.reads_left -= 1
            if self.reads_left < 0:
                self.time, self.reads_left = self.time + 3600, None
        return self.time


class Server:
    """Counts what comes and answers it. hangs_up: once, instead of its second answer."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.hangs_up: Callable[[], None] | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1")
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while data := await reader.read(65536):
            self.requests.append(data)
            if self.hangs_up and len(self.requests) == 2:
                self.hangs_up()
                break
            writer.write(ANSWER)
        writer.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


# --- when it holds


@told
async def test_it_is_shut_before_anything_is_known(clock: Clock) -> None:
    assert not Fence(clock).holds()


@told
async def test_it_holds_until_its_moment_and_not_at_it(clock: Clock) -> None:
    fence = Fence(clock)
    fence.hold_until(clock.time + 10)
    assert fence.holds()
    clock.time += 10
    assert not fence.holds()


@pytest.mark.parametrize("method", CHANGES)
@told
async def test_a_change_that_comes_too_late_is_refused_and_raises_the_alarm(
    clock: Clock, method: str
) -> None:
    fence = Fence(clock)
    with pytest.raises(FenceShutError):
        fence.check(method)
    assert fence.refused.is_set()


@told
async def test_reads_always_pass(clock: Clock) -> None:
    fence = Fence(clock)
    fence.check("GET")
    assert not fence.refused.is_set()


@told
async def test_one_that_was_closed_on_purpose_raises_no_alarm_and_stays_closed(
    clock: Clock,
) -> None:
    fence = Fence(clock)
    fence.close()
    fence.hold_until(clock.time + 10)
    with pytest.raises(FenceShutError):
        fence.check("POST")
    assert not fence.refused.is_set()


def test_its_clock_goes_on_while_the_machine_sleeps() -> None:
    assert abs(boot_clock() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 5


# --- what arrives


@pytest.mark.parametrize("method", CHANGES)
@told
async def test_while_it_holds_everything_arrives(clock: Clock, method: str) -> None:
    fence = Fence(clock)
    fence.hold_until(clock.time + 10)
    async with Server() as server, fenced_session(fence, "ours/1 (one)") as session:
        async with session.request(method, server.url, data=b"body") as response:
            assert response.status == 200
        assert len(server.requests) == 1
        assert b"User-Agent: ours/1 (one)" in server.requests[0]


@pytest.mark.parametrize(("body", "checks"), [(b"body", 0), (b"body", 1), (None, 0), (None, 1)])
@told
async def test_time_that_passes_between_two_steps_of_sending_lets_nothing_out(
    clock: Clock, body: bytes | None, checks: int
) -> None:
    """checks: how many steps of sending still found it holding."""
    fence = Fence(clock)
    fence.hold_until(clock.time + 10)
    async with Server() as server, fenced_session(fence, "ours/1") as session:
        clock.reads_left = checks
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.request("DELETE", server.url, data=body)
        assert fence.refused.is_set()
        await asyncio.sleep(0.02)
        assert server.requests == []
        assert server.connections == min(checks, 1)


@told
async def test_what_a_broken_connection_lost_is_not_sent_again(clock: Clock) -> None:
    """aiohttp sends a PUT again by itself when a connection that it kept turns out to be dead."""
    fence = Fence(clock)
    fence.hold_until(clock.time + 10)
    async with Server() as server, fenced_session(fence, "ours/1") as session:

        def sleep() -> None:
            clock.time += 3600

        server.hangs_up = sleep
        await (await session.put(server.url, data=b"first")).read()
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.put(server.url, data=b"second")
        assert len(server.requests) == 2


@told
async def test_the_engine_hears_of_it_as_of_any_failure(clock: Clock) -> None:
    async with Server() as server, fenced_session(Fence(clock), "ours/1") as session:
        with pytest.raises(Failed):
            await Kube(session, rate=100).create(f"{server.url}/x", {})
        assert server.requests == []


# --- the end


@told
async def test_it_is_quiet_once_every_change_is_answered(clock: Clock) -> None:
    fence = Fence(clock)
    fence.hold_until(clock.time + 10)
    with fence.passing("POST"):
        fence.close()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fence.quiet(), 0.1)
    await asyncio.wait_for(fence.quiet(), 0.1)


@told
async def test_quiet_for_a_while_is_counted_from_the_last_change(clock: Clock) -> None:
    fence = Fence(clock)
    fence.hold_until(clock.time + 10)
    with fence.passing("POST"):
        pass
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(fence.quiet(1), 0.1)
    clock.time += 1
    await asyncio.wait_for(fence.quiet(1), 0.1)
