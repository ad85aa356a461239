"""Whoever ceases to be an agent is first shut out by those it calls; then the rest of it goes."""

import time
from collections.abc import Callable

from agent_identity.core.resource import Key
from agent_identity.reconcile.queue import WorkQueue
from agent_identity.reconcile.world import World

# A callee whose turn does not come for so long must not keep a right in place.
PATIENCE_SECONDS = 5.0


class CalleesFirst:
    """clock: seconds."""

    def __init__(
        self, world: World, queue: WorkQueue, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._world = world
        self._queue = queue
        self._clock = clock
        self._since: dict[Key, float] = {}
        world.forgetting.append(self._forget)

    def lag(self, key: Key) -> bool:
        """Whether somebody that lets it in has still to look. One that failed to does not count:
        it has been tried."""
        return any(self._queue.pending(callee) for callee in self._callees(key))

    def _callees(self, key: Key) -> list[Key]:
        others = self._world.callers.callees(key) - {key}
        return [callee for callee in others if not self._world.deleting(callee)]

    def hold(self, key: Key) -> bool:
        """Whether nothing of it is to go yet; also while somebody tries again."""
        if not (self._is_tried_again(key) or self.lag(key)):
            self._since.pop(key, None)
            return False
        self._since.setdefault(key, self._clock())
        return self._holds(key)

    def _is_tried_again(self, key: Key) -> bool:
        """Of those who lose their rights together none waits for another one that waits itself:
        both would, for as long as they may. One that is deleted does, since nobody waits for it."""
        callees, goes = self._callees(key), self._world.deleting(key)
        return any(self._queue.failing(c) for c in callees if goes or not self._holds(c))

    def _holds(self, key: Key) -> bool:
        since = self._since.get(key)
        return since is not None and self._clock() - since < PATIENCE_SECONDS

    def stays(self, key: Key) -> None:
        """It may be a caller, again or still: the next time it waits anew."""
        self._since.pop(key, None)

    def _forget(self, key: Key, _uid: str) -> None:
        self._since.pop(key, None)
