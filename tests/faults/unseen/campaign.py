"""All groups of cases, one after the other on one theatre."""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from faults.unseen import (
    awake,
    broken,
    clocks,
    crds,
    forced,
    hidden,
    leaders,
    neighbours,
    servers,
    stale,
    vaults,
)
from faults.unseen.ground import Ground, ground
from faults.unseen.tally import Report, Tally, chosen


class Group(NamedTuple):
    """ids: of its cases. run: those that are chosen."""

    ids: tuple[str, ...]
    run: Callable[[Ground, Sequence[str]], Awaitable[None]]


GROUPS: Mapping[str, Group] = MappingProxyType(
    {
        "back in time": Group(stale.IDS, stale.run),
        "woken on an old view": Group(awake.IDS, awake.run),
        "never seen": Group(hidden.IDS, hidden.run),
        "broken watches": Group(broken.IDS, broken.run),
        "two leaders": Group(leaders.IDS, leaders.run),
        "Vault": Group(vaults.IDS, vaults.run),
        "Vault back in time": Group(vaults.BACK_IDS, vaults.run_back),
        "a neighbour's Vault": Group(neighbours.IDS, neighbours.run),
        "clocks": Group(clocks.IDS, clocks.run),
        "taken by force": Group(forced.IDS, forced.run),
        "the API server": Group(servers.IDS, servers.run),
        "CRDs": Group(crds.IDS, crds.run),
    }
)
IDS = tuple(case for group in GROUPS.values() for case in group.ids)


async def run(report: Report, only: str | Collection[str] = "", sample: int | None = None) -> Tally:
    """only: cases whose id has this in it, or these ids. sample: so many of them."""
    tally = Tally(report, chosen(IDS, only, sample))
    async with ground(tally, report) as here:
        for name, group in GROUPS.items():
            if ids := tally.of(group.ids):
                began = time.monotonic()
                await group.run(here, ids)
                seconds = time.monotonic() - began
                report(f"{name}: {len(ids)} cases in {seconds:.0f} s")
    return tally
