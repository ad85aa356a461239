"""Where all cases are run: one theatre, who starts its operator again, and how each workload ends
without a fault."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from faults.bugs import logged_bugs
from faults.oracles import End, Run
from faults.play import NotSettled
from faults.scene import Scene
from faults.snapshot import differences
from faults.theatre import SHIPPED, Theatre
from faults.unseen.kubelet import Kubelet
from faults.unseen.tally import Report, Tally
from faults.unseen.trial import Trial, judged, trial
from faults.watches import Passing, WatchPolicy
from testbed.ports import ProcessDied

AWAY_SECONDS = 90.0
_LOOK_SECONDS = 0.1
_RESYNCS = 2
# More than that keeps OpenBao so busy that it answers too late.
_SCENES_A_SECOND = 6
SWIFT: Mapping[str, str] = {**SHIPPED, "AGENT_IDENTITY_RESYNC_SECONDS": "4"}
"""Where what is tested is that a resync repairs it."""


class Ground:
    """Usable inside `async with`."""

    def __init__(self, theatre: Theatre, kubelet: Kubelet, tally: Tally) -> None:
        self.theatre = theatre
        self.kubelet = kubelet
        self.tally = tally
        self._ends: dict[str, End] = {}
        self._played: list[tuple[Trial, Run]] = []

    # --- who plays

    def trial(self, workload: str, case: str = "") -> Trial:
        return trial(self.theatre, workload, case)

    async def ends(self, workloads: Iterable[str]) -> Mapping[str, End]:
        """How each ends without a fault; played once."""
        new = [w for w in dict.fromkeys(workloads) if w not in self._ends]
        trials = [self.trial(w) for w in new]
        await self.all(trials, "set_up")
        await self.all(trials, "act")
        await self.all(trials, "settle")
        for one in trials:
            run = await one.end()
            self._ends[one.workload.name] = run.end
            self.tally.fail(
                f"{one.workload.name}: without a fault",
                judged(run, run.end, workload=one.workload.name),
            )
            self._played.append((one, run))
        return self._ends

    async def all(self, trials: Sequence[Trial], step: str) -> None:
        """One step of each, at the same time; who can't take it fails, and is left out of what
        follows."""
        done = await asyncio.gather(
            *(getattr(one, step)() for one in trials if not one.lost), return_exceptions=True
        )
        standing = [one for one in trials if not one.lost]
        for one, outcome in zip(standing, done, strict=True):
            if isinstance(outcome, NotSettled | TimeoutError | RuntimeError):
                one.lost = True
                self.tally.end(one.case, [f"{step}: {type(outcome).__name__}: {outcome}"])
            elif isinstance(outcome, BaseException):
                raise outcome

    async def judge(
        self,
        one: Trial,
        wanted: End,
        *more: str,
        without: frozenset[str] = frozenset(),
        met: bool = True,
    ) -> None:
        """A case has come to its end. more: what is known already not to hold. met: whether it met
        its fault."""
        run = await one.end()
        failures = [*more, *judged(run, wanted, without=without, workload=one.workload.name)]
        self.end(one, one.case, failures, met=met)
        self._played.append((one, run))

    def end(self, one: Trial, case: str, failures: list[str], *, met: bool = True) -> None:
        """A case is over; where it failed or missed its fault, what was asked for is told too."""
        self.tally.end(case, failures, met=met)
        if failures or not met:
            for line in one.trace():
                self.tally.report(f"        {line}")

    def keep(self, one: Trial, run: Run) -> None:
        """To be looked at when all is at rest, and to be cleared away then."""
        self._played.append((one, run))

    # --- the operator

    async def use(self, settings: Mapping[str, str]) -> None:
        async with self.kubelet.away():
            with suppress(ProcessDied):
                await self.theatre.use(settings)
        await self.ready()

    async def restart(self) -> None:
        """Killed, and ready again."""
        async with self.kubelet.away():
            await asyncio.to_thread(self.theatre.operator.kill)
            with suppress(ProcessDied):
                await self.theatre.start()
        await self.ready()

    async def ready(self) -> None:
        """Also where a kubelet has to start it."""
        deadline = time.monotonic() + AWAY_SECONDS
        while not await asyncio.to_thread(self._is_ready):
            if time.monotonic() > deadline:
                raise TimeoutError("the operator is not ready")
            await asyncio.sleep(_LOOK_SECONDS)

    def _is_ready(self) -> bool:
        try:
            return self.theatre.operator.probe("/readyz") == (200, "ok")
        except (OSError, RuntimeError):
            return False

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        """It does not get to do anything meanwhile."""
        async with self.kubelet.away():
            self.theatre.operator.pause()
            try:
                yield
            finally:
                self.theatre.operator.resume()

    @asynccontextmanager
    async def watches(self, policy: WatchPolicy) -> AsyncIterator[None]:
        """What the operator sees of the API server's watches meanwhile."""
        self.theatre.kube.watches = policy
        try:
            yield
        finally:
            self.theatre.kube.watches = Passing()

    async def calm(self, scenes: Sequence[Scene], seconds: float, limit: float) -> list[Scene]:
        """Until nothing was asked about any of them for so long, from now on; those that do not
        come to it."""
        began, log = time.monotonic(), self.theatre.log
        deadline = began + limit
        while True:
            now = time.monotonic()
            busy = [s for s in scenes if now - max(began, log.last_at(s.name)) < seconds]
            if not busy or now > deadline:
                return busy
            await asyncio.sleep(_LOOK_SECONDS)

    async def revision(self) -> int:
        """Of the last write that anybody has made."""
        got = await self.theatre.stage.send("GET", "/api/v1/configmaps?limit=1")
        return int(got["metadata"]["resourceVersion"])

    # --- the end of a group

    async def clear(self) -> None:
        """What is done stays as it is over a restart and some resyncs, then goes without a
        trace."""
        played, self._played = self._played, []
        since = len(self.theatre.log)
        period = max(2, len(played) // _SCENES_A_SECOND)
        await self.use({**SHIPPED, "AGENT_IDENTITY_RESYNC_SECONDS": str(period)})
        await self._resyncs(len(played))
        for one, run in played:
            asked = self.theatre.log.of(one.scene.name, since=since)
            late = [f"at rest: {e.call}" for e in asked if e.changes and not e.call.tells]
            later = differences(run.end.state, one.scene.state())
            self.tally.fail(one.case, [*late, *(f"at rest: {line}" for line in later)])
        await self.use(SHIPPED)
        await self._clear([one for one, _ in played])

    async def _resyncs(self, identities: int) -> None:
        deadline = time.monotonic() + AWAY_SECONDS
        while await asyncio.to_thread(self._reconciles) < _RESYNCS * identities:
            if time.monotonic() > deadline:
                raise TimeoutError("no resyncs")
            await asyncio.sleep(_LOOK_SECONDS)

    def _reconciles(self) -> float:
        lines = self.theatre.operator.metrics().splitlines()
        mine = (x for x in lines if x.startswith("agent_identity_reconciles_total{"))
        return sum(float(line.rpartition(" ")[2]) for line in mine)

    async def _clear(self, trials: Sequence[Trial]) -> None:
        await asyncio.gather(*(one.scene.delete_everything() for one in trials))
        await asyncio.gather(*(self._gone(one) for one in trials))

    async def _gone(self, one: Trial) -> None:
        scene, recorder = one.scene, self.theatre.recorder
        gone = await recorder.until(scene.name, lambda: not scene.objects(), AWAY_SECONDS)
        left = [] if gone else [f"left over: {n}" for n in scene.objects()]
        scene.token = ""
        deadline = time.monotonic() + AWAY_SECONDS
        while vault := await scene.vault_state():
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        left += [f"left over in Vault: {name}" for name in sorted(vault)]
        self.tally.fail(one.case, left)
        recorder.forget(scene.name)


@asynccontextmanager
async def ground(tally: Tally, report: Report) -> AsyncIterator[Ground]:
    async with AsyncExitStack() as stack:
        theatre = await stack.enter_async_context(Theatre(report=report))
        kubelet = await stack.enter_async_context(Kubelet(theatre))
        yield Ground(theatre, kubelet, tally)
        logs = theatre.bed.directory.glob("operator-*/operator.log")
        tally.fail("every operator's log", logged_bugs(*logs))
