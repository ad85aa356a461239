"""Where the data plane is Ambient: who may do what is said in two places. Pure.

ztunnel enforces policies with a selector, by identity and port only: a rule with HTTP fields it
drops, and so lets nobody in. Behind a waypoint it sees the waypoint's identity. So the workload's
policy lets in the waypoint, and the callers of TCP rules; the waypoint's policy, bound to the
Services that lead to the agent, names the callers of HTTP and gRPC rules. A waypoint passes to the
workload whatever it is sent for a Service that no policy is bound to: it is let in only to ports
that a rule's callers can reach by a Service that is bound.

Source: Istio, Ambient, "Layer 4 security policy" and "Use Layer 7 features".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent_identity.api.rules import Rule
from agent_identity.api.v1alpha1 import Waypoint
from agent_identity.core.facts import AgentService, Facts
from agent_identity.core.spiffe import SpiffeID
from agent_identity.providers.istio.rules import istio_rule

Callers = Iterable[tuple[Rule, list[str]]]
"""Rules, each with the principals of its callers who are there: at least one."""
_MOST_TARGETS = 16


def is_ambient(facts: Facts) -> bool:
    spec = facts.agent_class.spec if facts.agent_class else None
    istio = spec.mesh.istio if spec else None
    return istio is not None and istio.data_plane == "Ambient"


def workload_rules(facts: Facts, callers: Callers) -> list[dict[str, Any]]:
    """What ztunnel lets through to the agent's pods."""
    waypoint, passed = _waypoint(facts), list(callers)
    rules = [istio_rule(rule, found) for rule, found in passed if rule.protocol == "TCP"]
    ports = {port for rule, _ in passed if _passes(rule, facts.services) for port in rule.ports}
    if waypoint is None or not ports:
        return rules
    home = waypoint.namespace or facts.identity.key.namespace
    name = SpiffeID(facts.cluster.trust_domain, home, waypoint.service_account)
    operation = {"ports": [str(port) for port in sorted(ports)]}
    through = {
        "from": [{"source": {"principals": [name.principal]}}],
        "to": [{"operation": operation}],
    }
    return [*rules, through]


def waypoint_rules(facts: Facts, callers: Callers) -> list[dict[str, Any]]:
    """What the waypoint lets through. It sees a Service's port and not the pod's."""
    leads = _leads(facts.services)
    return [
        istio_rule(rule.model_copy(update={"ports": ports}), found)
        for rule, found in callers
        if rule.protocol != "TCP" and (ports := _service_ports(rule, leads))
    ]


def targets(facts: Facts) -> list[dict[str, str]]:
    """The Services that lead to the agent, as targetRefs: no more than a policy can have."""
    named = facts.services[:_MOST_TARGETS]
    return [{"group": "", "kind": "Service", "name": service.name} for service in named]


def what_is_missing(facts: Facts, rules: Iterable[Rule]) -> str:
    """Why HTTP and gRPC rules can't let anybody in; empty where they can."""
    through = [rule for rule in rules if rule.protocol != "TCP"]
    if not through:
        return ""
    if _waypoint(facts) is None:
        return "the class names no waypoint, so HTTP and gRPC rules let nobody in"
    if not facts.services:
        return (
            "no Service selects the agent's pods by our label, so HTTP and gRPC rules let nobody in"
        )
    if len(facts.services) > _MOST_TARGETS:
        return (
            f"{len(facts.services)} Services select the agent's pods by our label, and a policy "
            f"guards at most {_MOST_TARGETS}: HTTP and gRPC rules let nobody in; delete some"
        )
    lost = sorted(rule.name for rule in through if not _passes(rule, facts.services))
    return f"no Service leads to a port of rules {', '.join(lost)} alone" if lost else ""


def _passes(rule: Rule, services: Sequence[AgentService]) -> bool:
    """Whether a waypoint has anything to pass on for it, and guards all Services that lead here."""
    guarded = len(services) <= _MOST_TARGETS
    return rule.protocol != "TCP" and guarded and bool(_service_ports(rule, _leads(services)))


def _waypoint(facts: Facts) -> Waypoint | None:
    return facts.agent_class.waypoint if facts.agent_class else None


def _leads(services: Iterable[AgentService]) -> Mapping[int, set[int]]:
    """Port of a Service → ports of the pods that it leads to, in any of them."""
    leads: dict[int, set[int]] = {}
    for service in services:
        for port, leads_to in service.ports:
            leads.setdefault(port, set()).add(leads_to)
    return leads


def _service_ports(rule: Rule, leads: Mapping[int, set[int]]) -> tuple[int, ...]:
    """Only ports that lead nowhere else: two Services may use one port for two of the pods'."""
    return tuple(sorted(port for port, to in leads.items() if to <= set(rule.ports)))
