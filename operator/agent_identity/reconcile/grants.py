"""One AgentAccessGrant, from what is known to what is said of it; and its end."""

from collections.abc import Collection, Sequence

from agent_identity.api.conditions import ConditionType, EventReason, Reason
from agent_identity.api.grants import AgentAccessGrantSpec
from agent_identity.clients.kube import OURS, ApiError
from agent_identity.core.checks import Standing, Verdict
from agent_identity.core.errors import Failed, Problem, Waiting
from agent_identity.core.grants import Caller, GrantFacts, judge_grant, main_ref
from agent_identity.core.ownership import is_orphan
from agent_identity.core.plan import Plan, plan_changes
from agent_identity.core.resource import CLEANUP_FINALIZER, Key, Observed, Resource
from agent_identity.core.status import Report, Status, grant_status
from agent_identity.providers.contract import GrantRoom
from agent_identity.reconcile.execute import Outcome
from agent_identity.reconcile.newcomers import Newcomers
from agent_identity.reconcile.own import own_path, was_ready
from agent_identity.reconcile.pipeline import Tools
from agent_identity.telemetry import REPAIRED, now

_SOON = 0.05
_MAIN = ConditionType.POLICY
Pairs = frozenset[tuple[Caller, str]]


class GrantPipeline:
    """Level-based, as the identities' is."""

    def __init__(self, tools: Tools, room: GrantRoom) -> None:
        self._tools = tools
        self._world = tools.world
        self._room = room
        self._newcomers = Newcomers(tools.fresh)
        self._settled: dict[str, tuple[int, Standing, Pairs]] = {}
        tools.world.forgetting.append(self._forget)

    async def reconcile(self, facts: GrantFacts) -> Problem | None:
        """Bring its policies to what is decided, and say so. Returns what decides over a retry."""
        if facts.grant.deleting:
            return await self._end(facts)
        facts, outcome, unsure = await self._carry_out(facts)
        verdict = judge_grant(facts)
        problem = verdict.problem or unsure or outcome.problems.get(self._room.room)
        self._note_written(facts, verdict, outcome)
        if problem is not None and problem.reason is Reason.BUSY:
            return problem
        self._tell_repairs(facts, verdict, outcome)
        await self._tools.own.write_status(facts.grant, self._status(facts, verdict, problem))
        return problem

    async def _carry_out(self, facts: GrantFacts) -> tuple[GrantFacts, Outcome, Problem | None]:
        """Who can't be seen afresh is not let in, and the rest goes on: what is taken away waits
        for nobody."""
        outcome = Outcome()
        if not facts.mesh_installed:
            detail = "the API server does not serve security.istio.io/v1"
            return facts, outcome, Waiting(Reason.MESH_NOT_INSTALLED, detail)
        unsure, changes = None, self._changes(facts)
        gives = not self._newcomers.only_narrow(changes.gives)
        if gives or self._lacks_finalizer(facts):
            facts, unsure = await self._look_afresh(facts)
            changes = self._changes(facts)
        await self._carry_out_in_turn(changes, outcome)
        return facts, outcome, unsure

    async def _carry_out_in_turn(self, changes: Plan, outcome: Outcome) -> None:
        """A caller that moves from one policy to another is in both for a moment, never in none;
        and what stays shut is shut before anything else goes: the last policy that goes opens the
        workload to everybody."""
        made = [a for a in changes.gives if a.seen is None]
        await self._tools.executor.give(made, outcome, missing=())
        changed = [a for a in changes.gives if a.seen is not None]
        if outcome.problems:
            changed = self._newcomers.staying(changed, changes.gives)
        await self._tools.executor.give(changed, outcome, missing=())
        self._newcomers.wrote(outcome.done)
        if not outcome.problems:
            await self._tools.executor.take(changes.takes, None, outcome)

    def _changes(self, facts: GrantFacts) -> Plan:
        desired = self._room.desired(facts, judge_grant(facts).standing)
        return self._towards(desired, facts)

    def _towards(self, desired: Sequence[Resource], facts: GrantFacts) -> Plan:
        """What an earlier grant of the name left shut is taken over, and never taken away."""
        wanted = {r.ref for r in desired}
        ours = {ref: seen for ref, seen in facts.ours().items() if seen.owner_uid or ref in wanted}
        kept = [r for r in desired if r.ref in ours or r.ref not in facts.observed]
        return plan_changes(kept, ours, {self._room.kind: self._room.room})

    def _lacks_finalizer(self, facts: GrantFacts) -> bool:
        """A grant that enforces is held, so that what it guards stays shut when it goes."""
        spec = facts.grant.spec
        enforces = spec is not None and spec.enforcement == "Enforce"
        granted = enforces and judge_grant(facts).standing is Standing.GRANTED
        return granted and not facts.grant.meta.held

    # --- fresh reads before giving

    async def _look_afresh(self, facts: GrantFacts) -> tuple[GrantFacts, Problem | None]:
        """Facts on which the grant, and every agent that gets something by what is written now,
        was read after the decision to give; and who would leave a policy of others."""
        await self._read_grant(facts)
        leaving = await self._newcomers.shut_out(self._changes(self._known_now(facts)).gives)
        await self._tools.second_look.look_at_those(leaving)
        facts = first = self._known_now(facts)
        sure, unseen = set[str](), dict[Key, Problem]()
        # To leave one out may move others from one policy to another.
        while new := {p: a for p, a in (await self._new_in(facts)).items() if p not in sure}:
            unseen |= await self._tools.fresh.look_at_agents(new.values())
            sure |= {p for p, agent in new.items() if agent not in unseen}
            facts = await self._without(unseen.keys(), sure, first)
        late = self._known_now(first).pairs - first.pairs
        return facts, next(iter(unseen.values()), None) or _late(late)

    def _known_now(self, facts: GrantFacts) -> GrantFacts:
        now = self._world.grants.facts(facts.grant.key)
        if now is None or now.grant.deleting:
            raise Failed(Reason.BUSY, "the grant has changed meanwhile", retry_after=_SOON)
        return now

    async def _new_in(self, facts: GrantFacts) -> dict[str, Key]:
        """Agents that get something by what these facts would have written."""
        return await self._newcomers.among(_agents(facts), self._changes(facts).gives)

    async def _without(
        self, unseen: Collection[Key], sure: Collection[str], first: GrantFacts
    ) -> GrantFacts:
        """What is known now, without what would be given to those who are unseen or came late.
        What they have already they keep."""
        now, before = self._known_now(first), _agents(first)
        new = await self._new_in(now)
        out = {p for p, a in new.items() if p not in sure and (a in unseen or p not in before)}
        rest = {(c, rule) for c, rule in now.pairs if c.principal not in out}
        kept = now.only(frozenset(rest | self._world.grants.written(now.grant.key)))
        given = out & (await self._new_in(kept)).keys()
        return now.only(frozenset(rest)) if given else kept

    async def _read_grant(self, facts: GrantFacts) -> None:
        grant = facts.grant
        try:
            if self._lacks_finalizer(facts):
                finalizers = [*grant.meta.finalizers, CLEANUP_FINALIZER]
                await self._tools.own.set_finalizers(grant, finalizers)
            else:
                body = await self._tools.kube.get(own_path(grant))
                self._world.grants.see(body, own=True)
        except ApiError as error:
            if not error.absent:
                raise
            self._world.grants.lose(grant.key, grant.meta.uid)

    # --- telling

    def _note_written(self, facts: GrantFacts, verdict: Verdict, outcome: Outcome) -> None:
        if outcome.problems or not self._world.grants.knows(facts.grant):
            return
        spec = facts.grant.spec
        enforced = spec is not None and spec.enforcement == "Enforce" and facts.mesh_installed
        granted = enforced and verdict.standing is Standing.GRANTED
        self._world.grants.wrote(facts.grant.key, facts.pairs if granted else frozenset())

    def _tell_repairs(self, facts: GrantFacts, verdict: Verdict, outcome: Outcome) -> None:
        """What was put back is drift where this generation with these callers was in place."""
        grant = facts.grant
        mark = (grant.meta.generation, verdict.standing, facts.pairs)
        settled = self._settled.get(grant.meta.uid)
        known = settled == mark or (settled is None and self._was_in_place(facts, verdict))
        repaired = [a for a in outcome.done if a.gives]
        if repaired and known:
            what = ", ".join(sorted(str(a.ref) for a in repaired))
            self._tools.events.tell(
                grant, EventReason.REPAIRED, f"{what} was changed: put back", warning=True
            )
            for action in repaired:
                REPAIRED.labels(action.ref.kind.value).inc()
        if not outcome.problems and self._world.grants.knows(grant):
            self._settled[grant.meta.uid] = mark

    def _was_in_place(self, facts: GrantFacts, verdict: Verdict) -> bool:
        """After a restart only the status tells. A caller that came meanwhile is no drift."""
        told = facts.grant.status
        said = self._room.status_fields(facts, verdict.standing)
        same = (told.get("callers") or []) == said["callers"]
        return same and told.get("callerCount") == said["callerCount"] and was_ready(facts.grant)

    def _status(self, facts: GrantFacts, verdict: Verdict, problem: Problem | None) -> Status:
        """Who is let in is who stands in the policies, whatever the spec says by now."""
        standing, spec = verdict.standing, facts.grant.spec
        shadow = standing is Standing.GRANTED and spec is not None and spec.enforcement == "Shadow"
        told = facts if shadow else facts.only(self._world.grants.written(facts.grant.key))
        reports = [r for r in self._room.reports(told) if not (problem and r.condition == _MAIN)]
        reports = [Report(_MAIN, problem=problem), *reports] if problem else reports
        fields = self._room.status_fields(told, standing)
        return grant_status(facts.grant, reports, fields, now())

    # --- its end

    async def _end(self, facts: GrantFacts) -> Problem | None:
        """What it guards is shut, or opened where the grant says so; then it may go."""
        grant = facts.grant
        if not grant.meta.held:
            return None
        if problem := await self._leave(self._towards(self._left_shut(facts), facts)):
            return problem
        rest = [f for f in grant.meta.finalizers if f != CLEANUP_FINALIZER]
        try:
            await self._tools.own.set_finalizers(grant, rest)
        except ApiError as error:
            if not error.absent:
                raise
            rest = []
        if not rest:
            self._world.grants.lose(grant.key, grant.meta.uid)
        return None

    def _forget(self, _key: Key, uid: str) -> None:
        self._settled.pop(uid, None)

    def _left_shut(self, facts: GrantFacts) -> list[Resource]:
        """What stays: made anew where somebody took the main policy away meanwhile."""
        grant, spec = facts.grant, facts.grant.spec
        if (spec is not None and spec.on_delete == "Open") or not facts.mesh_installed:
            return []
        main = facts.ours().get(main_ref(grant.key))
        enforces = spec is not None and spec.enforcement == "Enforce"
        return self._shut(grant.key, main, spec) if main or enforces else []

    def _shut(
        self, key: Key, seen: Observed | None, spec: AgentAccessGrantSpec | None
    ) -> list[Resource]:
        try:
            return [self._room.retired(key, seen, spec)]
        except ValueError:
            # Somebody took away what it guards: shut, it would be for the whole namespace.
            return []

    async def _leave(self, changes: Plan) -> Problem | None:
        outcome = Outcome()
        await self._carry_out_in_turn(changes, outcome)
        if outcome.held:
            return Failed(Reason.BUSY, "a policy is not gone yet", retry_after=_SOON)
        problem = outcome.problems.get(self._room.room)
        # In a namespace that is going nothing can be made, and nothing is left to be guarded.
        return None if isinstance(problem, ApiError) and problem.absent else problem

    async def sweep(self, key: Key) -> Problem | None:
        """Policies of a grant that is gone by force: they keep what they guard shut. What was left
        shut when a grant went stays until somebody takes it away."""
        left = {
            ref: seen
            for ref, seen in self._world.objects.labelled(key).items()
            if not seen.is_retired_policy and (is_orphan(seen) or seen.owner_uid)
        }
        if not left or await self._is_there(key):
            return None
        main = left.get(main_ref(key)) or next(iter(left.values()))
        stays = self._shut(key, main, None)
        return await self._leave(plan_changes(stays, left, {self._room.kind: self._room.room}))

    async def _is_there(self, key: Key) -> bool:
        try:
            body = await self._tools.kube.get(OURS[key.subject].path(key.namespace, key.name))
        except ApiError as error:
            if not error.absent:
                raise
            return False
        self._world.grants.see(body)
        return True


def _agents(facts: GrantFacts) -> dict[str, Key]:
    """Principal → the agent that it is, for all that are let in."""
    agents = (c for c, _ in facts.pairs if c.kind == "AgentIdentity")
    return {c.principal: Key(c.namespace, c.name) for c in agents}


def _late(pairs: Pairs) -> Problem | None:
    """Who came while others were being read has its turn next."""
    if not pairs:
        return None
    return Failed(Reason.BUSY, "more callers came meanwhile", retry_after=_SOON)
