"""Every place of a spec that the CRDs know, and where a given spec has it."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

CRDS = Path(__file__).resolve().parents[3] / "crds"
KINDS = {
    "AgentIdentity": "agentidentities",
    "AgentIdentityClass": "agentidentityclasses",
    "AgentAccessGrant": "agentaccessgrants",
}
ITEMS, ENTRIES = "[]", "{}"
GONE: Final = object()
"""Stands for a value that is taken away."""
Place = tuple[str | int, ...]
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """path: with ITEMS for every item of a list, ENTRIES for every value of a map."""

    kind: str
    path: tuple[str, ...]
    schema: Mapping[str, Any] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return ".".join(self.path).replace(".[]", "[]").replace(".{}", "{}")

    @property
    def type(self) -> str:
        return str(self.schema["type"])

    @property
    def is_map(self) -> bool:
        return "additionalProperties" in self.schema


def fields_of(kind: str) -> list[Field]:
    """All below spec, and spec itself, outer ones first."""
    text = (CRDS / f"{KINDS[kind]}.agentidentity.dev.yaml").read_text()
    [version] = yaml.safe_load(text)["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return list(walked(kind, ("spec",), spec))


def walked(kind: str, path: tuple[str, ...], schema: Mapping[str, Any]) -> Iterator[Field]:
    yield Field(kind, path, schema)
    for name, inner in (schema.get("properties") or {}).items():
        yield from walked(kind, (*path, name), inner)
    if "items" in schema:
        yield from walked(kind, (*path, ITEMS), schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        yield from walked(kind, (*path, ENTRIES), schema["additionalProperties"])


def first_place(body: object, path: tuple[str, ...]) -> Place | None:
    """The first place of a body that is on this path; None where it has none."""
    if not path:
        return ()
    for key, inner in _inner(body, path[0]):
        rest = first_place(inner, path[1:])
        if rest is not None:
            return (key, *rest)
    return None


def _inner(body: object, step: str) -> list[tuple[str | int, Any]]:
    if step == ITEMS:
        return list(enumerate(body)) if isinstance(body, list) else []
    if not isinstance(body, dict):
        return []
    if step == ENTRIES:
        return sorted(body.items())
    return [(step, body[step])] if step in body else []


def value_at(body: object, place: Place) -> Any:
    at: Any = body
    for key in place:
        at = at[key]
    return at


def with_value(body: Body, place: Place, value: object) -> Body:
    """A copy that differs in this place."""
    changed = copy.deepcopy(body)
    at = value_at(changed, place[:-1])
    if value is GONE:
        del at[place[-1]]
    else:
        at[place[-1]] = copy.deepcopy(value)
    return changed
