"""One identity, from what is known to what is said of it: the sentence that everything serves."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from agent_identity.api.conditions import EventReason, Reason
from agent_identity.clients.events import EventWriter
from agent_identity.clients.kube import ApiError, Kube
from agent_identity.core.checks import Standing
from agent_identity.core.errors import Failed, Problem, Waiting
from agent_identity.core.facts import Facts
from agent_identity.core.plan import Action, Plan, Verb
from agent_identity.core.resource import CLEANUP_FINALIZER, Key, Kind
from agent_identity.core.status import Report, Status, identity_status
from agent_identity.providers.contract import Provider
from agent_identity.reconcile.callees_first import CalleesFirst
from agent_identity.reconcile.decide import Decision, decide, plan, rooms_by_kind
from agent_identity.reconcile.execute import Executor, Outcome
from agent_identity.reconcile.fresh import FreshReads
from agent_identity.reconcile.newcomers import Newcomers
from agent_identity.reconcile.own import OwnWriter, own_path, was_ready
from agent_identity.reconcile.second_look import SecondLook
from agent_identity.reconcile.world import World
from agent_identity.telemetry import REPAIRED, now

WAITING_SECONDS = 20.0
_OTHERS_IN_THE_WAY = (Reason.FOREIGN_OBJECT, Reason.DELETING)


@dataclass(frozen=True, slots=True)
class Tools:
    """What a reconcile works with."""

    world: World
    kube: Kube
    executor: Executor
    rooms: Sequence[Provider]
    events: EventWriter
    fresh: FreshReads
    own: OwnWriter
    first: CalleesFirst
    second_look: SecondLook


class Pipeline:
    """Level-based: create, update, repair and resync are the same call."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._world = tools.world
        self._room_of = rooms_by_kind(tools.rooms)
        self._newcomers = Newcomers(tools.fresh)
        self._settled: dict[str, int] = {}
        tools.world.forgetting.append(self._forget)

    async def reconcile(self, facts: Facts) -> Problem | None:
        """Bring everything to what is decided, and say so. Returns what decides over a retry."""
        facts, decision, outcome = await self._carry_out(facts)
        problems = {**decision.problems, **outcome.problems}
        busy = next((p for p in problems.values() if p.reason is Reason.BUSY), None)
        if busy and decision.verdict.problem is None:
            # What was given up without an answer may be carried out yet: it is not to be hidden.
            return next((p for p in problems.values() if p.reason is Reason.UNREACHABLE), busy)
        self._tell_repairs(facts, outcome)
        return await self._report(facts, decision, problems)

    async def _carry_out(self, facts: Facts) -> tuple[Facts, Decision, Outcome]:
        outcome = Outcome()
        decision = decide(facts, self._tools.rooms)
        granted = decision.verdict.standing is Standing.GRANTED
        observed = await self._tools.executor.observe(
            facts, outcome, self._room_of, granted=granted
        )
        blind = tuple(outcome.problems)
        changes = plan(decision, observed, self._tools.rooms, blind=blind)
        await self._look_before_taking(facts, decision, changes.takes)
        changes = await self._shut_out(changes, outcome)
        takes = await self._but_what_guards(facts, changes.takes, outcome)
        await self._tools.executor.take(takes, facts, outcome)
        await self._forget_gone_accounts(facts, outcome)
        if changes.gives or self._lacks_finalizer(facts, decision):
            if granted:
                await self._look_at_those_who_leave(changes.gives)
            unseen = await self._look_at_callers(facts, changes.gives)
            seen_afresh = await self._look_afresh(facts, decision)
            if seen_afresh is None:
                raise Failed(Reason.BUSY, "the identity has changed meanwhile", retry_after=0.05)
            facts = seen_afresh
            if unseen:
                facts = _without(unseen, facts)
                decision = decide(facts, self._tools.rooms)
                anew = plan(decision, observed, self._tools.rooms, blind=blind)
                changes = _to_do(anew, outcome)
            await self._give(changes, facts, decision, outcome)
            for problem in unseen.values():
                outcome.note(self._room_of[Kind.AUTHORIZATION_POLICY], problem)
        return facts, decision, outcome

    async def _shut_out(self, changes: Plan, outcome: Outcome) -> Plan:
        """What policies take from somebody waits for no look at anything, nor for those to whom
        they give. What is left to be done; raises Busy where that is more of the same policy."""
        narrowed = [n for a in changes.gives if (n := self._newcomers.narrowed(a))]
        await self._tools.executor.give(narrowed, outcome, missing=())
        self._newcomers.wrote(outcome.done)
        if any(a not in changes.gives for a in outcome.done):
            raise Failed(Reason.BUSY, "others are let in next", retry_after=0.05)
        return _to_do(changes, outcome)

    async def _give(
        self, changes: Plan, facts: Facts, decision: Decision, outcome: Outcome
    ) -> None:
        missing = None if self._guards_unsaid(decision) else facts.lacking(decision.guards)
        await self._tools.executor.give(changes.gives, outcome, missing=missing)
        self._newcomers.wrote(outcome.done)

    async def _look_before_taking(
        self, facts: Facts, decision: Decision, takes: Sequence[Action]
    ) -> None:
        """Raises Busy while it is not time yet, or where an old view was decided on."""
        granted = decision.verdict.standing is Standing.GRANTED
        if granted:
            self._tools.first.stays(facts.identity.key)
        if takes and not granted and self._tools.first.hold(facts.identity.key):
            raise Failed(Reason.BUSY, "those it calls shut it out first", retry_after=0.05)
        if not await self._sees_rightly(facts, decision, takes):
            raise Failed(Reason.BUSY, "what was seen is not there any more", retry_after=0.05)

    async def _sees_rightly(
        self, facts: Facts, decision: Decision, takes: Sequence[Action]
    ) -> bool:
        problem, look = decision.verdict.problem, self._tools.second_look
        if not await look.finds_taker(facts.identity, takes):
            return False
        in_the_way = takes and problem is not None and problem.reason in _OTHERS_IN_THE_WAY
        return not in_the_way or await look.finds_in_the_way(facts)

    async def _but_what_guards(
        self, facts: Facts, takes: Sequence[Action], outcome: Outcome
    ) -> Sequence[Action]:
        """Without policies that were left shut for pods of which no watch has told yet."""
        left = [a for a in takes if a.seen and a.seen.is_retired_policy]
        if facts.pods or not left:
            return takes
        unseen = partial(outcome.note, self._room_of[Kind.AUTHORIZATION_POLICY])
        run_on = await self._tools.second_look.has_pods(facts.identity.key, unseen)
        return [a for a in takes if not (run_on and a in left)]

    async def _forget_gone_accounts(self, facts: Facts, outcome: Outcome) -> None:
        key = facts.identity.key
        gone = self._world.objects.gone_accounts(key)
        for account in await self._tools.executor.forget(gone, facts, outcome, self._room_of):
            self._world.objects.forget_gone_account(key, account)

    def _guards_unsaid(self, decision: Decision) -> bool:
        return any(p.reason is Reason.MESH_NOT_INSTALLED for p in decision.problems.values())

    # --- fresh reads before giving

    def _lacks_finalizer(self, facts: Facts, decision: Decision) -> bool:
        granted = decision.verdict.standing is Standing.GRANTED
        return granted and not facts.identity.meta.held

    async def _look_at_those_who_leave(self, gives: Sequence[Action]) -> None:
        leaving = await self._newcomers.shut_out(gives)
        await self._tools.second_look.look_at_those(leaving)

    async def _look_at_callers(self, facts: Facts, gives: Sequence[Action]) -> dict[str, Problem]:
        """Look at every agent that gets something by the policies that are written now. Principals
        of those that could not be read, and why."""
        new = await self._newcomers.among(self._agents_called_by(facts), gives)
        unseen = await self._tools.fresh.look_at_agents(new.values())
        return {principal: unseen[agent] for principal, agent in new.items() if agent in unseen}

    def _agents_called_by(self, facts: Facts) -> dict[str, Key]:
        """Principal → the agent that it is, for all callers."""
        who, here = self._world.callers.who, facts.identity.key.namespace
        found = (one for named in facts.callers or () for one in who(named, here))
        agents = (c for c in found if c.kind == "AgentIdentity")
        return {c.principal: Key(c.namespace, c.name) for c in agents}

    async def _look_afresh(self, facts: Facts, decision: Decision) -> Facts | None:
        """Facts on which identity, class and namespace were read after the decision to give; None
        where they would decide otherwise now."""
        identity = facts.identity
        try:
            await self._tools.fresh.look_at_surroundings(
                identity.class_name, identity.key.namespace
            )
            if self._lacks_finalizer(facts, decision):
                finalizers = [*identity.meta.finalizers, CLEANUP_FINALIZER]
                await self._tools.own.set_finalizers(identity, finalizers)
            else:
                body = await self._tools.kube.get(own_path(identity))
                self._world.see_identity(body, own=True)
        except ApiError as error:
            if not error.absent:
                raise
            self._world.lose_identity(identity.key, identity.meta.uid)
            return None
        fresh = self._world.facts(identity.key)
        if fresh is None or fresh.identity.deleting:
            return None
        again = decide(fresh, self._tools.rooms)
        same = fresh.identity.class_name == identity.class_name
        return fresh if same and again.desired == decision.desired else None

    # --- telling

    def _tell_repairs(self, facts: Facts, outcome: Outcome) -> None:
        """What was put back is drift where this generation had been brought about before."""
        identity = facts.identity
        agent_class = facts.agent_class.meta.generation if facts.agent_class else 0
        mark = hash((identity.meta.generation, identity.class_name, agent_class, _callers(facts)))
        settled = self._settled.get(identity.meta.uid)
        repaired = [a for a in outcome.done if a.gives]
        known = settled == mark or (settled is None and was_ready(identity))
        if repaired and known:
            self._tools.events.tell(
                identity, EventReason.REPAIRED, _what_was_repaired(repaired), warning=True
            )
            for action in repaired:
                REPAIRED.labels(action.ref.kind.value).inc()
        if not outcome.problems and self._world.is_live(identity.meta.uid):
            self._settled[identity.meta.uid] = mark

    async def _report(
        self, facts: Facts, decision: Decision, problems: Mapping[str, Problem]
    ) -> Problem | None:
        status = self._status(facts, decision, problems)
        await self._tools.own.write_status(facts.identity, status)
        told = [p for p in (*problems.values(), decision.verdict.problem) if p]
        # What failed is tried again whatever the verdict: a withdrawal may be among it.
        return min(told, key=_patience, default=None)

    def _status(self, facts: Facts, decision: Decision, problems: Mapping[str, Problem]) -> Status:
        verdict = decision.verdict
        reports: list[Report] = []
        fields: dict[str, Any] = {}
        for room in self._tools.rooms:
            reports += _reports(room, facts, problems.get(room.room), verdict.problem)
            if verdict.standing is Standing.GRANTED:
                fields |= room.status_fields(facts) if room.room not in problems else {}
        return identity_status(facts.identity, reports, fields, now(), verdict.problem)

    def _forget(self, _key: Key, uid: str) -> None:
        self._settled.pop(uid, None)


