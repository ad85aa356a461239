"""Who may call an agent, and whether that is so. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from agent_identity.api.conditions import ConditionType
from agent_identity.api.rules import Rule
from agent_identity.cli.findings import shown_caller
from agent_identity.cli.seen import Seen
from agent_identity.core.facts import Facts
from agent_identity.core.names import derived_refs
from agent_identity.core.resource import MESH_KINDS

_NOT_LET_IN = "not there, or stalled: not let in"


@dataclass(frozen=True, slots=True)
class CallerTold:
    """Who may call, what, by which rule. state: empty, or why that caller is not let in."""

    who: str
    state: str
    rule: str
    calls: tuple[str, ...]


def callers(seen: Seen) -> Iterator[CallerTold]:
    facts = seen.facts
    for source, rule in _rules(facts):
        for caller in rule.from_:
            found = (facts.callers or {}).get(caller, ())
            who = shown_caller(caller, facts.identity.key.namespace)
            # A workload that is no agent is let in by name: nobody looks whether it is there.
            state = "" if caller.kind == "ServiceAccount" else "" if found else _absent(who, seen)
            yield CallerTold(who, state, f"{source} {rule.name}", _calls(rule))


def _absent(who: str, seen: Seen) -> str:
    """Where not everything may be read, the operator's word counts."""
    if seen.class_known and not seen.refused:
        return _NOT_LET_IN
    row = seen.condition(ConditionType.INBOUND)
    named = who in row.get("message", "") or row.get("status") != "True"
    return f"{_NOT_LET_IN}, as the operator says" if named else ""


def others(seen: Seen) -> str:
    """Who may call besides the callers that are named. Without its policies that is anybody."""
    facts, name = seen.facts, seen.facts.identity.class_name
    inbound = facts.identity.spec.inbound if facts.identity.spec else None
    if inbound and inbound.enforcement == "Shadow":
        return "Anybody: enforcement is Shadow, so nothing is written."
    if facts.agent_class and facts.agent_class.spec and not facts.agent_class.has_mesh:
        return f"Anybody: class {name} has no mesh, so nothing enforces who may call."
    if seen.hidden.intersection(MESH_KINDS):
        row = seen.condition(ConditionType.INBOUND)
        sure = row.get("status") == "True"
        return (
            "Nobody else, as the operator says." if sure else "Perhaps anybody: see InboundReady."
        )
    if not all(facts.has(r) for r in derived_refs(facts.identity) if r.kind in MESH_KINDS):
        return "Anybody, until its policies stand."
    if facts.foreign_policies:
        return "Besides, whom the policies of others let in: see below."
    return "Nobody else."


def _rules(facts: Facts) -> Iterator[tuple[str, Rule]]:
    spec = facts.identity.spec
    ceiling = facts.agent_class.spec if facts.agent_class else None
    baseline = (ceiling.inbound.rules or ()) if ceiling and ceiling.inbound else ()
    yield from ((f"class {facts.identity.class_name}'s rule", rule) for rule in baseline)
    own = (spec.inbound.rules or ()) if spec and spec.inbound else ()
    yield from (("rule", rule) for rule in own)


def _calls(rule: Rule) -> tuple[str, ...]:
    ports = ", ".join(str(p) for p in sorted(rule.ports))
    if rule.http:
        what = f"{'|'.join(sorted(rule.http.methods))} {', '.join(sorted(rule.http.paths))}"
    elif rule.grpc:
        services = ", ".join(sorted(rule.grpc.services))
        what = f"gRPC {services}: {', '.join(sorted(rule.grpc.methods))}"
    else:
        what = "anything"
    return (f"{what} on port {ports}",)
