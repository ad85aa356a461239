"""Which of several replicas works: the one that holds the Lease. As client-go's leaderelection.

No two clocks are compared. A leader counts from the start of its last renewal that succeeded, and
stops writing well before the Lease ends. Who waits counts from when it last saw the Lease change,
which is later; so the one has stopped before the other begins.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent_identity.clients.kube import LEASES, ApiError, Json, Kube
from agent_identity.clients.lease import Fence
from agent_identity.core.errors import Failed
from agent_identity.core.resource import MANAGED_BY, MANAGER
from agent_identity.telemetry import LEADER, log

NAME = "agent-identity-operator"
_JITTER = 0.2
_RELEASE_TRIES = 3


class LeaseLost(Exception):  # noqa: N818  what happened, and no fault of anybody's
    """Another replica may write from now on: this process must end."""


def holder_name(instance: str) -> str:
    """One that no other process has ever had: a restarted container keeps its name and its pid."""
    return f"{instance}_{os.getpid()}_{time.time_ns() // 1000:x}"


@dataclass(frozen=True, slots=True)
class Periods:
    """lease: seconds. The rest are the parts of it that client-go has by default: 15, 10, 2."""

    lease: int

    @property
    def renew(self) -> float:
        """How long after the start of a renewal its holder may write."""
        return self.lease * 2 / 3

    @property
    def write(self) -> float:
        """What is sent at the last moment is over, one way or the other, when the Lease ends."""
        return self.lease - self.renew

    def retry(self) -> float:
        """With jitter, so that those who wait do not all ask at once."""
        return self.lease * 2 / 15 * random.uniform(1 - _JITTER, 1 + _JITTER)

    def look(self) -> float:
        """Twice as often: a takeover is late by the time that a renewal went unseen."""
        return self.retry() / 2


class Rival:
    """The Lease as somebody else's: over when it has not changed for as long as it is for."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._spec: Mapping[str, Any] = {}
        self._changed_at = clock()

    def see(self, spec: Mapping[str, Any]) -> None:
        if spec != self._spec:
            self._spec, self._changed_at = spec, self._clock()

    @property
    def seconds_left(self) -> float:
        """Not above 0 where anybody may take it."""
        if not self._spec.get("holderIdentity"):
            return 0.0
        lasts = float(self._spec.get("leaseDurationSeconds") or 0)
        return self._changed_at + lasts - self._clock()


