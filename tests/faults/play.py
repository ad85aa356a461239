"""Plays one workload on a scene, with or without faults, and keeps what was seen."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from faults.exchange import Call, Exchange
from faults.modes import Mode
from faults.oracles import Course, End, Run, made
from faults.plans import Fault
from faults.recorder import Body, Name
from faults.request_log import RequestLog
from faults.scene import AGENT, BYSTANDER, TOKEN, Scene
from faults.snapshot import State, differences
from faults.workloads import Workload, stranger

SETTLE_SECONDS = 60.0
RECOVERY_SECONDS = 45.0
BYSTANDER_SECONDS = 20.0
_QUIET_SECONDS = 0.5
# Where it isn't known what is to come.
_LONG_QUIET_SECONDS = 1.5
_LOOK_SECONDS = 0.1


class NotSettled(Exception):
    """Something did not come to rest in time."""


class There(NamedTuple):
    """What there is at one moment, in the cluster and in Vault."""

    state: State
    vault: State


class Armed:
    """The faults that wait for one scene, one after the other."""

    def __init__(self, scene: Scene, faults: Sequence[Fault]) -> None:
        self._scene = scene
        self._left = list(faults)
        self._met: Counter[str] = Counter()

    @property
    def left(self) -> int:
        return len(self._left)

    def meet(self, exchange: Exchange) -> Mode | None:
        """What becomes of a request of this scene."""
        if not self._left:
            return None
        fault = self._left[0]
        if exchange.call.renamed(self._scene.names) != fault.call:
            return None
        self._met[str(fault)] += 1
        if self._met[str(fault)] < fault.nth:
            return None
        self._left.pop(0)
        return fault.is_


class Faults:
    """Asked by the proxies about every request."""

    def __init__(self) -> None:
        self._armed: dict[str, Armed] = {}

    def arm(self, scene: Scene, faults: Sequence[Fault]) -> Armed:
        armed = self._armed[scene.name] = Armed(scene, faults)
        return armed

    def disarm(self, scene: Scene) -> None:
        self._armed.pop(scene.name, None)

    def choose(self, exchange: Exchange) -> Mode | None:
        armed = self._armed.get(exchange.scene)
        return armed.meet(exchange) if armed else None


class Player:
    """One scene's workload, from an empty place to its end."""

    def __init__(self, scene: Scene, workload: Workload, log: RequestLog, faults: Faults) -> None:
        self.scene = scene
        self.workload = workload
        self._log = log
        self._faults = faults
        self._recorder = scene.stage.recorder
        self.acted_at = ""
        """When the workload acted, as the servers write times in their audit logs."""

    async def play(
        self, faults: Sequence[Fault] = (), reference: Course | None = None
    ) -> tuple[Run, int]:
        """What was seen, and how many faults never came."""
        await self.workload.before(self.scene)
        there = await self._come_to_rest(reference.old if reference else None)
        if reference and not self._is(there, reference.old):
            lines = differences(reference.old.state, there.state)
            raise NotSettled(f"before anything happened: {'; '.join(lines)}")
        if await self._may_read():
            await self.scene.log_in()
        old = End(there.state, await self.scene.vault_state())
        roles = await self._roles()
        before, first = self._revision(), len(self._log)
        armed = self._faults.arm(self.scene, faults)
        began = time.monotonic()
        self.acted_at = datetime.now(UTC).isoformat()
        seconds, bystander = await asyncio.gather(
            self._act(began, reference.end if reference else None), self._bystander(began)
        )
        self._faults.disarm(self.scene)
        # A fault may have come at the very end.
        await self._until_carried_out()
        there = await self._come_to_rest(reference.end if reference else None)
        end = self._end(before, there, seconds, bystander)
        exchanges = tuple(self._log.of(self.scene.name))
        changes = tuple(self._recorder.changes(self.scene.name))
        numbers = (before, first, len(self._log))
        run = Run(self.scene.names, *numbers, old, end, changes, exchanges, roles)
        return run, armed.left

    def calls(self, run: Run) -> Counter[Call]:
        """What was asked for since the workload acted."""
        asked = (e.call for e in run.exchanges if e.number >= run.first and not e.call.tells)
        return Counter(call.renamed(self.scene.names) for call in asked)

    async def _act(self, began: float, reference: End | None) -> float:
        await self.workload.act(self.scene)
        await self._come_to_rest(reference)
        return time.monotonic() - began

    async def _come_to_rest(self, reference: End | None) -> There:
        """What there is then. Not to be looked at again: a class tells of what others fail at the
        Vault that all share, and may do so a moment later."""
        return await (self._become(reference) if reference else self._settle())

    async def _settle(self) -> There:
        """Until all has been looked at, and the operator changes nothing more. It may go on to
        look: with short periods it is never long without."""
        began = time.monotonic()
        deadline = began + SETTLE_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            if not await self._recorder.until(self.scene.name, self._settled, left):
                break
            asked = self._log.last_change_at(self.scene.name)
            if self._idle_since(max(began, asked)) >= _LONG_QUIET_SECONDS:
                return await self._look()
            await asyncio.sleep(_LOOK_SECONDS)
        raise NotSettled(f"{self.scene.name} after {SETTLE_SECONDS:g} s: {self.scene.state()}")

    async def _until_carried_out(self) -> None:
        """What the operator has given up may be held on its way yet, and change what there is. To
        be asked when no fault is armed any more, so that nothing new is held."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while self._log.under_way(self.scene.name):
            if time.monotonic() > deadline:
                raise NotSettled(f"{self.scene.name}: a request is under way for ever")
            await asyncio.sleep(_LOOK_SECONDS)

    def _settled(self) -> bool:
        return self.scene.settled()

    def _idle_since(self, began: float) -> float:
        changed = self._recorder.changes(self.scene.name)
        return time.monotonic() - max(began, changed[-1].at if changed else 0.0)

    async def _become(self, reference: End) -> There:
        """Until all is, and stays, as it is without a fault, or time is over: then the oracles
        tell."""
        began = time.monotonic()
        deadline = began + RECOVERY_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            await self._recorder.until(self.scene.name, lambda: self._looks(reference), left)
            there = await self._look()
            asked = self._log.last_at(self.scene.name)
            if self._idle_since(max(began, asked)) >= _QUIET_SECONDS and self._is(there, reference):
                return there
            await asyncio.sleep(_LOOK_SECONDS)
        return await self._look()

    def _looks(self, reference: End) -> bool:
        return self._settled() and self.scene.state() == reference.state

    async def _look(self) -> There:
        """Again, where the cluster has changed while Vault was asked."""
        while True:
            there = There(self.scene.state(), await self.scene.vault_state())
            if there.state == self.scene.state():
                return there

    def _is(self, there: There, reference: End) -> bool:
        # Nobody has logged in before the workload acts.
        vault = {n: text for n, text in reference.vault.items() if self.scene.token or n != TOKEN}
        return self._settled() and there == (reference.state, vault)

    async def _bystander(self, began: float) -> float:
        if not self.workload.bystander:
            return 0.0
        await stranger(self.scene)
        name = self.scene.of_identity(BYSTANDER, namespace=self.scene.elsewhere)
        await self._recorder.until(self.scene.name, lambda: self._is_ready(name), SETTLE_SECONDS)
        return time.monotonic() - began

    def _is_ready(self, name: Name) -> bool:
        status = (self.scene.body(name) or {}).get("status") or {}
        rows = {row["type"]: row["status"] for row in status.get("conditions") or ()}
        return rows.get("Ready") == "True"

    def _end(self, before: int, there: There, seconds: float, bystander: float) -> End:
        changes = self._recorder.changes(self.scene.name)
        return End(*there, made(changes, self.scene.names, before), seconds, bystander)

    async def _may_read(self) -> bool:
        """Whether the agent's role gives it its secret."""
        roles = await self.scene.vault_roles()
        given = roles.get(f"role test_{self.scene.home}_{AGENT}", {}).get("token_policies") or ()
        return any(policy.endswith("_own-secrets") for policy in given)

    async def _roles(self) -> dict[str, Body]:
        found = await self.scene.vault_roles()
        return {name.removeprefix("role "): body for name, body in found.items()}

    def _revision(self) -> int:
        changes = self._recorder.changes(self.scene.name)
        return changes[-1].revision if changes else 0
