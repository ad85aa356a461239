"""One rule of ours as one rule of Istio's AuthorizationPolicy (security.istio.io/v1)."""

from collections.abc import Iterable
from typing import Any

from agent_identity.api.rules import Rule
from agent_identity.core.resource import Resource, canonical

API_VERSION = "security.istio.io/v1"
# As the schema of status.wouldWrite says.
_LONGEST_TOLD = 1024
_CUT = "… (cut)"


def istio_rule(rule: Rule, principals: list[str]) -> dict[str, Any]:
    """One rule. principals: at least one; five parts each, no wildcard, no scheme (Istio,
    AuthorizationPolicy, "Source"). ports are always written: with HTTP fields alone a rule would
    say nothing about another port."""
    if not principals or any(len(p.split("/")) != 5 or "*" in p for p in principals):
        raise ValueError("a rule needs exact principals")
    operation: dict[str, Any] = {"ports": [str(port) for port in sorted(rule.ports)]}
    if rule.http:
        operation |= {"methods": sorted(rule.http.methods), "paths": sorted(rule.http.paths)}
    if rule.grpc:
        calls = [(s, m) for s in rule.grpc.services for m in rule.grpc.methods]
        operation |= {"methods": ["POST"], "paths": sorted(f"/{s}/{m}" for s, m in calls)}
    return {"from": [{"source": {"principals": principals}}], "to": [{"operation": operation}]}


def by_name(rules: Iterable[Rule] | None) -> list[Rule]:
    """In the order in which they are written, so that the same rules make the same policy."""
    return sorted(rules or (), key=lambda r: r.name)


def told(policy: Resource) -> str:
    """A policy as one entry of status.wouldWrite; a long one says that it is cut."""
    text = f"{policy.ref} {canonical(policy.body['spec']).decode()}"
    return text if len(text) <= _LONGEST_TOLD else text[: _LONGEST_TOLD - len(_CUT)] + _CUT
