"""Crash at every write, and whatever else can become of a request.

First each workload is run without a fault, a few times, to learn what it asks for and how it ends;
then once for each plan. Plans that kill nobody are played together, each on its own scene.
"""

import asyncio
import json
import statistics
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from faults.bugs import bugs_in
from faults.exchange import Call, Exchange
from faults.oracles import ORACLES, Course, End, Run, no_secret
from faults.plans import Calls, Plan, plans_for, spread
from faults.play import BYSTANDER_SECONDS, NotSettled, Player
from faults.rest import changed_in_vault, for_nothing, looked_at, reconciles, sure_at
from faults.scene import Scene
from faults.snapshot import differences
from faults.theatre import SHIPPED, Theatre
from faults.workloads import BY_NAME, WORKLOADS, Workload
from testbed.waiting import wait_until

REFERENCE_RUNS = 3
AT_A_TIME = 16
BATCH = 48
# Until all is gone that is deleted at the same time, and so many more as it is many objects: of two
# clusters on two cores each takes 37 away in a second.
AWAY_SECONDS = 40.0
DELETED_A_SECOND = 30
# Of what was written, in characters.
_TOLD = 4000
PERIODS = 2
# The first look after a start is no resync, and of two objects one has its turn a period later.
LOOKS = PERIODS + 2
# So many the operator can look at: with a shorter period full namespaces would wait for others.
OBJECTS_A_SECOND = 100
Report = Callable[[str], None]
T = TypeVar("T")


@dataclass(slots=True)
class Results:
    """failed: plan → what did not hold. unmet: plans whose fault never came."""

    ran: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: dict[str, list[str]] = field(default_factory=dict)
    unmet: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    bystanders: list[float] = field(default_factory=list)

    def fail(self, plan: str, lines: Iterable[str]) -> None:
        told = list(lines)
        if told:
            self.failed.setdefault(plan, []).extend(told)

    def __str__(self) -> str:
        total = sum(self.ran.values())
        return f"{total} plans run, {len(self.failed)} failed, {len(self.unmet)} never came"

    def to_json(self) -> str:
        ran = [[*key, n] for key, n in self.ran.items()]
        whole = {name: getattr(self, name) for name in ("failed", "unmet", "seconds", "bystanders")}
        return json.dumps({"ran": ran, **whole})

    def add(self, text: str) -> None:
        """What another part of the campaign has found."""
        other = json.loads(text)
        self.ran.update({(a, b): n for a, b, n in other["ran"]})
        self.failed |= other["failed"]
        for name in ("unmet", "seconds", "bystanders"):
            getattr(self, name).extend(other[name])


