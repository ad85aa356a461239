"""One object by itself: what the API server would refuse, and what it would drop without a word.

The laws and types are the operator's own. What the schemas say beyond them (names, lists without
duplicates) is read from the CRDs, which are generated from the same types.
"""

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any

import pydantic

from agent_identity.api import fields as f
from agent_identity.api import grants as g
from agent_identity.api import v1alpha1 as v
from agent_identity.api.crd import custom_resource_definitions
from agent_identity.cli.documents import KINDS, Document, Path, plain
from agent_identity.cli.findings import Finding, Severity, dotted, title

Schema = dict[str, Any]
_MODELS: dict[
    str, type[v.AgentIdentitySpec | v.AgentIdentityClassSpec | g.AgentAccessGrantSpec]
] = {
    "AgentAccessGrant": g.AgentAccessGrantSpec,
    "AgentIdentity": v.AgentIdentitySpec,
    "AgentIdentityClass": v.AgentIdentityClassSpec,
}
_VERSION = f"{v.GROUP}/{v.VERSION}"
_TOP = ("apiVersion", "kind", "metadata", "spec", "status")
_METADATA = (
    *("name", "generateName", "namespace", "labels", "annotations", "finalizers"),
    *("ownerReferences", "managedFields", "uid", "resourceVersion", "generation", "selfLink"),
    *("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"),
)
# A CEL rule on the annotation keys of a class has no twin in the types.
_RESERVED = (f"{v.GROUP}/", "vault.hashicorp.com/")
_SCHEMAS: dict[str, Schema] = {
    c["spec"]["names"]["kind"]: c["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for c in custom_resource_definitions().values()
}


def shape_findings(document: Document) -> list[Finding]:
    """Everything that is wrong with an object of ours, whatever else there is."""
    told = [
        Finding(Severity.ERROR, document.where(path), title(document), dotted(path), text, advice)
        for path, text, advice in _troubles(document)
    ]
    return sorted(told, key=lambda t: t.rank)


Trouble = tuple[Path, str, str]


def _troubles(document: Document) -> Iterator[Trouble]:
    body = document.body
    if document.kind not in KINDS:
        text = f"{_VERSION} has no kind {plain(document.kind) or '?'}"
        yield ("kind",), text, _suggestion(document.kind, KINDS)
        return
    if body.get("apiVersion") != _VERSION:
        yield ("apiVersion",), f"kind {document.kind} is of {_VERSION}", f"Write {_VERSION}."
    yield from (_unknown((), name, _TOP) for name in body if name not in _TOP)
    yield from _of_metadata(body.get("metadata"))
    yield from _of_spec(document)


def _of_metadata(metadata: object) -> Iterator[Trouble]:
    if not isinstance(metadata, dict):
        yield ("metadata",), "is required, and is an object", ""
        return
    yield from (
        _unknown(("metadata",), name, _METADATA) for name in metadata if name not in _METADATA
    )
    name = metadata.get("name")
    if not isinstance(name, str) or not re.fullmatch(f.DNS_LABEL, name) or len(name) > 63:
        text = "must be a DNS label: lower-case letters, digits and -, at most 63, no dots"
        yield ("metadata", "name"), text, ""
    namespace = metadata.get("namespace", "")
    if not isinstance(namespace, str):
        yield ("metadata", "namespace"), "must be a text", ""


def _of_spec(document: Document) -> Iterator[Trouble]:
    spec = document.body.get("spec")
    if not isinstance(spec, dict):
        yield ("spec",), "is required, and is an object", ""
        return
    try:
        _MODELS[document.kind].model_validate_json(json.dumps(spec))
    except pydantic.ValidationError as error:
        told = error.errors(include_url=False, include_input=False)
        for one in told:
            # A list is also told to be too short where its items are wrong.
            inner = any(o["loc"][: len(one["loc"])] == one["loc"] and o is not one for o in told)
            if not (one["type"] == "too_short" and inner):
                yield _translated(document.kind, ("spec", *one["loc"]), one["type"], one["msg"])
    yield from _repeated(_SCHEMAS[document.kind]["properties"]["spec"], spec, ("spec",))
    if document.kind == "AgentIdentityClass":
        yield from _reserved_keys(spec)


def _translated(kind: str, path: Path, error: str, message: str) -> Trouble:
    if error == "extra_forbidden":
        return _unknown(path[:-1], str(path[-1]), _known_fields(kind, path[:-1]))
    if error == "missing":
        return path, "is required", ""
    return path, message.removeprefix("Value error, ").replace("Tuple", "List"), ""


def _unknown(above: Path, name: str, known: tuple[str, ...]) -> Trouble:
    text = "there is no such field; the API server would drop it without a word"
    return (*above, name), text, _suggestion(name, known)


def _suggestion(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]}?" if close else f"There are {', '.join(sorted(known))}."


def _known_fields(kind: str, path: Path) -> tuple[str, ...]:
    schema = _SCHEMAS[kind]
    for step in path:
        if isinstance(step, int):
            schema = schema.get("items", {})
        else:
            schema = schema.get("properties", {}).get(step, {})
    return tuple(schema.get("properties", {}))


def _repeated(schema: Schema, value: object, path: Path) -> Iterator[Trouble]:
    """Items that are there twice in a list that the API server keeps unique."""
    if isinstance(value, dict):
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name)
            yield from _repeated(inner, item, (*path, name)) if inner else ()
    elif isinstance(value, list):
        seen: list[object] = []
        for at, item in enumerate(value):
            key = _list_key(schema, item)
            if key is not None and key in seen:
                yield (*path, at), "is there twice", "Leave one out."
            seen.append(key)
            yield from _repeated(schema.get("items", {}), item, (*path, at))


def _list_key(schema: Schema, item: object) -> object:
    """What must be unique of an item; None where nothing must be."""
    kind = schema.get("x-kubernetes-list-type")
    if kind == "map" and isinstance(item, dict):
        return [item.get(key) for key in schema["x-kubernetes-list-map-keys"]]
    return [item] if kind == "set" else None


def _reserved_keys(spec: Schema) -> Iterator[Trouble]:
    accounts = spec.get("serviceAccounts")
    keys = accounts.get("annotationKeys") if isinstance(accounts, dict) else None
    for at, key in enumerate(keys if isinstance(keys, list) else ()):
        if isinstance(key, str) and key.startswith(_RESERVED):
            text = "annotations that the operator or Vault decides by can't be handed out"
            yield ("spec", "serviceAccounts", "annotationKeys", at), text, "Leave it out."
