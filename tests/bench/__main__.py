"""`python -m bench` measures everything once and prints it; it fails only if it can't measure."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contender import NAIVE, OPERATOR, Contender
from bench.floor import Floor, measure_floor
from bench.life import Course, Life
from bench.machine import describe
from bench.profiling import profile
from bench.results import Results, Size
from bench.scene import Scene
from bench.stages import Stage
from bench.table import render
from testbed.bed import Bed
from testbed.toolchain import Binaries, find_binaries


@dataclass(frozen=True, slots=True)
class Asked:
    """counts: in their order; the last one is what single stages are measured with."""

    counts: tuple[int, ...]
    stages: frozenset[Stage]
    changes: int
    at_a_time: int
    limit: float
    profile: Path | None


class Bench:
    """Each number of identities and each contender on a bed of its own, one after the other."""

    def __init__(self, asked: Asked, binaries: Binaries) -> None:
        self._asked, self._binaries = asked, binaries
        self._given_up: list[int] = []

    def measure(self) -> Results:
        sizes = [self._size(count) for count in self._counts]
        return Results(sizes, self._given_up, self._asked.limit)

    @property
    def _counts(self) -> tuple[int, ...]:
        """Cold starts show how it grows; everything else is measured with most."""
        counts = self._asked.counts
        return counts if Stage.COLD in self._asked.stages else counts[-1:]

    def _size(self, count: int) -> Size:
        floor = self._floor(count)
        own = self._life(count, OPERATOR)
        at_ends = count in {self._counts[0], self._counts[-1]}
        asked = Stage.NAIVE in self._asked.stages and at_ends
        return Size(floor, own, self._within_limit(count) if asked else None)

    def _stages(self, count: int) -> frozenset[Stage]:
        everything = count == self._counts[-1]
        return self._asked.stages | {Stage.COLD} if everything else frozenset({Stage.COLD})

    def _floor(self, count: int) -> Floor:
        with self._scene(count) as scene:
            _say(f"floor, {count:,} identities")
            return measure_floor(scene, self._stages(count), self._asked.changes)

    def _life(self, count: int, contender: Contender) -> Life:
        with self._scene(count) as scene:
            stages = self._stages(count)
            return Course(scene, contender, stages, self._asked.changes, _say).run()

    def _within_limit(self, count: int) -> Life | None:
        try:
            return self._life(count, NAIVE)
        except TimeoutError as late:
            _say(f"naive, {count:,} identities: given up: {late}")
            self._given_up.append(count)
            return None

    def profile(self, file: Path) -> str:
        with self._scene(self._asked.counts[-1]) as scene:
            _say(f"profile, {scene.count:,} identities")
            return profile(scene, file)

    @contextmanager
    def _scene(self, count: int) -> Iterator[Scene]:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as directory,
            Bed(Path(directory), report=_say, binaries=self._binaries) as bed,
        ):
            yield Scene(bed, count, self._asked.at_a_time, self._asked.limit)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _asked() -> Asked:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--count", default="1000,2500,5000", help="identities, separated by commas")
    parser.add_argument(
        "--only", action="append", choices=list(Stage), help="a stage; may be given again"
    )
    parser.add_argument("--changes", type=int, default=100, help="single changes")
    parser.add_argument("--concurrency", type=int, default=16, help="identities in flight")
    parser.add_argument("--limit", type=float, default=900, help="seconds for one measurement")
    parser.add_argument("--profile", type=Path, help="profile the operator into a file instead")
    given = parser.parse_args()
    return Asked(
        tuple(sorted(int(count) for count in given.count.split(","))),
        frozenset(map(Stage, given.only or Stage)),
        given.changes,
        given.concurrency,
        given.limit,
        given.profile,
    )


def main() -> None:
    asked = _asked()
    binaries = find_binaries(_say)
    bench = Bench(asked, binaries)
    if asked.profile:
        print(bench.profile(asked.profile))
        return
    results = bench.measure()
    print(f"{asked.at_a_time} identities at a time; {describe(binaries)}\n")
    print(render(results))


if __name__ == "__main__":
    main()
