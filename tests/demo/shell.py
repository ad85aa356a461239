"""Runs what it prints, and nothing else: every line can be pasted into a terminal."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from demo.screen import Screen
from testbed.operator_process import REPOSITORY
from testbed.waiting import wait_until

COMMAND_SECONDS = 90


class ExpectationError(Exception):
    """Something that was shown is not as it should be; the message says what."""


@dataclass(frozen=True)
class Result:
    """What a command answered: standard output and error, as on a terminal."""

    code: int
    text: str

    @property
    def ok(self) -> bool:
        return self.code == 0


class Shell:
    """A terminal in the repository. Its variables last; what is claimed of it is counted."""

    def __init__(self, screen: Screen, environment: Mapping[str, str]) -> None:
        self.checks = 0
        self._screen = screen
        self._environment = dict(environment)

    def run(self, line: str, *, fails: bool = False) -> str:
        """Its output. fails: it must not succeed."""
        self._screen.command(line)
        result = self._answer(line)
        self._screen.output(result.text)
        if result.ok == fails:
            raise ExpectationError(f"`{line}` ended with {result.code}")
        return result.text

    def keep(self, variable: str, line: str) -> str:
        """A variable for later commands, with the output of this one, which isn't shown."""
        self._screen.command(f"export {variable}=$({line})")
        result = self._answer(line)
        if not result.ok:
            self._screen.output(result.text)
            raise ExpectationError(f"`{line}` ended with {result.code}")
        self._environment[variable] = result.text.strip()
        return result.text.strip()

    def run_until(self, line: str, enough: Callable[[Result], bool], *, timeout: float) -> str:
        """A command that is run again until its output is enough; the last one is shown."""
        self._screen.command(line)
        started, tries, last = time.monotonic(), 0, Result(0, "")

        def asked() -> bool:
            nonlocal last, tries
            last, tries = self._answer(line), tries + 1
            return enough(last)

        try:
            wait_until(asked, timeout=timeout, what=line, interval=0.2)
        except TimeoutError as error:
            raise ExpectationError(f"`{line}` did not get there in {timeout:g} s") from error
        finally:
            self._screen.output(last.text)
        if tries > 1:
            self._screen.say(f"(run again for {time.monotonic() - started:.1f} s until it was so)")
        return last.text

    def expect(self, sentence: str, *, holds: bool) -> None:
        """A claim about what was shown."""
        if not holds:
            raise ExpectationError(f"this does not hold: {sentence}")
        self.checks += 1
        self._screen.passed(sentence)

    def _answer(self, line: str) -> Result:
        process = subprocess.Popen(
            ["/bin/sh", "-c", line],
            cwd=REPOSITORY,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            text, _ = process.communicate(timeout=COMMAND_SECONDS)
        except BaseException as error:
            # The shell's own children too, which it wouldn't take with it.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise ExpectationError(f"`{line}` did not end in {COMMAND_SECONDS} s") from error
            raise
        return Result(process.returncode, text)
