"""`explain`: what an agent has, why, and what is missing, from what could be seen. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent_identity.api.conditions import ConditionType, Reason
from agent_identity.cli.asked import AskTold, asked
from agent_identity.cli.callers import CallerTold, callers, others
from agent_identity.cli.holdings import Thing, secrets, things
from agent_identity.cli.seen import Seen
from agent_identity.cli.surroundings import pure_rooms
from agent_identity.core.checks import Standing
from agent_identity.core.facts import Facts
from agent_identity.core.resource import IDENTITY_LABEL
from agent_identity.reconcile.decide import Decision, decide

# True while there is something to say; the others are True while there is nothing.
_ABNORMAL = (ConditionType.RECONCILING, ConditionType.STALLED)


@dataclass(frozen=True, slots=True)
class Told:
    """A condition that is not as it should be. action: what to do."""

    condition: str
    reason: str
    message: str
    action: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of it, as values; `words` makes a text of them. others: who may call besides `callers`.
    outbound: what it asks to call. pods: None where they may not be read."""

    identity: str
    spiffe_id: str
    account: str
    agent_class: str
    verdict: str
    ready: str
    operator: str
    things: tuple[Thing, ...] = ()
    troubles: tuple[Told, ...] = ()
    callers: tuple[CallerTold, ...] = ()
    others: str = ""
    outbound: tuple[AskTold, ...] = ()
    pods: tuple[str, ...] | None = None
    foreign: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    next: tuple[str, ...] = ()


def explain(seen: Seen) -> Explanation:
    """In the order in which somebody would ask."""
    decision = decide(seen.facts, pure_rooms(seen.facts.cluster))
    granted = decision.verdict.standing is Standing.GRANTED
    troubles = _troubles(seen.facts.identity.status)
    return replace(
        _summary(seen, decision),
        things=tuple(things(seen, decision)),
        troubles=troubles,
        callers=tuple(callers(seen)) if granted or not seen.class_known else (),
        others=others(seen),
        outbound=tuple(asked(seen)),
        pods=_pods(seen),
        foreign=_foreign(seen),
        rights=secrets(seen.facts) if granted else (),
        unread=(*(f"not allowed to read {what}" for what in seen.refused), *seen.guessed),
        next=tuple(dict.fromkeys(_next(seen, decision, troubles))),
    )


def is_ready(seen: Seen) -> bool:
    """Whether it is, with the spec that it has now."""
    told = seen.condition(ConditionType.READY).get("status")
    return told == "True" and not _freshness(seen.facts)


def _summary(seen: Seen, decision: Decision) -> Explanation:
    identity = seen.facts.identity
    return Explanation(
        identity=str(identity.key),
        spiffe_id=str(identity.status.get("spiffeID") or "none yet"),
        account=identity.account,
        agent_class=identity.class_name,
        verdict=_verdict(seen, decision),
        ready=_ready(seen),
        operator=_freshness(seen.facts),
    )


def _foreign(seen: Seen) -> tuple[str, ...]:
    policies = seen.facts.foreign_policies
    return (*seen.bindings, *(f"{p.kind} {p.namespace}/{p.name}: weakens it" for p in policies))


def _verdict(seen: Seen, decision: Decision) -> str:
    name = seen.facts.identity.class_name
    if not seen.class_known:
        return f"not to be said: not allowed to read class {name}; see Ready"
    problem = decision.verdict.problem
    if problem is not None:
        kept = decision.verdict.standing.value
        return f"no ({problem.reason}): {problem.message}; it keeps, {kept}"
    if not seen.namespace_known:
        return "if its namespace is, whose labels may not be read"
    spec = seen.facts.agent_class.spec if seen.facts.agent_class else None
    labels = sorted((spec.namespace_selector.match_labels if spec else {}).items())
    told = ", ".join(f"{k}={v}" for k, v in labels)
    why = f"namespace carries {told}" if told else "the class is for every namespace"
    return f"yes: {why}, and the class lists all that is asked for"


def _freshness(facts: Facts) -> str:
    meta, status = facts.identity.meta, facts.identity.status
    if meta.deleted:
        return "is being deleted"
    if not status.get("conditions"):
        return "the operator has not looked at it yet: is it running?"
    if status.get("observedGeneration") != meta.generation:
        return "the operator has not looked at the latest change yet: what it says may be old"
    return ""


def _ready(seen: Seen) -> str:
    row = seen.condition(ConditionType.READY)
    if not row:
        return "not said yet"
    message = f": {row['message']}" if row.get("message") else ""
    return f"{row.get('status')} ({row.get('reason')}){message}"


def _troubles(status: Mapping[str, Any]) -> tuple[Told, ...]:
    """Conditions that say the same are told once."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for kind, reason, message in _unwell(status):
        kinds.setdefault((reason, message), []).append(kind)
    return tuple(
        Told(", ".join(names), reason, message, _action(reason))
        for (reason, message), names in kinds.items()
    )


def _unwell(status: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for row in status.get("conditions") or ():
        abnormal = row.get("type") in _ABNORMAL
        fine = row.get("status") == ("False" if abnormal else "True")
        remark = row.get("reason") in (Reason.CALLERS_MISSING, Reason.SHADOW)
        if (not fine and not abnormal) or (remark and row.get("type") != ConditionType.READY):
            yield str(row["type"]), str(row.get("reason", "")), str(row.get("message", ""))


def _action(reason: str) -> str:
    """A newer operator may have reasons of its own."""
    return next((r.about for r in Reason if r == reason), "")


def _pods(seen: Seen) -> tuple[str, ...] | None:
    if seen.pods is None:
        return None
    account = seen.facts.identity.account
    wrong = {p.name: p.account for p in seen.pods if p.account != account}
    return tuple(
        f"{p.name} (runs as {wrong[p.name] or 'default'}, not as {account})"
        if p.name in wrong
        else p.name
        for p in seen.pods
    )


# --- what to do


def _next(seen: Seen, decision: Decision, troubles: tuple[Told, ...]) -> Iterator[str]:
    facts = seen.facts
    problem = decision.verdict.problem if seen.class_known else None
    if problem:
        yield f"{problem.reason}: {problem.reason.about}"
    yield from (f"{t.reason}: {t.action}" for t in troubles if t.action and t.action != "Nothing.")
    if seen.pods is not None and not seen.pods and not problem:
        label = f"{IDENTITY_LABEL}: {facts.identity.key.name}"
        yield f"Give the agent's pods the label {label}, and its account."
    for pod in seen.pods or ():
        if pod.account != facts.identity.account:
            yield f"Set serviceAccountName: {facts.identity.account} in pod {pod.name}."
    if seen.bindings:
        yield "Look whether the bindings of others are meant: the operator leaves them alone."
