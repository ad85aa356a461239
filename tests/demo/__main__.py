"""`python -m demo [--keep]` tells the story once, cleans up and says how it went."""

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

from demo.drawing import PAGE
from demo.interrupts import Interrupted, Interrupts
from demo.keeping import bring_back, keep_until_interrupted
from demo.screen import Screen
from demo.shell import ExpectationError, Shell
from demo.stage import Stage
from demo.story import tell

LOG_LINES = 15


def main() -> int:
    """The exit code: 0 when everything that was shown is as it should be."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave all running until Ctrl-C")
    keep = parser.parse_args().keep
    screen, interrupts = Screen.of(sys.stdout), Interrupts()
    try:
        with interrupts, tempfile.TemporaryDirectory(prefix="agent-identity-demo-") as directory:
            result = _perform(Path(directory), screen, interrupts, keep=keep)
    except Interrupted as interrupted:
        screen.failure(f"demo: {interrupted}; everything is stopped and removed")
        return interrupted.exit_code
    except Exception as error:  # noqa: BLE001 - whatever it was, the last line says so
        if not isinstance(error, ExpectationError):
            traceback.print_exc()
        screen.failure("demo: failed; everything is stopped and removed")
        return 1
    screen.success(result)
    return 0


def _perform(directory: Path, screen: Screen, interrupts: Interrupts, *, keep: bool) -> str:
    """What to say of it in the last line."""
    started = time.monotonic()
    screen.title("0. A control plane, an OpenBao, the operator and istiod start on this machine")
    with Stage(directory, report=screen.say, before_stop=interrupts.ignore) as stage:
        shell = Shell(screen, stage.environment())
        try:
            tell(shell, screen, stage)
            seconds = time.monotonic() - started
            if keep:
                bring_back(shell, screen, stage)
        except Exception as error:
            _explain(error, stage, screen)
            if keep:
                keep_until_interrupted(stage, screen)
            raise
        if keep:
            keep_until_interrupted(stage, screen)
    return f"demo: {shell.checks} checks passed in {seconds:.0f} s; the page is {PAGE}"


def _explain(error: Exception, stage: Stage, screen: Screen) -> None:
    screen.failure(f"NOT AS IT SHOULD BE: {error}")
    screen.say("the end of the operator's log:")
    screen.output(stage.end_of_log(LOG_LINES))


if __name__ == "__main__":
    sys.exit(main())
