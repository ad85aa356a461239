"""Who stands in policies that were written after everybody in them had been looked at.

While the policies are as they were left, whoever is in them need not be read again when one more
comes; of policies that others have changed or taken away, nobody is known.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from agent_identity.core.resource import Observed, Ref

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Left(Generic[T]):
    policies: frozenset[tuple[Ref, bytes]]
    generation: int
    who: frozenset[T]


class LetIn(Generic[T]):
    """By the UID of whose policies they are."""

    def __init__(self) -> None:
        self._left: dict[str, _Left[T]] = {}

    def note(
        self, uid: str, generation: int, policies: Iterable[Observed], who: frozenset[T]
    ) -> None:
        """What stands now, and whom it lets in by the spec of this generation."""
        self._left[uid] = _Left(_contents(policies), generation, who)

    def still(self, uid: str, policies: Iterable[Observed]) -> frozenset[T]:
        """Who was let in, if the policies are as they were left."""
        left = self._left.get(uid)
        same = left is not None and left.policies == _contents(policies)
        return left.who if left and same else frozenset()

    def is_of(self, uid: str, generation: int) -> bool:
        """Whether what was left was by the spec of this generation."""
        left = self._left.get(uid)
        return left is not None and left.generation == generation

    def forget(self, uid: str) -> None:
        self._left.pop(uid, None)


def _contents(policies: Iterable[Observed]) -> frozenset[tuple[Ref, bytes]]:
    return frozenset((seen.ref, seen.digest) for seen in policies)
