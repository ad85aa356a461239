"""Who may call an agent, and whether that is so. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from agent_identity.api.conditions import ConditionType
from agent_identity.api.rules import Rule
from agent_identity.cli.findings import shown_caller
from agent_identity.cli.seen import Seen
from agent_identity.core.facts import Facts
from agent_identity.core.names import derived_refs, waypoint_policy_ref
from agent_identity.core.resource import MESH_KINDS, Ref
from agent_identity.providers.istio.ambient import is_ambient

_NOT_LET_IN = "not there, or stalled: not let in"


@dataclass(frozen=True, slots=True)
class CallerTold:
    """Who may call, what, by which rule. state: empty, or why that caller is not let in."""

    who: str
    state: str
    rule: str
    calls: tuple[str, ...]


class Others(Enum):
    """Who may call besides the callers that are named, in words; {name} is the class's."""

    SHADOW = "Anybody: enforcement is Shadow, so nothing is written."
    NO_MESH = "Anybody: class {name} has no mesh, so nothing enforces who may call."
    NOT_YET = "Anybody, until its policies stand."
    PERHAPS = "Perhaps anybody: see InboundReady."
    NOBODY_AS_TOLD = "Nobody else, as the operator says."
    OF_OTHER_POLICIES = "Besides, whom the policies of others let in: see below."
    NOBODY = "Nobody else."


def callers(seen: Seen) -> Iterator[CallerTold]:
    facts = seen.facts
    for source, rule in rules_of(facts):
        for caller in rule.from_:
            found = (facts.callers or {}).get(caller, ())
            who = shown_caller(caller, facts.identity.key.namespace)
            # A workload that is no agent is let in by name: nobody looks whether it is there.
            state = "" if caller.kind == "ServiceAccount" else "" if found else absent(who, seen)
            yield CallerTold(who, state, f"{source} {rule.name}", (calls_of(rule),))


def absent(who: str, seen: Seen) -> str:
    """Why an agent that is named is not let in; empty if it is after all: where not everything may
    be read, the operator's word counts."""
    if seen.class_known and not seen.refused:
        return _NOT_LET_IN
    row = seen.condition(ConditionType.INBOUND)
    named = who in row.get("message", "") or row.get("status") != "True"
    return f"{_NOT_LET_IN}, as the operator says" if named else ""


def others(seen: Seen) -> str:
    """Who may call besides the callers that are named. Without its policies that is anybody."""
    return who_else(seen).value.format(name=seen.facts.identity.class_name)


def who_else(seen: Seen) -> Others:
    facts = seen.facts
    inbound = facts.identity.spec.inbound if facts.identity.spec else None
    if inbound and inbound.enforcement == "Shadow":
        return Others.SHADOW
    if facts.agent_class and facts.agent_class.spec and not facts.agent_class.has_mesh:
        return Others.NO_MESH
    if seen.hidden.intersection(MESH_KINDS):
        sure = seen.condition(ConditionType.INBOUND).get("status") == "True"
        return Others.NOBODY_AS_TOLD if sure else Others.PERHAPS
    if not all(facts.has(ref) for ref in guards(facts)):
        return Others.NOT_YET
    return Others.OF_OTHER_POLICIES if facts.foreign_policies else Others.NOBODY


def guards(facts: Facts) -> Iterator[Ref]:
    """The policies without which anybody may call."""
    yield from (r for r in derived_refs(facts.identity) if r.kind in MESH_KINDS)
    if is_ambient(facts) and facts.services:
        yield waypoint_policy_ref(facts.identity.key)


def rules_of(facts: Facts) -> Iterator[tuple[str, Rule]]:
    """Each rule, and in words whose it is: the class's first, then its own."""
    spec = facts.identity.spec
    ceiling = facts.agent_class.spec if facts.agent_class else None
    baseline = (ceiling.inbound.rules or ()) if ceiling and ceiling.inbound else ()
    yield from ((f"class {facts.identity.class_name}'s rule", rule) for rule in baseline)
    own = (spec.inbound.rules or ()) if spec and spec.inbound else ()
    yield from (("rule", rule) for rule in own)


def calls_of(rule: Rule) -> str:
    """What a rule lets its callers call, in words."""
    ports = ", ".join(str(p) for p in sorted(rule.ports))
    if rule.http:
        what = f"{'|'.join(sorted(rule.http.methods))} {', '.join(sorted(rule.http.paths))}"
    elif rule.grpc:
        services = ", ".join(sorted(rule.grpc.services))
        what = f"gRPC {services}: {', '.join(sorted(rule.grpc.methods))}"
    else:
        what = "anything"
    return f"{what} on port {ports}"
