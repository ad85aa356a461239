"""`python -m faults.fields`: every field of every kind on a bed of its own; prints counts and every
failure."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from faults.fields.campaign import AT_A_TIME, Results, chosen, run
from faults.fields.ground import VALUES
from faults.fields.schema import KINDS
from testbed.bed import Bed

_COLUMNS = ("cases", "refused", "stalled", "converged", "failed")


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def table(results: Results) -> Iterator[str]:
    """Counts for each kind and mutator, and for all."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for job, outcome in results.outcomes.items():
        for row in ((job.kind, job.mutator), (job.kind, "all"), ("all", "all")):
            count = rows.setdefault(row, Counter())
            count.update(["cases", "failed" if outcome.failures else outcome.kind])
    yield f"{'kind':<20}{'mutator':<12}" + "".join(f"{name:>11}" for name in _COLUMNS)
    for (kind, mutator), count in sorted(rows.items(), key=_last_all):
        yield f"{kind:<20}{mutator:<12}" + "".join(f"{count[name]:>11}" for name in _COLUMNS)


def _last_all(row: tuple[tuple[str, str], Counter[str]]) -> tuple[bool, str, bool, str]:
    kind, mutator = row[0]
    return kind == "all", kind, mutator == "all", mutator


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="faults.fields", description=__doc__)
    parser.add_argument("--kind", default="", choices=["", *KINDS])
    parser.add_argument("--only", default="", help="an id, or how ids begin")
    parser.add_argument("--sample", type=int, help="so many cases, spread evenly")
    parser.add_argument("--sequences", type=int, default=0, help="so many random sequences too")
    parser.add_argument("--at-a-time", type=int, default=AT_A_TIME)
    parser.add_argument("--list", action="store_true", help="print ids and end")
    parser.add_argument("--verbose", action="store_true", help="print what became of every case")
    return parser


def main() -> int:
    asked = _parser().parse_args()
    jobs = chosen(kind=asked.kind, only=asked.only, sample=asked.sample, sequences=asked.sequences)
    if asked.list:
        print("\n".join(job.id for job in jobs))
        return 0
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="fields-") as directory,
        Bed(Path(directory), report=_say, values=VALUES) as bed,
    ):
        results = run(bed, jobs=jobs, report=_say, at_a_time=asked.at_a_time)
    if asked.verbose:
        for job, outcome in results.outcomes.items():
            print(f"{outcome.kind:<10}{outcome.seconds:7.1f} {job.id} {outcome.told}")
    print("\n".join(table(results)))
    for outcome in results.failed:
        print(f"\nFAILED {outcome.id} ({outcome.kind}; {outcome.told})")
        print("\n".join(f"  {line}" for line in outcome.failures))
    print("\n".join(results.general))
    one_way = sum(outcome.one_way for outcome in results.outcomes.values())
    print(f"no way back but by a new object: {one_way}")
    print(f"{len(jobs)} in {time.monotonic() - began:.0f} s")
    return 1 if results.failed or results.general else 0


if __name__ == "__main__":
    sys.exit(main())
