"""The operator's wall clock is wrong, or is set while it runs. Its monotonic clock goes on.

OpenSSL reads the machine's clock and not this one: a certificate that has not begun or has ended is
not what these cases are about.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from faults.exchange import Exchange
from faults.modes import Mode, When
from faults.oracles import End
from faults.theatre import SHIPPED
from faults.unseen.ground import Ground
from faults.unseen.lease import lease
from faults.unseen.met import first_writes_held, was_at_work, was_faulted
from faults.unseen.trial import Trial, names_of

WORKLOADS = ("create", "narrow", "delete", "recreate", "grant-less")
MINUTES, DAY = 300, 86400
AHEAD_OR_BEHIND: Mapping[str, int] = MappingProxyType(
    {"5-min-ahead": MINUTES, "5-min-behind": -MINUTES, "1-day-ahead": DAY, "1-day-behind": -DAY}
)
JUMPS: Mapping[str, int] = MappingProxyType({"set-ahead": DAY, "set-back": -DAY})
_UNANSWERED = "delete-without-vault"
# What a Vault that does not answer keeps stands without guards, until it answers.
_OWED = frozenset({"guards first"})
_DEADLINE_SECONDS = 10
_LEASE_SECONDS = 15
# A renewal comes every two seconds, and tells of the clock to the second.
_RENEWED_SECONDS = 10.0
_LOOK_SECONDS = 0.5
_NEAR_SECONDS = 60.0
_CLOCK = Path(__file__).with_name("clock")
_SEALED = Mode("sealed", When.INSTEAD, status=503)
IDS = tuple(
    f"clock/{name}/{workload}"
    for name in (*AHEAD_OR_BEHIND, *JUMPS)
    for workload in (*WORKLOADS, _UNANSWERED)
)


@dataclass(frozen=True, slots=True)
class Clock:
    """file: what it is off by. seconds: by how much it is to be. jumps: once the workloads act."""

    file: Path
    seconds: int
    jumps: bool


async def run(ground: Ground, chosen: Sequence[str]) -> None:
    ends = await ground.ends([*WORKLOADS, "delete"])
    offset = ground.theatre.bed.directory / "clock-offset"
    settings = {
        **SHIPPED,
        "AGENT_IDENTITY_LEADER_ELECTION": "true",
        "AGENT_IDENTITY_LEASE_SECONDS": str(_LEASE_SECONDS),
        "AGENT_IDENTITY_DELETION_DEADLINE_SECONDS": str(_DEADLINE_SECONDS),
        "PYTHONPATH": str(_CLOCK),
        "CLOCK_OFFSET_FILE": str(offset),
    }
    for name, seconds in (*AHEAD_OR_BEHIND.items(), *JUMPS.items()):
        found = [case for case in chosen if case.startswith(f"clock/{name}/")]
        # By themselves: whoever is deleted beside them would be owed to a Vault that is left alone.
        unanswered = [case for case in found if case.endswith(_UNANSWERED)]
        for cases in filter(None, ([c for c in found if c not in unanswered], unanswered)):
            jumps = name in JUMPS
            offset.write_text("0" if jumps else str(seconds))
            await ground.use(settings)
            await _run(ground, cases, ends, Clock(offset, seconds, jumps=jumps))
    await ground.clear()


async def _run(ground: Ground, cases: Sequence[str], ends: Mapping[str, End], clock: Clock) -> None:
    trials = [ground.trial(_workload(case), case) for case in cases]
    ended = ground.kubelet.ended
    await ground.all(trials, "set_up")
    alone = [one for one in trials if one.case.endswith(_UNANSWERED)]
    with _sealed_for(ground, alone):
        await ground.all(trials, "mark")
        wrong_since = await act(ground, trials, clock)
        late = {one.case: await _ends_late(ground, one) for one in alone}
    standing = [one for one in trials if not one.lost]
    await asyncio.gather(*(one.become(ends[one.workload.name]) for one in standing))
    again = ground.kubelet.ended - ended
    is_wrong = await _is_wrong(ground, clock.seconds)
    for one in standing:
        more = [f"the operator ended {again} times"] if again else []
        more += late.get(one.case, [])
        without = _OWED if one in alone else frozenset()
        met = is_wrong and was_at_work(one.asked(), wrong_since)
        met = met and (one not in alone or was_faulted(one.asked(), _SEALED))
        await ground.judge(one, ends[one.workload.name], *more, without=without, met=met)


async def act(ground: Ground, trials: Sequence[Trial], clock: Clock) -> float:
    """Since when the clock has been wrong, by the monotonic one: one that jumps does so while the
    operator is at work."""
    if not clock.jumps:
        began = time.monotonic()
        await ground.all(trials, "act")
        return began
    with first_writes_held(ground.theatre.kube, names_of(trials)) as held:
        # Not waited for: who recreates has acted only when the operator has done its work.
        acts = asyncio.create_task(ground.all(trials, "act"))
        await held.complete()
        clock.file.write_text(str(clock.seconds))
        jumped = time.monotonic()
    await acts
    return jumped


async def _is_wrong(ground: Ground, seconds: int) -> bool:
    """Whether the operator renews its Lease by a clock that is off by so much."""
    deadline = time.monotonic() + _RENEWED_SECONDS
    while time.monotonic() < deadline:
        renewed = datetime.fromisoformat((await lease(ground))["renewTime"]).timestamp()
        if abs(renewed - time.time() - seconds) < _NEAR_SECONDS:
            return True
        await asyncio.sleep(_LOOK_SECONDS)
    return False


def _workload(case: str) -> str:
    name = case.rpartition("/")[2]
    return "delete" if name == _UNANSWERED else name


async def _ends_late(ground: Ground, one: Trial) -> list[str]:
    """A deletion ends though Vault does not answer, once its deadline is over."""
    identity = one.scene.of_identity("agent")
    limit = 2.0 * _DEADLINE_SECONDS
    recorder = ground.theatre.recorder
    gone = await recorder.until(one.scene.name, lambda: one.scene.body(identity) is None, limit)
    return [] if gone else [f"not gone {limit:g} s after it was deleted: its deadline is over"]


@contextmanager
def _sealed_for(ground: Ground, trials: Sequence[Trial]) -> Iterator[None]:
    """Vault does not answer about these."""
    proxy, usual = ground.theatre.vault, ground.theatre.faults.choose
    scenes = {one.scene.name for one in trials}

    def choose(exchange: Exchange) -> Mode | None:
        return _SEALED if exchange.scene in scenes else usual(exchange)

    proxy.choose = choose
    try:
        yield
    finally:
        proxy.choose = usual
