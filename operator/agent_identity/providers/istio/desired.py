"""PeerAuthentication and AuthorizationPolicy of one agent (security.istio.io/v1).

Two rules keep a policy from ever meaning more than it says. A rule whose callers are all missing
is dropped: an empty `from` would let everybody in, plaintext included. A policy without rules
stays: it lets nobody in, while no policy would let everybody in.
"""

from collections.abc import Mapping
from typing import Any

from agent_identity.api.conditions import ConditionType, Reason
from agent_identity.api.rules import Rule
from agent_identity.core.checks import Standing
from agent_identity.core.errors import Invalid, Waiting
from agent_identity.core.facts import Facts
from agent_identity.core.names import account_ref, policy_name, waypoint_policy_ref
from agent_identity.core.ownership import is_orphan, owned_metadata, retired_metadata
from agent_identity.core.resource import IDENTITY_LABEL, Key, Kind, Ref, Resource
from agent_identity.core.status import Report
from agent_identity.providers.istio.ambient import (
    is_ambient,
    targets,
    waypoint_rules,
    what_is_missing,
    workload_rules,
)
from agent_identity.providers.istio.rules import API_VERSION, by_name, istio_rule, told

_SHOWN = 16
# A principal has at most about 180 bytes, and an object in etcd 1.5 MiB.
_MOST_CALLERS = 5000


CONDITION = ConditionType.INBOUND


class IstioRoom:
    """Pure half of the room; see providers.contract."""

    room = "istio"
    condition: ConditionType | None = CONDITION
    kinds: tuple[Kind, ...] = (Kind.PEER_AUTHENTICATION, Kind.AUTHORIZATION_POLICY)

    def asked(self, facts: Facts) -> bool:
        return facts.agent_class is None or facts.agent_class.has_mesh

    def desired(self, facts: Facts, standing: Standing) -> tuple[Resource, ...]:
        granted = standing is Standing.GRANTED
        if granted and (not self.asked(facts) or _is_shadow(facts)):
            return ()
        if granted and not facts.mesh_installed:
            detail = "the API server does not serve security.istio.io/v1"
            raise Waiting(Reason.MESH_NOT_INSTALLED, detail)
        if granted:
            return _all_policies(facts)
        return _closed(facts) if _was_guarded(facts) else self._left_shut(facts)

    def _left_shut(self, facts: Facts) -> tuple[Resource, ...]:
        """What an earlier identity of the name left shut for pods that run on. It stays nobody's:
        one that is granted nothing is held by no finalizer, and would take it along."""
        if not facts.pods:
            return ()
        key, seen = facts.identity.key, facts.observed
        left = [r for r in self.retired(key, facts) if r.ref in seen]
        return tuple(r for r in left if seen[r.ref].is_retired_policy)

    def retired(self, key: Key, facts: Facts | None) -> tuple[Resource, ...]:
        return tuple(
            Resource(ref, _body(ref, retired_metadata(key, ref), key.name, []), self.room)
            for ref in (_refs(key) if facts is None else _guarding(facts))
        )

    def report(self, facts: Facts) -> Report:
        if _is_shadow(facts):
            detail = "enforcement is Shadow: nothing is written, anybody may call"
            return Report(CONDITION, reason=Reason.SHADOW, message=detail)
        if facts.foreign_policies:
            return Report(CONDITION, problem=_weakened(facts))
        missing = sorted({_shown(c, facts) for c, found in _callers(facts) if not found})
        if _too_many(facts):
            detail = f"rules name more than {_MOST_CALLERS} callers: nobody is let in; name fewer"
            return Report(CONDITION, problem=Invalid(Reason.INVALID_SPEC, detail))
        if is_ambient(facts) and (lost := what_is_missing(facts, _rules(facts))):
            return Report(CONDITION, problem=Waiting(Reason.WAYPOINT_MISSING, lost))
        if missing:
            detail = f"in force; named and not there: {_listed(missing)}"
            return Report(CONDITION, reason=Reason.CALLERS_MISSING, message=detail)
        return Report(CONDITION)

    def status_fields(self, facts: Facts) -> Mapping[str, Any]:
        if not _is_shadow(facts) or not self.asked(facts):
            return {}
        return {"wouldWrite": [told(policy) for policy in _all_policies(facts)]}


def _all_policies(facts: Facts) -> tuple[Resource, ...]:
    """With a waypoint's policy where one stands before the agent."""
    callers = _let_in(facts)
    if not is_ambient(facts):
        return _policies(facts, [istio_rule(rule, found) for rule, found in callers])
    rules = waypoint_rules(facts, callers)
    return (
        *_policies(facts, workload_rules(facts, callers)),
        *([_waypoint_policy(facts, rules)] if facts.services else []),
    )


def _closed(facts: Facts) -> tuple[Resource, ...]:
    """A waypoint's policy stays too: what no policy is bound to, a waypoint passes on."""
    waypoint = facts.services and facts.has(waypoint_policy_ref(facts.identity.key))
    return (*_policies(facts, []), *([_waypoint_policy(facts, [])] if waypoint else []))


