"""What can become of a watch, and of the list before it.

A policy is asked about every line as it comes, so one that is put in place takes hold of the
watches that are open.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import web

Body = dict[str, Any]
Concerns = Callable[[str], bool]
"""Whether a policy is about the watch or list at this path."""
Hides = Callable[[str, Body], bool]
"""Whether an event of the watch at this path is not to be seen."""
OURS = frozenset(
    f"/apis/agentidentity.dev/v1alpha1/{plural}"
    for plural in ("agentidentities", "agentidentityclasses", "agentaccessgrants")
)
OWNED = frozenset(
    {
        "/api/v1/serviceaccounts",
        "/apis/rbac.authorization.k8s.io/v1/rolebindings",
        "/apis/security.istio.io/v1/peerauthentications",
        "/apis/security.istio.io/v1/authorizationpolicies",
    }
)
SURROUNDINGS = frozenset(
    {
        "/api/v1/namespaces",
        "/api/v1/pods",
        "/api/v1/services",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    }
)
WATCHED = OURS | OWNED | SURROUNDINGS


class CloseWatch(Exception):
    """The connection ends here. last: bytes that are sent before; rudely: reset, and not ended."""

    def __init__(self, last: bytes = b"", *, rudely: bool = False) -> None:
        super().__init__()
        self.last = last
        self.rudely = rudely


class WatchPolicy(Protocol):
    """For all watches of one server."""

    async def shown(self, path: str, line: bytes) -> list[bytes]:
        """What the operator is shown instead of this line; returns when it is. Lines of one watch
        come one after the other; an empty one says that none has come for a moment. Raises
        CloseWatch."""

    def asked(self, request: web.BaseRequest) -> str:
        """The path and query that a list or watch is sent to instead; empty for its own."""


class Passing:
    """Nothing is done to any watch."""

    async def shown(self, path: str, line: bytes) -> list[bytes]:
        return [line] if line else []

    def asked(self, request: web.BaseRequest) -> str:
        return ""


def revision_of(line: bytes) -> int:
    """Of an event; 0 of an error, which has none."""
    return int(json.loads(line)["object"].get("metadata", {}).get("resourceVersion") or 0)


def is_bookmark(line: bytes) -> bool:
    return bool(json.loads(line)["type"] == "BOOKMARK")


class Frozen(Passing):
    """A server that has fallen behind: at first it shows nothing newer than a revision, later all
    that it has held back. What is read object by object, and what is written, is not late."""

    def __init__(self, revision: int, concerns: Concerns = WATCHED.__contains__) -> None:
        self._revision = revision
        self._concerns = concerns
        self._thawed = asyncio.Event()
        self.held = False
        """Whether an event has ever been held back."""

    def thaw(self) -> None:
        self._thawed.set()

    async def shown(self, path: str, line: bytes) -> list[bytes]:
        if line and self._concerns(path) and revision_of(line) > self._revision:
            self.held = self.held or not self._thawed.is_set()
            await self._thawed.wait()
        return [line] if line else []

    def asked(self, request: web.BaseRequest) -> str:
        query = dict(request.query)
        listed = request.method == "GET" and not query.keys() & {"watch", "continue"}
        if self._thawed.is_set() or not listed or not self._concerns(request.path):
            return ""
        at = {"resourceVersion": str(self._revision), "resourceVersionMatch": "Exact"}
        return str(request.rel_url.with_query(query | at))


class Noting(Passing):
    """As another policy, and keeps whether that has ever done anything to an event."""

    def __init__(self, policy: WatchPolicy) -> None:
        self._policy = policy
        self._met = False

    @property
    def met(self) -> bool:
        held = isinstance(self._policy, Frozen) and self._policy.held
        return self._met or held

    async def shown(self, path: str, line: bytes) -> list[bytes]:
        try:
            shown = await self._policy.shown(path, line)
        except CloseWatch:
            self._met = True
            raise
        self._met = self._met or shown != await super().shown(path, line)
        return shown

    def asked(self, request: web.BaseRequest) -> str:
        return self._policy.asked(request)


class Hiding(Passing):
    """Some events are never shown."""

    def __init__(self, hides: Hides) -> None:
        self._hides = hides

    async def shown(self, path: str, line: bytes) -> list[bytes]:
        if not line or is_bookmark(line):
            return await super().shown(path, line)
        return [] if self._hides(path, json.loads(line)["object"]) else [line]


class Doubled(Passing):
    """Everything is told twice."""

    async def shown(self, path: str, line: bytes) -> list[bytes]:
        return [line, line] if line else []


class Closing(Passing):
    """The watch ends after every event."""

    async def shown(self, path: str, line: bytes) -> list[bytes]:
        if line:
            raise CloseWatch(line)
        return []


class Breaking(Passing):
    """Each event is first met by an end of the watch, and shown when it comes again. last: what is
    sent of it before."""

    def __init__(self, last: Callable[[bytes], bytes], *, rudely: bool) -> None:
        self._last = last
        self._rudely = rudely
        self._met: set[tuple[str, int]] = set()

    async def shown(self, path: str, line: bytes) -> list[bytes]:
        event = (path, revision_of(line)) if line else None
        if event is None or event in self._met:
            return await super().shown(path, line)
        self._met.add(event)
        raise CloseWatch(self._last(line), rudely=self._rudely)


class Once(Passing):
    """The first event of each watch of some is replaced by something else, and the watch ends or
    goes on."""

    def __init__(self, instead: bytes, concerns: Concerns, *, ends: bool) -> None:
        self._instead = instead
        self._concerns = concerns
        self._ends = ends
        self.met: set[str] = set()

    async def shown(self, path: str, line: bytes) -> list[bytes]:
        if not line or path in self.met or not self._concerns(path):
            return await super().shown(path, line)
        self.met.add(path)
        if self._ends:
            raise CloseWatch(self._instead)
        return [self._instead, line]


class Reordered(Passing):
    """An event is told after the next one of its kind that is about another object; of one object
    the order stays."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    async def shown(self, path: str, line: bytes) -> list[bytes]:
        kept = self._kept.pop(path, b"")
        if not kept and line and not is_bookmark(line):
            self._kept[path] = line
            return []
        if kept and line and _object(kept) != _object(line) and not is_bookmark(line):
            return [line, kept]
        return [part for part in (kept, line) if part]


