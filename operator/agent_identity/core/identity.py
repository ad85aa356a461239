"""Our objects, parsed once at the door into values that don't change.

A spec that can't be parsed still makes an Identity (with `problem`): what it has must be taken
away, and its status must say why.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from sys import intern
from typing import Any, TypeVar

import pydantic

from agent_identity.api import grants as g
from agent_identity.api import v1alpha1 as v
from agent_identity.api.frozen import Frozen
from agent_identity.api.rules import Rule
from agent_identity.core.resource import CLEANUP_FINALIZER, Key, Subject, canonical, shared

Body = Mapping[str, Any]
T = TypeVar("T", bound=Frozen)
Conditions = tuple[tuple[str, ...], ...]
# Specs that are worked on at the same time, and what they are compared with.
_PARSED_SPECS = 256
_SAID_OF_EACH = ("type", "status", "reason")


@dataclass(frozen=True, slots=True)
class Meta:
    """What we use of an object's metadata. Times are RFC 3339 as the API server wrote them."""

    key: Key
    uid: str
    resource_version: str
    generation: int
    created: str
    deleted: str
    finalizers: tuple[str, ...]

    @property
    def held(self) -> bool:
        """By our finalizer: once deleted, it stays until we let it go."""
        return CLEANUP_FINALIZER in self.finalizers


@dataclass(frozen=True, slots=True)
class Identity:
    """An AgentIdentity. Spec and status are kept as text: parsed, those of thousands would fill the
    memory. A status is long and says little: packed it is a fifth. conditions: (type, status,
    reason) of each."""

    meta: Meta
    account: str
    class_name: str
    spec_text: bytes
    packed_status: bytes = field(default=zlib.compress(b"{}"), compare=False, hash=False)
    conditions: Conditions = field(default=(), compare=False, hash=False)

    @property
    def spec(self) -> v.AgentIdentitySpec | None:
        """None where it can't be parsed; then `problem` says why."""
        return _identity_spec(self.spec_text)[0]

    @property
    def problem(self) -> str:
        return _identity_spec(self.spec_text)[1]

    @property
    def status(self) -> Body:
        status: Body = json.loads(zlib.decompress(self.packed_status))
        return status

    @property
    def key(self) -> Key:
        return self.meta.key

    @property
    def deleting(self) -> bool:
        return bool(self.meta.deleted)

    @property
    def vault(self) -> v.VaultSpec | None:
        return self.spec.vault if self.spec else None


@dataclass(frozen=True, slots=True)
class AgentClass:
    """An AgentIdentityClass. spec is None where it could not be parsed; then problem says why."""

    meta: Meta
    spec: v.AgentIdentityClassSpec | None
    problem: str = ""
    status: Body = field(default_factory=dict, compare=False, hash=False)

    @property
    def conditions(self) -> Conditions:
        return _conditions(self.status)

    @property
    def name(self) -> str:
        return self.meta.key.name

    @property
    def deleting(self) -> bool:
        return bool(self.meta.deleted)

    @property
    def held(self) -> bool:
        """It is before anything is written at its Vault."""
        return self.meta.held

    @property
    def has_mesh(self) -> bool:
        return self.spec is not None and self.spec.mesh.type == "Istio"

    @property
    def waypoint(self) -> v.Waypoint | None:
        istio = self.spec.mesh.istio if self.spec else None
        return istio.waypoint if istio else None

    @property
    def vault(self) -> v.ClassVault | None:
        return self.spec.vault if self.spec else None


@dataclass(frozen=True, slots=True)
class Grant:
    """An AgentAccessGrant. spec is None where it could not be parsed; then problem says why."""

    meta: Meta
    spec: g.AgentAccessGrantSpec | None
    problem: str = ""
    status: Body = field(default_factory=dict, compare=False, hash=False)

    @property
    def conditions(self) -> Conditions:
        return _conditions(self.status)

    @property
    def key(self) -> Key:
        return self.meta.key

    @property
    def deleting(self) -> bool:
        return bool(self.meta.deleted)

    @property
    def rules(self) -> tuple[Rule, ...]:
        return (self.spec.rules or ()) if self.spec else ()