def _to_do(changes: Plan, outcome: Outcome) -> Plan:
    done = {action.ref for action in outcome.done if action.gives}
    return replace(changes, gives=tuple(a for a in changes.gives if a.ref not in done))


def _reports(
    room: Provider, facts: Facts, own: Problem | None, verdict: Problem | None
) -> list[Report]:
    """own: what failed in this room. It is told although nothing is asked for here any more: what
    could not be taken away is still there."""
    if room.condition is None or not (own or room.asked(facts)):
        return []
    if problem := own or verdict:
        return [Report(room.condition, problem=problem)]
    return [report for report in (room.report(facts),) if report]


def _without(principals: Collection[str], facts: Facts) -> Facts:
    """The same with none of these a caller."""
    callers = facts.callers or {}
    kept = {c: tuple(p for p in found if p not in principals) for c, found in callers.items()}
    return replace(facts, callers=kept)


def _patience(problem: Problem) -> int:
    return next(n for n, k in enumerate((Failed, Waiting, Problem)) if isinstance(problem, k))


def _callers(facts: Facts) -> tuple[tuple[str, ...], ...]:
    return tuple(sorted((facts.callers or {}).values()))


def _what_was_repaired(actions: Sequence[Action]) -> str:
    told = {Verb.CREATE: "was gone", Verb.REPLACE: "was changed"}
    parts = sorted(f"{a.ref} {told[a.verb]}" for a in actions)
    return f"{', '.join(parts)}: put back"
