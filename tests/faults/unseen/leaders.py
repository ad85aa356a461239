"""Two operators with a Lease: the old one is stopped, or sees an old view and has lost its Lease;
the new one works. The old one must write nothing more, and nothing is done twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType

from faults.exchange import Exchange
from faults.modes import Mode, When
from faults.oracles import End
from faults.theatre import SHIPPED
from faults.unseen.ground import Ground
from faults.watches import Frozen, Passing
from testbed.operator_process import OperatorProcess

LEASE_SECONDS = 4
_LEASED = {
    **SHIPPED,
    "AGENT_IDENTITY_LEADER_ELECTION": "true",
    "AGENT_IDENTITY_LEASE_SECONDS": str(LEASE_SECONDS),
}
WORKLOADS = ("create", "narrow", "delete", "recreate", "grant-less", "secrets")
_NO_LEASE = Mode("no Lease", When.INSTEAD, status=503)


class Pair:
    """old: sees the API server through the proxy. new: directly."""

    def __init__(self, ground: Ground, new: OperatorProcess) -> None:
        self.ground = ground
        self.old = ground.theatre.operator
        self.new = new


@asynccontextmanager
async def _pair(ground: Ground) -> AsyncIterator[Pair]:
    await ground.use(_LEASED)
    new = ground.theatre.bed.operator(settings=_LEASED)
    try:
        await asyncio.to_thread(new.start)
        await asyncio.to_thread(new.wait_standby)
        yield Pair(ground, new)
    finally:
        await asyncio.to_thread(new.stop)


async def _stopped(pair: Pair, act: Callable[[], Awaitable[None]]) -> int:
    pair.old.pause()
    await act()
    await asyncio.to_thread(pair.new.wait_ready)
    return len(pair.old.changes())


async def _goes_on(pair: Pair) -> None:
    pair.old.resume()


async def _held(pair: Pair, act: Callable[[], Awaitable[None]]) -> int:
    """Its Lease can't be renewed, though all else that it asks for is answered."""
    proxy = pair.ground.theatre.kube
    proxy.watches = Frozen(await pair.ground.revision())
    proxy.choose = lambda e: _NO_LEASE if "/leases/" in e.call.path else _usual(pair, e)
    await act()
    await asyncio.to_thread(pair.new.wait_ready)
    return len(pair.old.changes())


def _usual(pair: Pair, exchange: Exchange) -> Mode | None:
    return pair.ground.theatre.faults.choose(exchange)


async def _thawed(pair: Pair) -> None:
    pair.ground.theatre.kube.watches = Passing()
    pair.ground.theatre.kube.choose = pair.ground.theatre.faults.choose


Loss = Callable[[Pair, Callable[[], Awaitable[None]]], Awaitable[int]]
Return = Callable[[Pair], Awaitable[None]]
WAYS: Mapping[str, tuple[Loss, Return]] = MappingProxyType(
    {"stopped": (_stopped, _goes_on), "held": (_held, _thawed)}
)
IDS = tuple(f"stale/S4/{way}/{workload}" for way in WAYS for workload in WORKLOADS)


async def run(ground: Ground, chosen: Sequence[str]) -> None:
    ends = await ground.ends(case.rpartition("/")[2] for case in chosen)
    for way in WAYS:
        here = [case for case in chosen if case.startswith(f"stale/S4/{way}/")]
        if here:
            await _run(ground, way, here, ends)
    await ground.use(SHIPPED)
    await ground.clear()


async def _run(ground: Ground, way: str, cases: Sequence[str], ends: Mapping[str, End]) -> None:
    lose, come_back = WAYS[way]
    async with _pair(ground) as pair:
        trials = [ground.trial(case.rpartition("/")[2], case) for case in cases]
        await ground.all(trials, "set_up")
        async with ground.kubelet.away():
            before = await lose(pair, lambda: ground.all(trials, "act"))
            standing = [one for one in trials if not one.lost]
            await asyncio.gather(*(one.become(ends[one.workload.name]) for one in standing))
            await come_back(pair)
            code = await asyncio.to_thread(pair.old.wait_ended, 2 * LEASE_SECONDS)
        late = pair.old.changes()[before:]
        more = [f"the old one wrote afterwards: {e['verb']} {e['requestURI']}" for e in late]
        more += [] if code == 1 else [f"the old one ended with {code}"]
        for one in standing:
            await ground.judge(one, ends[one.workload.name], *more)
