"""What can become of a request: each way is tried at every write."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class When(StrEnum):
    """Where in the life of a request the fault is."""

    BEFORE = "before it reaches the server"
    INSTEAD = "answered by the proxy, and never seen by the server"
    AFTER = "after it was carried out, before the answer is passed on"
    ANSWERED = "after the answer was passed on"


@dataclass(frozen=True, slots=True)
class Mode:
    """kill: SIGKILL of the operator. cut: the connection is reset. status: of an answer of the
    proxy's own. delay: seconds. released: ends the delay before that."""

    name: str
    when: When
    kill: bool = False
    cut: bool = False
    status: int = 0
    delay: float = 0.0
    retry_after: int = 0
    released: asyncio.Event | None = None


def _modes(*modes: Mode) -> MappingProxyType[str, Mode]:
    return MappingProxyType({mode.name: mode for mode in modes})


KILLS = _modes(
    Mode("kill-before", When.BEFORE, kill=True),
    Mode("kill-after-apply", When.AFTER, kill=True),
    Mode("kill-after-reply", When.ANSWERED, kill=True),
)
REFUSALS = _modes(
    *(Mode(f"status-{n}", When.INSTEAD, status=n) for n in (403, 409, 410, 422, 500, 503, 504)),
    Mode("status-429", When.INSTEAD, status=429, retry_after=1),
)
LOSSES = _modes(
    Mode("reset", When.BEFORE, cut=True),
    Mode("drop-reply", When.AFTER, cut=True),
    Mode("late", When.BEFORE, delay=2.0),
    # Longer than the operator waits for Vault, so that it gives up what is carried out later.
    Mode("given-up", When.BEFORE, delay=6.0),
)
MODES = MappingProxyType({**KILLS, **REFUSALS, **LOSSES})
