"""`python -m faults.soak`: a fleet that changes all the time, a tenant whose identities are broken,
and faults at random; and somebody who has to do with none of it.

Asked: does memory grow, does anybody wait ever longer, does the process always answer, and does
the one tenant feel the other. The exit code is 1 where one of them is beyond its bound below, or a
bug is in the log.
"""

import argparse
import asyncio
import functools
import itertools
import random
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from bench.usage import cpu_seconds, rss_mib
from faults.bugs import logged_bugs
from faults.exchange import Exchange
from faults.modes import LOSSES, MODES, REFUSALS, Mode
from faults.recorder import Body
from faults.scene import OTHER_READER, READER, Scene
from faults.theatre import Theatre
from faults.watches import CloseWatch, Passing

AT_A_TIME = 16
GIVE_UP_SECONDS = 900.0
SAMPLE_SECONDS = 5.0
# Of a hundred requests, and of a thousand events.
FAULTS, CLOSED = 1, 1
# Three thousand identities more than the two thousand at rest made 1.3 times as much memory of it,
# and what lists had left behind after broken watches 1.85 times.
MEMORY_GROWTH = 1.6
# The last of many that come at once has its first turn when all before it have had theirs. How long
# that takes is the servers': it took 0.9 times as long as for as many healthy ones.
FIRST_TURNS = 1.25
# Once they have had it nobody waited for longer than 6 s, on a machine that all processes share.
TURN_SECONDS = 30.0
# That a queue has been worked off: what is tried again comes in short bursts.
SETTLED_SECONDS = 1.0
# Half of what the chart lets a probe wait.
SILENT_SECONDS = 2.5
# The bystander's slowest changes took 3 times as long as at rest, and then less than 0.2 s. Where
# they take less than a moment at rest, that moment counts: the machine has its part in either.
SLOWER = 10.0
MOMENT_SECONDS = 0.05
AT_REST, STORM = "at rest", "and faults at random"
VAULT = {"vault": {"policies": ["own-secrets"]}}
_QUEUE_AGE = re.compile(r"^agent_identity_queue_age_seconds (.+)$", re.MULTILINE)


@dataclass(slots=True)
class Felt:
    """seconds: of each change of the bystander, until it was Ready. memory: (seconds, MiB).
    oldest: seconds that the first in the queue had waited, at each look. silent: the longest
    seconds that the process took to answer a look."""

    seconds: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    oldest: list[float] = field(default_factory=list)
    busy: float = 0.0
    silent: float = 0.0

    def waits(self, now: float) -> bool:
        """Whether somebody has been waiting for long at the last look. now: seconds since the first
        one, to give up by."""
        return now < GIVE_UP_SECONDS and bool(self.oldest) and self.oldest[-1] > SETTLED_SECONDS


class Weather:
    """Vault refuses one scene everything; and faults at random, but for another."""

    def __init__(self, spared: Scene, broken: Scene) -> None:
        self._spared, self._broken = spared.name, broken.name
        self._chance = random.Random(0)
        self._modes = [*REFUSALS, *LOSSES]
        self.stormy = False
        self.met = 0

    def choose(self, exchange: Exchange) -> Mode | None:
        if exchange.scene == self._broken and exchange.call.server == "vault":
            return MODES["status-403"]
        if not self.stormy or exchange.scene in {"", self._spared}:
            return None
        if self._chance.random() >= FAULTS / 100:
            return None
        self.met += 1
        return MODES[self._chance.choice(self._modes)]


class Gusts(Passing):
    """A watch now and then ends."""

    def __init__(self) -> None:
        self._chance = random.Random(1)

    async def shown(self, path: str, line: bytes) -> list[bytes]:
        if self._chance.random() < CLOSED / 1000:
            raise CloseWatch(line, rudely=True)
        return [line]


