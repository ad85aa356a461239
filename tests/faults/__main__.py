"""`python -m faults CAMPAIGN`: runs a fault campaign, prints counts and every failure."""

import argparse
import asyncio
import sys
import time

from faults.crash import Results, Share, told, whole_campaign
from faults.workloads import BY_NAME


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


async def _parts(count: int, extra: list[str]) -> Results:
    """Each part in a process, with a cluster of its own."""
    whole = Results()

    async def one(part: int) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "faults", "crash", f"--part={part}", f"--parts={count}"),
            *extra,
            "--json",
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        if out:
            whole.add(out.decode())
        else:
            whole.fail(f"cluster {part}", ["ended before it was done"])

    await asyncio.gather(*(one(part) for part in range(count)))
    return whole


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("campaign", choices=["crash"])
    parser.add_argument("--only", default="", help="plans with this in their id")
    parser.add_argument("--workload", default="", help="only these, separated by commas")
    parser.add_argument("--clusters", type=int, default=1, help="how many at the same time")
    parser.add_argument("--part", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--parts", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="results for another program")
    asked = parser.parse_args()
    if asked.clusters > 1:
        extra = [f"--only={asked.only}", f"--workload={asked.workload}"]
        results = asyncio.run(_parts(asked.clusters, extra))
    else:
        names = asked.workload.split(",") if asked.workload else BY_NAME
        chosen = [BY_NAME[name] for name in names]
        share = Share(asked.only, asked.part, asked.parts)
        results = asyncio.run(whole_campaign(_say, chosen, share))
    if asked.json:
        print(results.to_json())
    else:
        print("\n".join(told(results)))
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
