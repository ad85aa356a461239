"""When a request is sent on, and until when it is under way, over a real connection."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from faults.exchange import Exchange
from faults.modes import Mode, When
from faults.proxy import FaultProxy
from faults.request_log import RequestLog
from testbed.certificates import Authority
from testbed.ports import LOOPBACK, free_port

SCENE = "w00001"
PATH = f"/v1/auth/kubernetes/role/test_{SCENE}_agent"
LATE_SECONDS = 0.05
Story = Callable[[Path], Coroutine[Any, Any, None]]


def told(story: Story) -> Callable[[Path], None]:
    @wraps(story)
    def run(tmp_path: Path) -> None:
        asyncio.run(asyncio.wait_for(story(tmp_path), 10))

    return run


class Ground:
    """A server that may be held, and a proxy before it."""

    def __init__(self, directory: Path) -> None:
        self.open, self.reached = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.log = RequestLog()
        self.authority = Authority("server")
        ca_file = directory / "ca.crt"
        ca_file.write_text(self.authority.pem)
        self.port = free_port()
        address = f"https://{LOOPBACK}:{self.port}"
        self.proxy = FaultProxy("vault", lambda: address, ca_file, self.log)
        self._directory = directory

    @asynccontextmanager
    async def up(self) -> AsyncIterator[aiohttp.ClientSession]:
        """The operator's connections."""
        pair = self.authority.server("server", dns=["localhost"], ips=[LOOPBACK])
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*pair.write(self._directory, "server"))
        runner = web.ServerRunner(web.Server(self._serve))
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, self.port, ssl_context=context).start()
        trust = ssl.create_default_context(cadata=self.proxy.authority.pem)
        connector = aiohttp.TCPConnector(ssl=trust)
        try:
            async with self.proxy, aiohttp.ClientSession(connector=connector) as session:
                yield session
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        self.reached.set()
        await self.open.wait()
        return web.Response(status=204)

    def meets(self, mode: Mode) -> None:
        self.proxy.choose = lambda _: mode

    @property
    def asked(self) -> Exchange:
        [exchange] = self.log.of(SCENE)
        return exchange

    async def until_over(self) -> None:
        # A proxy tells nobody that it is done with something.
        while self.log.under_way(SCENE):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def until_asked(self) -> None:
        while not self.log.of(SCENE):  # noqa: ASYNC110  nor that something has come
            await asyncio.sleep(0.01)


@told
async def test_what_is_answered_is_over(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    ground.open.clear()
    async with ground.up() as session:
        asking = asyncio.create_task(session.post(ground.proxy.address + PATH))
        await ground.reached.wait()
        assert ground.log.under_way(SCENE)
        assert not ground.log.under_way("w00002")
        ground.open.set()
        assert (await asking).status == 204
        await ground.until_over()
        assert ground.asked.at <= ground.asked.sent_at <= ground.asked.answered_at


@told
async def test_what_is_given_up_is_under_way_until_it_is_carried_out(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    ground.meets(Mode("given-up", When.BEFORE, delay=LATE_SECONDS))
    ground.open.clear()
    async with ground.up() as session:
        asking = asyncio.create_task(session.post(ground.proxy.address + PATH))
        await ground.until_asked()
        asking.cancel()
        await ground.reached.wait()
        assert ground.log.under_way(SCENE)
        ground.open.set()
        await ground.until_over()
        assert ground.asked.applied
        assert ground.asked.sent_at - ground.asked.at >= LATE_SECONDS


@told
async def test_what_is_held_is_sent_when_it_is_released(tmp_path: Path) -> None:
    ground, released = Ground(tmp_path), asyncio.Event()
    # Longer than a story may take.
    ground.meets(Mode("held", When.BEFORE, delay=60.0, released=released))
    async with ground.up() as session:
        asking = asyncio.create_task(session.post(ground.proxy.address + PATH))
        await ground.until_asked()
        assert not ground.reached.is_set()
        released.set()
        assert (await asking).status == 204


@told
async def test_what_nobody_releases_is_sent_when_its_time_is_over(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    ground.meets(Mode("held", When.BEFORE, delay=LATE_SECONDS, released=asyncio.Event()))
    async with ground.up() as session:
        assert (await session.post(ground.proxy.address + PATH)).status == 204
    assert ground.asked.sent_at - ground.asked.at >= LATE_SECONDS


@told
async def test_what_is_dropped_was_never_sent_and_is_over(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    ground.meets(Mode("reset", When.BEFORE, cut=True))
    async with ground.up() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(ground.proxy.address + PATH)
        await ground.until_over()
        assert not ground.asked.sent_at
        assert not ground.reached.is_set()


@told
async def test_what_is_refused_was_never_sent_and_is_over(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    ground.meets(Mode("status-503", When.INSTEAD, status=503))
    async with ground.up() as session:
        assert (await session.post(ground.proxy.address + PATH)).status == 503
        await ground.until_over()
        assert not ground.asked.sent_at


@told
async def test_what_was_carried_out_and_not_answered_is_over(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    ground.meets(Mode("drop-reply", When.AFTER, cut=True))
    async with ground.up() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(ground.proxy.address + PATH)
        await ground.until_over()
        assert ground.asked.applied