def _let_in(facts: Facts) -> list[tuple[Rule, list[str]]]:
    """Rules and whom each lets in: the class's and the identity's, in the order of names, without
    those whose callers are all missing. With more callers than an object can hold there are none: a
    policy that can't be written any more could not be narrowed either."""
    if _too_many(facts):
        return []
    return [
        (rule, principals) for rule in _rules(facts) if (principals := _principals(rule, facts))
    ]


def _too_many(facts: Facts) -> bool:
    return sum(len(_principals(rule, facts)) for rule in _rules(facts)) > _MOST_CALLERS


def _rules(facts: Facts) -> list[Rule]:
    inbound = facts.identity.spec.inbound if facts.identity.spec else None
    spec = facts.agent_class.spec if facts.agent_class else None
    baseline = spec.inbound.rules if spec and spec.inbound else None
    own = inbound.rules if inbound else None
    return [*by_name(baseline), *by_name(own)]


def _callers(facts: Facts) -> list[tuple[Any, tuple[str, ...]]]:
    known = facts.callers or {}
    return [(c, known.get(c, ())) for rule in _rules(facts) for c in rule.from_]


def _principals(rule: Rule, facts: Facts) -> list[str]:
    known = facts.callers or {}
    return sorted({p for caller in rule.from_ for p in known.get(caller, ())})


def _policies(facts: Facts, rules: list[dict[str, Any]]) -> tuple[Resource, ...]:
    identity = facts.identity
    return tuple(
        Resource(ref, _body(ref, owned_metadata(identity, ref), identity.key.name, rules), "istio")
        for ref in _refs(identity.key)
    )


def _waypoint_policy(facts: Facts, rules: list[dict[str, Any]]) -> Resource:
    ref = waypoint_policy_ref(facts.identity.key)
    metadata = owned_metadata(facts.identity, ref)
    return Resource(ref, _policy(metadata, {"targetRefs": targets(facts)}, rules), "istio")


def _refs(key: Key) -> tuple[Ref, Ref]:
    name = policy_name(key.name)
    return (
        Ref(Kind.PEER_AUTHENTICATION, key.namespace, name),
        Ref(Kind.AUTHORIZATION_POLICY, key.namespace, name),
    )


def _body(
    ref: Ref, metadata: dict[str, Any], identity: str, rules: list[dict[str, Any]]
) -> dict[str, Any]:
    guarded = {"selector": {"matchLabels": {IDENTITY_LABEL: identity}}}
    if ref.kind == Kind.AUTHORIZATION_POLICY:
        return _policy(metadata, guarded, rules)
    spec = guarded | {"mtls": {"mode": "STRICT"}}
    return {"apiVersion": API_VERSION, "kind": ref.kind.value, "metadata": metadata, "spec": spec}


def _policy(
    metadata: dict[str, Any], guarded: dict[str, Any], rules: list[dict[str, Any]]
) -> dict[str, Any]:
    """Without rules it lets nobody in."""
    spec = guarded | {"action": "ALLOW"} | ({"rules": rules} if rules else {})
    kind = Kind.AUTHORIZATION_POLICY.value
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _was_guarded(facts: Facts) -> bool:
    """Whether an identity that is no longer granted anything had its policies: while it has an
    account, somebody may have deleted both."""
    if any(facts.has(ref) for ref in _refs(facts.identity.key)):
        return True
    return _is_enforced(facts) and facts.has(account_ref(facts.identity))


def _guarding(facts: Facts) -> list[Ref]:
    """What of its policies stands, and what somebody may have deleted: pods that nothing guarded
    are not shut now. What others made of a name is theirs, and nobody waits for it to go."""
    refs = _refs(facts.identity.key)
    standing = [ref for ref in refs if _stands(ref, facts)]
    if not facts.mesh_installed or not (standing or _is_enforced(facts)):
        return standing
    return [ref for ref in refs if ref in standing or ref not in facts.observed]


def _stands(ref: Ref, facts: Facts) -> bool:
    seen = facts.observed.get(ref)
    return seen is not None and (facts.has(ref) or seen.is_retired_policy or is_orphan(seen))


def _is_enforced(facts: Facts) -> bool:
    known = facts.agent_class is not None and facts.agent_class.has_mesh and facts.mesh_installed
    return known and not _is_shadow(facts)


def _is_shadow(facts: Facts) -> bool:
    inbound = facts.identity.spec.inbound if facts.identity.spec else None
    return inbound is not None and inbound.enforcement == "Shadow"


def _weakened(facts: Facts) -> Waiting:
    names = sorted(f"{p.kind} {p.namespace}/{p.name}" for p in facts.foreign_policies)
    return Waiting(Reason.FOREIGN_POLICY, f"in force, but weakened by {_listed(names)}")


def _shown(caller: Any, facts: Facts) -> str:
    namespace = caller.namespace or facts.identity.key.namespace
    return f"{caller.kind} {namespace}/{caller.name or '*'}"


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