class Election:
    """kube: of its own, unfenced: the Lease's requests wait for nobody, and always pass."""

    def __init__(
        self,
        kube: Kube,
        fence: Fence,
        *,
        namespace: str,
        holder: str,
        periods: Periods,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._fence = fence
        self._folder = LEASES.path(namespace)
        self._path = LEASES.path(namespace, NAME)
        self._holder = holder
        self._periods = periods
        self._rival = Rival(clock)
        self._lease: Json = {}
        self._heard_at = float("-inf")
        self._told = ""

    def hears(self) -> bool:
        """Whether the API server has answered lately."""
        return time.monotonic() - self._heard_at < 2 * self._periods.lease

    def _tell(self, trouble: str) -> None:
        """Once, and not at every try."""
        if trouble != self._told:
            log.warning("%s", trouble)
        self._told = trouble

    # --- to get it

    async def acquire(self) -> None:
        """Returns once it is ours."""
        log.info("waiting for the Lease as %s", self._holder)
        while True:
            try:
                async with asyncio.timeout(self._periods.write):
                    left = await self._try()
            except (Failed, TimeoutError) as error:
                self._tell(f"the Lease can't be had: {str(error) or 'not in time'}")
                left = self._periods.retry()
            if left <= 0:
                return
            await asyncio.sleep(min(left, self._periods.look()))

    async def _try(self) -> float:
        """Seconds until it may be worth another try; 0 when it is ours."""
        started, there = self._fence.now(), await self._read()
        spec = (there or {}).get("spec") or {}
        if there is not None:
            self._rival.see(spec)
        # One that was deleted ends no earlier: its holder may not have noticed yet. One that is
        # ours is of a try whose answer was lost.
        left = self._rival.seconds_left
        if left > 0 and spec.get("holderIdentity") != self._holder:
            return left
        try:
            lease = await self._take(there)
        except ApiError as error:
            if not error.conflict:
                raise
            return self._periods.retry()
        self._won(lease, started)
        return 0.0

    async def _read(self) -> Json | None:
        try:
            there = await self._kube.get(self._path)
        except ApiError as error:
            if not error.absent:
                raise
            there = None
        self._heard_at = time.monotonic()
        return there

    async def _take(self, there: Json | None) -> Json:
        spec = (there or {}).get("spec") or {}
        changes = (spec.get("leaseTransitions") or 0) + 1 if there else 0
        mine = self._spec() | {"acquireTime": _now(), "leaseTransitions": changes}
        if there is not None:
            # With the version that was seen: of several who try, one succeeds.
            return await self._kube.replace(self._path, there | {"spec": mine})
        metadata = {"name": NAME, "labels": {MANAGED_BY: MANAGER}}
        kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        return await self._kube.create(self._folder, kind | {"metadata": metadata, "spec": mine})

    def _spec(self) -> Json:
        return {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": self._periods.lease,
            "renewTime": _now(),
        }

    def _won(self, lease: Json, started: float) -> None:
        self._held(lease, started)
        LEADER.set(1)
        log.info("this is the leader now: %s", self._holder)

    def _held(self, lease: Json, started: float) -> None:
        self._lease, self._heard_at = lease, time.monotonic()
        self._fence.hold_until(started + self._periods.renew)

    # --- to keep it

    async def keep(self) -> None:
        """For as long as it is ours; raises LeaseLost."""
        pause = self._periods.retry()
        while True:
            await asyncio.sleep(max(0.0, min(pause, self._fence.seconds_left)))
            if not self._fence.holds():
                raise LeaseLost("it could not be renewed in time")
            try:
                async with asyncio.timeout(min(self._periods.write, self._fence.seconds_left)):
                    pause = self._periods.retry() if await self._renew() else 0.0
            except (Failed, TimeoutError) as error:
                self._tell(f"the Lease was not renewed: {str(error) or 'not in time'}")
                pause = self._periods.retry()

    async def _renew(self) -> bool:
        """False where somebody changed it meanwhile and it is ours all the same."""
        started = self._fence.now()
        try:
            lease = await self._kube.replace(self._path, self._renewed(self._spec()))
        except ApiError as error:
            if not (error.conflict or error.absent):
                raise
            await self._look_again()
            return False
        self._held(lease, started)
        return True

    def _renewed(self, spec: Json) -> Json:
        return self._lease | {"spec": self._lease["spec"] | spec}

    async def _look_again(self) -> None:
        """A renewal that was thought lost may have arrived, or a label may have been put on."""
        there = await self._read()
        if there is None or (there.get("spec") or {}).get("holderIdentity") != self._holder:
            raise LeaseLost("another replica has it")
        self._lease = there

    # --- to give it back

    async def release(self) -> None:
        """Only once nothing is written any more: whoever waits takes over at once."""
        LEADER.set(0)
        try:
            async with asyncio.timeout(self._periods.write):
                for _ in range(_RELEASE_TRIES):
                    if await self._give_back():
                        log.info("the Lease was given back")
                        return
        except (Failed, TimeoutError, LeaseLost) as error:
            self._tell(f"the Lease was not given back: {str(error) or 'not in time'}")

    async def _give_back(self) -> bool:
        free = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
        try:
            await self._kube.replace(self._path, self._renewed(free))
        except ApiError as error:
            if not error.conflict:
                raise
            await self._look_again()
            return False
        return True


def _now() -> str:
    """metav1.MicroTime. For people only: it is never compared with another clock."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
