"""Whether a foreign mesh policy lets in more than an identity's own. Pure.

Source: Istio, Security concepts. ALLOW policies add up; DENY only takes away, so it can't weaken.
Of several PeerAuthentications for one workload the oldest counts; one without a selector is
overruled by one with. Istio, AuthorizationPolicy, "targetRefs": a policy that has them is a
waypoint's or a gateway's, and no workload's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent_identity.api.v1alpha1 import Waypoint
from agent_identity.core.facts import AgentService, ForeignPolicy
from agent_identity.core.resource import Key, Kind, Observed, PolicyView

Labels = Mapping[str, str]


GATEWAYS = ("Gateway", "GatewayClass")
"""Kinds of targets that may stand in another namespace than who is behind them."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """What a policy of a namespace is bound to by a targetRef."""

    namespace: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a policy that holds for an agent may be. homes: its namespace and the mesh's root.
    pods: labels of its pods, and of a pod that carries its label only. passed: what calls to it
    pass where a waypoint stands before it."""

    homes: frozenset[str]
    pods: tuple[Labels, ...]
    passed: frozenset[Target] = frozenset()

    def holds(self, namespace: str, view: PolicyView) -> bool:
        """Whether a policy of that namespace holds for the agent."""
        if view.targets:
            return any(Target(namespace, *target) in self.passed for target in view.targets)
        matches = any(all(pod.get(k) == v for k, v in view.selector or ()) for pod in self.pods)
        return matches and namespace in self.homes


def weakening(
    policies: Iterable[Observed], reach: Reach, own: Observed | None, root: str
) -> tuple[ForeignPolicy, ...]:
    """Those of `policies` (none ours) that weaken an identity's. own: its PeerAuthentication.
    root: the mesh's root namespace."""
    return tuple(
        ForeignPolicy(p.ref.kind.value, p.ref.namespace, p.ref.name)
        for p in policies
        if _weakens(p, reach, own, root)
    )


def _weakens(policy: Observed, reach: Reach, own: Observed | None, root: str) -> bool:
    view = policy.policy
    if view is None or not view.weakens:
        return False
    if policy.ref.kind == Kind.PEER_AUTHENTICATION:
        overruled = view.selector is None or policy.ref.namespace == root
        if overruled or (own is not None and own.created < policy.created):
            return False
    return reach.holds(policy.ref.namespace, view)


def passed_by(
    identity: Key, waypoint: Waypoint | None, services: Iterable[AgentService], root: str
) -> frozenset[Target]:
    """What calls to an identity pass: its Services, its class's waypoint, and all waypoints'
    class, policies of which stand in the root namespace."""
    if waypoint is None:
        return frozenset()
    home = waypoint.namespace or identity.namespace
    gateways = (
        Target(home, "Gateway", waypoint.service_account),
        Target(root, "GatewayClass", "istio-waypoint"),
    )
    return frozenset(gateways).union(
        Target(identity.namespace, "Service", service.name) for service in services
    )
