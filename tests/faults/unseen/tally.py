"""What was run, and what did not hold."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

Report = Callable[[str], None]


@dataclass(slots=True)
class Tally:
    """chosen: ids of the cases that are to be run. failed: id → what did not hold. told: what was
    measured on the way."""

    report: Report
    chosen: frozenset[str]
    ran: Counter[str] = field(default_factory=Counter)
    failed: dict[str, list[str]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def of(self, ids: Iterable[str]) -> list[str]:
        """Those that are to be run."""
        return [case for case in ids if case in self.chosen]

    def tell(self, line: str) -> None:
        self.told.append(line)
        self.report(line)

    def end(self, case: str, failures: Iterable[str]) -> None:
        """A case is over."""
        self.ran[group_of(case)] += 1
        self.fail(case, failures)

    def fail(self, case: str, failures: Iterable[str]) -> None:
        lines = list(failures)
        if not lines:
            return
        self.failed.setdefault(case, []).extend(lines)
        self.report(f"FAILED {case}")
        for line in lines:
            self.report(f"    {line}")

    def lines(self) -> list[str]:
        """Counts by group, and every failure with its id."""
        total = sum(self.ran.values())
        bad = Counter(group_of(case) for case in self.failed)
        groups = sorted(self.ran.keys() | bad.keys())
        counts = [f"{name}: {self.ran[name]} cases, {bad[name]} failed" for name in groups]
        failures = [f"{case}\n    " + "\n    ".join(x) for case, x in self.failed.items()]
        return [f"{total} cases run, {len(self.failed)} failed", *counts, *self.told, *failures]


def group_of(case: str) -> str:
    return case.partition("/")[0]


def chosen(ids: Sequence[str], only: str | Collection[str], sample: int | None) -> frozenset[str]:
    """only: what is in an id, or whole ids. sample: so many of them, always the same."""
    part = only if isinstance(only, str) else None
    found = [case for case in ids if (case in only if part is None else part in case)]
    if sample is not None and sample < len(found):
        found = random.Random(0).sample(found, sample)
    return frozenset(found)
