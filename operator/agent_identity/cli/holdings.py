"""What an agent has or is to have, the state of each, and the field that gives it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent_identity.api.conditions import ConditionType
from agent_identity.cli.seen import Seen
from agent_identity.cli.surroundings import pure_rooms
from agent_identity.core.facts import Facts
from agent_identity.core.names import derived_refs
from agent_identity.core.plan import Verb
from agent_identity.core.resource import STAGES, Kind, Ref
from agent_identity.core.rights import RightKind, identity_rights
from agent_identity.reconcile.decide import Decision, plan

_STATES = {
    Verb.CREATE: "missing",
    Verb.REPLACE: "differs from what it should be; the operator puts it back",
    Verb.DELETE: "is not granted; the operator takes it away",
    Verb.RELEASE: "is being deleted",
}
_OF_VAULT = (RightKind.VAULT_PATH, RightKind.VAULT_POLICY, RightKind.TOKEN_SECONDS)
_CONDITION_OF = {
    Kind.SERVICE_ACCOUNT: ConditionType.SERVICE_ACCOUNT,
    Kind.PEER_AUTHENTICATION: ConditionType.INBOUND,
    Kind.AUTHORIZATION_POLICY: ConditionType.INBOUND,
    Kind.ROLE_BINDING: ConditionType.RBAC,
    Kind.VAULT_ROLE: ConditionType.VAULT,
}


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that the agent has or is to have. state: "in place", or what is the matter."""

    what: str
    state: str
    why: str


def things(seen: Seen, decision: Decision) -> Iterator[Thing]:
    facts = seen.facts
    states = _states(seen, decision)
    refs = {ref for ref in facts.observed if facts.has(ref)} | set(states)
    refs |= {r.ref for r in decision.desired} if seen.class_known else set(_said(seen))
    for ref in sorted(refs, key=lambda r: (STAGES[r.kind], r)):
        yield Thing(str(ref), _state(ref, seen, states), _why(ref, facts))


def _said(seen: Seen) -> Iterator[Ref]:
    """What it has by the operator's word, where the class is not to be read."""
    identity, status = seen.facts.identity, seen.facts.identity.status
    for ref in derived_refs(identity):
        if ref.kind in seen.hidden and seen.condition(_CONDITION_OF[ref.kind]):
            yield ref
    if status.get("vaultRole"):
        yield Ref(Kind.VAULT_ROLE, "", str(status["vaultRole"]))


def _states(seen: Seen, decision: Decision) -> dict[Ref, str]:
    """What is the matter with objects that can be seen, as the operator's own plan has it."""
    if not seen.class_known:
        return {}
    facts, rooms = seen.facts, pure_rooms(seen.facts.cluster)
    ours = {ref: o for ref, o in facts.observed.items() if facts.has(ref)}
    changes = plan(decision, ours, rooms)
    return {a.ref: _STATES[a.verb] for a in (*changes.takes, *changes.gives)}


def _state(ref: Ref, seen: Seen, states: Mapping[Ref, str]) -> str:
    """Of what can't be seen the operator's word is told: of Vault, and of kinds that are hidden."""
    if ref.kind is not Kind.VAULT_ROLE and ref.kind not in seen.hidden:
        return states.get(ref, "in place" if seen.class_known else "there")
    row = seen.condition(_CONDITION_OF[ref.kind])
    if row.get("status") == "True":
        return "in place, as the operator says"
    return f"not in place, as the operator says ({row.get('reason', 'not said yet')})"


def _why(ref: Ref, facts: Facts) -> str:
    spec, name = facts.identity.spec, facts.identity.class_name
    match ref.kind:
        case Kind.SERVICE_ACCOUNT:
            return "every agent has an account of its own (spec.serviceAccount)"
        case Kind.PEER_AUTHENTICATION:
            return f"class {name} has a mesh: nobody reaches the agent without mTLS"
        case Kind.AUTHORIZATION_POLICY:
            return f"spec.inbound.rules, and those of class {name}: nobody else may call"
        case Kind.ROLE_BINDING:
            return f"spec.rbac.clusterRoles names it, and class {name} lists it"
        case Kind.VAULT_ROLE:
            asked = ", ".join(sorted(spec.vault.policies)) if spec and spec.vault else ""
            return f"spec.vault.policies: {asked}, which class {name} lists"


def secrets(facts: Facts) -> tuple[str, ...]:
    """What Vault lets it do, with its own names where a policy has placeholders."""
    key, account = facts.identity.key, facts.identity.account
    rights = identity_rights(facts.identity, facts.agent_class)
    return tuple(
        str(right).replace("{namespace}", key.namespace).replace("{serviceAccount}", account)
        for right in sorted(rights)
        if right.kind in _OF_VAULT
    )
