"""What was seen to go. An answer from before may still be under way, and nothing would tell of the
deletion once more."""

import time
from typing import Generic, TypeVar

K = TypeVar("K")
# Longer than any answer is under way.
_SECONDS = 60.0


class Gone(Generic[K]):
    """UIDs, which do not come again; or names, with versions. They stand in the order in which they
    went."""

    def __init__(self) -> None:
        self._gone: dict[K, tuple[int, float]] = {}

    def add(self, one: K, version: int = -1) -> None:
        """version: at which it is gone, where another one may be called the same."""
        self._forget_old()
        self._gone.pop(one, None)
        self._gone[one] = version, time.monotonic()

    def __contains__(self, one: K) -> bool:
        self._forget_old()
        return one in self._gone

    def version(self, one: K) -> int:
        """At which it was gone; -1 for one that was not."""
        self._forget_old()
        return self._gone.get(one, (-1, 0.0))[0]

    def _forget_old(self) -> None:
        until = time.monotonic() - _SECONDS
        while self._gone and next(iter(self._gone.values()))[1] < until:
            del self._gone[next(iter(self._gone))]
