"""What was run, and what did not hold."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

Report = Callable[[str], None]


@dataclass(slots=True)
class Tally:
    """chosen: ids of the cases that are to be run. ended: of those that were. failed: id → what
    did not hold. unmet: ids of those that never met their fault and so have shown nothing. told:
    what was measured on the way.
    """

    report: Report
    chosen: frozenset[str]
    ran: Counter[str] = field(default_factory=Counter)
    ended: set[str] = field(default_factory=set)
    failed: dict[str, list[str]] = field(default_factory=dict)
    unmet: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def of(self, ids: Iterable[str]) -> list[str]:
        """Those that are to be run."""
        return [case for case in ids if case in self.chosen]

    def tell(self, line: str) -> None:
        self.told.append(line)
        self.report(line)

    @property
    def good(self) -> bool:
        """Whether every case that was run has met its fault, and everything held."""
        return not self.failed and not self.unmet

    def end(self, case: str, failures: Iterable[str], *, met: bool = True) -> None:
        """A case is over. met: whether it met its fault."""
        self.ran[group_of(case)] += 1
        self.ended.add(case)
        if not met:
            self.unmet.append(case)
            self.report(f"UNMET {case}")
        self.fail(case, failures)

    def break_off(self, group: str, cases: Iterable[str], why: str) -> None:
        """A group came to no end. Its cases that had not ended fail; and so does the group, since
        nobody has looked at what the others left."""
        self.fail(group, [why])
        for case in cases:
            if case not in self.ended:
                self.end(case, [why])

    def fail(self, case: str, failures: Iterable[str]) -> None:
        lines = list(failures)
        if not lines:
            return
        self.failed.setdefault(case, []).extend(lines)
        self.report(f"FAILED {case}")
        for line in lines:
            self.report(f"    {line}")

    def lines(self) -> list[str]:
        """Counts by group, every case that never met its fault, and every failure with its id."""
        bad, unmet = (Counter(map(group_of, cases)) for cases in (self.failed, self.unmet))
        total = f"{sum(self.ran.values())} cases run"
        counts = [f"{total}, {len(self.failed)} failed, {len(self.unmet)} unmet"]
        counts += [
            f"{name}: {self.ran[name]} cases, {bad[name]} failed, {unmet[name]} unmet"
            for name in sorted(self.ran.keys() | bad.keys())
        ]
        never = [f"unmet: {case}" for case in self.unmet]
        failures = [f"{case}\n    " + "\n    ".join(x) for case, x in self.failed.items()]
        return [*counts, *self.told, *never, *failures]


def group_of(case: str) -> str:
    return case.partition("/")[0]


def chosen(ids: Sequence[str], only: str | Collection[str], sample: int | None) -> frozenset[str]:
    """only: what is in an id, or whole ids. sample: so many of them, always the same."""
    part = only if isinstance(only, str) else None
    found = [case for case in ids if (case in only if part is None else part in case)]
    if sample is not None and sample < len(found):
        found = random.Random(0).sample(found, sample)
    return frozenset(found)
