"""An index: to each key some values. No I/O."""

from collections.abc import Collection
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class _Several(set[V]):
    """Told apart from a value that is a set itself."""

    __slots__ = ()


class Multimap(Generic[K, V]):
    """A key that has no values any more leaves nothing behind. One that has a single value, as most
    of thousands do, has it without a set of its own, which would be 216 bytes."""

    def __init__(self) -> None:
        self._of: dict[K, V | _Several[V]] = {}

    def add(self, key: K, value: V) -> None:
        known = self._of.setdefault(key, value)
        if isinstance(known, _Several):
            known.add(value)
        elif known != value:
            self._of[key] = _Several((known, value))

    def discard(self, key: K, value: V) -> None:
        known = self._of.get(key)
        if isinstance(known, _Several):
            known.discard(value)
            if len(known) == 1:
                self._of[key] = known.pop()
        elif known == value:
            del self._of[key]

    def of(self, key: K) -> Collection[V]:
        """The values of a key. Not to be gone through while it changes."""
        known = self._of.get(key)
        if isinstance(known, _Several):
            return known
        return () if known is None else (known,)

    def __contains__(self, key: K) -> bool:
        return key in self._of
