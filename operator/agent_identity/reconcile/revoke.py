"""The end of an identity: nothing is desired any more, in the order that leaves no right.

Out of the callees' policies first, then bindings, Vault role, account with all that hangs on its
UID, and the policies last. Deletion always ends: what a backend does not let us take away in time
is recorded as owed, and paid later.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial

from agent_identity.api.conditions import ConditionType, EventReason, Reason
from agent_identity.clients.kube import ApiError
from agent_identity.core.errors import Failed, Problem, Waiting
from agent_identity.core.facts import Facts
from agent_identity.core.identity import Identity
from agent_identity.core.ownership import is_orphan
from agent_identity.core.plan import Action, Plan, plan_changes
from agent_identity.core.resource import (
    CLEANUP_FINALIZER,
    GRANTS,
    MESH_KINDS,
    Key,
    Kind,
    Observed,
    Ref,
    Resource,
)
from agent_identity.core.status import Report, identity_status
from agent_identity.providers.contract import Debt
from agent_identity.reconcile.debts import Ledger
from agent_identity.reconcile.decide import rooms_by_kind
from agent_identity.reconcile.execute import Outcome, Owe
from agent_identity.reconcile.pipeline import Tools
from agent_identity.telemetry import log, now

_SOON = 0.2
_MOMENT = 0.05


class Revoker:
    """deadline: seconds after which a deletion no longer waits for anybody, from when this process
    first tries: clocks differ, and before that nobody may have worked. due: makes a key due after
    so many seconds."""

    def __init__(
        self,
        tools: Tools,
        ledger: Ledger,
        *,
        deadline: float,
        due: Callable[[Key, float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tools = tools
        self._ledger = ledger
        self._deadline = deadline
        self._due = due
        self._clock = clock
        self._known_since: dict[str, float] = {}
        self._owing: set[str] = set()
        self._room_of = rooms_by_kind(tools.rooms)
        tools.world.forgetting.append(self._forget)

    async def revoke(self, facts: Facts) -> Problem | None:
        """One step towards the end; the identity's own finalizer goes with the last one."""
        identity = facts.identity
        if not identity.meta.held:
            return None
        left = self._seconds_left(identity)
        late = left < 0
        if not late:
            # What fails is tried ever less often, and then would wait for longer.
            self._due(identity.key, left + _MOMENT)
        if self._tools.first.hold(identity.key):
            return Failed(Reason.BUSY, "those it calls shut it out first", retry_after=_SOON)
        lag = not late and self._tools.first.lag(identity.key)
        outcome = await self._take_away(facts, late=late, rights_only=lag)
        # What was given up without an answer may be carried out yet: it is not to be hidden.
        told = sorted(outcome.problems.values(), key=lambda p: p.reason is not Reason.UNREACHABLE)
        if problem := next(iter(told), None):
            if problem.reason is not Reason.BUSY:
                await self._say(facts, problem)
            return problem
        if lag or outcome.held:
            return Failed(
                Reason.BUSY,
                "callees still name it, or something is not gone yet",
                retry_after=_SOON,
            )
        await self._let_go(identity)
        return None

    def _seconds_left(self, identity: Identity) -> float:
        """Until the deadline."""
        at = self._clock()
        return self._known_since.setdefault(identity.meta.uid, at) + self._deadline - at

    async def _take_away(self, facts: Facts, *, late: bool, rights_only: bool) -> Outcome:
        """rights_only: account and policies stay until the callees no longer name it."""
        executor, outcome = self._tools.executor, Outcome()
        observed = await executor.observe(facts, outcome, self._room_of, granted=False)
        observed |= {ref: seen for ref, seen in facts.observed.items() if is_orphan(seen)}
        if late:
            await self._record_unseen(facts, outcome)
        told = None if late else outcome
        guarded = not rights_only and await self._guards_pods(facts.identity.key, observed, told)
        stays = self._retired(facts.identity.key, facts) if guarded else ()
        changes = plan_changes(stays, observed, self._room_of)
        if not await self._tools.second_look.finds_taker(facts.identity, changes.takes):
            raise Failed(Reason.BUSY, "the identity is another one by now", retry_after=_SOON)
        owe = self._owe(facts) if late else None
        rights = [a for a in changes.takes if a.ref.kind in GRANTS]
        takes = rights if rights_only else await self._shut(changes, outcome)
        await executor.take(takes, facts, outcome, owe)
        if not rights_only:
            await self._forget_gone(facts.identity.key, facts, outcome, owe)
        return outcome

    async def _shut(self, changes: Plan, outcome: Outcome) -> list[Action]:
        """What may be taken away now: no policy before the one that stays lets nobody in, since a
        waypoint passes on what no policy is bound to. In a namespace that is going nothing can be
        made, and nothing is left to be guarded."""
        shut = Outcome()
        await self._tools.executor.give(changes.gives, shut, missing=())
        outcome.done += shut.done
        failed = {r: p for r, p in shut.problems.items() if not _is_absent(p)}
        for room, problem in failed.items():
            outcome.note(room, problem)
        stay = MESH_KINDS if failed else ()
        return [a for a in changes.takes if a.ref.kind not in stay]

    async def _guards_pods(
        self, key: Key, observed: Mapping[Ref, Observed], outcome: Outcome | None
    ) -> bool:
        """Whether pods run on; outcome: whom it is a problem to that this can't be seen."""
        world, look = self._tools.world, self._tools.second_look
        if not (world.has_pods(key) or any(ref.kind in MESH_KINDS for ref in observed)):
            return False
        return await look.has_pods(key, partial(self._note_unseen_pods, outcome))

    def _note_unseen_pods(self, outcome: Outcome | None, failure: Failed) -> None:
        if outcome is not None:
            outcome.note(self._room_of[Kind.AUTHORIZATION_POLICY], failure)

    async def _forget_gone(
        self, key: Key, facts: Facts | None, outcome: Outcome, owe: Owe | None
    ) -> None:
        world = self._tools.world
        gone = world.objects.gone_accounts(key)
        for account in await self._tools.executor.forget(gone, facts, outcome, self._room_of, owe):
            world.objects.forget_gone_account(key, account)

    def _retired(self, key: Key, facts: Facts | None) -> tuple[Resource, ...]:
        """While its pods run on, taking its policy away would let everybody in."""
        return tuple(r for room in self._tools.rooms for r in room.retired(key, facts))

    async def _record_unseen(self, facts: Facts, outcome: Outcome) -> None:
        """A backend that did not even show what is there is owed all that may be."""
        if not outcome.problems:
            return
        for backend in self._tools.executor.backends:
            await self._owe(facts)(backend.owed(facts.account, facts))
        outcome.problems.clear()

    def _owe(self, facts: Facts) -> Owe:
        async def owe(debts: tuple[Debt, ...]) -> None:
            await self._ledger.record(debts)
            if debts:
                self._tell_owed(facts.identity)

        return owe

    def _tell_owed(self, identity: Identity) -> None:
        """Once, however many backends are owed and however often its end is tried."""
        if identity.meta.uid in self._owing:
            return
        self._owing.add(identity.meta.uid)
        self._tools.events.tell(
            identity,
            EventReason.ABANDONED,
            "a backend does not answer; what is left there is recorded and goes later",
            warning=True,
        )

    async def _say(self, facts: Facts, problem: Problem) -> None:
        told = Waiting(Reason.DELETING, f"being taken away; {problem.message}")
        report = Report(ConditionType.SERVICE_ACCOUNT, problem=told)
        status = identity_status(facts.identity, [report], {}, now(), told)
        await self._tools.own.write_status(facts.identity, status)

    async def _let_go(self, identity: Identity) -> None:
        key = identity.key
        known = self._tools.world.identities.get(key)
        last = known if known and known.meta.uid == identity.meta.uid else identity
        rest = [f for f in last.meta.finalizers if f != CLEANUP_FINALIZER]
        try:
            await self._tools.own.set_finalizers(last, rest)
        except ApiError as error:
            if not error.absent:
                raise
            rest = []
        if not rest:
            self._tools.world.lose_identity(key, identity.meta.uid)
            log.info("gone: %s", key)

    def _forget(self, _key: Key, uid: str) -> None:
        self._known_since.pop(uid, None)
        self._owing.discard(uid)

    async def sweep(self, key: Key) -> Problem | None:
        """What is left of an identity that is not there: a policy kept for its pods, an account
        that our finalizer holds, or anything whose owner was taken away by force."""
        left = self._left_over(key)
        if not (left or self._tools.world.objects.gone_accounts(key)) or await self._is_there(key):
            return None
        outcome = Outcome()
        await self._forget_gone(key, None, outcome, self._ledger.record)
        keep = await self._guards_pods(key, left, outcome)
        stays = [r for r in self._retired(key, None) if keep and r.ref in left]
        changes = plan_changes(stays, left, self._room_of)
        takes = await self._shut(changes, outcome)
        await self._tools.executor.take(takes, None, outcome, self._ledger.record)
        return next(iter(outcome.problems.values()), None)

    def _left_over(self, key: Key) -> dict[Ref, Observed]:
        world = self._tools.world
        return {
            ref: seen
            for ref, seen in world.objects.labelled(key).items()
            if is_orphan(seen) or (seen.owner_uid and not world.is_live(seen.owner_uid))
        }

    async def _is_there(self, key: Key) -> bool:
        await self._tools.fresh.look_at_identity(key)
        return key in self._tools.world.identities


def _is_absent(problem: Problem) -> bool:
    return isinstance(problem, ApiError) and problem.absent
