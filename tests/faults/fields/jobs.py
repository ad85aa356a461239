"""What is played: a single change of a seed, or two or three random ones in a row."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from faults.fields.cases import Case
from faults.fields.meanings import others_of, pushed_of
from faults.fields.mutators import mutations
from faults.fields.schema import (
    Body,
    Field,
    fields_of,
    first_place,
    value_at,
    with_value,
)
from faults.fields.seeds import SEEDS, Seed

Step = Callable[[Body], Body | None]
"""From one `spec` to another; None where there is no such value to change."""
# Mostly refused, and refusals are what single cases are for.
_REFUSED = frozenset({"length", "hostile", "key", "unknown", "below", "above", "huge"})
_TRIES = 40


@dataclass(frozen=True, slots=True)
class Job:
    """wanted: how many of the steps are to be taken; what is refused is left out. hurried: the next
    one does not wait until the last one has been looked at. case: of a single change."""

    id: str
    mutator: str
    seed: Seed = field(repr=False, compare=False)
    steps: tuple[Step, ...] = field(repr=False, compare=False)
    wanted: int = 1
    hurried: bool = False
    case: Case | None = field(default=None, repr=False, compare=False)

    @property
    def kind(self) -> str:
        return self.seed.kind


def job_of(case: Case) -> Job:
    return Job(case.id, case.mutator, case.seed, (lambda _: case.body,), case=case)


def series(count: int) -> list[Job]:
    """So many, each of which is always the same, over all seeds in turn."""
    return [_series(SEEDS[n % len(SEEDS)], n) for n in range(count)]


def series_of(id_: str) -> Job | None:
    """The one of this id, whatever its number."""
    head, _, number = id_.rpartition("/seed-")
    known = (s for s in SEEDS if _prefix(s) == head)
    seed = next(known, None)
    return _series(seed, int(number)) if seed and number.isdigit() else None


def _prefix(seed: Seed) -> str:
    return f"sequences/{seed.kind}@{seed.name}"


def _series(seed: Seed, number: int) -> Job:
    name = f"{_prefix(seed)}/seed-{number}"
    chance = random.Random(name)
    places = [f for f in fields_of(seed.kind) if first_place(seed.spec, f.path) is not None]
    steps = tuple(_step(chance.choice(places), chance.random()) for _ in range(_TRIES))
    wanted, hurried = chance.choice((2, 3)), chance.random() < 0.5
    return Job(name, "sequence", seed, steps, wanted, hurried)


def _step(at: Field, chosen: float) -> Step:
    """One of the mutations of whatever stands there by then."""

    def step(spec: Body) -> Body | None:
        place = first_place(spec, at.path)
        if place is None:
            return None
        found = mutations(at, value_at(spec, place), others_of(at), pushed_of(at))
        found = [m for m in found if m.mutator not in _REFUSED]
        if not found or place == ("spec",):
            return None
        return with_value(spec, place, found[int(chosen * len(found))].value)

    return step
