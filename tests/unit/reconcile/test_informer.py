"""A list now and then shows what a watch has lost; and what is gone does not come back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import Api, ApiError
from agent_identity.core.resource import Key
from agent_identity.reconcile.informer import Informer

Body = dict[str, Any]
Changed = Callable[[str | None, str | None], None]
ONE = Key("", "one")


class Forgetful:
    """An API server whose watch tells nothing at all."""

    def __init__(self) -> None:
        self.names = ["one", "two"]
        self.lists = 0

    async def pages(
        self, path: str, *, selector: str = ""
    ) -> AsyncIterator[tuple[list[Body], str]]:
        self.lists += 1
        version = str(10 * self.lists)
        for name in self.names:
            yield [{"metadata": {"name": name, "resourceVersion": str(self.lists)}}], version

    async def watch(self, path: str, version: str, *, selector: str = "") -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield


def informer_of(
    server: Forgetful,
    changed: Changed = lambda _before, _after: None,
    relist: float = 600,
    *,
    optional: bool = False,
) -> Informer[str]:
    return Informer(
        cast("Any", server),
        Api("/api/v1", "things"),
        parse=lambda body: str(body["metadata"]["name"]),
        changed=changed,
        optional=optional,
        relist=relist,
    )


def thing(version: int, name: str = "one") -> Body:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def test_what_a_watch_has_lost_is_found_by_the_next_list() -> None:
    server, gone = Forgetful(), asyncio.Event()

    def changed(before: str | None, after: str | None) -> None:
        if after is None:
            gone.set()

    async def story() -> None:
        informer = informer_of(server, changed, relist=0.02)
        run = asyncio.create_task(informer.run())
        await informer.synced.wait()
        server.names = ["one"]
        await asyncio.wait_for(gone.wait(), 10)
        assert [str(key.name) for key in informer.items] == ["one"]
        run.cancel()

    asyncio.run(story())


@pytest.mark.parametrize("deleted", [12, -1])
def test_an_answer_from_before_a_deletion_brings_nothing_back(deleted: int) -> None:
    informer = informer_of(Forgetful())
    informer.remember(thing(11))
    informer.forget(ONE, deleted)
    for version in (10, 11, deleted):
        informer.remember(thing(version))
        assert not informer.items
    informer.remember(thing(13))
    assert informer.items == {ONE: "one"}


def test_an_answer_from_before_a_deletion_that_came_first_brings_nothing_either() -> None:
    informer = informer_of(Forgetful())
    informer.forget(ONE, 12)
    informer.remember(thing(11))
    assert not informer.items


def test_an_answer_from_before_a_list_without_it_brings_nothing_back() -> None:
    server = Forgetful()
    server.names = ["two"]

    async def story() -> None:
        informer = informer_of(server)
        informer.remember(thing(3))
        run = asyncio.create_task(informer.run())
        await informer.synced.wait()
        informer.remember(thing(9))
        assert [key.name for key in informer.items] == ["two"]
        run.cancel()

    asyncio.run(story())


class Absent(Forgetful):
    """Its kind is not served for a moment, and then is back with the objects that it had."""

    async def pages(
        self, path: str, *, selector: str = ""
    ) -> AsyncIterator[tuple[list[Body], str]]:
        self.lists += 1
        if self.lists == 1:
            raise ApiError(404, Reason.REJECTED, "the API server answered 404")
        yield [thing(11)], "20"


def test_what_is_back_just_as_it_was_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_identity.reconcile.informer._ABSENT_PAUSE", 0)
    back = asyncio.Event()

    async def story() -> None:
        informer = informer_of(
            Absent(), lambda _, after: back.set() if after else back.clear(), optional=True
        )
        informer.remember(thing(11))
        run = asyncio.create_task(informer.run())
        await informer.synced.wait()
        assert not informer.items
        await asyncio.wait_for(back.wait(), 10)
        run.cancel()

    asyncio.run(story())


def test_an_object_that_cannot_be_understood_ends_no_loop() -> None:
    server, seen = Forgetful(), asyncio.Event()

    def changed(_before: str | None, after: str | None) -> None:
        if server.lists == 1:
            raise ZeroDivisionError
        seen.set()

    async def story() -> None:
        run = asyncio.create_task(informer_of(server, changed).run())
        await asyncio.wait_for(seen.wait(), 10)
        run.cancel()

    asyncio.run(story())
