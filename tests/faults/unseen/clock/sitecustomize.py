"""A wall clock that is off by what a file says, for the process that finds this on its path.

Only what Python reads: `time.time`, `time.time_ns` and `datetime.now`.
"""

import datetime as dt
import os
import time
from pathlib import Path
from typing import Any, Self

_FILE = Path(os.environ["CLOCK_OFFSET_FILE"])
_time, _time_ns = time.time, time.time_ns
_datetime = dt.datetime


def _offset() -> int:
    return int(_FILE.read_text() or 0)


class _Meta(type(_datetime)):  # type: ignore[misc]
    """What the interpreter itself makes is one of these too."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _datetime)


class _OffDatetime(_datetime, metaclass=_Meta):
    @classmethod
    def now(cls, tz: Any = None) -> Self:
        return cls.fromtimestamp(time.time(), tz)


time.time = lambda: _time() + _offset()
time.time_ns = lambda: _time_ns() + _offset() * 10**9
dt.datetime = _OffDatetime  # type: ignore[misc]
