"""Which faults meet which workload: a plan has a name that finds it again in every run."""

import itertools
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from faults.exchange import Call
from faults.modes import KILLS, LOSSES, MODES, REFUSALS, Mode

Calls = Mapping[Call, int]
"""What a workload asks for, and how often."""
_PAIRS = 6
# Whoever is there to be left alone asks for nothing that others don't ask for too.
_BYSTANDERS = "SCENE-else"
# Of the workload of ten agents; what meets the others shows nothing new.
_ALIKE = re.compile(r"agent-[1-8]\b")
# Reads fail too, in the ways that matter for them.
_OF_READS = ("kill-before", "status-403", "status-500", "reset")


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """The nth time that a call comes, counted from when the fault is armed."""

    call: Call
    nth: int
    mode: str

    @property
    def is_(self) -> Mode:
        return MODES[self.mode]

    def __str__(self) -> str:
        return f"{self.call}#{self.nth}!{self.mode}"


@dataclass(frozen=True, slots=True, order=True)
class Plan:
    """faults: each is armed when the one before has come."""

    workload: str
    faults: tuple[Fault, ...]

    @property
    def id(self) -> str:
        return f"{self.workload}: {' then '.join(map(str, self.faults))}"

    @property
    def kills(self) -> bool:
        return any(fault.is_.kill for fault in self.faults)

    @property
    def delay(self) -> float:
        """In seconds."""
        return sum(fault.is_.delay for fault in self.faults)


def plans_for(workload: str, calls: Calls) -> list[Plan]:
    """Every write in every way, reads in some, and some pairs of crashes."""
    single = [Plan(workload, (fault,)) for fault in _faults(calls)]
    return [*single, *_pairs(workload, calls)]


def _faults(calls: Calls) -> Iterator[Fault]:
    for call, times in sorted(calls.items()):
        if _BYSTANDERS in call.path or _ALIKE.search(call.path):
            continue
        modes = (*KILLS, *REFUSALS, *LOSSES) if call.changes else _OF_READS
        # A status is written again and again; what becomes of the third shows nothing new.
        for nth, mode in itertools.product(range(1, min(times, 2) + 1), modes):
            yield Fault(call, nth, mode)


def _pairs(workload: str, calls: Calls) -> list[Plan]:
    """A crash, and another one while the first is being recovered from; or a lost answer."""
    writes = sorted({fault.call for fault in _faults(calls) if fault.call.changes})
    chosen = random.Random(workload)
    pairs = [
        (a, b, k, m) for a in writes for b in writes for k in KILLS for m in (*KILLS, "drop-reply")
    ]
    picked = chosen.sample(pairs, min(_PAIRS, len(pairs)))
    return [Plan(workload, (Fault(a, 1, k), Fault(b, 1, m))) for a, b, k, m in picked]


def spread(plans: Iterable[Plan], count: int) -> list[Plan]:
    """So many of them, of all workloads and modes, and always the same."""
    ordered = sorted(plans)
    random.Random(0).shuffle(ordered)
    return ordered[:count]