class Fleet:
    """Many identities in one namespace."""

    def __init__(self, scene: Scene, count: int) -> None:
        self.scene = scene
        self.names = [f"agent-{number:04d}" for number in range(count)]

    async def create(self) -> None:
        await self.scene.namespace(self.scene.home)
        await self.scene.agent_class(rbac={"clusterRoles": [READER, OTHER_READER]})
        left = iter(self.names)

        async def work() -> None:
            for name in left:
                await self.scene.identity(name, **_spec([READER]))

        await asyncio.gather(*(work() for _ in range(AT_A_TIME)))

    async def until_ready(self) -> None:
        recorder = self.scene.stage.recorder
        for name in self.names:
            ready = functools.partial(self.is_ready, name)
            if not await recorder.until(self.scene.name, ready, GIVE_UP_SECONDS):
                raise TimeoutError(f"{name} of {self.scene.name} isn't Ready")

    def is_ready(self, name: str) -> bool:
        body = self.scene.body(self.scene.of_identity(name))
        status = (body or {}).get("status") or {}
        rows = {row["type"]: row["status"] for row in status.get("conditions") or ()}
        generation = (body or {"metadata": {}})["metadata"].get("generation")
        return status.get("observedGeneration") == generation and rows.get("Ready") == "True"

    async def change(self, name: str, roles: Sequence[str]) -> None:
        await self.scene.patch(self.scene.of_identity(name), {"spec": _spec(roles)})

    async def replace(self, name: str) -> None:
        """Gone, and made anew under its name."""
        of = self.scene.of_identity(name)
        await self.scene.delete(of)
        recorder = self.scene.stage.recorder
        await recorder.until(self.scene.name, lambda: self.scene.body(of) is None, GIVE_UP_SECONDS)
        await self.scene.identity(name, **_spec([READER]))


def _spec(roles: Sequence[str]) -> Body:
    return {"rbac": {"clusterRoles": list(roles)}, **VAULT}


class Soak:
    """One theatre with three fleets: one that changes, one that is broken, one that watches."""

    def __init__(self, theatre: Theatre, healthy: int, broken: int) -> None:
        self._theatre = theatre
        self.fleet = Fleet(theatre.stage.scene(), healthy)
        self.broken = Fleet(theatre.stage.scene(), broken)
        self.bystander = Fleet(theatre.stage.scene(), 20)
        self._weather = Weather(self.bystander.scene, self.broken.scene)

    async def feel(self, seconds: float, rate: float) -> Felt:
        """What the bystander and the process feel for so long, and until all that waits has had its
        turn, while so many identities change a second."""
        felt, began = Felt(), time.monotonic()
        before = cpu_seconds(self._theatre.operator.pid)
        async with _for_a_while(self._churn(rate), self._look(felt, began)):
            roles = itertools.cycle([[READER], [READER, OTHER_READER]])
            names = itertools.cycle(self.bystander.names)
            while (now := time.monotonic() - began) < seconds or felt.waits(now):
                felt.seconds.append(await self._one_change(next(names), next(roles)))
        spent = cpu_seconds(self._theatre.operator.pid) - before
        felt.busy = spent / (time.monotonic() - began)
        return felt

    async def _one_change(self, name: str, roles: Sequence[str]) -> float:
        began = time.monotonic()
        await self.bystander.change(name, roles)
        recorder, scene = self._theatre.recorder, self.bystander.scene.name
        await recorder.until(scene, lambda: self.bystander.is_ready(name), GIVE_UP_SECONDS)
        took = time.monotonic() - began
        # A tenant that changes one thing after the other would be a load of its own.
        await asyncio.sleep(max(0.0, 0.5 - took))
        return took

    async def _churn(self, rate: float) -> None:
        chance, jobs = random.Random(2), set[asyncio.Task[None]]()
        try:
            while rate:
                name = chance.choice(self.fleet.names)
                roles = chance.choice([[READER], [READER, OTHER_READER], [OTHER_READER]])
                replaced = chance.random() < 0.2
                job = self.fleet.replace(name) if replaced else self.fleet.change(name, roles)
                jobs.add(task := asyncio.create_task(_forgiven(job)))
                task.add_done_callback(jobs.discard)
                await asyncio.sleep(1 / rate)
        finally:
            # One that was deleted is to be made anew, else the fleet would be smaller.
            await asyncio.gather(*jobs)

    async def _look(self, felt: Felt, began: float) -> None:
        operator = self._theatre.operator
        while True:
            felt.memory.append((time.monotonic() - began, rss_mib(operator.pid)))
            asked = time.monotonic()
            with suppress(TimeoutError):
                page = await asyncio.to_thread(operator.metrics)
                felt.oldest += [float(value) for value in _QUEUE_AGE.findall(page)]
            felt.silent = max(felt.silent, time.monotonic() - asked)
            for fleet in (self.fleet, self.broken, self.bystander):
                self._theatre.recorder.forget(fleet.scene.name)
            self._theatre.log.forget()
            await asyncio.sleep(SAMPLE_SECONDS)

    def refuse(self) -> None:
        """What is to be broken, from now on."""
        for proxy in (self._theatre.kube, self._theatre.vault):
            proxy.choose = self._weather.choose

    def storm(self) -> None:
        """From now on."""
        self._weather.stormy = True
        self._theatre.kube.watches = Gusts()

    def calm(self) -> None:
        """Faults end; what is broken stays so."""
        self._weather.stormy = False
        self._theatre.kube.watches = Passing()

    @property
    def faults(self) -> int:
        return self._weather.met


