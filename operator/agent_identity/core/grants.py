"""What one decision about an AgentAccessGrant rests on, and what the grant is entitled to. Pure.

As with identities (`core.checks`), everything is looked at again at every reconcile, whatever
admission has let through.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from agent_identity.api.conditions import Reason
from agent_identity.core.checks import Standing, Verdict
from agent_identity.core.errors import Invalid, Problem
from agent_identity.core.facts import Cluster
from agent_identity.core.identity import Grant
from agent_identity.core.names import grant_named_by, grant_policy_name
from agent_identity.core.resource import Key, Kind, Observed, PolicyView, Ref

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Caller:
    """Somebody who may call now. principal: as Istio's policies want it."""

    kind: Literal["AgentIdentity", "ServiceAccount"]
    namespace: str
    name: str
    principal: str


@dataclass(frozen=True, slots=True, order=True)
class OtherPolicy:
    """A policy of others on the same workload. certain: whether its selector holds for every pod
    that the grant's does, or only may. adds: whether it lets anybody in. grant: whose it is."""

    namespace: str
    name: str
    action: str
    certain: bool
    adds: bool
    grant: str


@dataclass(frozen=True, slots=True)
class GrantFacts:
    """observed: objects that carry the grant's label or one of its names. admitted: rule → who is
    let in by it. missing: how many agents are named and not let in. agents: whom it
    would guard, by its pods' labels or by what leads to it. others: policies that are not this
    grant's and guard the same."""

    cluster: Cluster
    grant: Grant
    observed: Mapping[Ref, Observed]
    admitted: Mapping[str, tuple[Caller, ...]] = field(default_factory=dict)
    missing: int = 0
    agents: tuple[str, ...] = ()
    others: tuple[OtherPolicy, ...] = ()
    mesh_installed: bool = True

    @property
    def pairs(self) -> frozenset[tuple[Caller, str]]:
        """Caller and rule, for all that is let in."""
        return frozenset((c, rule) for rule, found in self.admitted.items() for c in found)

    def only(self, pairs: frozenset[tuple[Caller, str]]) -> "GrantFacts":
        """The same with nobody let in but by these."""
        kept = {r: tuple(c for c in found if (c, r) in pairs) for r, found in self.admitted.items()}
        return replace(self, admitted=kept)

    def ours(self) -> dict[Ref, Observed]:
        """Policies of this grant, and what we left shut when an earlier one of its name went."""
        uid = self.grant.meta.uid
        return {
            ref: seen
            for ref, seen in self.observed.items()
            if seen.is_owned_by(uid) or seen.is_retired_policy
        }


def main_ref(grant: Key) -> Ref:
    """The policy that a grant always has; it may have further ones."""
    return Ref(Kind.AUTHORIZATION_POLICY, grant.namespace, grant_policy_name(grant.name))


# --- what it is entitled to

Check = Callable[[GrantFacts], Problem | None]


def _not_in_mesh_root(facts: GrantFacts) -> Problem | None:
    if facts.grant.key.namespace != facts.cluster.mesh_root_namespace:
        return None
    return Invalid(
        Reason.MESH_ROOT_NAMESPACE,
        f"{facts.grant.key.namespace} is the mesh's root namespace: a policy there could be"
        " everybody's",
    )


def _spec_parses(facts: GrantFacts) -> Problem | None:
    if facts.grant.spec is None:
        return Invalid(Reason.INVALID_SPEC, facts.grant.problem)
    return None


def _selects_no_agent(facts: GrantFacts) -> Problem | None:
    if not facts.agents:
        return None
    return Invalid(
        Reason.AGENT_SELECTED,
        f"{_what_leads(facts.grant)} AgentIdentity {', '.join(facts.agents[:16])}: who may call"
        " an agent stands in its own spec.inbound",
    )


def _what_leads(grant: Grant) -> str:
    by_labels = grant.spec is not None and grant.spec.selector is not None
    return "the selector matches pods of" if by_labels else "targetRefs name what leads to"


def _nothing_is_foreign(facts: GrantFacts) -> Problem | None:
    name, ours = facts.grant.key.name, facts.ours()
    foreign = sorted(
        ref.name for ref in facts.observed if ref not in ours and grant_named_by(ref) == name
    )
    if not foreign:
        return None
    return Invalid(
        Reason.FOREIGN_OBJECT,
        f"AuthorizationPolicy {', '.join(foreign)} in {facts.grant.key.namespace} exists and is not"
        " ours: nothing is adopted",
    )


def _nothing_is_left_shut_elsewhere(facts: GrantFacts) -> Problem | None:
    """To take it over would open what it guards."""
    grant, seen = facts.grant, facts.observed.get(main_ref(facts.grant.key))
    if seen is None or not seen.is_retired_policy or _guards_the_same(grant, seen.policy):
        return None
    return Invalid(
        Reason.FOREIGN_OBJECT,
        f"AuthorizationPolicy {seen.ref.name}, which an earlier grant of this name left shut,"
        " guards another workload: delete it, which opens that, or choose another name",
    )


def _guards_the_same(grant: Grant, view: PolicyView | None) -> bool:
    if grant.spec is None or view is None:
        return False
    selector = grant.spec.selector.match_labels if grant.spec.selector else {}
    targets = {(ref.kind, ref.name) for ref in grant.spec.target_refs or ()}
    return dict(view.selector or ()) == selector and set(view.targets) == targets


def _never_back_to_shadow(facts: GrantFacts) -> Problem | None:
    spec = facts.grant.spec
    if spec is None or spec.enforcement == "Enforce":
        return None
    seen = facts.observed.get(main_ref(facts.grant.key))
    if seen is None or not seen.is_owned_by(facts.grant.meta.uid):
        return None
    detail = "enforcement went back to Shadow, which would let everybody in: delete the grant"
    return Invalid(Reason.INVALID_SPEC, detail)


CHECKS: tuple[Check, ...] = (
    _not_in_mesh_root,
    _spec_parses,
    _selects_no_agent,
    _nothing_is_foreign,
    _nothing_is_left_shut_elsewhere,
    _never_back_to_shadow,
)


def judge_grant(facts: GrantFacts) -> Verdict:
    """What the grant is entitled to: all of it, or to keep shut what it guards."""
    problem = next((p for check in CHECKS if (p := check(facts))), None)
    return Verdict(Standing.CLOSED if problem else Standing.GRANTED, problem)


# --- who else guards the same workload


def others_on(grant: Grant, policies: Iterable[Observed]) -> tuple[OtherPolicy, ...]:
    """Those AuthorizationPolicies (of the grant's namespace and of the mesh's root namespace) that
    hold for pods of the grant as well, the certain ones first.

    Source: Istio, AuthorizationPolicy, "selector" and "targetRefs": without either a policy holds
    for its whole namespace, in the root namespace for the mesh.
    """
    found = (
        _other(p, p.policy, certain=certain)
        for p in policies
        if p.policy and p.policy.action and not p.is_owned_by(grant.meta.uid)
        if (certain := holds_for(grant, p.policy)) is not None
    )
    return tuple(sorted(found, key=lambda o: (not o.certain, o)))


def _other(seen: Observed, view: PolicyView, *, certain: bool) -> OtherPolicy:
    grant = grant_named_by(seen.ref) if seen.labelled else ""
    ref = seen.ref
    return OtherPolicy(ref.namespace, ref.name, view.action, certain, view.weakens, grant)


def holds_for(grant: Grant, view: PolicyView) -> bool | None:
    """Whether a policy holds for a grant's pods. True: for all of them. False: maybe for some.
    None: for none."""
    spec = grant.spec
    if spec is None:
        return None
    if spec.target_refs is not None:
        mine = {(ref.kind, ref.name) for ref in spec.target_refs}
        whole = view.selector is None and not view.targets
        return True if whole or mine & {(k, n) for k, n in view.targets} else None
    if view.targets or spec.selector is None:
        return None
    return _covers(dict(view.selector or ()), spec.selector.match_labels)


def _covers(theirs: Labels, mine: Labels) -> bool | None:
    if any(mine.get(k, v) != v for k, v in theirs.items()):
        return None
    return all(mine.get(k) == v for k, v in theirs.items())
