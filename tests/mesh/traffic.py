"""Calls without a pause while something changes, each judged by when it was made.

Each is a connection of its own. What becomes of those that are open is in `test_traps.py`.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event
from typing import NamedTuple, Self

from oracle import Request
from scene import Actor, do

from testbed.waiting import HopelessError, wait_until
from testbed.workload import Workload
from testbed.workload_calls import Verdict

# Of each lane, before a change and after it.
ENOUGH = 20
BEFORE, DURING, AFTER = "before", "during", "after"
SETTLES_SECONDS = 40
NEVER = math.inf


class Made(NamedTuple):
    """A call: from when till when, and whether it was let in."""

    begun: float
    ended: float
    let_in: bool


class Turn(NamedTuple):
    """What a change means to one lane: whether it is let in in the old state and in the new one;
    when the change was sent, and when this lane first saw it. In between both are right."""

    old: bool
    new: bool
    sent: float
    settled: float

    def phase(self, call: Made) -> str:
        if call.ended <= self.sent:
            return BEFORE
        return AFTER if call.begun >= self.settled else DURING

    def is_wrong(self, call: Made) -> bool:
        right = {BEFORE: {self.old}, DURING: {self.old, self.new}, AFTER: {self.new}}
        return call.let_in not in right[self.phase(call)]


@dataclass(eq=False)
class Lane:
    """One caller that makes the same call over and over."""

    actor: Actor
    server: Workload
    request: Request
    calls: list[Made] = field(default_factory=list)

    def __str__(self) -> str:
        wanted = f"{self.request.method} {self.request.path}"
        return f"{self.actor.name} with {wanted} at {self.server.name}"

    def is_let_in(self) -> bool:
        """By one call more, which is none of `calls`."""
        return do(self.actor, self.server, self.request).verdict is Verdict.LET_IN

    def run(self, stop: Event) -> None:
        while not stop.is_set():
            begun, let_in = time.monotonic(), self.is_let_in()
            self.calls.append(Made(begun, time.monotonic(), let_in))

    def first(self, *, let_in: bool, since: float) -> Made | None:
        """The first call with this end that was begun since then."""
        found = (c for c in self.calls if c.begun >= since and c.let_in is let_in)
        return next(found, None)


class Judgement:
    """violations: calls that were let in and may not have been. outages: calls that were refused
    and may not have been. unsettled: lanes that never saw the new state.
    counts: lane → phase → how many calls."""

    def __init__(self, turns: Sequence[tuple[Lane, Turn]]) -> None:
        self.counts = {str(lane): Counter(map(turn.phase, lane.calls)) for lane, turn in turns}
        wrong = [(lane, turn, c) for lane, turn in turns for c in lane.calls if turn.is_wrong(c)]
        self.violations = [_told(*w) for w in wrong if w[2].let_in]
        self.outages = [_told(*w) for w in wrong if not w[2].let_in]
        self.unsettled = [str(lane) for lane, turn in turns if turn.settled == NEVER]
        self.seconds = max(turn.settled - turn.sent for _, turn in turns)

    def __str__(self) -> str:
        total: Counter[str] = sum(self.counts.values(), Counter())
        calls = ", ".join(f"{total[phase]} {phase}" for phase in (BEFORE, DURING, AFTER))
        wrong = f"{len(self.violations)} violations, {len(self.outages)} outages"
        return f"settled in {self.seconds:.2f} s; calls: {calls}; {wrong}"


class Traffic:
    """Everybody calls inside of `with`, each on a thread of its own.

    is_let_in: what the oracle says of a lane, as everything is now.
    """

    def __init__(self, lanes: Sequence[Lane], is_let_in: Callable[[Lane], bool]) -> None:
        self._lanes = lanes
        self._is_let_in = is_let_in
        self._stop = Event()
        self._running: list[Future[None]] = []
        self._pool = ThreadPoolExecutor(len(lanes))

    def __enter__(self) -> Self:
        self._running = [self._pool.submit(lane.run, self._stop) for lane in self._lanes]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()

    def change(self, write: Callable[[], object]) -> Judgement:
        """Enough calls, the change, and enough calls after each lane has seen it."""
        self.wait_for_more()
        old, sent = self._expected(), time.monotonic()
        write()
        new, written = self._expected(), time.monotonic()
        settled = self._wait_settled({x: new[x] for x in new if new[x] != old[x]}, sent)
        self.wait_for_more()
        # Those that see no difference are judged as if they did when the last of the others has.
        last = max([written, *settled.values()])
        turns = [(x, Turn(old[x], new[x], sent, settled.get(x, last))) for x in self._lanes]
        return Judgement(turns)

    def _expected(self) -> dict[Lane, bool]:
        return {lane: self._is_let_in(lane) for lane in self._lanes}

    def wait_for_more(self) -> None:
        """Until each lane has made enough further calls. One of each is under way now."""
        wanted = [len(lane.calls) + 1 + ENOUGH for lane in self._lanes]

        def made() -> bool:
            self._raise_if_broken()
            return all(len(x.calls) >= n for x, n in zip(self._lanes, wanted, strict=True))

        wait_until(made, timeout=60, what="enough calls", interval=0.01)

    def _wait_settled(self, wanted: Mapping[Lane, bool], sent: float) -> dict[Lane, float]:
        """When each of these was first let in, or refused; NEVER for one that isn't in time."""

        def first() -> dict[Lane, Made | None]:
            self._raise_if_broken()
            return {x: x.first(let_in=let_in, since=sent) for x, let_in in wanted.items()}

        with suppress(TimeoutError):
            what = "the new state"
            wait_until(lambda: all(first().values()), timeout=SETTLES_SECONDS, what=what)
        return {x: call.ended if call else NEVER for x, call in first().items()}

    def _raise_if_broken(self) -> None:
        for lane, running in zip(self._lanes, self._running, strict=True):
            if running.done() and (error := running.exception()):
                raise HopelessError(f"{lane}: {error}") from error


def _told(lane: Lane, turn: Turn, call: Made) -> str:
    what = "let in" if call.let_in else "refused"
    return f"{lane}: {what} {turn.phase(call)}, {call.begun - turn.sent:+.3f} s from the change"
