"""Puts mutants in one by one, runs their tests, and says which guards would be missed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from mutants.model import Mutant
from mutants.workspace import MutantError, Workspace


@dataclass(frozen=True, slots=True)
class Verdict:
    """passed: tests that did not notice that the guard is out. error: why nothing can be said."""

    mutant: Mutant
    passed: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0

    @property
    def word(self) -> str:
        if self.error:
            return "ERROR"
        return "SURVIVED" if self.passed else "KILLED"


class Workspaces:
    """As many copies as may be worked on at a time, each for one at a time."""

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        self._free: SimpleQueue[Workspace] = SimpleQueue()
        for number in range(count):
            (folder / str(number)).mkdir()
            self._free.put(Workspace(folder / str(number)))

    @contextmanager
    def one(self) -> Iterator[Workspace]:
        workspace = self._free.get()
        try:
            yield workspace
        finally:
            self._free.put(workspace)


def run_all(mutants: Sequence[Mutant], *, workers: int) -> Iterator[Verdict]:
    """First every named test on the sources as they are: one that fails there shows nothing. Those
    that need real servers come last, one at a time."""
    with TemporaryDirectory(prefix="mutants-") as folder:
        workspaces = Workspaces(Path(folder), workers)
        _assert_all_pass(workspaces, mutants)
        quick = [m for m in mutants if not m.real]
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(lambda mutant: _judge(workspaces, mutant), quick)
        for mutant in mutants:
            if mutant.real:
                yield _judge(workspaces, mutant)


def _assert_all_pass(workspaces: Workspaces, mutants: Sequence[Mutant]) -> None:
    named = sorted({test for mutant in mutants for test in mutant.tests})
    with workspaces.one() as workspace:
        outcomes = workspace.run(named)
    missing = [test for test in named if not _cases(test, outcomes)]
    failed = [test for test, has_failed in outcomes.items() if has_failed]
    if missing or failed:
        raise MutantError(f"without any mutant: not run {missing}, failed {failed}")


def _judge(workspaces: Workspaces, mutant: Mutant) -> Verdict:
    started = time.monotonic()
    try:
        with workspaces.one() as workspace, workspace.mutated(mutant):
            outcomes = workspace.run(mutant.tests)
    except (MutantError, SyntaxError) as error:
        return Verdict(mutant, error=str(error))
    missed = tuple(t for t in mutant.tests if not any(_cases(t, outcomes)))
    return Verdict(mutant, missed, seconds=time.monotonic() - started)


def _cases(test: str, outcomes: Mapping[str, bool]) -> list[bool]:
    """Outcomes of a test, or of all the cases of it."""
    return [o for case, o in outcomes.items() if case == test or case.startswith(f"{test}[")]
