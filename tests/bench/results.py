"""All that was measured in one run."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.floor import Floor
from bench.life import Life


@dataclass(frozen=True, slots=True)
class Size:
    """One number of identities. naive: None where it was not asked, or given up."""

    floor: Floor
    operator: Life
    naive: Life | None

    @property
    def count(self) -> int:
        return self.operator.count


@dataclass(frozen=True, slots=True)
class Results:
    """sizes: rising; single stages are of the last. given_up: numbers of identities with which the
    naive operator did not end within the limit of seconds."""

    sizes: Sequence[Size]
    given_up: Sequence[int]
    limit: float
