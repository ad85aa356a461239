"""What happened in, status out. Computed once, at the end; steps never touch it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent_identity.api.conditions import ConditionType, Reason
from agent_identity.core.errors import Invalid, Problem
from agent_identity.core.identity import AgentClass, Grant, Identity, Ours

Status = dict[str, Any]
_MESSAGE_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Report:
    """What one room, or one part of a class, has to say. problem None: in force, and then reason
    and message are about that. decisive: whether a problem holds Ready back."""

    condition: ConditionType
    problem: Problem | None = None
    reason: Reason = Reason.IN_PLACE
    message: str = ""
    decisive: bool = True


def overall(reports: Sequence[Report]) -> Problem | None:
    """The problem that decides: one for the author first, else the first in the rooms' order."""
    problems = [r.problem for r in reports if r.problem and r.decisive]
    return next((p for p in problems if isinstance(p, Invalid)), problems[0] if problems else None)


def conditions(
    subject: Ours, reports: Sequence[Report], problem: Problem | None, now: str
) -> list[Status]:
    """Ready, Reconciling and Stalled (kstatus: the latter two are abnormal when True), and the
    rooms'. A condition whose status did not change keeps its transition time."""
    stalls = problem if isinstance(problem, Invalid) else None
    waits = None if stalls else problem
    idle = Reason.NOT_STALLED if waits else Reason.DONE
    rows = [
        _normal(ConditionType.READY, problem, Reason.IN_PLACE, _all_in_place(reports)),
        _abnormal(ConditionType.RECONCILING, waits, Reason.DONE),
        _abnormal(ConditionType.STALLED, stalls, idle),
        *(_normal(r.condition, r.problem, r.reason, r.message) for r in reports),
    ]
    before = {c.get("type"): c for c in subject.status.get("conditions") or ()}
    return [_dated(row, before.get(row["type"]), subject.meta.generation, now) for row in rows]


def _all_in_place(reports: Sequence[Report]) -> str:
    return "; ".join(r.message for r in reports if r.message and r.reason != Reason.IN_PLACE)


def _normal(kind: ConditionType, problem: Problem | None, reason: Reason, message: str) -> Status:
    if problem is None:
        return _row(kind, "True", reason, message)
    return _row(kind, "False", problem.reason, problem.message)


def _abnormal(kind: ConditionType, problem: Problem | None, reason: Reason) -> Status:
    if problem is None:
        return _row(kind, "False", reason, "")
    return _row(kind, "True", problem.reason, problem.message)


def _row(kind: ConditionType, status: str, reason: Reason, message: str) -> Status:
    cut = message[:_MESSAGE_LIMIT]
    return {"type": kind.value, "status": status, "reason": reason.value, "message": cut}


def _dated(row: Status, before: Mapping[str, Any] | None, generation: int, now: str) -> Status:
    same = before is not None and before.get("status") == row["status"]
    since = before.get("lastTransitionTime", now) if same and before else now
    return row | {"observedGeneration": generation, "lastTransitionTime": since}


def identity_status(
    identity: Identity,
    reports: Sequence[Report],
    fields: Mapping[str, Any],
    now: str,
    problem: Problem | None = None,
) -> Status:
    """The whole status of an identity. fields: spiffeID and such, empty values left out. problem:
    what decides over all rooms, else the rooms decide."""
    decisive = problem or overall(reports)
    return {
        "observedGeneration": identity.meta.generation,
        **{k: v for k, v in fields.items() if v},
        "conditions": conditions(identity, reports, decisive, now),
    }


def class_status(
    agent_class: AgentClass, reports: Sequence[Report], now: str, problem: Problem | None = None
) -> Status:
    """The whole status of a class. problem: what decides over all parts, else they decide."""
    return {
        "observedGeneration": agent_class.meta.generation,
        "conditions": conditions(agent_class, reports, problem or overall(reports), now),
    }


def grant_status(
    grant: Grant, reports: Sequence[Report], fields: Mapping[str, Any], now: str
) -> Status:
    """The whole status of a grant. fields: callers and such; empty lists are left out."""
    return {
        "observedGeneration": grant.meta.generation,
        **{k: v for k, v in fields.items() if v != []},
        "conditions": conditions(grant, reports, overall(reports), now),
    }