async def _forgiven(job: Coroutine[Any, Any, None]) -> None:
    """Two changes of one identity may meet."""
    try:
        await job
    except RuntimeError:
        return


@asynccontextmanager
async def _for_a_while(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Raises what ended one of them."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if error and not isinstance(error, asyncio.CancelledError):
                raise error


def verdict(phases: Mapping[str, Felt], first_turns: float) -> list[str]:
    """What is beyond its bounds. phases: by name, AT_REST and STORM among them. first_turns: the
    seconds that as many healthy ones as there are broken ones took until they were Ready."""
    rest, storm = phases[AT_REST], phases[STORM]
    grown = _last_quarter(storm.memory) / _last_quarter(rest.memory)
    wrong = [f"{grown:.2f} times the memory at rest"] if grown > MEMORY_GROWTH else []
    usual = max(MOMENT_SECONDS, _p(rest.seconds, 0.99))
    for name, felt in phases.items():
        limit = TURN_SECONDS if felt is storm else first_turns * FIRST_TURNS
        if max(felt.oldest) > limit:
            wrong.append(f"{name}: somebody waited {max(felt.oldest):.0f} s for a turn")
        if felt.silent > SILENT_SECONDS:
            wrong.append(f"{name}: the process was silent for {felt.silent:.1f} s")
        if _p(felt.seconds, 0.99) > SLOWER * usual:
            wrong.append(f"{name}: the bystander waited {_p(felt.seconds, 0.99):.2f} s")
    return wrong


def _p(seconds: Sequence[float], part: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, round(len(ordered) * part))]


def _first_quarter(memory: Sequence[tuple[float, float]]) -> float:
    return statistics.median(mib for _, mib in memory[: max(1, len(memory) // 4)])


def _last_quarter(memory: Sequence[tuple[float, float]]) -> float:
    return statistics.median(mib for _, mib in memory[-max(1, len(memory) // 4) :])


def _row(name: str, felt: Felt) -> str:
    return (
        f"| {name} | {len(felt.seconds)} | {_p(felt.seconds, 0.5):.2f} s | "
        f"{_p(felt.seconds, 0.99):.2f} s | {max(felt.oldest):.1f} s | "
        f"{felt.silent:.2f} s | {_first_quarter(felt.memory):.0f} MiB | "
        f"{_last_quarter(felt.memory):.0f} MiB | {felt.busy:.0%} |"
    )


HEAD = (
    "| | changes | Ready, p50 | Ready, p99 | longest in the queue | slowest answer | "
    "memory, first quarter | last quarter | CPU |\n"
    "| --- | --: | --: | --: | --: | --: | --: | --: | --: |"
)


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


async def run(healthy: int, broken: int, minutes: float, rate: float) -> tuple[str, list[str]]:
    """The table, and what is wrong."""
    async with Theatre(report=_say) as theatre:
        soak = Soak(theatre, healthy, broken)
        phases: dict[str, Felt] = {}

        async def feel(name: str, seconds: float, rate: float) -> None:
            phases[name] = await soak.feel(seconds, rate)
            _say(_row(name, phases[name]))

        for fleet in (soak.bystander, soak.fleet):
            began = time.monotonic()
            await fleet.create()
            await fleet.until_ready()
        first_turns = (time.monotonic() - began) * broken / healthy
        _say(f"{healthy} identities are Ready")
        await feel(AT_REST, 60, 0)
        await feel(f"{rate:g} changes a second", 120, rate)
        soak.refuse()
        await soak.broken.create()
        _say(f"{broken} broken ones are there")
        await feel(f"and {broken} broken", 120, rate)
        soak.storm()
        _say(f"{minutes:g} minutes of changes and faults")
        await feel(STORM, minutes * 60, rate)
        soak.calm()
        began = time.monotonic()
        await soak.fleet.until_ready()
        _say(f"all healthy ones are Ready {time.monotonic() - began:.1f} s after the last fault")
        rows = [_row(name, felt) for name, felt in phases.items()]
        wrong = verdict(phases, first_turns) + logged_bugs(theatre.operator.log_file)
        return "\n".join([HEAD, *rows, f"\n{soak.faults} faults"]), wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults.soak", description=__doc__)
    parser.add_argument("--healthy", type=int, default=2000)
    parser.add_argument("--broken", type=int, default=3000)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rate", type=float, default=5, help="changes a second")
    asked = parser.parse_args()
    table, wrong = asyncio.run(run(asked.healthy, asked.broken, asked.minutes, asked.rate))
    print("\n".join([table, *(f"FAILED {line}" for line in wrong)]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
