"""Every place of every spec, with everything that can be done to it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from faults.fields.meanings import fitting, others_of, pushed_of
from faults.fields.mutators import Mutation, mutations
from faults.fields.schema import (
    KINDS,
    Body,
    Field,
    Place,
    fields_of,
    first_place,
    value_at,
    with_value,
)
from faults.fields.seeds import SEEDS, Seed

# From a further seed, what a string looks like shows nothing new.
_BY_FORM = frozenset({"length", "hostile", "key", "unknown"})


@dataclass(frozen=True, slots=True)
class Case:
    """body: the subject's `spec` after it; without one where spec itself is taken away."""

    id: str
    kind: str
    mutator: str
    field: str
    seed: Seed
    body: Body


def all_cases() -> list[Case]:
    return [case for kind in KINDS for case in cases_of(kind)]


def cases_of(kind: str) -> Iterator[Case]:
    """From the first seed that has a value there, and from those that are to go there again."""
    for place in fields_of(kind):
        having = [
            s for s in SEEDS if s.kind == kind and first_place(s.spec, place.path) is not None
        ]
        for seed in having[:1]:
            yield from _cases(place, seed, f"fields/{kind}/{place}")
        for seed in having[1:]:
            if _below(str(place), seed.again):
                more = _cases(place, seed, f"fields/{kind}@{seed.name}/{place}")
                yield from (case for case in more if case.mutator not in _BY_FORM)


def lacking(kind: str) -> list[Field]:
    """Where no seed has a value."""
    seeds = [s for s in SEEDS if s.kind == kind]
    return [f for f in fields_of(kind) if not any(first_place(s.spec, f.path) for s in seeds)]


def _below(path: str, tops: Iterable[str]) -> bool:
    return any(path == top or path.startswith((f"{top}.", f"{top}[", f"{top}{{")) for top in tops)


def _cases(at: Field, seed: Seed, prefix: str) -> Iterator[Case]:
    place = first_place(seed.spec, at.path)
    if place is None:
        return
    value = value_at(seed.spec, place)
    for mutation in mutations(at, value, others_of(at), pushed_of(at)):
        yield _case(at, seed, prefix, place, mutation)
        if mutation.mutator == "enum" and (more := _fitting(at, seed, place, mutation)):
            yield _case(at, seed, prefix, place[:-1], more)


def _case(at: Field, seed: Seed, prefix: str, place: Place, mutation: Mutation) -> Case:
    name = f"{prefix}/{mutation.name}"
    after = with_value(seed.spec, place, mutation.value)
    return Case(name, at.kind, mutation.mutator, str(at), seed, after)


def _fitting(at: Field, seed: Seed, place: Place, mutation: Mutation) -> Mutation | None:
    around = fitting(at, mutation.value, value_at(seed.spec, place[:-1]))
    return Mutation(f"{mutation.name},fitting", around) if around else None


def sampled(cases: Sequence[Case], count: int | None) -> list[Case]:
    """So many of them, spread evenly."""
    if count is None or count >= len(cases):
        return list(cases)
    return [cases[n * len(cases) // count] for n in range(count)]


def shuffled(cases: Iterable[Case]) -> list[Case]:
    """In an order of their own that is always the same, so that slow ones do not come together."""
    return sorted(cases, key=lambda case: sha256(case.id.encode()).digest())