class OnlyBookmarks(Passing):
    """A watch that seems alive: instead of events there are bookmarks of what was shown last. Once
    it is over, all is told."""

    def __init__(self) -> None:
        self._kept: dict[str, list[bytes]] = defaultdict(list)
        self._last: dict[str, str] = {}
        self._over = False

    def end(self) -> None:
        self._over = True

    async def shown(self, path: str, line: bytes) -> list[bytes]:
        if line:
            self._kept[path].append(line)
            self._last.setdefault(path, str(revision_of(line) - 1))
        if self._over:
            return self._kept.pop(path, [])
        last = self._last.get(path)
        return [_bookmark(path, last)] if last else []

    def asked(self, request: web.BaseRequest) -> str:
        """A watch that begins anew is told again what the one before has kept back."""
        if "watch" in request.query:
            self._kept.pop(request.path, None)
            self._last[request.path] = request.query.get("resourceVersion", "")
        return ""


class Stalled(Passing):
    """Watches that are open fall silent for good; those that are opened after it are well."""

    def __init__(self) -> None:
        self.anew: set[str] = set()

    async def shown(self, path: str, line: bytes) -> list[bytes]:
        if path not in self.anew and path in WATCHED:
            await asyncio.Event().wait()
        return await super().shown(path, line)

    def asked(self, request: web.BaseRequest) -> str:
        if "watch" in request.query:
            self.anew.add(request.path)
        return ""


def half(line: bytes) -> bytes:
    return line[: len(line) // 2]


def error_event(code: int, reason: str) -> bytes:
    """As the API server ends a watch."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    told = status | {"message": "a fault of the test", "reason": reason, "code": code}
    return json.dumps({"type": "ERROR", "object": told}).encode() + b"\n"


def _object(line: bytes) -> tuple[str, str]:
    metadata = json.loads(line)["object"]["metadata"]
    return metadata.get("namespace", ""), metadata.get("name", "")


def _bookmark(path: str, version: str) -> bytes:
    """The kind is read by nobody."""
    body = {"kind": path, "metadata": {"resourceVersion": version}}
    return json.dumps({"type": "BOOKMARK", "object": body}).encode() + b"\n"