class Campaign:
    """On one theatre, one plan or batch after the other."""

    def __init__(self, theatre: Theatre, report: Report) -> None:
        self._theatre = theatre
        self._report = report
        self._played: list[tuple[Plan, Scene, Run]] = []
        self._courses: dict[str, Course] = {}
        self._searched = 0
        self.results = Results()

    def _fail(self, plan: str, lines: Iterable[str]) -> None:
        """Told at once: a campaign may be ended before it is over."""
        told = list(lines)
        self.results.fail(plan, told)
        for line in told:
            self._report(f"FAILED {plan}: {line[:_TOLD]}")

    async def learn(self, workload: Workload, runs: int = REFERENCE_RUNS) -> Calls:
        """What a workload asks for and how it ends. Two runs that end in two ways are a failure."""
        learnt = await asyncio.gather(*(self._without_fault(workload) for _ in range(runs)))
        calls: Counter[Call] = Counter()
        for _, asked in learnt:
            calls |= asked
        first = learnt[0][0]
        for other, _ in learnt[1:]:
            lines = [*_differ(first.old, other.old), *_differ(first.end, other.end)]
            self._fail(f"{workload.name}: two runs without a fault", lines)
        self._courses[workload.name] = first
        return calls

    async def _without_fault(self, workload: Workload) -> tuple[Course, Counter[Call]]:
        player = self._player(workload)
        run, _ = await player.play()
        calls = player.calls(run)
        whose = f"{workload.name}: without a fault"
        self._fail(whose, _check(run, run.end))
        await self._clear([player.scene], whose)
        return Course(run.old, run.end), calls

    def _player(self, workload: Workload) -> Player:
        theatre = self._theatre
        return Player(theatre.stage.scene(), workload, theatre.log, theatre.faults)

    async def run(self, plans: Sequence[Plan]) -> None:
        """Plans of workloads that have been learnt."""
        # What is carried out late is waited for at rest: meanwhile others play.
        together = sorted((p for p in plans if not p.kills), key=lambda p: -p.delay)
        for start in range(0, len(together), BATCH):
            await in_turns(self._play, together[start : start + BATCH])
            await self._rest()
            self._report(f"{min(start + BATCH, len(together))} of {len(together)} without a crash")
        crashes = [plan for plan in plans if plan.kills]
        for number, plan in enumerate(crashes, 1):
            await self._play(plan)
            if number % BATCH == 0 or number == len(crashes):
                await self._rest()
                self._report(f"{number} of {len(crashes)} crashes")

    async def _play(self, plan: Plan) -> None:
        course = self._courses[plan.workload]
        player = self._player(BY_NAME[plan.workload])
        try:
            run, left = await player.play(plan.faults, course)
        except (NotSettled, TimeoutError, RuntimeError) as error:
            self._fail(plan.id, [f"{type(error).__name__}: {error}"])
            return
        if left:
            self.results.unmet.append(plan.id)
        else:
            self.results.ran[plan.workload, " + ".join(f.mode for f in plan.faults)] += 1
        self.results.seconds.append(run.end.seconds)
        self.results.bystanders.append(run.end.bystander_seconds)
        failures = _check(run, course.end)
        self._fail(plan.id, failures)
        self._played.append((plan, player.scene, run))

    async def _rest(self) -> None:
        """What is done stays as it is, over a restart and some resyncs, and then goes without a
        trace."""
        played, self._played = self._played, []
        if not played:
            return
        theatre = self._theatre
        # Whoever is started anew looks at no given-up request again.
        given_up = max(sure_at(run.exchanges) for _, _, run in played)
        await asyncio.sleep(max(0.0, given_up - time.monotonic()))
        await self.stop()
        restarted = len(theatre.log)
        await self._resync()
        await self.stop()
        for plan, scene, run in played:
            changed = await self._changed(scene, run, restarted)
            self._fail(plan.id, [f"at rest: {line}" for line in changed])
        await theatre.use(SHIPPED)
        await self._clear([scene for _, scene, _ in played], played[0][0].workload)

    async def _resync(self) -> None:
        """By an operator that was just started; until each object has had its resyncs."""
        theatre = self._theatre
        objects = looked_at(theatre.recorder.now)
        period = max(2, objects // OBJECTS_A_SECOND)
        await theatre.use({**SHIPPED, "AGENT_IDENTITY_RESYNC_SECONDS": str(period)})
        await asyncio.to_thread(
            wait_until,
            lambda: reconciles(theatre.operator.metrics()) >= LOOKS * objects,
            timeout=120 + LOOKS * period,
            what="resyncs",
        )

    async def _changed(self, scene: Scene, run: Run, restarted: int) -> list[str]:
        """What has been written, and is not as it was, since all was as it should be."""
        writes = [e for e in self._theatre.log.of(scene.name) if e.changes]
        ill = for_nothing(writes, run, restarted=restarted)
        vault = await scene.vault_state()
        return [
            *(_what(e) for e in ill),
            *differences(run.end.state, scene.state()),
            *changed_in_vault(run.end.vault, vault, ran_out=scene.token_ran_out),
        ]

    async def stop(self) -> None:
        """The operator that runs. Neither its log nor what was written meanwhile tells a secret,
        and nothing happened that it takes for a bug."""
        theatre = self._theatre
        await theatre.stop()
        log = await asyncio.to_thread(theatre.operator.log_file.read_text, errors="replace")
        asked = theatre.log.since(self._searched)
        self._fail("secrets", no_secret(theatre.log.secrets, asked, log))
        self._fail("bugs", bugs_in(log.splitlines()))
        self._searched = len(theatre.log)

    async def _clear(self, scenes: Sequence[Scene], whose: str) -> None:
        """Everything is deleted; nothing may be left, in Vault and as a debt too."""
        recorder = self._theatre.recorder
        many = sum(len(scene.objects()) for scene in scenes)
        deadline = time.monotonic() + AWAY_SECONDS + many / DELETED_A_SECOND
        await in_turns(Scene.delete_everything, scenes)
        for scene in scenes:
            await recorder.until(scene.name, scene.is_empty, deadline - time.monotonic())
            left = [f"left over: {n}" for n in scene.objects()]
            left += [f"left over in Vault: {n}" for n in await _vault_left(scene, deadline)]
            self._fail(f"{whose}: {scene.name}, deleted", left)
            recorder.forget(scene.name)


async def _vault_left(scene: Scene, deadline: float) -> list[str]:
    # Vault has no way to tell that something has gone.
    while (left := await scene.left_in_vault()) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    return left


def _what(exchange: Exchange) -> str:
    return f"{exchange.call} {exchange.body.decode(errors='replace')}"


def _differ(one: End, other: End) -> list[str]:
    return [*differences(one.state, other.state), *differences(one.vault, other.vault)]


def _check(run: Run, reference: End) -> list[str]:
    failures = [f"{n}: {line}" for n, oracle in ORACLES.items() for line in oracle(run, reference)]
    if run.end.bystander_seconds > BYSTANDER_SECONDS:
        failures.append(f"isolation: a bystander waited {run.end.bystander_seconds:.0f} s")
    return failures


async def in_turns(job: Callable[[T], Awaitable[object]], items: Iterable[T]) -> None:
    """So many at a time."""
    gate = asyncio.Semaphore(AT_A_TIME)

    async def one(item: T) -> None:
        async with gate:
            await job(item)

    await asyncio.gather(*map(one, items))


@dataclass(frozen=True, slots=True)
class Share:
    """Which plans are ours: those whose id has a text in it, and of these one part of so many."""

    only: str
    part: int
    parts: int

    def has(self, plan: Plan) -> bool:
        # Of the id alone: what a workload asks for is not quite the same in each process.
        return self.only in plan.id and zlib.crc32(plan.id.encode()) % self.parts == self.part


async def whole_campaign(report: Report, chosen: Sequence[Workload], share: Share) -> Results:
    """Every plan of these workloads that is ours."""
    async with Theatre(report=report) as theatre:
        campaign = Campaign(theatre, report)
        for one in chosen:
            began = time.monotonic()
            try:
                calls = await campaign.learn(one)
            except NotSettled as error:
                campaign.results.fail(f"{one.name}: without a fault", [str(error)])
                continue
            plans = [plan for plan in plans_for(one.name, calls) if share.has(plan)]
            report(f"{one.name}: {sum(c.changes for c in calls)} writes, {len(plans)} plans")
            await campaign.run(plans)
            report(f"{one.name}: done in {time.monotonic() - began:.0f} s; {campaign.results}")
        await campaign.stop()
        return campaign.results


async def sample_campaign(report: Report, count: int, always: Collection[str] = ()) -> Results:
    """Some plans of all workloads. always: the ids of those that are run in any case."""
    async with Theatre(report=report) as theatre:
        campaign = Campaign(theatre, report)
        plans: list[Plan] = []

        async def learn(workload: Workload) -> None:
            plans.extend(plans_for(workload.name, await campaign.learn(workload, runs=1)))

        await in_turns(learn, WORKLOADS)
        kept = [plan for plan in plans if plan.id in always]
        missing = set(always) - {plan.id for plan in kept}
        campaign.results.fail("plans that are not there any more", sorted(missing))
        others = [plan for plan in plans if plan.id not in always]
        await campaign.run([*kept, *spread(others, count)])
        await campaign.stop()
        return campaign.results


def told(results: Results) -> list[str]:
    """Counts, and every failure with the plan that it came of."""
    lines = [str(results)]
    if results.seconds:
        lines.append(f"until all was as without a fault: {_spread(results.seconds)}")
        lines.append(f"until a bystander was Ready: {_spread(results.bystanders)}")
    return lines + [f"{plan}\n    " + "\n    ".join(x) for plan, x in results.failed.items()]


def _spread(seconds: Sequence[float]) -> str:
    return f"median {statistics.median(seconds):.1f} s, longest {max(seconds):.1f} s"
