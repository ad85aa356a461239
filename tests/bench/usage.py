"""Processor time and memory, by program, from /proc."""

import os
from collections.abc import Mapping
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
KIB_PER_MIB = 1024
# As the kernel knows them: it keeps 15 characters.
SERVERS = {
    "kube-apiserver": "API server",
    "etcd": "etcd",
    "kube-controller": "controllers",
    "bao": "OpenBao",
}
OPERATOR, CLIENT, OTHERS = "operator", "bench client", "other programs"
# user, nice and system, then interrupts and what a hypervisor kept; idle and iowait left out.
BUSY_FIELDS = (0, 1, 2, 5, 6, 7)


def servers() -> dict[str, int]:
    """Program → pid of the servers that this process has started and that still run."""
    found = {}
    for entry in PROC.glob("[0-9]*"):
        try:
            program, fields = _stat(int(entry.name))
        except OSError:
            continue
        if program in SERVERS and int(fields[1]) == os.getpid():
            found[SERVERS[program]] = int(entry.name)
    return found


class ProcessorTime:
    """Seconds since a moment: of each program, of this process, and of all the others."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids) | {CLIENT: os.getpid()}
        self._before = self._now()

    def spent(self) -> dict[str, float]:
        return {name: now - self._before[name] for name, now in self._now().items()}

    def _now(self) -> dict[str, float]:
        ours = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        return ours | {OTHERS: _machine_seconds() - sum(ours.values())}


def cpu_seconds(pid: int) -> float:
    """User and system time of one process."""
    _, fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(pid: int) -> float:
    """Memory that is resident now."""
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return int(status["VmRSS"].split()[0]) / KIB_PER_MIB


def _stat(pid: int) -> tuple[str, list[str]]:
    """The program's name, which may hold anything, and the fields after it."""
    head, _, tail = (PROC / str(pid) / "stat").read_text().rpartition(")")
    return head.partition("(")[2], tail.split()


def _machine_seconds() -> float:
    fields = (PROC / "stat").read_text().splitlines()[0].split()[1:]
    return sum(int(fields[i]) for i in BUSY_FIELDS) / TICKS
