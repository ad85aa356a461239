"""`python -m mutants`: run them, or write their table into `tests/README.md`."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from mutants.model import Mutant
from mutants.readme import README, with_table
from mutants.runner import run_all
from mutants.table import MUTANTS
from mutants.workspace import MutantError


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", default=(), help="just these")
    parser.add_argument("--unit-only", action="store_true", help="not those of real servers")
    parser.add_argument("--workers", type=int, default=2, help="unit tests at a time")
    parser.add_argument("--table", action="store_true", help="write the table, run nothing")
    return parser.parse_args()


def _chosen(arguments: argparse.Namespace) -> list[Mutant]:
    unknown = set(arguments.only) - {mutant.name for mutant in MUTANTS}
    if unknown:
        raise MutantError(f"there are no mutants {sorted(unknown)}")
    named = [m for m in MUTANTS if not arguments.only or m.name in arguments.only]
    return [m for m in named if not (arguments.unit_only and m.real)]


def _run(mutants: Sequence[Mutant], workers: int) -> int:
    """Exit code: 0 where every guard would be missed."""
    width = max(len(mutant.name) for mutant in mutants)
    words: Counter[str] = Counter()
    for verdict in run_all(mutants, workers=workers):
        words[verdict.word] += 1
        line = f"{verdict.mutant.invariant:>2}  {verdict.mutant.name:<{width}}  {verdict.word}"
        print(f"{line}  {verdict.seconds:.1f} s", flush=True)
        for detail in (*verdict.passed, *verdict.error.splitlines()):
            print(f"    {detail}", flush=True)
    print(", ".join(f"{word} {count}" for word, count in sorted(words.items())))
    return 0 if set(words) == {"KILLED"} else 1


def main() -> int:
    arguments = _arguments()
    if arguments.table:
        README.write_text(with_table(README.read_text(), MUTANTS))
        return 0
    try:
        return _run(_chosen(arguments), arguments.workers)
    except MutantError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
