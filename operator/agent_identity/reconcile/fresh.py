"""Fresh reads before a right is given or taken, shared by all who ask at the same time.

Whoever asks gets an answer to a read that began after they asked; a burst of a thousand new
identities of one class costs a handful of reads of that class, and not a thousand.
"""

import asyncio
from collections.abc import Iterable

from agent_identity.clients.kube import CLASSES, IDENTITIES, NAMESPACES, PODS, ApiError, Json, Kube
from agent_identity.core.errors import Problem
from agent_identity.core.identity import Identity, parse_namespace
from agent_identity.core.resource import IDENTITY_LABEL, Key
from agent_identity.reconcile.world import World


class FreshReads:
    """Quorum reads through the API server; what decides over many goes into the world as well."""

    def __init__(self, kube: Kube, world: World) -> None:
        self._kube = kube
        self._world = world
        self._running: dict[str, asyncio.Task[Json]] = {}
        self._next: dict[str, asyncio.Task[Json]] = {}

    async def read(self, path: str) -> Json:
        """The object as it is at some moment after this call. Raises ApiError."""
        waiting = self._next.get(path)
        if waiting is None:
            waiting = asyncio.create_task(self._after(path, self._running.get(path)))
            self._next[path] = waiting
        return await asyncio.shield(waiting)

    async def look_at_surroundings(self, class_name: str, namespace: str) -> None:
        """A class, which may be gone, and a namespace. Raises ApiError."""
        path = NAMESPACES.path(name=namespace)
        _, body = await asyncio.gather(self.look_at_class(class_name), self.read(path))
        self._world.namespace_seen(parse_namespace(body))

    async def look_at_agents(self, agents: Iterable[Key]) -> dict[Key, Problem]:
        """Each with all that decides whether it may be somebody's caller. Those that could not be
        read, and why."""
        known = self._world.identities
        looks = {agent: known[agent] for agent in sorted(set(agents)) if agent in known}
        found = await asyncio.gather(*map(self._look_at_agent, looks.values()))
        return {agent: problem for agent, problem in zip(looks, found, strict=True) if problem}

    async def _look_at_agent(self, agent: Identity) -> Problem | None:
        key, named = agent.key, agent.class_name
        around = self.look_at_surroundings(named, key.namespace)
        try:
            await asyncio.gather(self.look_at_identity(key), around)
            now = self._world.identities.get(key)
            if now and now.class_name != named:
                await self.look_at_class(now.class_name)
        except Problem as problem:
            return problem
        return None

    async def has_pods(self, agent: Key) -> bool:
        """Whether pods carry an agent's label, told by the watch or not. Raises Failed."""
        selector = f"{IDENTITY_LABEL}={agent.name}"
        async for items, _ in self._kube.pages(PODS.path(agent.namespace), selector=selector):
            if items:
                return True
        return False

    async def look_at_identity(self, key: Key) -> None:
        """An identity, or that it is gone. Raises ApiError."""
        known = self._world.identities.get(key)
        try:
            body = await self.read(IDENTITIES.path(key.namespace, key.name))
        except ApiError as error:
            if not error.absent:
                raise
            if known is not None:
                self._world.lose_identity(key, known.meta.uid)
        else:
            self._world.see_identity(body)

    async def look_at_class(self, name: str) -> None:
        """A class, or that it is gone. Raises ApiError."""
        known = self._world.classes.get(name)
        try:
            body = await self.read(CLASSES.path(name=name))
        except ApiError as error:
            if not error.absent:
                raise
            if known is not None:
                self._world.lose_class(name, known.meta.uid)
        else:
            self._world.see_class(body)

    async def _after(self, path: str, running: asyncio.Task[Json] | None) -> Json:
        if running is not None:
            await asyncio.wait([running])
        # From here on a newcomer needs a read of its own: this one has begun.
        self._running[path] = self._next.pop(path)
        try:
            return await self._kube.get(path)
        finally:
            if self._running.get(path) is asyncio.current_task():
                del self._running[path]
