"""Child processes that never outlive the process that started them.

Not even when it dies by SIGKILL: a test run that is cut off must leave nothing behind.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from testbed.ports import PortTaken, ProcessDied
from testbed.waiting import wait_until

__all__ = ["Child", "ProcessDied", "wait_until"]

LEASH = Path(__file__).with_name("leash.py")
# The kernel sends the parent-death signal when the *thread* that started the child ends,
# so one thread starts them all and lives as long as this process.
_spawner = ThreadPoolExecutor(1, thread_name_prefix="testbed-spawner")


class Child:
    """A running program in its own session, with its output in a log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log_file: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log_file = log_file
        log_file.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = log_file.stat().st_size if log_file.exists() else 0
        leashed = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *map(str, command)]

        def spawn() -> subprocess.Popen[bytes]:
            with log_file.open("ab") as log:
                return subprocess.Popen(
                    leashed,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=env,
                    cwd=cwd,
                    start_new_session=True,
                )

        self._process = _spawner.submit(spawn).result()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def output(self) -> str:
        """What this child wrote, without what an earlier one left in the same file."""
        with self.log_file.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def wait_ready(self, ready: Callable[[], object], *, timeout: float = 60) -> None:
        """Until `ready` is truthy; fails at once, with the last log lines, if the child dies."""

        def ready_and_alive() -> bool:
            answered = bool(ready()) if self.alive else False
            self._raise_if_dead()
            return answered

        try:
            wait_until(ready_and_alive, timeout=timeout, what=f"{self.name} ready")
        except TimeoutError as error:
            error.add_note(self._last_lines())
            raise

    def until_ready(self, ready: Callable[[], object]) -> Self:
        """Itself once it's ready; one that doesn't get there is killed."""
        try:
            self.wait_ready(ready)
        except BaseException:
            self.kill()
            raise
        return self

    def _raise_if_dead(self) -> None:
        if self.alive:
            return
        taken = "address already in use" in self.output()
        raise (PortTaken if taken else ProcessDied)(
            f"{self.name} ended with {self._process.returncode}; {self._last_lines()}"
        )

    def _last_lines(self) -> str:
        tail = "\n".join(self.output().splitlines()[-20:])
        return f"the end of {self.log_file}:\n{tail}"

    def send(self, number: signal.Signals) -> None:
        if self.alive:
            self._process.send_signal(number)

    def stop(self, *, patience: float = 10) -> None:
        """SIGTERM, and SIGKILL for a child that hasn't ended in time."""
        self.send(signal.SIGTERM)
        # A paused process sees SIGTERM only once it runs again.
        self.send(signal.SIGCONT)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)
