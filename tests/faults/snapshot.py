"""What there is, in words that two runs have in common."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from faults.exchange import renamed
from faults.recorder import Body, Name

# Different in every run, and decided by the server.
_SERVERS_OWN = frozenset(
    {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"}
)
# How often a thing was tried says nothing about what there is.
_COUNTS = frozenset({"lastTransitionTime", "observedGeneration"})
State = dict[str, str]
"""Object → all of it that counts, as JSON."""


def snapshot(objects: Mapping[Name, Body], names: Mapping[str, str]) -> State:
    """names: of the run → as all runs call them. UIDs become the names of whom they belong to."""
    uids = {body["metadata"]["uid"]: f"uid({name})" for name, body in objects.items()}
    words = {**uids, **names}
    return {
        renamed(str(name), names): renamed(json.dumps(_what_counts(body), sort_keys=True), words)
        for name, body in objects.items()
    }


def without_status(state: Mapping[str, str]) -> State:
    """What is given and taken, and not what is said of it."""
    bodies = {name: json.loads(text) for name, text in state.items()}
    return {
        name: json.dumps({k: v for k, v in body.items() if k != "status"}, sort_keys=True)
        for name, body in bodies.items()
    }


def _what_counts(body: Body) -> dict[str, Any]:
    metadata = {k: v for k, v in body["metadata"].items() if k not in _SERVERS_OWN}
    if "deletionTimestamp" in metadata:
        metadata["deletionTimestamp"] = "some time"
        metadata.pop("deletionGracePeriodSeconds", None)
    kept = {k: v for k, v in body.items() if k not in {"metadata", "apiVersion", "kind", "status"}}
    status = _status(body)
    return kept | {"metadata": metadata} | ({"status": status} if status else {})


def _status(body: Body) -> dict[str, Any]:
    status = dict(body.get("status") or {})
    if not status:
        return {}
    seen = status.pop("observedGeneration", None)
    rows = status.pop("conditions", None) or []
    conditions = [{k: v for k, v in row.items() if k not in _COUNTS} for row in rows]
    up_to_date = seen == body["metadata"].get("generation")
    return status | {"conditions": conditions, "upToDate": up_to_date}


def differences(wanted: State, found: State) -> list[str]:
    """What is missing, what is too much, and what is not as it should be; each with the texts."""
    lines = [f"missing: {name}" for name in sorted(wanted.keys() - found.keys())]
    lines += [
        f"too much: {name}: {found[name][:400]}" for name in sorted(found.keys() - wanted.keys())
    ]
    for name in sorted(wanted.keys() & found.keys()):
        lines += [f"differs: {name}: {line}" for line in _leaves_that_differ(wanted, found, name)]
    return lines


def _leaves_that_differ(wanted: State, found: State, name: str) -> Iterator[str]:
    if wanted[name] == found[name]:
        return
    one, other = (dict(_leaves(json.loads(state[name]))) for state in (wanted, found))
    for path in sorted(one.keys() | other.keys()):
        if one.get(path) != other.get(path):
            yield f"{path} is {other.get(path)!r} and not {one.get(path)!r}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Conditions by their type, so that one more does not shift all others."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            named = isinstance(inner, dict) and "type" in inner and "reason" in inner
            yield from _leaves(inner, f"{path}[{inner['type'] if named else number}]")
    else:
        yield path, value
