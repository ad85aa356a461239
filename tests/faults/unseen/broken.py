"""Watches that break, in every way in which they do; and own writes that are seen late.

Every fault meets the same workloads, at the same time. When it is over, all must be as without it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from faults import watches
from faults.oracles import End
from faults.unseen.ground import Ground
from faults.unseen.trial import Trial
from faults.watches import (
    OURS,
    OWNED,
    WATCHED,
    Breaking,
    Closing,
    Doubled,
    Frozen,
    Noting,
    Once,
    OnlyBookmarks,
    Reordered,
    Stalled,
    WatchPolicy,
    error_event,
)

_AT_A_TIME = 32
_HOLD_SECONDS = 8.0
# The operator gives up a watch that says nothing for 70 s.
_STALL_SECONDS = 85.0
_MOST_SECONDS = 4.0
_GARBAGE = b'{"type": "MODI\x00\n'
_NO_EVENT = b"{}\n"
Over = Callable[[WatchPolicy], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """policy: made of the revision at which it begins. over: returns when it has lasted."""

    prefix: str
    policy: Callable[[int], WatchPolicy]
    over: Over
    workloads: tuple[str, ...] = ("create", "narrow", "delete", "recreate", "drift", "grant-closed")

    def id(self, workload: str) -> str:
        return f"{self.prefix}/{workload}"


async def _a_while(policy: WatchPolicy) -> None:
    await asyncio.sleep(_MOST_SECONDS)


async def _held(policy: WatchPolicy) -> None:
    await asyncio.sleep(_HOLD_SECONDS)
    if isinstance(policy, Frozen):
        policy.thaw()
    if isinstance(policy, OnlyBookmarks):
        policy.end()
        # It is asked again within a moment, and then tells all.
        await asyncio.sleep(1)


async def _noticed(policy: WatchPolicy) -> None:
    """Every watch that was open has been opened anew."""
    assert isinstance(policy, Stalled)
    deadline = time.monotonic() + _STALL_SECONDS
    while left := WATCHED - policy.anew:
        if time.monotonic() > deadline:
            raise TimeoutError(f"never opened anew: {', '.join(sorted(left))}")
        await asyncio.sleep(0.2)


def _others(path: str) -> bool:
    return path in WATCHED - OURS


def _once(instead: bytes, concerns: Callable[[str], bool], *, ends: bool) -> Callable[[int], Once]:
    return lambda _: Once(instead, concerns, ends=ends)


FAULTS: tuple[Fault, ...] = (
    Fault("watch/closed", lambda _: Closing(), _a_while),
    Fault("watch/reset", lambda _: Breaking(lambda _: b"", rudely=True), _a_while),
    Fault("watch/half-a-line", lambda _: Breaking(watches.half, rudely=False), _a_while),
    Fault("watch/doubled", lambda _: Doubled(), _a_while),
    Fault("watch/reordered", lambda _: Reordered(), _a_while),
    Fault("watch/held", Frozen, _held),
    Fault("watch/bookmarks", lambda _: OnlyBookmarks(), _held),
    Fault(
        "watch/stalled",
        lambda _: Stalled(),
        _noticed,
        # Who waits for a deletion before it goes on does not wait for so long.
        ("create", "narrow", "delete", "drift", "grant-closed"),
    ),
    *(
        Fault(f"watch/{name}-{whose}", _once(instead, concerns, ends=ends), _a_while)
        for whose, concerns in (("ours", OURS.__contains__), ("others", _others))
        for name, instead, ends in (
            ("error-410", error_event(410, "Expired"), True),
            ("error-500", error_event(500, "InternalError"), True),
            ("garbage", _GARBAGE, False),
            ("no-event", _NO_EVENT, False),
        )
    ),
    Fault(
        "stale/S3",
        lambda revision: Frozen(revision, OWNED.__contains__),
        _held,
        ("create", "widen", "restore", "recreate", "delete", "narrow", "grant", "grant-less"),
    ),
)
IDS = tuple(fault.id(workload) for fault in FAULTS for workload in fault.workloads)


async def run(ground: Ground, chosen: Sequence[str]) -> None:
    ends = await ground.ends(w for f in FAULTS for w in f.workloads if f.id(w) in chosen)
    met: Mapping[Fault, list[Trial]] = MappingProxyType(
        {f: [ground.trial(w, f.id(w)) for w in f.workloads if f.id(w) in chosen] for f in FAULTS}
    )
    everybody = [one for trials in met.values() for one in trials]
    for start in range(0, len(everybody), _AT_A_TIME):
        await ground.all(everybody[start : start + _AT_A_TIME], "set_up")
    for fault, trials in met.items():
        if trials:
            await _meet(ground, fault, trials, ends)
    await ground.clear()


async def _meet(
    ground: Ground, fault: Fault, trials: Sequence[Trial], ends: Mapping[str, End]
) -> None:
    ended, sick = ground.kubelet.ended, ground.kubelet.sick
    policy = fault.policy(await ground.revision())
    noting = Noting(policy)
    await ground.all(trials, "mark")
    async with ground.watches(noting):
        acts = asyncio.create_task(ground.all(trials, "act"))
        await fault.over(policy)
    await acts
    await ground.ready()
    standing = [one for one in trials if not one.lost]
    await asyncio.gather(*(one.become(ends[one.workload.name]) for one in standing))
    # Watches that fall silent do nothing to an event: that they were opened anew has shown it.
    met = noting.met or isinstance(policy, Stalled)
    for one in standing:
        await ground.judge(one, ends[one.workload.name], met=met)
    slowest = max((one.seconds for one in standing), default=0.0)
    again = ground.kubelet.ended - ended, ground.kubelet.sick - sick
    ground.tally.tell(
        f"{fault.prefix}: all as without it after at most {slowest:.0f} s;"
        f" ended by itself {again[0]}, by the kubelet {again[1]} times"
    )
