"""Runs the operator under the standard library's profiler. Time is the process's own, so that
neither waiting nor what else the machine does counts."""

import cProfile
import runpy
import sys
import time


def main() -> None:
    profile = cProfile.Profile(time.process_time)
    try:
        profile.runcall(runpy.run_module, "agent_identity", run_name="__main__")
    finally:
        profile.dump_stats(sys.argv[1])


if __name__ == "__main__":
    main()
