"""`python -m testbed build` makes everything ready before the first test needs it."""

import argparse
import dataclasses

from testbed.toolchain import find_binaries, istio_crds


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="find or build every program and the CRDs of Istio")
    parser.parse_args()
    binaries = find_binaries(_say)
    for name, path in dataclasses.asdict(binaries).items():
        _say(f"{name.replace('_', '-'):<24} {path}")
    _say(f"{'istio crds':<24} {istio_crds(_say)}")


if __name__ == "__main__":
    main()
