"""One workload, step by step, so that a fault can be put between any two."""

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from faults.exchange import Exchange
from faults.oracles import ORACLES, End, Run
from faults.play import Player
from faults.scene import AGENT, TOKEN, Scene
from faults.theatre import Theatre
from faults.workloads import BY_NAME, Workload

_GONE_SECONDS = 60.0


async def _nothing(scene: Scene) -> None:
    """All stays as it is."""


async def _again_with_secrets(scene: Scene) -> None:
    """Deleted, waited for, and made anew with some of the secrets that it had."""
    gone = scene.of_identity(AGENT)
    await scene.delete(gone)
    await scene.stage.recorder.until(scene.name, lambda: scene.body(gone) is None, _GONE_SECONDS)
    await scene.identity(AGENT, vault={"policies": ["own-secrets"]})


_EVERYBODY = BY_NAME["narrow"].before
MORE = {
    "settled": Workload("settled", "nothing happens", _EVERYBODY, _nothing),
    "again": Workload("again", "made anew with less in Vault", _EVERYBODY, _again_with_secrets),
}


class Trial(Player):
    """case: its id. lost: a step could not be taken. seconds: from the mark until all was
    as wanted."""

    def __init__(self, theatre: Theatre, workload: Workload, case: str) -> None:
        super().__init__(theatre.stage.scene(), workload, theatre.log, theatre.faults)
        self.case = case
        self.old = End({}, {})
        self.lost = False
        self.seconds = 0.0
        self._before = self._first = 0
        self._began = 0.0
        self._roles_before: dict[str, dict[str, Any]] = {}

    async def set_up(self) -> None:
        """All is brought about, without a fault."""
        await self.workload.before(self.scene)
        await self.settle()
        await self.log_in_if_it_can()
        await self.mark()

    async def log_in_if_it_can(self) -> None:
        """The agent has a token from here on."""
        if await self._may_read():
            await self.scene.log_in()

    async def mark(self) -> None:
        """What is done from here on counts."""
        self.old = End(self.scene.state(), await self.scene.vault_state())
        self._roles_before = await self._roles()
        self._before, self._first = self._revision(), len(self._log)
        self._began = time.monotonic()

    async def act(self) -> None:
        await self.workload.act(self.scene)

    async def settle(self) -> None:
        await self._settle()

    async def become(self, wanted: End) -> None:
        """Until all is as wanted, or time is over."""
        await self._become(wanted)
        self.seconds = time.monotonic() - self._began

    def asked(self) -> list[Exchange]:
        """What the operator asked for since the mark, in order."""
        return self._log.of(self.scene.name, since=self._first)

    def trace(self) -> list[str]:
        """The same, for people."""
        return [
            f"{e.number} {e.call} {e.status}{' ' * bool(e.fault)}{e.fault}" for e in self.asked()
        ]

    def revisions(self) -> list[int]:
        """Of all that has happened to it so far."""
        return [c.revision for c in self._recorder.changes(self.scene.name)]

    async def end(self) -> Run:
        """What was seen since the mark."""
        there = await self._look()
        end = self._end(self._before, there, time.monotonic() - self._began, 0.0)
        exchanges = tuple(self._log.of(self.scene.name))
        changes = tuple(self._recorder.changes(self.scene.name))
        return Run(
            names=self.scene.names,
            before=self._before,
            first=self._first,
            last=len(self._log),
            old=self.old,
            end=end,
            changes=changes,
            exchanges=exchanges,
            roles=self._roles_before,
        )


def trial(theatre: Theatre, workload: str, case: str = "") -> Trial:
    return Trial(theatre, (BY_NAME | MORE)[workload], case or workload)


def judged(
    run: Run, wanted: End, *, without: frozenset[str] = frozenset(), workload: str = ""
) -> list[str]:
    """without: oracles that say nothing about this kind of fault."""
    # There others take the guards away, and whoever puts them back does it one after the other.
    without |= {"guards first"} if workload == "drift" else frozenset()
    used = {name: oracle for name, oracle in ORACLES.items() if name not in without}
    return [f"{name}: {line}" for name, oracle in used.items() for line in oracle(run, wanted)]


def with_token(end: End, told: str) -> End:
    """The same, where the agent's token works or has ended."""
    return replace(end, vault={**end.vault, TOKEN: json.dumps(told)})


def scenes_of(trials: list[Trial]) -> list[Scene]:
    return [one.scene for one in trials]


def names_of(trials: Iterable[Trial]) -> set[str]:
    """Of their scenes."""
    return {one.scene.name for one in trials}
