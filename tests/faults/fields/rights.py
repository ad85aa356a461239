"""Everything that objects let somebody do, in words that tell less from more."""

import json
from collections.abc import Iterator, Mapping

from faults.recorder import Body, Name


def rights(objects: Mapping[Name, Body]) -> set[str]:
    """Of bindings, policies that allow, and annotations, which may be rights in a cloud."""
    return {right for name, body in objects.items() for right in _of(name, body)}


def _of(name: Name, body: Body) -> Iterator[str]:
    if name.kind == "RoleBinding":
        yield from _bound(name, body)
    if name.kind == "AuthorizationPolicy" and body["spec"].get("action", "ALLOW") == "ALLOW":
        yield from _let_in(name, body["spec"])
    if name.kind == "ServiceAccount":
        for key, value in (body["metadata"].get("annotations") or {}).items():
            yield f"{name} is annotated {key}={value}"


def _bound(name: Name, body: Body) -> Iterator[str]:
    for subject in body.get("subjects") or ():
        who = f"{subject.get('namespace', '')}/{subject['name']}"
        yield f"{who} is bound to {body['roleRef']['name']} in {name.namespace}"


def _let_in(name: Name, spec: Body) -> Iterator[str]:
    """Each caller with each operation by itself."""
    to = f"{name.namespace}/{json.dumps(spec.get('selector') or spec.get('targetRefs'))}"
    for rule in spec.get("rules") or ():
        for who in _callers(rule):
            for what in _operations(rule):
                yield f"{who} may call {to} with {what}"


def _callers(rule: Body) -> list[str]:
    some = (source["source"].get("principals") or ["*"] for source in rule.get("from") or ())
    return [principal for of in some for principal in of] or ["everybody"]


def _operations(rule: Body) -> list[str]:
    found = []
    for to in rule.get("to") or ():
        ports, methods, paths = (
            to["operation"].get(k) or ["*"] for k in ("ports", "methods", "paths")
        )
        found += [f"{m} {p} at {n}" for n in ports for m in methods for p in paths]
    return found or ["anything"]
