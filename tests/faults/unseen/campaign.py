"""All groups of cases, one after the other on one theatre; after one that broke off, on another."""

import time
import traceback
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
    left = [name for name, group in GROUPS.items() if tally.of(group.ids)]
    while left:
        await _on_one_ground(tally, left)
    return tally


async def _on_one_ground(tally: Tally, left: list[str]) -> None:
    """Those groups that are left, until one breaks off: what it leaves is no ground for others."""
    broken = False
    try:
        async with ground(tally, tally.report) as here:
            while left and not broken:
                broken = not await _is_run(here, left.pop(0))
    except Exception as error:  # noqa: BLE001  what was found so far is told
        tally.report(traceback.format_exc())
        tally.fail("ground", [_told(error)])
        # One that could not be started would not be the next time.
        while left and not broken:
            _break_off(tally, left.pop(0), f"no ground: {_told(error)}")


async def _is_run(here: Ground, name: str) -> bool:
    """Whether a group of cases came to its end."""
    group, tally = GROUPS[name], here.tally
    ids, began = tally.of(group.ids), time.monotonic()
    try:
        await group.run(here, ids)
    except Exception as error:  # noqa: BLE001  whatever it is, the other groups are run
        tally.report(traceback.format_exc())
        _break_off(tally, name, f"the group broke off: {_told(error)}")
        return False
    tally.report(f"{name}: {len(ids)} cases in {time.monotonic() - began:.0f} s")
    return True


def _break_off(tally: Tally, name: str, why: str) -> None:
    tally.break_off(name, tally.of(GROUPS[name].ids), why)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
