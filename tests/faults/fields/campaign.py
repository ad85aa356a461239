"""All cases on one bed: many at the same time, each on stands of its own."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from faults.bugs import logged_bugs
from faults.fields.cases import Case, all_cases, sampled, shuffled
from faults.fields.ground import Ground
from faults.fields.jobs import Job, job_of, series, series_of
from faults.fields.judging import State
from faults.fields.play import Outcome, Play
from faults.fields.seeds import Seed
from faults.fields.silent import why_silent
from faults.fields.stand import REST_SECONDS, Stand, until_rest
from faults.snapshot import differences
from testbed.bed import Bed
from testbed.operator_process import OperatorProcess

Report = Callable[[str], None]
AT_A_TIME = 40
_CHUNK = 16
_EVERY = 50


class NotAlike(Exception):
    """A stand did not become what another one of its seed is: one of the two is wrong."""


@dataclass(slots=True)
class Results:
    """outcomes: by job. general: what went wrong with no job in particular."""

    outcomes: dict[Job, Outcome] = field(default_factory=dict)
    general: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[Outcome]:
        return [o for o in self.outcomes.values() if o.failures]


@dataclass(frozen=True, slots=True)
class _Known:
    """What every stand of a seed is like, without and with its subject."""

    empty: State
    seed: State


class _Pair:
    """Two stands of one seed: one that holds it, and one without a subject."""

    def __init__(self, ground: Ground, seed: Seed, known: _Known | None) -> None:
        self.changed, self.scratch = Stand(ground, seed), Stand(ground, seed)
        self._known = known

    async def build(self) -> _Known:
        """Raises NotAlike where a stand does not become like all others of its seed; it may take
        as long as the first of them."""
        await asyncio.gather(self.changed.set_up(), self.scratch.set_up())
        empty = self._known.empty if self._known else await self._rested(self.changed)
        for stand in (self.changed, self.scratch):
            found = await stand.until_state(empty, REST_SECONDS)
            _same(empty, found, f"{stand.seed.name} without its subject")
        made = await self.changed.make(self.changed.seed.spec)
        if not made.ok:
            raise RuntimeError(f"{self.changed.seed.name}: {made.text}")
        seed = self._known.seed if self._known else await self._rested(self.changed)
        _same(seed, await self.changed.until_state(seed, REST_SECONDS), self.changed.seed.name)
        return _Known(empty, seed)

    async def _rested(self, stand: Stand) -> State:
        if wrong := await until_rest([stand]):
            raise RuntimeError(f"{stand.seed.kind} {stand.seed.name}: {wrong}")
        return await stand.state()

    async def play(self, job: Job, known: _Known) -> Outcome:
        for stand in (self.changed, self.scratch):
            stand.past.append(job.id)
            stand.ground.forget(stand.name)
        return await Play(self.changed, self.scratch, known.seed, known.empty).play(job)

    async def abandon(self) -> None:
        await asyncio.gather(self.changed.abandon(), self.scratch.abandon())


def _same(wanted: State, found: State, what: str) -> None:
    if lines := differences(wanted, found):
        raise NotAlike(f"{what}: {'; '.join(lines)}")


class Campaign:
    """at_a_time: how many chunks of jobs."""

    def __init__(self, ground: Ground, report: Report, at_a_time: int = AT_A_TIME) -> None:
        self._ground = ground
        self._report = report
        self._at_a_time = at_a_time
        self._known: dict[tuple[str, str], _Known] = {}
        self._first: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self.results = Results()
        self._count = 0

    async def play(self, jobs: Iterable[Job]) -> None:
        chunks = list(_chunks(jobs))
        self._count = sum(len(chunk) for chunk in chunks)
        left = iter(chunks)

        async def work() -> None:
            for chunk in left:
                await self._play_chunk(chunk)

        async with asyncio.TaskGroup() as workers:
            for _ in range(self._at_a_time):
                workers.create_task(work())

    async def _play_chunk(self, chunk: list[Job]) -> None:
        pair: _Pair | None = None
        for job in chunk:
            try:
                pair = pair or await self._pair(job.seed)
                outcome = await pair.play(job, self._known[_key(job.seed)])
            except Exception as error:  # noqa: BLE001 - one case must not end all others
                outcome = Outcome(job.id, "broken", (f"{type(error).__name__}: {error}",))
            outcome = _with_consistency(job, outcome)
            if outcome.failures and pair:
                outcome = _with_past(outcome, pair.changed)
                await pair.abandon()
                pair = None
            self._note(job, outcome)
        if pair:
            await pair.abandon()

    async def _pair(self, seed: Seed) -> _Pair:
        """Tried twice: what is slow to come up is no case's failure, and what comes up otherwise
        than before is nobody's in particular."""
        try:
            return await self._built(seed)
        except (NotAlike, RuntimeError, TimeoutError) as error:
            told = f"another pair of stands for {seed.kind} {seed.name}: {error}"
            self._report(told[:400])
            if isinstance(error, NotAlike):
                self.results.general.append(told)
            return await self._built(seed)

    async def _built(self, seed: Seed) -> _Pair:
        key = _key(seed)
        # The first one says what all others must be like.
        async with self._first[key]:
            known = self._known.get(key)
            if known is None:
                pair, self._known[key] = await self._build(seed, known)
                return pair
        pair, _ = await self._build(seed, known)
        return pair

    async def _build(self, seed: Seed, known: _Known | None) -> tuple[_Pair, _Known]:
        pair = _Pair(self._ground, seed, known)
        try:
            return pair, await pair.build()
        except BaseException:
            await pair.abandon()
            raise

    def _note(self, job: Job, outcome: Outcome) -> None:
        self.results.outcomes[job] = outcome
        done = len(self.results.outcomes)
        if outcome.failures:
            self._report(f"FAILED {job.id}: {outcome.failures[0][:300]}")
        if done % _EVERY == 0 or done == self._count:
            self._report(f"{done} of {self._count}, {len(self.results.failed)} failed")