Ours = Identity | AgentClass | Grant


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace, as far as it decides anything."""

    name: str
    uid: str
    labels: Mapping[str, str]
    deleting: bool
    version: int = 0


def _meta(body: Body, subject: Subject) -> Meta:
    metadata = body["metadata"]
    return Meta(
        key=Key(intern(metadata.get("namespace", "")), intern(metadata["name"]), subject),
        uid=intern(metadata["uid"]),
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 0),
        created=intern(metadata.get("creationTimestamp") or ""),
        deleted=metadata.get("deletionTimestamp") or "",
        finalizers=shared(tuple(metadata.get("finalizers") or ())),
    )


def _first_error(error: pydantic.ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(str(part) for part in ("spec", *first["loc"]))
    return f"{path}: {first['msg'].removeprefix('Value error, ')}"


def _parsed(model: type[T], spec: bytes) -> tuple[T | None, str]:
    try:
        return model.model_validate_json(spec), ""
    except pydantic.ValidationError as error:
        return None, _first_error(error)


@lru_cache(_PARSED_SPECS)
def _identity_spec(spec: bytes) -> tuple[v.AgentIdentitySpec | None, str]:
    return _parsed(v.AgentIdentitySpec, spec)


def _known_or_parsed(
    spec: object, meta: Meta, known: Grant | None
) -> tuple[g.AgentAccessGrantSpec | None, str]:
    if known and (known.meta.uid, known.meta.generation) == (meta.uid, meta.generation):
        return known.spec, known.problem
    return _parsed(g.AgentAccessGrantSpec, canonical(spec))


def _at(value: object, *path: str) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def parse_identity(body: Body) -> Identity:
    """An AgentIdentity from the API server's object; never raises for what is in the spec."""
    meta = _meta(body, Subject.IDENTITY)
    raw, status = body.get("spec"), body.get("status") or {}
    text = canonical(raw)
    spec, _ = _identity_spec(text)
    asked = _at(raw, "serviceAccount", "name")
    return Identity(
        meta=meta,
        account=asked if isinstance(asked, str) and asked else meta.key.name,
        class_name=intern(spec.class_name if spec else str(_at(raw, "className") or "default")),
        spec_text=text,
        packed_status=zlib.compress(canonical(status)),
        conditions=_conditions(status),
    )


def _conditions(status: Body) -> Conditions:
    """(type, status, reason) of each."""
    rows = status.get("conditions") or ()
    return tuple(shared(tuple(str(row.get(name, "")) for name in _SAID_OF_EACH)) for row in rows)


def parse_class(body: Body) -> AgentClass:
    """An AgentIdentityClass from the API server's object; never raises for what is in the spec."""
    spec, problem = _parsed(v.AgentIdentityClassSpec, canonical(body.get("spec") or {}))
    meta = _meta(body, Subject.CLASS)
    return AgentClass(meta=meta, spec=spec, problem=problem, status=body.get("status") or {})


def parse_grant(body: Body, known: Grant | None = None) -> Grant:
    """An AgentAccessGrant from the API server's object; never raises for what is in the spec.
    known: as it was parsed before; one generation has one spec, which need not be parsed again."""
    meta = _meta(body, Subject.GRANT)
    spec, problem = _known_or_parsed(body.get("spec"), meta, known)
    return Grant(meta=meta, spec=spec, problem=problem, status=body.get("status") or {})


def parse_namespace(body: Body) -> Namespace:
    """A namespace from the API server's object."""
    metadata = body["metadata"]
    return Namespace(
        name=metadata["name"],
        uid=metadata["uid"],
        labels=metadata.get("labels") or {},
        deleting=bool(metadata.get("deletionTimestamp")),
        version=int(metadata["resourceVersion"]),
    )


def means_the_same(one: Ours, other: Ours, *, own: bool) -> bool:
    """Whether nothing differs that a decision or a status rests on (all but the version). own:
    finalizers and status are as we wrote them ourselves."""
    left, right = one.meta, other.meta
    if (left.uid, left.generation, left.deleted) != (right.uid, right.generation, right.deleted):
        return False
    return own or (left.finalizers == right.finalizers and _says(one) == _says(other))


def _says(subject: Ours) -> bytes:
    """The same bytes for the same status."""
    return subject.packed_status if isinstance(subject, Identity) else canonical(subject.status)
