"""Sees identities become Ready, and go, through one watch: it costs the API server next to nothing,
because it encodes each change once for all who watch.

The API server ends the watch of a client that is slow to read; then it's listed once and watched
again.
"""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import aiohttp

from bench.door import Door
from bench.workload import IDENTITIES_PATH

NO_LIMIT = aiohttp.ClientTimeout(total=None)
LONGEST_LINE = 1024 * 1024
Body = dict[str, Any]


async def until_ready(door: Door, wanted: Iterable[str]) -> None:
    """Returns when each of these has been Ready."""
    left = set(wanted)
    while left:
        items, version = await _list(door)
        left -= {_name(body) for body in items if _is_ready(body)}
        async for kind, body in _events(door, version):
            if kind != "DELETED" and _is_ready(body):
                left.discard(_name(body))
            if not left:
                return


async def until_gone(door: Door, wanted: Iterable[str]) -> None:
    """Returns when none of these is there."""
    left = set(wanted)
    while left:
        items, version = await _list(door)
        left &= {_name(body) for body in items}
        async for kind, body in _events(door, version):
            if kind == "DELETED":
                left.discard(_name(body))
            if not left:
                return


async def _list(door: Door) -> tuple[list[Body], str]:
    listed = json.loads(await door.send("GET", IDENTITIES_PATH))
    return listed["items"], listed["metadata"]["resourceVersion"]


async def _events(door: Door, version: str) -> AsyncIterator[tuple[str, Body]]:
    """Until the API server has had enough."""
    query = {"watch": "1", "resourceVersion": version}
    async with door.session.get(
        IDENTITIES_PATH, params=query, timeout=NO_LIMIT, read_bufsize=LONGEST_LINE
    ) as response:
        response.raise_for_status()
        while line := await response.content.readuntil():
            event = json.loads(line)
            if event["type"] == "ERROR":
                return
            yield event["type"], event["object"]


def _name(body: Body) -> str:
    return str(body["metadata"]["name"])


def _is_ready(body: Body) -> bool:
    rows = (body.get("status") or {}).get("conditions") or ()
    return any(row["type"] == "Ready" and row["status"] == "True" for row in rows)
