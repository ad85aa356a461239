"""Keeps one slow or dead backend from taking everybody's time.

A gate lets a bounded number of calls through. When the backend fails, the gate shuts for a moment
and everybody is told the same at once; then one call tries, and its success opens the gate.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent_identity.api.conditions import Reason
from agent_identity.core.errors import Failed

_PATIENCE = 0.25
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0
# What says that the backend as a whole is in trouble, and not this one request.
_TROUBLE = frozenset({Reason.UNREACHABLE, Reason.SEALED, Reason.LOGIN_REFUSED})


class Gate:
    """name: of the backend, for messages. slots: calls at a time, of all gates before it."""

    def __init__(self, name: str, *, slots: asyncio.Semaphore) -> None:
        self._name = name
        self._slots = slots
        self._trouble: Failed | None = None
        self._shut_until = 0.0
        self._pause = _FIRST_PAUSE

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Raises Failed: Busy when all slots are taken for longer than a moment, or the last
        trouble while the gate is shut."""
        tries = self._admit()
        await self._take_slot()
        try:
            if not tries:
                self._raise_while_shut()
            try:
                yield
            except Failed as error:
                self._note(error)
                raise
            self._open()
        finally:
            self._slots.release()

    async def _take_slot(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            await asyncio.wait_for(self._slots.acquire(), _PATIENCE)
        except TimeoutError:
            detail = f"{self._name} is at its limit of calls"
            raise Failed(Reason.BUSY, detail, retry_after=_PATIENCE) from None

    def _admit(self) -> bool:
        """Whether this call is the one that tries; the others go on being told until it is back."""
        self._raise_while_shut()
        if self._trouble is None:
            return False
        self._shut_until = time.monotonic() + self._pause
        return True

    def _raise_while_shut(self) -> None:
        left = self._shut_until - time.monotonic()
        if self._trouble is not None and left > 0:
            raise Failed(self._trouble.reason, self._trouble.message, retry_after=left)

    def _open(self) -> None:
        self._trouble, self._pause = None, _FIRST_PAUSE

    def _note(self, error: Failed) -> None:
        if error.reason in _TROUBLE:
            self._trouble = error
            self._shut_until = time.monotonic() + self._pause * random.uniform(0.75, 1.25)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        else:
            self._open()


class TokenBucket:
    """At most `rate` per second on average, with bursts of one second's worth."""

    def __init__(self, rate: int) -> None:
        self._rate = float(rate)
        self._tokens = self._rate
        self._at = time.monotonic()

    async def take(self) -> None:
        """Returns when the caller may go on."""
        now = time.monotonic()
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate) - 1
        self._at = now
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._rate)
