"""Whether a foreign mesh policy lets in more than an identity's own. Pure.

Source: Istio, Security concepts. ALLOW policies add up; DENY only takes away, so it can't weaken.
Of several PeerAuthentications for one workload the oldest counts; one without a selector is
overruled by one with.
"""

from collections.abc import Iterable, Mapping

from agent_identity.core.facts import ForeignPolicy
from agent_identity.core.resource import Kind, Observed, PolicyView

Labels = Mapping[str, str]


def weakening(
    policies: Iterable[Observed], pods: Iterable[Labels], own: Observed | None, root: str
) -> tuple[ForeignPolicy, ...]:
    """Those of `policies` (none ours, of the identity's namespace and the root namespace) that
    weaken it. pods: labels of its pods, and of a pod that carries its label only. own: its
    PeerAuthentication."""
    labels = list(pods)
    return tuple(
        ForeignPolicy(p.ref.kind.value, p.ref.namespace, p.ref.name)
        for p in policies
        if _weakens(p, labels, own, root)
    )


def _weakens(policy: Observed, pods: list[Labels], own: Observed | None, root: str) -> bool:
    view = policy.policy
    if view is None or not view.weakens or view.targets:
        return False
    if policy.ref.kind == Kind.PEER_AUTHENTICATION:
        overruled = view.selector is None or policy.ref.namespace == root
        if overruled or (own is not None and own.created < policy.created):
            return False
    return selects(view, pods)


def selects(view: PolicyView, pods: Iterable[Labels]) -> bool:
    """Whether a policy's selector matches any of these pods."""
    return any(all(pod.get(k) == v for k, v in view.selector or ()) for pod in pods)
