"""The API server and its store go away and come back; the operator's token is refused."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from types import MappingProxyType

from faults.oracles import End
from faults.unseen.ground import Ground
from faults.unseen.met import first_writes_held, was_at_work, was_refused
from faults.unseen.trial import Trial, names_of

WORKLOADS = ("create", "narrow", "delete", "drift", "grant-less")
_LONG_SECONDS = 60.0
_TOKEN_SECONDS = 8.0
# Longer than it takes to kill a server, and shorter than it takes to start it again.
_STOPPED_SECONDS = 2.0
Break = Callable[[Ground], Awaitable[None]]
Met = Callable[[Trial], bool]
"""Whether one trial's work came upon an outage."""
Outage = Callable[[Ground, Sequence[Trial]], Awaitable[Met]]
"""The acts of all, and what breaks meanwhile; returns when it is whole again."""


async def _killed(ground: Ground) -> None:
    plane = ground.theatre.bed.control_plane
    await asyncio.to_thread(plane.stop_api_server)
    await asyncio.to_thread(plane.start_api_server)


async def _down(ground: Ground) -> None:
    plane = ground.theatre.bed.control_plane
    await asyncio.to_thread(plane.stop_api_server)
    await asyncio.sleep(_LONG_SECONDS)
    await asyncio.to_thread(plane.start_api_server)


async def _without_store(ground: Ground) -> None:
    await asyncio.to_thread(ground.theatre.bed.control_plane.restart_etcd)


async def _token_renewed(ground: Ground) -> None:
    await asyncio.to_thread(ground.theatre.operator.refresh_tokens)


async def _at_work(ground: Ground, trials: Sequence[Trial], *, breaks: Break) -> Met:
    """While the operator does what the workloads have just asked for."""
    proxy = ground.theatre.kube
    with first_writes_held(proxy, names_of(trials), seconds=_STOPPED_SECONDS):
        await ground.all(trials, "act")
        began = time.monotonic()
        await breaks(ground)
    return lambda one: was_at_work(one.asked(), began)


async def _token_refused(ground: Ground, trials: Sequence[Trial]) -> Met:
    """What the kubelet projects is good for nothing, for a while."""
    operator = ground.theatre.operator
    (operator.directory / "kube-token").write_text("expired")
    try:
        await ground.all(trials, "act")
        await asyncio.sleep(_TOKEN_SECONDS)
    finally:
        await asyncio.to_thread(operator.refresh_tokens)
    return lambda one: was_refused(one.asked(), "kube", HTTPStatus.UNAUTHORIZED)


OUTAGES: Mapping[str, Outage] = MappingProxyType(
    {
        "server/killed": partial(_at_work, breaks=_killed),
        "server/down-60s": partial(_at_work, breaks=_down),
        "server/etcd-restarted": partial(_at_work, breaks=_without_store),
        "server/token-refused": _token_refused,
        "server/token-renewed": partial(_at_work, breaks=_token_renewed),
    }
)
IDS = tuple(f"{name}/{workload}" for name in OUTAGES for workload in WORKLOADS)


async def run(ground: Ground, chosen: Sequence[str]) -> None:
    ends = await ground.ends(case.rpartition("/")[2] for case in chosen)
    for name, outage in OUTAGES.items():
        cases = [case for case in chosen if case.rpartition("/")[0] == name]
        trials = [ground.trial(case.rpartition("/")[2], case) for case in cases]
        if trials:
            await _meet(ground, name, outage, trials, ends)
    await ground.clear()


async def _meet(
    ground: Ground, name: str, outage: Outage, trials: Sequence[Trial], ends: Mapping[str, End]
) -> None:
    await ground.all(trials, "set_up")
    ended, sick = ground.kubelet.ended, ground.kubelet.sick
    met = await outage(ground, trials)
    standing = [one for one in trials if not one.lost]
    await asyncio.gather(*(one.become(ends[one.workload.name]) for one in standing))
    for one in standing:
        await ground.judge(one, ends[one.workload.name], met=met(one))
    again = ground.kubelet.ended - ended, ground.kubelet.sick - sick
    slowest = max((one.seconds for one in standing), default=0.0)
    ground.tally.tell(
        f"{name}: all as without it after at most {slowest:.0f} s;"
        f" ended by itself {again[0]}, by the kubelet {again[1]} times"
    )