def _with_consistency(job: Job, outcome: Outcome) -> Outcome:
    """A change that shows nothing needs a reason."""
    if job.case is None or outcome.kind == "refused" or outcome.effect:
        return outcome
    silent = why_silent(job.case)
    if silent is None:
        where = "in nothing but a status" if outcome.said else "in nothing"
        return replace(outcome, failures=(*outcome.failures, f"shows {where}: {outcome.told}"))
    if silent.said and not outcome.said:
        return replace(outcome, failures=(*outcome.failures, "does not show in a status either"))
    return outcome


def _with_past(outcome: Outcome, stand: Stand) -> Outcome:
    """Whatever was played before on the same stand may have a part in it."""
    where = f"on {stand.name}, after {', '.join(stand.past[-4:-1]) or 'nothing'}"
    return replace(outcome, failures=(*outcome.failures, where))


def _key(seed: Seed) -> tuple[str, str]:
    return seed.kind, seed.name


def _chunks(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    """Of one seed each."""
    by_seed: dict[tuple[str, str], list[Job]] = defaultdict(list)
    for job in jobs:
        by_seed[_key(job.seed)].append(job)
    for same in by_seed.values():
        for start in range(0, len(same), _CHUNK):
            yield same[start : start + _CHUNK]


def chosen(
    *, kind: str = "", only: str = "", sample: int | None = None, sequences: int = 0
) -> list[Job]:
    """only: an id, or the beginning of ids."""
    if job := series_of(only):
        return [job]
    cases = [c for c in all_cases() if _wanted(c, kind, only)]
    more = [] if only else [j for j in series(sequences) if kind in ("", j.kind)]
    return [job_of(case) for case in shuffled(sampled(cases, sample))] + more


def _wanted(case: Case, kind: str, only: str) -> bool:
    return case.id.startswith(only) and kind in ("", case.kind)


def run(
    bed: Bed,
    *,
    sample: int | None = None,
    report: Report = print,
    jobs: list[Job] | None = None,
    operator: OperatorProcess | None = None,
    at_a_time: int = AT_A_TIME,
) -> Results:
    """All cases, or so many of them, or these. bed: made with VALUES of `ground`, and without an
    operator but this one."""
    wanted = jobs if jobs is not None else chosen(sample=sample)
    return asyncio.run(_run(bed, wanted, report, operator, at_a_time))


async def _run(
    bed: Bed, jobs: list[Job], report: Report, operator: OperatorProcess | None, at_a_time: int
) -> Results:
    async with Ground(bed, operator) as ground:
        campaign = Campaign(ground, report, at_a_time)
        await campaign.play(jobs)
        campaign.results.general += logged_bugs(ground.operator.log_file)[:20]
        return campaign.results
