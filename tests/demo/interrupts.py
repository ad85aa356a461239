"""Ctrl-C and SIGTERM end the demo wherever it is, once, and never in the middle of cleaning up."""

import os
import signal
import sys
from types import FrameType, TracebackType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Not an Exception, so that nothing which retries on errors takes it for one."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"ended by {number.name}")
        self.number = number

    @property
    def exit_code(self) -> int:
        """As shells say it."""
        return 128 + self.number


class Interrupts:
    """Within the block, the first signal raises `Interrupted` and later ones are ignored."""

    def __enter__(self) -> None:
        for number in NUMBERS:
            # nohup's wish is respected; Ctrl-C must work even where a shell turned it off.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._raise)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ignore()

    def ignore(self) -> None:
        """From here on, whoever wants the demo to end is already being served."""
        for number in NUMBERS:
            # SIG_IGN would be inherited by programs that are started from here on.
            signal.signal(number, _do_nothing)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.ignore()
        # A print could be what was interrupted, and can't be entered twice.
        os.write(sys.stderr.fileno(), b"\nstopping everything, which takes a few seconds\n")
        raise Interrupted(signal.Signals(number))


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass
