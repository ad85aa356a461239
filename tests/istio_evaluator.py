"""What Istio makes of AuthorizationPolicies, as its documentation says it. Shares no code with the
operator.

Source: Istio, AuthorizationPolicy (semantics of ALLOW, of empty and missing fields, of path
templates) and Security concepts ("Implicit enablement", "Value matching").
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Manifest = Mapping[str, Any]


class Request(NamedTuple):
    """One request. principal: as Istio writes it; None without a certificate."""

    principal: str | None
    port: int
    method: str
    path: str


def lets_in(policies: Iterable[Manifest], labels: Mapping[str, str], request: Request) -> bool:
    """policies: ALLOW, of the pod's namespace. Without any that selects it, everybody is let in."""
    guarding = [p["spec"] for p in policies if _selects(p["spec"], labels)]
    assert all(spec.get("action", "ALLOW") == "ALLOW" for spec in guarding)
    rules = [rule for spec in guarding for rule in spec.get("rules", ())]
    return not guarding or any(_matches(rule, request) for rule in rules)


def _selects(spec: Manifest, labels: Mapping[str, str]) -> bool:
    wanted = (spec.get("selector") or {}).get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items())


def _matches(rule: Manifest, request: Request) -> bool:
    """What is missing matches everything: that is the danger."""
    sources = [s["source"] for s in rule.get("from", ())]
    operations = [o["operation"] for o in rule.get("to", ())]
    return (not sources or any(_is_from(s, request) for s in sources)) and (
        not operations or any(_is_to(o, request) for o in operations)
    )


def _is_from(source: Manifest, request: Request) -> bool:
    assert set(source) <= {"principals"}
    # An empty list is one that is not there (proto3): everybody.
    principals = source.get("principals") or ()
    return not principals or (
        request.principal is not None and any(_value(p, request.principal) for p in principals)
    )


def _is_to(operation: Manifest, request: Request) -> bool:
    assert set(operation) <= {"ports", "methods", "paths"}
    checks = (
        ("ports", str(request.port), _value),
        ("methods", request.method, _value),
        ("paths", request.path, _path),
    )
    return all(
        not operation.get(name) or any(match(pattern, found) for pattern in operation[name])
        for name, found, match in checks
    )


def _value(pattern: str, found: str) -> bool:
    """Exact, by prefix, by suffix, or there at all."""
    if pattern == "*":
        return found != ""
    if pattern.startswith("*"):
        return found.endswith(pattern[1:])
    if pattern.endswith("*"):
        return found.startswith(pattern[:-1])
    return found == pattern


def _path(pattern: str, found: str) -> bool:
    if "{" not in pattern:
        return _value(pattern, found)
    parts = re.split(r"(\{\*\*\}|\{\*\})", pattern)
    kinds = {"{*}": "[^/]+", "{**}": ".*"}
    return re.fullmatch("".join(kinds.get(p, re.escape(p)) for p in parts), found) is not None
