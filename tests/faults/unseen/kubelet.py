"""Starts the operator again when it has ended, or is no longer well, as a kubelet does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from faults.theatre import Theatre

_LOOK_SECONDS = 0.5
# Of the chart's livenessProbe.
PROBE_SECONDS = 10.0
PROBES = 3
_OK = 200


class Kubelet:
    """ended: how often it ended by itself. sick: how often it was ended since it was not well.
    Usable inside `async with`."""

    def __init__(self, theatre: Theatre) -> None:
        self._theatre = theatre
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.ended = 0
        self.sick = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Nobody starts anything meanwhile."""
        async with self._lock:
            yield

    async def _run(self) -> None:
        failures = 0
        looked_at = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            async with self._lock:
                if not self._theatre.operator.alive:
                    self.ended += 1
                    failures = 0
                    await self._start()
                now = asyncio.get_running_loop().time()
                if now - looked_at >= PROBE_SECONDS:
                    looked_at = now
                    failures = 0 if await asyncio.to_thread(self._well) else failures + 1
                if failures >= PROBES:
                    self.sick += 1
                    failures = 0
                    await asyncio.to_thread(self._theatre.operator.kill)
                    await self._start()

    async def _start(self) -> None:
        """Its tokens are there when the API server is, which makes them."""
        with contextlib.suppress(OSError, RuntimeError):
            await asyncio.to_thread(self._theatre.operator.start)

    def _well(self) -> bool:
        try:
            return self._theatre.operator.probe("/healthz")[0] == _OK
        except OSError:
            return False
