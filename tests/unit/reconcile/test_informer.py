"""A list now and then shows what a watch has lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from agent_identity.clients.kube import Api
from agent_identity.reconcile.informer import Informer

Body = dict[str, Any]


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


def test_what_a_watch_has_lost_is_found_by_the_next_list() -> None:
    server, gone = Forgetful(), asyncio.Event()

    def changed(before: str | None, after: str | None) -> None:
        if after is None:
            gone.set()

    async def story() -> None:
        informer = Informer(
            cast("Any", server),
            Api("/api/v1", "things"),
            parse=lambda body: str(body["metadata"]["name"]),
            changed=changed,
            relist=0.02,
        )
        run = asyncio.create_task(informer.run())
        await informer.synced.wait()
        server.names = ["one"]
        await asyncio.wait_for(gone.wait(), 10)
        assert [str(key.name) for key in informer.items] == ["one"]
        run.cancel()

    asyncio.run(story())
