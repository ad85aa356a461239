"""How the API server says no, and what is known of it by that."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from test_requests_guards import Answer, Session

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import LONGEST_PAGE, ApiError, Kube
from agent_identity.core.errors import Failed
from testbed.ports import LOOPBACK, free_port

USER = "system:serviceaccount:agent-identity-system:agent-identity-operator"
GROUPS = ["system:serviceaccounts", f"system:serviceaccounts:{USER}", "system:authenticated"]
BINDING = 'rolebindings.rbac.authorization.k8s.io "agentidentity:billing-agent:view" is forbidden'
NOT_HELD = f'{BINDING}: user "{USER}" (groups={GROUPS}) is attempting to grant RBAC permissions'
NOT_HELD += ' not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["get"]}'
NO_RIGHT = f'{BINDING}: User "{USER}" cannot create resource "rolebindings"'


def answered(status: int, message: str) -> ApiError:
    body = {"kind": "Status", "message": message}
    kube = Kube(cast("Any", Session(Answer(status, body))), rate=100)
    with pytest.raises(ApiError) as refusal:
        asyncio.run(kube.create("/apis/rbac.authorization.k8s.io/v1/x", {}))
    return refusal.value


def test_a_right_that_may_not_be_given_is_told_apart_though_the_text_is_cut() -> None:
    error = answered(403, NOT_HELD)
    assert error.escalates
    assert "not currently held" not in error.message


@pytest.mark.parametrize(("status", "message"), [(403, NO_RIGHT), (400, NOT_HELD)])
def test_another_refusal_is_none_of_a_right(status: int, message: str) -> None:
    assert not answered(status, message).escalates


async def served(
    path: str,
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
    story: Callable[[aiohttp.ClientSession], Awaitable[None]],
) -> None:
    """What happens at a server that answers so."""
    app = web.Application()
    app.router.add_get(path, answer)
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    async with aiohttp.ClientSession(f"http://{LOOPBACK}:{port}") as session:
        await story(session)
    await runner.cleanup()


class Unreadable(Answer):
    """It says yes, and what it says is not the API server's."""

    def __init__(self, content: bytes) -> None:
        super().__init__(200, None)
        self._content = content


@pytest.mark.parametrize("content", [b"<html>", b"", b"[]", b'"text"', b"\xff\xff", b'{"half": '])
def test_an_answer_that_cannot_be_read_is_none(content: bytes) -> None:
    kube = Kube(cast("Any", Session(Unreadable(content))), rate=100)
    with pytest.raises(Failed, match="can't be read") as failure:
        asyncio.run(kube.get("/api/v1/x"))
    assert failure.value.reason is Reason.UNREACHABLE


@pytest.mark.parametrize("content", [b"{}", b'{"items": []}', b'{"items": [], "metadata": null}'])
def test_a_list_that_is_none_is_no_answer(content: bytes) -> None:
    async def listed() -> None:
        session = Session(Unreadable(content))
        async for _ in Kube(cast("Any", session), rate=100).pages("/x"):
            pass

    with pytest.raises(Failed, match="can't be read"):
        asyncio.run(listed())


@pytest.mark.parametrize("line", [b'{"kind": "Event"}\n', b"[]\n", b"{half", b'"text"\n'])
def test_what_is_no_event_breaks_the_watch_and_nothing_else(line: bytes) -> None:
    class Stream:
        status = 200
        content: Any

        async def __aenter__(self) -> Any:
            self.content = self
            return self

        async def __aexit__(self, *_: object) -> None:
            return

        async def readuntil(self) -> bytes:
            return line

    async def watch() -> None:
        session = SimpleNamespace(get=lambda *_, **__: Stream())
        async for _ in Kube(cast("Any", session), rate=100).watch("/x", "1"):
            pass

    with pytest.raises(Failed, match="broke"):
        asyncio.run(watch())


def test_of_long_objects_fewer_are_read_at_a_time() -> None:
    long = LONGEST_PAGE // 8
    asked: list[tuple[int, int]] = []

    async def answer(request: web.Request) -> web.Response:
        begin, limit = int(request.query.get("continue", 0)), int(request.query["limit"])
        asked.append((begin, limit))
        names = list(range(begin, min(begin + limit, 15)))
        items = [{"name": n, "text": "x" * (2 * LONGEST_PAGE if n == 12 else long)} for n in names]
        more = {"continue": str(names[-1] + 1)} if names[-1] < 14 else {}
        return web.json_response({"items": items, "metadata": {"resourceVersion": "7"} | more})

    async def listed(session: aiohttp.ClientSession) -> None:
        kube = Kube(session, rate=1000)
        pages = [[i["name"] for i in items] async for items, _ in kube.pages("/listed")]
        assert [name for page in pages for name in page] == list(range(15))
        assert max(map(len, pages)) == 6

    asyncio.run(served("/listed", answer, listed))
    # Where it was fewer it's soon more again.
    assert asked[:4] == [(0, 100), (0, 25), (0, 6), (6, 12)]
    assert (12, 1) in asked
    assert asked[-1] == (13, 2)


def test_a_line_that_is_too_long_breaks_only_the_watch() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with suppress(ConnectionError):
            while True:
                await answer.write(b"<" * 2**20)
        return answer

    async def watched(session: aiohttp.ClientSession) -> None:
        with pytest.raises(Failed, match="broke"):
            async for _ in Kube(session, rate=100).watch("/watched", "1"):
                pass

    asyncio.run(served("/watched", endless, watched))
