"""Stands between the operator and one server, and does to requests what a plan says.

Tokens pass through, so that authentication, RBAC and audit stay the server's own. Every request
is kept in a log that both proxies share, in the order in which it came.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import aiohttp
from aiohttp import web
from yarl import URL

from faults.exchange import Call, Exchange
from faults.modes import Mode, When
from faults.request_log import RequestLog
from faults.watches import CloseWatch, Passing, WatchPolicy
from testbed.certificates import Authority
from testbed.ports import LOOPBACK, free_port

_HOP_BY_HOP = frozenset(
    {"connection", "content-length", "host", "keep-alive", "transfer-encoding", "expect"}
)
_LONGEST_LINE = 8 * 1024 * 1024
_LONGEST_PATH = 64 * 1024
_MOMENT = 0.25
_NO_LIMIT = aiohttp.ClientTimeout(total=None)
Chooser = Callable[[Exchange], Mode | None]
"""What is to become of a request; None: nothing."""


class FaultProxy:
    """name: of the server in logs. upstream: its address, trusted by ca_file. kill: ends the
    operator on the spot. Usable inside `async with`; `address` and `ca_pem` are for the operator.
    """

    def __init__(
        self,
        name: str,
        upstream: Callable[[], str],
        ca_file: Path,
        log: RequestLog,
        *,
        kill: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.port = free_port()
        self.address = f"https://{LOOPBACK}:{self.port}"
        self.choose: Chooser = lambda exchange: None
        self.watches: WatchPolicy = Passing()
        self.log = log
        self.authority = Authority(f"faults-{name}")
        self._upstream = upstream
        self._ca_file = ca_file
        self._kill = kill
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        trust = ssl.create_default_context(cafile=str(self._ca_file))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trust), auto_decompress=False
        )
        server = web.Server(
            self._handle, access_log=None, handler_cancellation=True, max_line_size=_LONGEST_PATH
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self.port, ssl_context=self._tls()).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        await self.session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("this proxy hasn't been started")
        return self._session

    def _tls(self) -> ssl.SSLContext:
        pair = self.authority.server(self.name, dns=["localhost"], ips=[LOOPBACK])
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # The standard library reads certificates from files only.
        directory = self._ca_file.parent / f"proxy-{self.name}"
        directory.mkdir(exist_ok=True)
        context.load_cert_chain(*pair.write(directory, self.name))
        return context

    # --- one request

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if request.query.get("watch") in {"1", "true"}:
            return await self._watch(request)
        exchange = self.log.begin(self._call(request, body), body)
        exchange.sender = request.headers.get("User-Agent", "")
        # What has reached the server is carried out, whether or not anybody still waits.
        return await asyncio.shield(self._serve(request, exchange))

    def _call(self, request: web.BaseRequest, body: bytes) -> Call:
        """What is made is named too: of several that are made at once the order varies."""
        method = "LIST" if request.query.get("list") == "true" else request.method
        path = request.path
        if self.name == "kube" and method == "POST":
            metadata = json.loads(body)["metadata"]
            path = f"{path}/{metadata.get('name', '*')}"
        return Call(self.name, method, path)

    async def _serve(self, request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
        try:
            return await self._answer(request, exchange)
        finally:
            exchange.over = True

    async def _answer(self, request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
        mode = self.choose(exchange)
        if mode is None:
            return await self._pass_on(request, exchange)
        exchange.fault = mode.name
        await _delayed(mode)
        if mode.when is When.INSTEAD:
            return _refusal(mode)
        if mode.when is When.BEFORE and (mode.kill or mode.cut):
            self._end(request, mode)
        answer = await self._pass_on(request, exchange)
        if mode.when is When.AFTER:
            self._end(request, mode)
        if mode.when is When.ANSWERED:
            await answer.prepare(request)
            await answer.write_eof()
            self._kill()
        return answer

    def _end(self, request: web.BaseRequest, mode: Mode) -> NoReturn:
        if mode.kill:
            self._kill()
        raise self._cut(request)

    async def _pass_on(self, request: web.BaseRequest, exchange: Exchange) -> web.Response:
        exchange.sent_at = time.monotonic()
        try:
            async with self.session.request(
                request.method,
                self._target(request),
                data=exchange.body or None,
                headers=_passed(request.headers),
                allow_redirects=False,
            ) as answer:
                exchange.answer, status = await answer.read(), answer.status
                headers = _passed(answer.headers)
        except aiohttp.ClientError:
            # As it would be without a proxy: the connection breaks.
            raise self._cut(request) from None
        exchange.status, exchange.answered_at = status, time.monotonic()
        self.log.learn(exchange)
        return web.Response(status=status, body=exchange.answer, headers=headers)

    def _target(self, request: web.BaseRequest) -> URL:
        path = self.watches.asked(request) or request.raw_path
        return URL(self._upstream() + path, encoded=True)

    # --- one watch

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            async with self.session.get(
                self._target(request),
                headers=_passed(request.headers),
                timeout=_NO_LIMIT,
                read_bufsize=_LONGEST_LINE,
            ) as upstream:
                response = web.StreamResponse(
                    status=upstream.status, headers=_passed(upstream.headers)
                )
                await response.prepare(request)
                await self._stream(request, upstream.content, response)
            await response.write_eof()
        except aiohttp.ClientError:
            raise self._cut(request) from None
        return response

    async def _stream(
        self, request: web.BaseRequest, lines: aiohttp.StreamReader, to: web.StreamResponse
    ) -> None:
        try:
            async with aclosing(_paced(lines)) as paced:
                async for line in paced:
                    for shown in await self.watches.shown(request.path, line):
                        await to.write(shown)
        except CloseWatch as end:
            if end.last:
                await to.write(end.last)
            if end.rudely:
                raise self._cut(request) from end

    def _cut(self, request: web.BaseRequest) -> asyncio.CancelledError:
        """To be raised: the connection is gone, and there is no answer to be given."""
        if request.transport is not None:
            request.transport.abort()
        return asyncio.CancelledError()


async def _paced(lines: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    """Each line, and an empty one whenever there was none for a moment."""
    reading = asyncio.create_task(lines.readuntil())
    try:
        while True:
            done, _ = await asyncio.wait([reading], timeout=_MOMENT)
            line = reading.result() if done else b""
            if done and not line:
                return
            yield line
            if done:
                reading = asyncio.create_task(lines.readuntil())
    finally:
        reading.cancel()


async def _delayed(mode: Mode) -> None:
    if mode.released is None:
        await asyncio.sleep(mode.delay)
        return
    with suppress(TimeoutError):
        await asyncio.wait_for(mode.released.wait(), mode.delay)


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in headers.items() if k.lower() not in _HOP_BY_HOP}


def _refusal(mode: Mode) -> web.Response:
    """As the API server words it; Vault's clients read `errors`."""
    told = f"{mode.name}: a fault of the test"
    reasons = {403: "Forbidden", 409: "Conflict", 410: "Expired", 422: "Invalid"}
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": told,
        "reason": reasons.get(mode.status, "InternalError"),
        "code": mode.status,
        "errors": [told],
    }
    headers = {"Retry-After": str(mode.retry_after)} if mode.retry_after else {}
    return web.Response(
        status=mode.status,
        body=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
