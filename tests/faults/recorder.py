"""Everything that happens in the cluster, as the administrator's own watches show it.

Revisions of all kinds come from one counter (the API server's store is one etcd), so changes of
different kinds can be put in the order in which they happened.
"""

import asyncio
import json
import ssl
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp

from testbed.control_plane import ControlPlane

Body = dict[str, Any]
PATHS = {
    "AgentIdentity": "/apis/agentidentity.dev/v1alpha1/agentidentities",
    "AgentIdentityClass": "/apis/agentidentity.dev/v1alpha1/agentidentityclasses",
    "AgentAccessGrant": "/apis/agentidentity.dev/v1alpha1/agentaccessgrants",
    "ServiceAccount": "/api/v1/serviceaccounts",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "PeerAuthentication": "/apis/security.istio.io/v1/peerauthentications",
    "AuthorizationPolicy": "/apis/security.istio.io/v1/authorizationpolicies",
}
OWN_KINDS = ("AgentIdentity", "AgentIdentityClass", "AgentAccessGrant")
_LONGEST_LINE = 8 * 1024 * 1024
_SOON = 0.1
_NO_LIMIT = aiohttp.ClientTimeout(total=None)


class Name(NamedTuple):
    """One object, over all that ever had the name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


@dataclass(frozen=True, slots=True)
class Change:
    """body: as it was after the change, or as it was last where it is `gone`. at: when it was seen,
    by the monotonic clock."""

    at: float
    revision: int
    name: Name
    body: Body
    new: bool = False
    gone: bool = False


class _MissedError(Exception):
    """The API server no longer knows what happened since; one that is started anew never does."""


class Recorder:
    """now: what there is. Usable inside `async with`; then everything is known."""

    def __init__(self, plane: ControlPlane, concerns: Callable[[Name], str]) -> None:
        self.now: dict[Name, Body] = {}
        self._plane = plane
        self._concerns = concerns
        # Namespaces of scenes that are over go late or never: thousands of others' objects.
        self._there: dict[str, dict[Name, Body]] = defaultdict(dict)
        self._seen: dict[Name, int] = {}
        self._scene_of_uid: dict[str, str] = {}
        self._changes: dict[str, list[Change]] = defaultdict(list)
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        trust = ssl.create_default_context(cafile=str(self._plane.ca_file))
        self._session = aiohttp.ClientSession(
            self._plane.server,
            connector=aiohttp.TCPConnector(limit=0, ssl=trust),
            headers={"Authorization": f"Bearer {self._plane.admin_token}"},
            timeout=_NO_LIMIT,
        )
        for kind, path in PATHS.items():
            version = await self._list(kind, path)
            self._tasks.append(asyncio.create_task(self._watch(kind, path, version)))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The API server as the administrator."""
        if self._session is None:
            raise RuntimeError("this recorder hasn't been started")
        return self._session

    def changes(self, scene: str) -> list[Change]:
        """Of all that concerns one scene, in the order in which it happened."""
        return sorted(self._changes[scene], key=lambda c: c.revision)

    def seen(self, name: Name) -> int:
        """The newest revision of an object that is known."""
        return self._seen.get(name, 0)

    def scene_of_account(self, uid: str) -> str:
        """Also of an account that is gone."""
        return self._scene_of_uid.get(uid, "")

    def forget(self, scene: str) -> None:
        self._changes.pop(scene, None)

    def of(self, scene: str) -> dict[Name, Body]:
        """What there is that concerns one scene."""
        return dict(self._there[scene])

    async def until(self, scene: str, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether it came true in time; asked again after each change that concerns the scene."""
        news = asyncio.Event()
        self._waiting[scene].add(news)
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await news.wait()
                    news.clear()
        except TimeoutError:
            return condition()
        finally:
            self._waiting[scene].discard(news)
        return True

    async def _list(self, kind: str, path: str) -> str:
        while True:
            async with self.session.get(path) as answer:
                # A kind that nobody has listed since it came is not at hand yet.
                if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
                    await asyncio.sleep(_SOON)
                    continue
                answer.raise_for_status()
                listed = await answer.json()
                break
        version = str(listed["metadata"]["resourceVersion"])
        await self._catch_up(kind, {_name(kind, b): b for b in listed["items"]}, version)
        return version

    async def _catch_up(self, kind: str, there: Mapping[Name, Body], version: str) -> None:
        """From what was known to what there is: how often it changed on the way is not known."""
        for name in [n for n in self.now if n.kind == kind and n not in there]:
            gone = self.now[name]
            metadata = gone["metadata"] | {"resourceVersion": version}
            await self._take(kind, "DELETED", gone | {"metadata": metadata})
        for name, body in there.items():
            if name not in self.now:
                await self._take(kind, "ADDED", body)
            elif self.now[name]["metadata"]["resourceVersion"] != _version(body):
                await self._take(kind, "MODIFIED", body)

    async def _watch(self, kind: str, path: str, version: str) -> None:
        while True:
            try:
                async for event, body in self._events(path, version):
                    version = str(body["metadata"]["resourceVersion"])
                    if event != "BOOKMARK":
                        await self._take(kind, event, body)
            except _MissedError:
                version = await self._persistently(kind, path)
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                # The API server is part of what campaigns take away.
                await asyncio.sleep(_SOON)

    async def _persistently(self, kind: str, path: str) -> str:
        while True:
            try:
                return await self._list(kind, path)
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                await asyncio.sleep(_SOON)

    async def _events(self, path: str, version: str) -> AsyncIterator[tuple[str, Body]]:
        query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
        async with self.session.get(path, params=query, read_bufsize=_LONGEST_LINE) as answer:
            answer.raise_for_status()
            while line := await answer.content.readuntil():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _MissedError(event["object"])
                yield event["type"], event["object"]

    async def _take(self, kind: str, event: str, body: Body) -> None:
        metadata, name = body["metadata"], _name(kind, body)
        scene = self._concerns(name)
        gone = event == "DELETED"
        self._seen[name] = int(metadata["resourceVersion"])
        for there in (self.now, self._there[scene]):
            if gone:
                there.pop(name, None)
            else:
                there[name] = body
        if kind == "ServiceAccount":
            self._scene_of_uid[metadata["uid"]] = scene
        if scene:
            revision = int(metadata["resourceVersion"])
            change = Change(time.monotonic(), revision, name, body, new=event == "ADDED", gone=gone)
            self._changes[scene].append(change)
            for waiting in self._waiting[scene]:
                waiting.set()


def _name(kind: str, body: Body) -> Name:
    metadata = body["metadata"]
    return Name(kind, metadata.get("namespace", ""), metadata["name"])


def _version(body: Body) -> str:
    return str(body["metadata"]["resourceVersion"])
