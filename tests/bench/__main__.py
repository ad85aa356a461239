"""`python -m bench` measures everything once and prints it; it fails only if it can't measure."""

import argparse
import sys
import tempfile
from pathlib import Path

from bench.floor import measure_floor
from bench.machine import describe
from bench.operator_run import OperatorRun
from bench.table import render
from testbed.bed import Bed
from testbed.toolchain import find_binaries


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--identities", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=16, help="identities in flight")
    asked = parser.parse_args()
    count, at_a_time = asked.identities, asked.concurrency
    binaries = find_binaries(_say)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        place = Path(directory)
        with Bed(place / "floor", report=_say, binaries=binaries) as bed:
            _say("measuring the floor")
            floor = measure_floor(bed, count, at_a_time)
        with Bed(place / "operator", report=_say, binaries=binaries) as bed:
            _say("measuring the operator")
            life = OperatorRun(bed, count, at_a_time).measure()
    print(f"{count:,} identities, {at_a_time} at a time; {describe(binaries)}\n")
    print(render(floor, life, count))


if __name__ == "__main__":
    main()
