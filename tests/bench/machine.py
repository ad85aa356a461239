"""What the numbers were measured on: they mean nothing without it."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from testbed.toolchain import Binaries

OURS = ("agent-identity-operator", "aiohttp", "kopf", "pydantic")


def describe(binaries: Binaries) -> str:
    """Cores, interpreter and versions of every program, in one line."""
    programs = (
        _first_line(binaries.kube_apiserver, "--version"),
        _first_line(binaries.etcd, "--version"),
        _first_line(binaries.bao, "version"),
    )
    libraries = (f"{name} {version(name)}" for name in OURS)
    cores = f"{len(os.sched_getaffinity(0))} cores ({platform.machine()})"
    return "; ".join((cores, *programs, f"Python {platform.python_version()}", *libraries))


def _first_line(program: Path, argument: str) -> str:
    answer = subprocess.run([program, argument], capture_output=True, text=True, check=True)
    return answer.stdout.splitlines()[0]
