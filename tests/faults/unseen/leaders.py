"""Two operators with a Lease: the old one is stopped, or sees an old view and has lost its Lease;
the new one works. The old one must write nothing more, and nothing is done twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType

from faults.exchange import Exchange
from faults.modes import Mode, When
from faults.oracles import End
from faults.proxy import FaultProxy
from faults.recorder import Body
from faults.theatre import SHIPPED
from faults.unseen.ground import Ground
from faults.unseen.lease import LEASES, lease
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
    """Each sees the API server through a proxy of its own, and Vault through the same one."""

    def __init__(self, ground: Ground, new: OperatorProcess) -> None:
        self.ground = ground
        self.old = ground.theatre.operator
        self.new = new


@asynccontextmanager
async def _pair(ground: Ground) -> AsyncIterator[Pair]:
    await ground.use(_LEASED)
    async with _another_proxy(ground) as proxy:
        new = ground.theatre.bed.operator(settings={**_LEASED, **_through(ground, proxy)})
        try:
            await asyncio.to_thread(new.start)
            await asyncio.to_thread(new.wait_standby)
            yield Pair(ground, new)
        finally:
            await asyncio.to_thread(new.stop)


def _another_proxy(ground: Ground) -> FaultProxy:
    """In the same log as the old one's: oracles judge what either of them has done."""
    theatre, plane = ground.theatre, ground.theatre.bed.control_plane
    proxy = FaultProxy("kube", lambda: plane.server, plane.ca_file, theatre.log)
    proxy.choose = theatre.faults.choose
    return proxy


def _through(ground: Ground, proxy: FaultProxy) -> dict[str, str]:
    ca_file = ground.theatre.bed.directory / "another-proxy-ca.crt"
    ca_file.write_text(proxy.authority.pem)
    return {
        "AGENT_IDENTITY_KUBE_SERVER": proxy.address,
        "AGENT_IDENTITY_KUBE_CA_FILE": str(ca_file),
    }


async def _stopped(pair: Pair, act: Callable[[], Awaitable[None]]) -> None:
    pair.old.pause()
    await act()
    await asyncio.to_thread(pair.new.wait_ready)


async def _goes_on(pair: Pair) -> None:
    pair.old.resume()


async def _held(pair: Pair, act: Callable[[], Awaitable[None]]) -> None:
    """Its Lease can't be renewed, though all else that it asks for is answered."""
    proxy = pair.ground.theatre.kube
    proxy.watches = Frozen(await pair.ground.revision())
    proxy.choose = lambda e: _NO_LEASE if "/leases/" in e.call.path else _usual(pair, e)
    await act()
    await asyncio.to_thread(pair.new.wait_ready)


def _usual(pair: Pair, exchange: Exchange) -> Mode | None:
    return pair.ground.theatre.faults.choose(exchange)


async def _thawed(pair: Pair) -> None:
    pair.ground.theatre.kube.watches = Passing()
    pair.ground.theatre.kube.choose = pair.ground.theatre.faults.choose


def late_writes(asked: Iterable[Exchange], instance: str, since: float) -> list[str]:
    """What this operator sent after a moment, by the monotonic clock, to change something: but its
    Lease, which it may try to keep."""
    sent = (e for e in asked if f"({instance}_" in e.sender and e.at > since)
    return [str(e.call) for e in sent if e.changes and not e.call.path.startswith(LEASES)]


def led_since(lease_spec: Body, *, now: float, monotonic: float) -> float:
    """Since when it has its holder, by the monotonic clock, of which this is the moment that it
    shows at `now` of the wall clock. All processes here have the same clocks."""
    acquired = datetime.fromisoformat(lease_spec["acquireTime"]).timestamp()
    return acquired - now + monotonic


Loss = Callable[[Pair, Callable[[], Awaitable[None]]], Awaitable[None]]
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
        log = ground.theatre.log
        first = len(log)
        async with ground.kubelet.away():
            await lose(pair, lambda: ground.all(trials, "act"))
            held = await lease(ground)
            since = led_since(held, now=time.time(), monotonic=time.monotonic())
            standing = [one for one in trials if not one.lost]
            await asyncio.gather(*(one.become(ends[one.workload.name]) for one in standing))
            await come_back(pair)
            code = await asyncio.to_thread(pair.old.wait_ended, 2 * LEASE_SECONDS)
        late = late_writes(log.since(first), pair.old.instance, since)
        more = [f"the old one wrote afterwards: {call}" for call in late]
        more += [] if code == 1 else [f"the old one ended with {code}"]
        met = held["holderIdentity"].startswith(f"{pair.new.instance}_")
        for one in standing:
            await ground.judge(one, ends[one.workload.name], *more, met=met)
