"""Sees objects become what they should, and go, through one watch.

It costs the API server next to nothing, because that encodes each change once for all who watch.

The API server ends the watch of a client that is slow to read; then it's listed once and watched
again.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import aiohttp

from bench.door import Door
from bench.workload import IDENTITIES_PATH

NO_LIMIT = aiohttp.ClientTimeout(total=None)
LONGEST_LINE = 1024 * 1024
Body = dict[str, Any]
Met = Callable[[Body], bool]


async def until_ready(door: Door, wanted: Iterable[str]) -> None:
    """Returns when each of these identities has been Ready."""
    await until_all(door, IDENTITIES_PATH, wanted, is_ready)


async def until_all(
    door: Door, path: str, wanted: Iterable[str], met: Met, *, since: str = ""
) -> None:
    """Returns when it has been so of each of these objects. since: the version from which on they
    are looked at; without one, they are as they stand as well."""
    left, version = set(wanted), since
    while left:
        if not version:
            items, version = await _list(door, path)
            left -= {_name(body) for body in items if met(body)}
        async for kind, body in events(door, path, version):
            if kind != "DELETED" and met(body):
                left.discard(_name(body))
            if not left:
                return
        version = ""


async def until_gone(
    door: Door, wanted: Iterable[str], path: str = IDENTITIES_PATH, *, since: str = ""
) -> None:
    """Returns when none of these is there. since: a version at which they all were."""
    left, version = set(wanted), since
    while left:
        if not version:
            items, version = await _list(door, path)
            left &= {_name(body) for body in items}
        async for kind, body in events(door, path, version):
            if kind == "DELETED":
                left.discard(_name(body))
            if not left:
                return
        version = ""


async def version_now(door: Door, path: str) -> str:
    """From which a watch tells of everything that comes."""
    listed = json.loads(await door.send("GET", f"{path}?limit=1"))
    return str(listed["metadata"]["resourceVersion"])


async def _list(door: Door, path: str) -> tuple[list[Body], str]:
    listed = json.loads(await door.send("GET", path))
    return listed["items"], listed["metadata"]["resourceVersion"]


async def events(door: Door, path: str, version: str) -> AsyncIterator[tuple[str, Body]]:
    """Until the API server has had enough."""
    query = {"watch": "1", "resourceVersion": version}
    async with door.session.get(
        path, params=query, timeout=NO_LIMIT, read_bufsize=LONGEST_LINE
    ) as response:
        response.raise_for_status()
        while line := await response.content.readuntil():
            event = json.loads(line)
            if event["type"] == "ERROR":
                return
            yield event["type"], event["object"]


def _name(body: Body) -> str:
    return str(body["metadata"]["name"])


def is_ready(body: Body) -> bool:
    """Of an identity: for the generation that it has."""
    status = body.get("status") or {}
    rows = status.get("conditions") or ()
    ready = any(row["type"] == "Ready" and row["status"] == "True" for row in rows)
    return ready and status.get("observedGeneration") == body["metadata"]["generation"]
