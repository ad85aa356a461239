"""Our own kinds, listed: what is gone is forgotten, and all of it is never held at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any, cast

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import IDENTITIES, ApiError
from agent_identity.core.facts import Cluster
from agent_identity.reconcile.own_lists import OwnLists
from agent_identity.reconcile.world import World

Body = dict[str, Any]
NAMESPACE = "agents"


class Page(list[Body]):
    """Knows how many there are of it."""

    alive = 0
    most = 0

    def __init__(self, *bodies: Body) -> None:
        super().__init__(bodies)
        Page.alive += 1
        Page.most = max(Page.most, Page.alive)

    def __del__(self) -> None:
        Page.alive -= 1


class Server:
    """An API server with some identities, one on a page. served: whether it knows the kind."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.version = 100
        self.served = True

    async def pages(self, path: str) -> AsyncIterator[tuple[Page, str]]:
        if path == IDENTITIES.path():
            if not self.served:
                raise ApiError(HTTPStatus.NOT_FOUND, Reason.BUSY, "the server could not find it")
            for page in self._pages():
                yield page, str(self.version)
                del page

    def _pages(self) -> Iterator[Page]:
        for name, version in self.versions.items():
            yield Page(identity(name, version))


def identity(name: str, version: int) -> Body:
    metadata = {"namespace": NAMESPACE, "name": name, "uid": f"uid-of-{name}"}
    return {"metadata": {**metadata, "resourceVersion": str(version)}, "spec": {}}


def listed(server: Server, world: World) -> list[str]:
    asyncio.run(OwnLists(cast("Any", server), world).take_in())
    return sorted(key.name for key in world.identities)


def anew() -> tuple[Server, World]:
    server = Server()
    server.versions = {"one": 1, "two": 2, "three": 3}
    return server, World(Cluster("test", "cluster.local", "istio-system"), lambda _: None)


def test_what_is_there_no_longer_is_forgotten() -> None:
    server, world = anew()
    assert listed(server, world) == ["one", "three", "two"]
    del server.versions["two"]
    assert listed(server, world) == ["one", "three"]


def test_what_came_after_the_list_is_not_forgotten() -> None:
    server, world = anew()
    world.see_identity(identity("late", server.version + 1))
    assert listed(server, world) == ["late", "one", "three", "two"]


def test_a_kind_that_is_not_served_for_a_while_loses_nothing() -> None:
    server, world = anew()
    listed(server, world)
    server.served = False
    assert listed(server, world) == ["one", "three", "two"]


def test_no_more_is_held_than_a_page_and_the_next() -> None:
    server, world = anew()
    server.versions = {f"agent-{n}": n + 1 for n in range(9)}
    Page.most = 0
    assert len(listed(server, world)) == len(server.versions)
    assert (Page.most, Page.alive) == (2, 0)
