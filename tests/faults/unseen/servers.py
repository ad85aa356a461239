"""The API server and its store go away and come back; the operator's token is refused."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType

from faults.oracles import End
from faults.unseen.ground import Ground
from faults.unseen.trial import Trial

WORKLOADS = ("create", "narrow", "delete", "drift", "grant-less")
_LONG_SECONDS = 60.0
_TOKEN_SECONDS = 8.0
Outage = Callable[[Ground], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _killed(ground: Ground) -> AsyncIterator[None]:
    """While the operator is at work: the workloads have just acted."""
    yield
    plane = ground.theatre.bed.control_plane
    await asyncio.to_thread(plane.stop_api_server)
    await asyncio.to_thread(plane.start_api_server)


@asynccontextmanager
async def _down(ground: Ground) -> AsyncIterator[None]:
    yield
    plane = ground.theatre.bed.control_plane
    await asyncio.to_thread(plane.stop_api_server)
    await asyncio.sleep(_LONG_SECONDS)
    await asyncio.to_thread(plane.start_api_server)


@asynccontextmanager
async def _without_store(ground: Ground) -> AsyncIterator[None]:
    yield
    await asyncio.to_thread(ground.theatre.bed.control_plane.restart_etcd)


@asynccontextmanager
async def _token_refused(ground: Ground) -> AsyncIterator[None]:
    """What the kubelet projects is good for nothing, for a while."""
    operator = ground.theatre.operator
    (operator.directory / "kube-token").write_text("expired")
    try:
        yield
        await asyncio.sleep(_TOKEN_SECONDS)
    finally:
        await asyncio.to_thread(operator.refresh_tokens)


@asynccontextmanager
async def _token_renewed(ground: Ground) -> AsyncIterator[None]:
    yield
    await asyncio.to_thread(ground.theatre.operator.refresh_tokens)


OUTAGES: Mapping[str, Outage] = MappingProxyType(
    {
        "server/killed": _killed,
        "server/down-60s": _down,
        "server/etcd-restarted": _without_store,
        "server/token-refused": _token_refused,
        "server/token-renewed": _token_renewed,
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
    async with outage(ground):
        await ground.all(trials, "act")
    standing = [one for one in trials if not one.lost]
    await asyncio.gather(*(one.become(ends[one.workload.name]) for one in standing))
    for one in standing:
        await ground.judge(one, ends[one.workload.name])
    again = ground.kubelet.ended - ended, ground.kubelet.sick - sick
    slowest = max((one.seconds for one in standing), default=0.0)
    ground.tally.tell(
        f"{name}: all as without it after at most {slowest:.0f} s;"
        f" ended by itself {again[0]}, by the kubelet {again[1]} times"
    )
