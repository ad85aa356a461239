"""Keys that are due, each once, one worker a key, namespaces in turn.

Adding a key that waits changes nothing; adding one that is being worked on makes it due again
when that is done. A namespace with ten thousand keys delays another's one key by one turn. Of the
classes, which are in no namespace, each has turns like one: many identities wait for it; but a
bounded number are worked on at a time, since one takes as long as its backend does.
"""

import asyncio
import heapq
import random
import sys
import time
from collections import OrderedDict, deque
from typing import NamedTuple

from agent_identity.core.resource import Key

_FIRST_DELAY = 0.25
_LONGEST_DELAY = 15.0
# All that fail together. Thousands of one tenant's, tried every 15 s, took half of a CPU.
_TRIES_A_SECOND = 50


class Lane(NamedTuple):
    """Keys that take turns with all others as if they were one: of a namespace, or a class."""

    namespace: str
    name: str


class WorkQueue:
    """Not for threads. Delays are seconds. classes_at_once: that are worked on at a time."""

    def __init__(self, *, classes_at_once: int = sys.maxsize) -> None:
        self._classes_at_once = classes_at_once
        self._ready: OrderedDict[Lane, deque[Key]] = OrderedDict()
        self._since: dict[Key, float] = {}
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._failures: dict[Key, int] = {}
        self._busy_since: dict[Key, float] = {}
        self._wake = asyncio.Event()
        self.closed = False

    def add(self, key: Key, delay: float = 0.0) -> None:
        """Make a key due, now or later; the earlier of two times counts."""
        if delay <= 0:
            self._due.pop(key, None)
            self._make_ready(key)
        elif key not in self._since:
            at = time.monotonic() + delay
            if at < self._due.get(key, float("inf")):
                self._due[key] = at
                heapq.heappush(self._heap, (at, key))
        self._wake.set()

    def _make_ready(self, key: Key) -> None:
        if key in self._working:
            self._again.add(key)
        elif key not in self._since:
            self._since[key] = time.monotonic()
            self._ready.setdefault(_lane(key), deque()).append(key)

    async def get(self) -> Key | None:
        """The next key; `done` must follow. None once the queue is closed."""
        while not self.closed:
            self._promote()
            if (lane := self._next_lane()) is not None:
                return self._pop(lane)
            self._wake.clear()
            await self._wait()
        return None

    def take(self, key: Key) -> Key:
        """Give a key out before its turn, due or not; `done` must follow."""
        if self._since.pop(key, None) is not None:
            keys = self._ready[lane := _lane(key)]
            keys.remove(key)
            if not keys:
                del self._ready[lane]
        self._working.add(key)
        return key

    def close(self) -> None:
        """No key is given out any more."""
        self.closed = True
        self._wake.set()

    def _next_lane(self) -> Lane | None:
        """Whose turn it is."""
        at_work = sum(not key.namespace for key in self._working)
        free = at_work < self._classes_at_once
        return next((lane for lane in self._ready if lane.namespace or free), None)

    def _pop(self, lane: Lane) -> Key:
        keys = self._ready.pop(lane)
        key = keys.popleft()
        if keys:
            self._ready[lane] = keys
        del self._since[key]
        self._working.add(key)
        if self._ready:
            self._wake.set()
        return key

    async def _wait(self) -> None:
        timeout = max(0.0, self._heap[0][0] - time.monotonic()) if self._heap else None
        try:
            await asyncio.wait_for(self._wake.wait(), timeout)
        except TimeoutError:
            return

    def _promote(self) -> None:
        now = time.monotonic()
        while self._heap and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            if self._due.get(key) == at:
                del self._due[key]
                self._make_ready(key)

    def done(self, key: Key) -> None:
        """A worker has finished with a key."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        self._wake.set()

    def back_off(self, key: Key, at_least: float | None = None) -> None:
        """Make a key due after a delay that doubles with each failure, with jitter, capped; where
        very many fail the cap is higher."""
        self._busy_since.pop(key, None)
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        longest = max(_LONGEST_DELAY, len(self._failures) / _TRIES_A_SECOND)
        delay = min(longest, _FIRST_DELAY * 2 ** min(failures - 1, 16))
        self.add(key, max(delay * random.uniform(0.5, 1.0), at_least or 0.0))

    def put_off(self, key: Key, delay: float) -> None:
        """Make a key due again whose turn came too early: it has not failed, nor is it done. Where
        that goes on, a tenth of how long it has: what should be over at once may last as long as an
        outage."""
        self._failures.setdefault(key, 0)
        now = time.monotonic()
        lasted = now - self._busy_since.setdefault(key, now)
        self.add(key, max(delay, min(_LONGEST_DELAY, lasted / 10)))

    def succeeded(self, key: Key) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)
        self._busy_since.pop(key, None)

    def pending(self, key: Key) -> bool:
        """Whether a key is due or worked on; one that waits to be tried again is not."""
        return key in self._since or key in self._working

    def failing(self, key: Key) -> bool:
        """Whether what was last tried of a key failed or came too early, and is to be tried
        again."""
        return key in self._failures

    @property
    def depth(self) -> int:
        return len(self._since)

    @property
    def oldest(self) -> float:
        """How long the first key has been waiting for a worker."""
        return time.monotonic() - min(self._since.values()) if self._since else 0.0


def _lane(key: Key) -> Lane:
    return Lane(key.namespace, "" if key.namespace else key.name)
