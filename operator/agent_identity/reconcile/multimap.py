"""An index: to each key some values. No I/O."""

from collections.abc import Collection
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
_FEW = 8


class Multimap(Generic[K, V]):
    """A key that has no values any more leaves nothing behind. Most of thousands have a few, which
    are a tuple: of eight it is 104 bytes, and a set of five 728."""

    def __init__(self) -> None:
        self._of: dict[K, tuple[V, ...] | set[V]] = {}

    def add(self, key: K, value: V) -> None:
        known = self._of.get(key, ())
        if value in known:
            return
        if isinstance(known, set):
            known.add(value)
        else:
            self._of[key] = (*known, value) if len(known) < _FEW else {*known, value}

    def discard(self, key: K, value: V) -> None:
        known = self._of.get(key, ())
        if value not in known:
            return
        if len(known) == 1:
            del self._of[key]
        elif isinstance(known, set):
            known.discard(value)
        else:
            self._of[key] = tuple(v for v in known if v != value)

    def of(self, key: K) -> Collection[V]:
        """The values of a key. Not to be gone through while it changes."""
        return self._of.get(key, ())

    def __contains__(self, key: K) -> bool:
        return key in self._of
