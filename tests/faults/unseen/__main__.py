"""`python -m faults.unseen`: the operator on views that are old, have gaps or are broken."""

import argparse
import asyncio
import sys
import time

from faults.unseen.campaign import IDS, run


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults.unseen", description=__doc__)
    parser.add_argument("--only", default="", help="cases with this in their id")
    parser.add_argument("--sample", type=int, default=None, help="so many of them")
    parser.add_argument("--list", action="store_true", help="print the ids")
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(case for case in IDS if asked.only in case))
        return 0
    tally = asyncio.run(run(_say, asked.only, asked.sample))
    print("\n".join(tally.lines()))
    return 0 if tally.good else 1


if __name__ == "__main__":
    sys.exit(main())
