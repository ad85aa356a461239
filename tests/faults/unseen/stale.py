"""Back in time: rights are withdrawn, and the operator starts again on a view from before.

What each story did is done, to its end, with a live view. Then lists and watches show an earlier
moment, and the operator starts: it must give nothing that was withdrawn, and take nothing from what
was made anew. Then the view becomes live again, and all must be as it was.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from faults.oracles import End, Run, acted
from faults.replay import rights
from faults.unseen.ground import Ground
from faults.unseen.trial import Trial, judged, scenes_of
from faults.watches import Frozen

STORIES = (
    *("narrow", "withdraw", "delete", "recreate", "stall", "ceiling", "forbid", "namespace"),
    *("grant-less", "grant-closed", "caller-gone", "class-gone", "secrets", "again"),
)
_ANEW = frozenset({"recreate", "again"})
MAKING, TAKING = 3, 4
MOMENTS = (
    "asked",
    *(f"making-{n}" for n in range(1, MAKING + 1)),
    "whole",
    "acted",
    *(f"taking-{n}" for n in range(1, TAKING + 1)),
)
_CALM_SECONDS = 1.0
_CALM_LIMIT = 6.0
_ACTS_SECONDS = 3.0


def _id(story: str, moment: str) -> str:
    return f"stale/{'S1' if story in _ANEW else 'S2'}/{story}@{moment}"


IDS = tuple(_id(story, moment) for moment in MOMENTS for story in STORIES)


async def run(ground: Ground, chosen: Sequence[str]) -> None:
    stories = [s for s in STORIES if any(_id(s, m) in chosen for m in MOMENTS)]
    trials = [ground.trial(story, f"stale: {story}") for story in stories]
    past = await _live_through(ground, trials)
    ends = {one.case: await _now(one) for one in trials}
    last = {one.case: max(one.revisions(), default=0) for one in trials}
    for moment in MOMENTS:
        concerned = [t for t in trials if not t.lost and _id(t.workload.name, moment) in chosen]
        for revision, cases in views({t.case: last[t.case] for t in concerned}, past[moment]):
            those = [t for t in concerned if t.case in cases]
            await _go_back(ground, those, ends, moment, revision)
    for one in trials:
        if not one.lost:
            await one.mark()
            ground.keep(one, await one.end())
    await ground.clear()


def views(last: Mapping[str, int], moment: int) -> Iterator[tuple[int, list[str]]]:
    """Which revision is shown to whom. last: case → revision of the last that was written of it.
    Those of whom all was written by the moment see what was before the first of their last writes:
    the moment itself would be no old view."""
    over = [case for case, revision in last.items() if revision <= moment]
    if waiting := [case for case in last if case not in over]:
        yield moment, waiting
    if over:
        yield min(last[case] for case in over) - 1, over


async def _now(one: Trial) -> End:
    return End(one.scene.state(), await one.scene.vault_state())


async def _live_through(ground: Ground, trials: Sequence[Trial]) -> dict[str, int]:
    """Everything happens, without a fault. Moment → revision; all stories have them in common,
    since they are told in step."""
    async with ground.stopped():
        await asyncio.gather(*(one.workload.before(one.scene) for one in trials))
        asked = await ground.revision()
    await ground.all(trials, "settle")
    whole = await ground.revision()
    async with ground.stopped():
        acts = [asyncio.create_task(one.act()) for one in trials]
        # Who waits for the operator in the middle of its act has acted enough.
        await asyncio.wait(acts, timeout=_ACTS_SECONDS)
        acted_at = await ground.revision()
    await asyncio.gather(*acts)
    await ground.all(trials, "settle")
    for one in trials:
        if not one.lost:
            await one.log_in_if_it_can()
    now = await ground.revision()
    past = {"asked": asked, "whole": whole, "acted": acted_at}
    past |= _between(trials, asked, whole, "making", MAKING)
    return past | _between(trials, acted_at, now, "taking", TAKING)


def _between(
    trials: Sequence[Trial], first: int, last: int, name: str, count: int
) -> dict[str, int]:
    """So many moments after single writes, evenly spread."""
    written = sorted(r for one in trials for r in one.revisions() if first < r < last)
    found = [written[len(written) * n // (count + 1)] for n in range(1, count + 1)]
    return {f"{name}-{n}": revision for n, revision in enumerate(found, 1)}


async def _go_back(
    ground: Ground, trials: list[Trial], ends: dict[str, End], moment: str, revision: int
) -> None:
    for one in trials:
        await one.mark()
    view = Frozen(revision)
    async with ground.watches(view):
        await ground.restart()
        busy = await ground.calm(scenes_of(trials), _CALM_SECONDS, _CALM_LIMIT)
        view.thaw()
        await asyncio.gather(*(one.become(ends[one.case]) for one in trials))
        await ground.calm(scenes_of(trials), 0.5, _CALM_LIMIT)
    if busy:
        ground.tally.report(f"{moment}: {len(busy)} had no rest while the view was old")
    for one in trials:
        run = await one.end()
        case = _id(one.workload.name, moment)
        failures = [*judged(run, ends[one.case]), *_taken(run)]
        ground.end(one, case, failures, met=view.held)


def _taken(run: Run) -> list[str]:
    """Rights that were taken away though nobody wants them away."""
    seen = list(acted(run))
    lost: set[str] = set()
    for before, after in pairwise(seen):
        if after.ours:
            lost |= (rights(before) - rights(after)) & rights(seen[0])
    return [f"taken from who has it: {right}, for a while" for right in sorted(lost)]
