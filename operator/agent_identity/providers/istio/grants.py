"""The AuthorizationPolicies of an AgentAccessGrant (security.istio.io/v1).

One policy holds all rules, each with those who are let in by it. With more callers than one should
hold it is split by who they are, so that a caller more changes one policy: a policy's callers are
those whose hashes begin alike. As in `desired.py`, a rule without callers is dropped, and a policy
without rules stays and lets nobody in.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from agent_identity.api.conditions import ConditionType, Reason
from agent_identity.api.grants import AgentAccessGrantSpec
from agent_identity.core.checks import Standing
from agent_identity.core.errors import Waiting
from agent_identity.core.grants import Caller, GrantFacts, OtherPolicy, main_ref
from agent_identity.core.names import grant_policy_name
from agent_identity.core.ownership import owned_metadata, retired_metadata
from agent_identity.core.resource import Key, Kind, Observed, Ref, Resource
from agent_identity.core.status import Report, Status
from agent_identity.providers.istio.rules import API_VERSION, by_name, istio_rule, told

# Istio allows 512 sources in a rule. A principal has up to 180 bytes, an object in etcd 1.5 MiB.
MOST_CALLERS = 512
_MOST_MENTIONS = 4096
_SHOWN = 64
_SHOWN_OTHERS = 32
# Of what is told of one of them, as the CRD says.
_LONGEST = 512
_NAMED = 16
_GROUPS = {
    "Service": "",
    "Gateway": "gateway.networking.k8s.io",
    "ServiceEntry": "networking.istio.io",
}


class GrantPolicies:
    """Pure; see providers.contract."""

    room = "istio"
    kind = Kind.AUTHORIZATION_POLICY

    def desired(self, facts: GrantFacts, standing: Standing) -> tuple[Resource, ...]:
        spec, seen = facts.grant.spec, facts.observed.get(main_ref(facts.grant.key))
        if standing is Standing.GRANTED and spec is not None:
            return _policies(facts, spec) if spec.enforcement == "Enforce" else ()
        if seen is None or not seen.is_owned_by(facts.grant.meta.uid):
            return ()
        return (_policy(seen.ref, owned_metadata(facts.grant, seen.ref), _guarded(spec, seen)),)

    def retired(
        self, key: Key, seen: Observed | None, spec: AgentAccessGrantSpec | None
    ) -> Resource:
        ref = main_ref(key)
        return _policy(ref, retired_metadata(key, ref), _guarded(spec, seen))

    def reports(self, facts: GrantFacts) -> tuple[Report, ...]:
        return _policy_report(facts), _selector_report(facts)

    def status_fields(self, facts: GrantFacts, standing: Standing) -> Status:
        spec = facts.grant.spec
        written = self.desired(facts, standing) if facts.mesh_installed else ()
        shadow = spec is not None and spec.enforcement == "Shadow"
        would = _policies(facts, spec) if spec and shadow and standing is Standing.GRANTED else ()
        return {
            "callers": _shown_callers(facts),
            "callerCount": len({caller for caller, _ in facts.pairs}),
            "missingCount": facts.missing,
            "policies": [r.ref.name for r in written[:_SHOWN]],
            "wouldWrite": [told(r) for r in would[:_SHOWN]],
            "others": [_combined(o) for o in facts.others[:_SHOWN_OTHERS]],
        }


def split(mentions: Mapping[str, int], path: str = "") -> dict[str, list[str]]:
    """Part → its principals, sorted. mentions: principal → in how many rules it stands.

    Parts are told by the first bits of their principals' hashes, trailing zeros left out: the part
    of zeros alone always exists, and when one part becomes two, one keeps its name."""
    if len(mentions) <= MOST_CALLERS and sum(mentions.values()) <= _MOST_MENTIONS:
        return {path.rstrip("0"): sorted(mentions)}
    halves: dict[str, dict[str, int]] = {f"{path}0": {}, f"{path}1": {}}
    for principal, count in mentions.items():
        halves[f"{path}{_bit(principal, len(path))}"][principal] = count
    return {part: found for half, of in halves.items() for part, found in split(of, half).items()}


def _bit(principal: str, place: int) -> int:
    digest = sha256(principal.encode()).digest()
    return digest[place // 8] >> (7 - place % 8) & 1


def _policies(facts: GrantFacts, spec: AgentAccessGrantSpec) -> tuple[Resource, ...]:
    mentions: dict[str, int] = {}
    for caller, _ in facts.pairs:
        mentions[caller.principal] = mentions.get(caller.principal, 0) + 1
    parts = split(mentions)
    return tuple(
        _part(facts, spec, part, of) for part, of in sorted(parts.items()) if of or not part
    )


def _part(
    facts: GrantFacts, spec: AgentAccessGrantSpec, part: str, principals: Iterable[str]
) -> Resource:
    key, of = facts.grant.key, set(principals)
    ref = Ref(Kind.AUTHORIZATION_POLICY, key.namespace, grant_policy_name(key.name, part))
    rules = []
    for rule in by_name(spec.rules):
        found = sorted({c.principal for c in facts.admitted.get(rule.name, ())} & of)
        rules += [istio_rule(rule, found)] if found else []
    return _policy(ref, owned_metadata(facts.grant, ref), _guarded(spec, None), rules)


def _guarded(spec: AgentAccessGrantSpec | None, seen: Observed | None) -> dict[str, Any]:
    """Which workload a policy is for: as the grant says, else as the policy itself does."""
    if spec is not None and spec.selector is not None:
        return {"selector": {"matchLabels": dict(spec.selector.match_labels)}}
    if spec is not None:
        return _targets((ref.kind, ref.name) for ref in spec.target_refs or ())
    if seen is None or seen.policy is None:
        raise ValueError("a grant that can't be read guards nothing that can be named")
    if seen.policy.selector:
        return {"selector": {"matchLabels": dict(seen.policy.selector)}}
    return _targets(seen.policy.targets)


def _targets(targets: Iterable[tuple[str, str]]) -> dict[str, Any]:
    known = ((kind, name) for kind, name in sorted(targets) if kind in _GROUPS)
    return {"targetRefs": [{"group": _GROUPS[k], "kind": k, "name": n} for k, n in known]}


def _policy(
    ref: Ref, metadata: dict[str, Any], guarded: dict[str, Any], rules: Iterable[Any] = ()
) -> Resource:
    """Without rules it lets nobody in. One that guards nothing would be for the whole namespace."""
    if not any(guarded.values()):
        raise ValueError(f"{ref} guards nothing that can be named")
    said = {"rules": list(rules)}
    spec = guarded | {"action": "ALLOW"} | (said if said["rules"] else {})
    body = {"apiVersion": API_VERSION, "kind": ref.kind.value, "metadata": metadata, "spec": spec}
    return Resource(ref, body, GrantPolicies.room)


def _shown_callers(facts: GrantFacts) -> list[dict[str, Any]]:
    rules: dict[Caller, list[str]] = {}
    for caller, rule in sorted(facts.pairs):
        rules.setdefault(caller, []).append(rule)
    return [
        {
            "kind": caller.kind,
            "namespace": caller.namespace,
            "name": caller.name,
            "spiffeID": f"spiffe://{caller.principal}",
            "rules": of,
        }
        for caller, of in list(rules.items())[:_SHOWN]
    ]


def _policy_report(facts: GrantFacts) -> Report:
    if facts.grant.spec and facts.grant.spec.enforcement == "Shadow":
        detail = "enforcement is Shadow: nothing is written, and this grant keeps nobody out"
        return Report(ConditionType.POLICY, reason=Reason.SHADOW, message=detail)
    if facts.missing:
        detail = (
            f"in force; {facts.missing} of those who are named are not let in: they are not there,"
            " do not ask for it in their spec.outbound, or are agents named as ServiceAccounts"
        )
        return Report(ConditionType.POLICY, reason=Reason.CALLERS_MISSING, message=detail)
    return Report(ConditionType.POLICY)


def _selector_report(facts: GrantFacts) -> Report:
    """Others may add callers knowingly, such as a scraper's: that holds nothing back."""
    adding = [f"{o.namespace}/{o.name}" for o in facts.others if o.adds]
    if not adding:
        return Report(ConditionType.SELECTOR)
    more = f" and {len(adding) - _NAMED} more" if len(adding) > _NAMED else ""
    names = ", ".join(adding[:_NAMED])
    detail = f"others guard the same workload and let callers in: {names}{more}"
    problem = Waiting(Reason.OVERLAP, detail)
    return Report(ConditionType.SELECTOR, problem=problem, decisive=False)


def _combined(other: OtherPolicy) -> str:
    """How a policy of others and this grant's come together (Istio, AuthorizationPolicy: CUSTOM,
    then DENY, then ALLOW, and of these each that matches lets in)."""
    whose = f" of AgentAccessGrant {other.grant}" if other.grant else ""
    selects = "selects" if other.certain else "may select"
    effect = _EFFECTS.get(other.action, "what it does is not known")
    if other.action == "ALLOW" and not other.adds:
        effect = "it lets nobody in itself"
    name = f"{other.namespace}/{other.name}{whose}"
    return f"{other.action} {name} {selects} the same workload: {effect}"[:_LONGEST]


_EFFECTS = {
    "ALLOW": "whom it lets in is let in beside the callers of this grant",
    "DENY": "it comes first, and whom it refuses is refused whatever this grant says",
    "CUSTOM": "it comes first, and its provider may refuse whom this grant lets in",
    "AUDIT": "it refuses nobody",
}
