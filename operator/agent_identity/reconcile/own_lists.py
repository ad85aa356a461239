"""Our own kinds, listed: at the start, and later now and then, since a watch may lose an event.

Page by page: all of five thousand identities at once, as the API server tells them, are a hundred
megabytes that a process never gives back.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from agent_identity.clients.kube import CLASSES, GRANTS, IDENTITIES, Api, ApiError, Json, Kube
from agent_identity.core.identity import AgentClass, Grant, Identity
from agent_identity.reconcile.world import World

T = TypeVar("T", Identity, AgentClass, Grant)


class OwnLists:
    """What is listed goes into the world."""

    def __init__(self, kube: Kube, world: World) -> None:
        self._kube = kube
        self._world = world

    async def take_in(self) -> None:
        """All that there is; what is there no longer is forgotten. Raises Failed."""
        world, grants = self._world, self._world.grants
        await self._take_in(
            CLASSES,
            world.classes.values(),
            world.see_class,
            lambda gone: world.lose_class(gone.name, gone.meta.uid),
        )
        await self._take_in(
            IDENTITIES,
            world.identities.values(),
            world.see_identity,
            lambda gone: world.lose_identity(gone.key, gone.meta.uid),
        )
        await self._take_in(
            GRANTS,
            grants.all.values(),
            grants.see,
            lambda gone: grants.lose(gone.key, gone.meta.uid),
        )

    async def _take_in(
        self,
        api: Api,
        known: Iterable[T],
        see: Callable[[Json], None],
        lose: Callable[[T], None],
    ) -> None:
        before = list(known)
        there: set[str] = set()
        version = "0"
        try:
            async for page, version in self._kube.pages(api.path()):  # noqa: B007
                there.update(body["metadata"]["uid"] for body in page)
                for body in page:
                    see(body)
        except ApiError as error:
            # While one kind's CRD is gone, the objects of the others must be able to go too.
            # Nothing is lost over a 404: watches tell what was deleted.
            if not error.absent:
                raise
            return
        for one in before:
            if one.meta.uid not in there and int(one.meta.resource_version) <= int(version):
                lose(one)
