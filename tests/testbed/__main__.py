"""Makes the programs of the test bed ready before the first test needs them, and runs one."""

import argparse
import dataclasses
import os
import sys

from testbed.toolchain import find_binaries, istio_crds


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="find or build every program and the CRDs of Istio")
    run = commands.add_parser("run", help="run one of them")
    run.add_argument("program", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    binaries = dataclasses.asdict(find_binaries(_say))
    if asked.command == "run":
        name, *arguments = asked.program
        path = str(binaries[name.replace("-", "_")])
        os.execv(path, [path, *arguments])
    for name, path in binaries.items():
        _say(f"{name.replace('_', '-'):<24} {path}")
    _say(f"{'istio crds':<24} {istio_crds(_say)}")


if __name__ == "__main__":
    main()
