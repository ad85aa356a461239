"""Carries a plan out: taking away first, giving last, one room's failure never another's."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from agent_identity.api.conditions import Reason
from agent_identity.core.errors import Failed, Problem, Waiting
from agent_identity.core.facts import Facts
from agent_identity.core.plan import Action, Verb
from agent_identity.core.resource import Kind, Observed, Ref, Stage
from agent_identity.providers.contract import Backend, Debt
from agent_identity.providers.kube_backend import KubeBackend
from agent_identity.telemetry import log

_GUARDS = (Stage.MTLS, Stage.WAYPOINT, Stage.POLICY)
_SOON = 0.05
Owe = Callable[[tuple[Debt, ...]], Awaitable[None]]


@dataclass(slots=True)
class Outcome:
    """problems: room → its first problem. done: what was written. held: not yet gone."""

    problems: dict[str, Problem] = field(default_factory=dict)
    done: list[Action] = field(default_factory=list)
    held: list[Ref] = field(default_factory=list)

    def note(self, room: str, problem: Problem) -> None:
        self.problems.setdefault(room, problem)


class Executor:
    """others: backends by kind, beside the one for Kubernetes objects."""

    def __init__(self, kube: KubeBackend, others: Mapping[Kind, Backend]) -> None:
        self._kube = kube
        self._others = others

    def backend(self, kind: Kind) -> Backend:
        return self._others.get(kind, self._kube)

    @property
    def backends(self) -> tuple[Backend, ...]:
        return (self._kube, *self._others.values())

    async def observe(
        self, facts: Facts, outcome: Outcome, rooms: Mapping[Kind, str], *, granted: bool
    ) -> dict[Ref, Observed]:
        """What is there at every backend; one that does not answer is its own room's problem."""
        sight = await self._kube.observe(facts, granted=granted)
        observed = dict(sight.found)
        for kind, backend in self._others.items():
            sight = await backend.observe(facts, granted=granted)
            observed |= sight.found
            if sight.problem:
                outcome.note(rooms[kind], sight.problem)
        return observed

    async def look_again(self, ref: Ref) -> None:
        """A read of one Kubernetes object, ahead of the watch."""
        await self._kube.look_again(ref)

    async def take(
        self,
        actions: Iterable[Action],
        facts: Facts | None,
        outcome: Outcome,
        owe: Owe | None = None,
    ) -> None:
        """One after the other, top stage first. While a right could not be taken away, what guards
        it stays: mTLS, the policies, and the account's name, whose next bearer would have it. owe:
        what can't be waited for is recorded there instead of being a problem."""
        guarded = False
        for action in actions:
            if guarded and action.stage in _GUARDS:
                continue
            try:
                await self._take_one(action, facts, outcome, owe, name_stays=guarded)
            except Problem as problem:
                outcome.note(action.room, problem)
                guarded = guarded or action.stage is Stage.GRANT

    async def _take_one(
        self,
        action: Action,
        facts: Facts | None,
        outcome: Outcome,
        owe: Owe | None,
        *,
        name_stays: bool,
    ) -> None:
        seen = action.seen
        if seen is None:
            return
        if seen.ref.kind == Kind.SERVICE_ACCOUNT:
            whose = None if facts and _is_anothers(seen, facts) else facts
            gone = await self._take_account(seen, whose, owe, name_stays=name_stays)
        elif action.verb is Verb.RELEASE:
            gone = await self._kube.release(seen)
        else:
            gone = await self._delete(seen, facts, owe)
        outcome.done.append(action)
        if not gone:
            outcome.held.append(seen.ref)
        if action.resource is not None:
            # Others were deleting it, and it is still wanted: until it is made anew nothing is
            # in place, and nobody may go whose end it was to outlive.
            detail = f"{action.ref} is made anew: somebody has deleted it"
            outcome.note(action.room, Failed(Reason.BUSY, detail, retry_after=_SOON))

    async def _delete(self, seen: Observed, facts: Facts | None, owe: Owe | None) -> bool:
        backend = self.backend(seen.ref.kind)
        try:
            gone = await backend.delete(seen)
        except Failed as failure:
            if owe is None or backend is self._kube:
                raise
            log.warning("left owing: %s", failure.message)
            await owe(backend.owed(facts.account if facts else None, facts))
            return True
        return gone or (backend is self._kube and await self._kube.release(seen))

    async def _take_account(
        self, account: Observed, facts: Facts | None, owe: Owe | None, *, name_stays: bool
    ) -> bool:
        """First nobody new can be the account, then what hangs on its UID goes, then it."""
        if not account.deleting and await self._kube.delete(account):
            return True
        await self._forget_account(account, facts, owe)
        return not name_stays and await self._kube.release(account)

    async def forget(
        self,
        accounts: Iterable[Observed],
        facts: Facts | None,
        outcome: Outcome,
        rooms: Mapping[Kind, str],
        owe: Owe | None = None,
    ) -> list[Observed]:
        """Take away what hangs on accounts that are gone already; those that are dealt with."""
        dealt_with = []
        for account in accounts:
            try:
                await self._forget_account(account, facts, owe)
            except Problem as problem:
                outcome.note(rooms[Kind.VAULT_ROLE], problem)
            else:
                dealt_with.append(account)
        return dealt_with

    async def _forget_account(
        self, account: Observed, facts: Facts | None, owe: Owe | None
    ) -> None:
        for backend in self.backends:
            try:
                await backend.forget_account(account, facts)
            except Problem:
                if owe is None:
                    raise
                await owe(backend.owed(account, facts))

    async def give(
        self, actions: Iterable[Action], outcome: Outcome, *, missing: Collection[Ref] | None
    ) -> None:
        """Stage by stage, each stage at once. missing: what must be made before the first right
        is given; None: it can't be said yet, so no new right is. Nor is one while a guard that
        others changed can't be put right; nor is a waypoint let in, before its policy is."""
        required, waypoints = set(missing or ()), set[Ref]()
        for stage, group in groupby(actions, key=lambda a: a.stage):
            batch = list(group)
            made = {a.ref for a in outcome.done if a.gives}
            if stage is Stage.POLICY and not made >= waypoints:
                required |= {a.ref for a in batch}
                continue
            open_to = stage is not Stage.GRANT or (missing is not None and made >= required)
            for action in batch:
                if not (action.seen or open_to):
                    self._hold_back(action, outcome)
            give = (self._give_one(a, outcome) for a in batch if a.seen or open_to)
            await asyncio.gather(*give)
            required |= {a.ref for a in batch if a.gives}
            waypoints |= {a.ref for a in batch if stage is Stage.WAYPOINT}

    def _hold_back(self, action: Action, outcome: Outcome) -> None:
        problem = Waiting(Reason.MTLS_FIRST, "given once the account, mTLS and the policy stand")
        outcome.note(action.room, problem)

    async def _give_one(self, action: Action, outcome: Outcome) -> None:
        if action.resource is None:
            return
        backend = self.backend(action.ref.kind)
        try:
            if action.seen is None:
                await backend.create(action.resource)
            else:
                await backend.replace(action.resource, action.seen)
        except Problem as problem:
            outcome.note(action.room, problem)
        else:
            outcome.done.append(action)


def _is_anothers(account: Observed, facts: Facts) -> bool:
    """What an earlier identity of the name left: nothing is known of that one's class."""
    return account.owner_uid not in {"", facts.identity.meta.uid}
