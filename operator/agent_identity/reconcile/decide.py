"""One identity's decision: what it is entitled to, and what that is for every room. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agent_identity.core.checks import Standing, Verdict, judge
from agent_identity.core.errors import Problem
from agent_identity.core.facts import Facts
from agent_identity.core.plan import Plan, plan_changes
from agent_identity.core.resource import STAGES, Kind, Observed, Ref, Resource, Stage
from agent_identity.providers.contract import Provider


@dataclass(frozen=True, slots=True)
class Decision:
    """problems: room → why what it should have can't be said."""

    verdict: Verdict
    desired: tuple[Resource, ...]
    problems: Mapping[str, Problem]

    @property
    def guards(self) -> frozenset[Ref]:
        """What must stand before the first right is given: mTLS and deny, and the account, since
        whoever makes an account of that name would have its rights."""
        return frozenset(r.ref for r in self.desired if STAGES[r.ref.kind] is not Stage.GRANT)


def decide(facts: Facts, rooms: Sequence[Provider]) -> Decision:
    """What every room is to have for the verdict on these facts. One room that can't say does not
    keep the others from it; what is foreign is never written."""
    verdict = judge(facts)
    desired: list[Resource] = []
    problems: dict[str, Problem] = {}
    for room in rooms:
        try:
            desired += room.desired(facts, verdict.standing)
        except Problem as problem:
            problems[room.room] = problem
    return Decision(verdict, tuple(r for r in desired if not _is_foreign(r, facts)), problems)


def _is_foreign(resource: Resource, facts: Facts) -> bool:
    seen = facts.observed.get(resource.ref)
    return not (seen is None or facts.has(resource.ref) or seen.is_retired_policy)


def plan(
    decision: Decision,
    observed: Mapping[Ref, Observed],
    rooms: Sequence[Provider],
    *,
    blind: Collection[str] = (),
) -> Plan:
    """What turns what is there into what was decided. A room that can't say what it wants keeps
    what it has, unless the verdict takes it away. blind: rooms whose backend could not be seen."""
    room_of = rooms_by_kind(rooms)
    kept = decision.problems if decision.verdict.standing is Standing.GRANTED else {}
    concerned = {r: seen for r, seen in observed.items() if room_of[r.kind] not in kept}
    desired = [r for r in decision.desired if r.room not in blind]
    return plan_changes(desired, concerned, room_of)


def rooms_by_kind(rooms: Sequence[Provider]) -> Mapping[Kind, str]:
    """Kind → the room whose it is."""
    return {kind: room.room for room in rooms for kind in room.kinds}
