"""List and watch of one kind, keeping of each object only what decides.

A new list is compared with what was known, so that a deletion while the watch was broken is seen;
and it is made now and then although nothing broke, since a watch may have lost an event.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from sys import intern
from typing import Any, Generic, TypeVar

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import Api, ApiError, Kube
from agent_identity.core.errors import Failed
from agent_identity.core.resource import Key
from agent_identity.reconcile.gone import Gone
from agent_identity.telemetry import log

T = TypeVar("T")
Parse = Callable[[Mapping[str, Any]], T]
Changed = Callable[[T | None, T | None], None]
_ABSENT_PAUSE = 5.0
_FAILURES = 5
_REOPEN_PAUSE = 0.1
_RELIST_SECONDS = 600.0


class Informer(Generic[T]):
    """changed(before, after): called for every difference, with None for what is not there.

    optional: the API server may not serve the kind at all; installed: whether it does. relist:
    seconds after which a watch that works is followed by a new list.
    """

    def __init__(
        self,
        kube: Kube,
        api: Api,
        *,
        parse: Parse[T],
        changed: Changed[T],
        selector: str = "",
        optional: bool = False,
        relist: float = _RELIST_SECONDS,
    ) -> None:
        self._kube = kube
        self._path = api.path()
        self._parse = parse
        self._changed = changed
        self._selector = selector
        self._optional = optional
        self._relist = relist
        self._versions: dict[Key, int] = {}
        self._gone: Gone[Key] = Gone()
        self.items: dict[Key, T] = {}
        self.installed = True
        self.failing = False
        self.synced = asyncio.Event()
        self.heard_at = time.monotonic()

    async def run(self) -> None:
        """For ever: list, then watch, again and again."""
        failures = 0
        while True:
            try:
                await self._watch_for_a_while(await self._list())
                failures = 0
            except ApiError as error:
                if error.absent and self._optional:
                    self._is_absent()
                    await asyncio.sleep(_ABSENT_PAUSE)
                else:
                    failures += 0 if error.expired else 1
                    await self._pause(error, failures)
            except Failed as error:
                failures += 1
                await self._pause(error, failures)
            except Exception as error:  # noqa: BLE001  one object must not end the process
                log.exception("this is a bug")
                failures += 1
                await self._pause(Failed(Reason.REJECTED, str(error)), failures)

    async def _pause(self, error: Failed, failures: int) -> None:
        """An outage of the API server is no illness of ours: this loop goes on."""
        self._heard()
        self.failing = failures > _FAILURES
        if failures > 1:
            log.warning("watch of %s: %s", self._path, error.message)
        limit = min(10.0, 0.1 * 2 ** min(failures, 8))
        await asyncio.sleep(max(error.retry_after or 0, random.uniform(limit / 2, limit)))

    async def _list(self) -> str:
        seen: set[Key] = set()
        version = "0"
        async for page, version in self._kube.pages(self._path, selector=self._selector):  # noqa: B007
            self._heard()
            seen.update(map(_key, page))
            for body in page:
                self.remember(body)
        self.installed = True
        for key in [k for k in self.items if k not in seen and self._versions[k] <= int(version)]:
            self._drop(key, int(version))
        self.failing = False
        self.synced.set()
        return version

    def _is_absent(self) -> None:
        """Its objects may be back just as they were."""
        self.installed = False
        self._versions.clear()
        gone, self.items = self.items, {}
        for seen in gone.values():
            self._changed(seen, None)
        self._heard()
        self.synced.set()

    async def _watch_for_a_while(self, version: str) -> None:
        with suppress(TimeoutError):
            # Not all kinds in the same moment.
            async with asyncio.timeout(self._relist * random.uniform(0.75, 1.0)):
                await self._watch(version)

    async def _watch(self, version: str) -> None:
        while True:
            async for kind, body in self._kube.watch(self._path, version, selector=self._selector):
                self._heard()
                version = body["metadata"]["resourceVersion"]
                if kind == "DELETED":
                    self.forget(_key(body), int(version))
                elif kind != "BOOKMARK":
                    self.remember(body)
            await asyncio.sleep(_REOPEN_PAUSE)

    def _heard(self) -> None:
        self.heard_at = time.monotonic()

    def remember(self, body: Mapping[str, Any]) -> None:
        """Take in an object, from the watch or from the answer to a write: the newer counts.
        Versions of one kind can be compared (Kubernetes API concepts, "Resource versions")."""
        key, version = _key(body), int(body["metadata"]["resourceVersion"])
        if version <= max(self._gone.version(key), self._versions.get(key, -1)):
            return
        self._versions[key] = version
        before, after = self.items.get(key), self._parse(body)
        self.items[key] = after
        self._changed(before, after)

    def forget(self, key: Key, version: int = -1) -> None:
        """An object was seen to be gone. version: of its deletion, where it is known."""
        if version < 0 or version >= self._versions.get(key, -1):
            self._drop(key, version)

    def _drop(self, key: Key, version: int) -> None:
        """version: at which it is gone; -1 where only that is known which it had."""
        self._gone.add(key, max(version, self._versions.pop(key, -1)))
        before = self.items.pop(key, None)
        if before is not None:
            self._changed(before, None)


def _key(body: Mapping[str, Any]) -> Key:
    metadata = body["metadata"]
    return Key(intern(metadata.get("namespace", "")), intern(metadata["name"]))
