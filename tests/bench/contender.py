"""The programs that are measured: the operator, and the naive one. Each is one process with the
operator's account, tokens and settings."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from bench.stages import Stage
from testbed.bed import Bed
from testbed.operator_process import OperatorProcess
from testbed.ports import LOOPBACK

_BINDINGS = "validatingadmissionpolicybindings"
NAIVE_PROGRAM = Path(__file__).with_name("naive_operator.py")
PROFILED = Path(__file__).with_name("profiled_operator.py")


class Start(Protocol):
    def __call__(self, bed: Bed, settings: Mapping[str, str] | None = None) -> OperatorProcess: ...


@dataclass(frozen=True, slots=True)
class Contender:
    """make: a process that is not yet started. does: what it can do at all."""

    name: str
    make: Start
    does: frozenset[Stage]


class NaiveProcess(OperatorProcess):
    """`naive_operator.py` as kopf's documentation runs an operator."""

    def wait_ready(self, timeout: float = 60) -> None:
        self._running.wait_ready(
            lambda: self.probe("/healthz")[0] == HTTPStatus.OK, timeout=timeout
        )

    def _command(self) -> list[str | Path]:
        alive = f"--liveness=http://{LOOPBACK}:{self.port}/healthz"
        options = ["--standalone", "--all-namespaces", "--quiet", alive]
        return [self._python, "-m", "kopf", "run", *options, NAIVE_PROGRAM]


class ProfiledProcess(OperatorProcess):
    """The operator under a profiler, which makes it a good deal slower. The profile is there once
    it has ended."""

    @property
    def profile(self) -> Path:
        return self.directory / "profile"

    def _command(self) -> list[str | Path]:
        return [self._python, PROFILED, self.profile]


def _operator(bed: Bed, settings: Mapping[str, str] | None = None) -> OperatorProcess:
    return bed.operator(settings=settings)


def _naive(bed: Bed, settings: Mapping[str, str] | None = None) -> OperatorProcess:
    """It keeps notes in annotations, as kopf does by default, which the chart's admission takes for
    what a stolen token of the operator would do."""
    for guard in bed.control_plane.kubectl("get", _BINDINGS, "-o", "name").stdout.split():
        if "operator" in guard:
            bed.control_plane.kubectl("delete", guard)
    return NaiveProcess(
        bed.directory / "naive",
        bed.control_plane,
        cluster_name=bed.cluster_name,
        python=Path(sys.executable),
        settings=settings,
    )


def profiled(bed: Bed) -> ProfiledProcess:
    return ProfiledProcess(
        bed.directory / "profiled", bed.control_plane, cluster_name=bed.cluster_name
    )


OPERATOR = Contender("operator", _operator, frozenset(Stage))
# It sees no drift, and no handler of its follows a change of a class.
NAIVE = Contender("naive", _naive, frozenset(Stage) - {Stage.REST, Stage.CLASS})
