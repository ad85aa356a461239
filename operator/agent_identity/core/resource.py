"""What we write and what we see: references, desired resources, observed objects."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Any, TypeVar

from agent_identity.api.v1alpha1 import GROUP

Body = Mapping[str, Any]
T = TypeVar("T", bound=tuple[Any, ...])


class Kind(StrEnum):
    """Kinds that the operator owns."""

    SERVICE_ACCOUNT = "ServiceAccount"
    ROLE_BINDING = "RoleBinding"
    PEER_AUTHENTICATION = "PeerAuthentication"
    AUTHORIZATION_POLICY = "AuthorizationPolicy"
    VAULT_ROLE = "VaultRole"


class Stage(IntEnum):
    """Giving goes up these steps and taking away comes down, so that mTLS and deny stand before
    the first right is given, and rights go before what guards them."""

    ACCOUNT = 1
    MTLS = 2
    WAYPOINT = 3
    """A waypoint passes on whatever no policy is bound to: it is let in once one is."""
    POLICY = 4
    GRANT = 5


STAGES: Mapping[Kind, Stage] = {
    Kind.SERVICE_ACCOUNT: Stage.ACCOUNT,
    Kind.PEER_AUTHENTICATION: Stage.MTLS,
    Kind.AUTHORIZATION_POLICY: Stage.POLICY,
    Kind.ROLE_BINDING: Stage.GRANT,
    Kind.VAULT_ROLE: Stage.GRANT,
}
MESH_KINDS = (Kind.PEER_AUTHENTICATION, Kind.AUTHORIZATION_POLICY)
GRANTS = frozenset(kind for kind, stage in STAGES.items() if stage is Stage.GRANT)


class Subject(StrEnum):
    """Kinds of our own."""

    IDENTITY = "AgentIdentity"
    CLASS = "AgentIdentityClass"
    GRANT = "AgentAccessGrant"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One of our own objects; a class has no namespace."""

    namespace: str
    name: str
    subject: Subject = Subject.IDENTITY

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """One owned object. For a Vault role, `namespace` is the home where it lives (see names)."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Resource:
    """One object that is to be as `body` says.

    room: whose it is.
    """

    ref: Ref
    body: Body
    room: str
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", digest_of(self.ref.kind, self.body))


@dataclass(frozen=True, slots=True)
class Observed:
    """One object as last seen, without its body. digest: of all that we write of such an object.

    identity, grant: the one that its label names. owner_uid: of that one of ours that controls it.
    retired: a policy that outlives its owner. policy: of mesh policies only.
    names: accounts that a binding names which no identity controls.
    """

    ref: Ref
    uid: str
    resource_version: str
    digest: bytes
    created: str = ""
    labelled: bool = False
    identity: str = ""
    grant: str = ""
    owner_uid: str = ""
    retired: bool = False
    deleting: bool = False
    finalizers: tuple[str, ...] = ()
    policy: "PolicyView | None" = None
    names: frozenset[Key] = frozenset()

    def is_owned_by(self, uid: str) -> bool:
        """Ours: our label *and* a controller reference with this UID; either can be forged."""
        return self.labelled and bool(uid) and self.owner_uid == uid

    def says_the_same(self, other: "Observed") -> bool:
        """Whether nothing but the version differs."""
        return (self.uid, self.digest, self.labelled, self.owner_uid, self.deleting) == (
            other.uid,
            other.digest,
            other.labelled,
            other.owner_uid,
            other.deleting,
        )

    @property
    def marked_for(self) -> Key:
        """Whose its labels say that it is, which alone proves nothing; of no name for nobody's."""
        if self.grant:
            return Key(self.ref.namespace, self.grant, Subject.GRANT)
        return Key(self.ref.namespace, self.identity)

    @property
    def is_retired_policy(self) -> bool:
        """Left standing by us when its owner went, so that its pods stay shut. Allows nothing."""
        mesh = self.ref.kind in MESH_KINDS
        return self.labelled and self.retired and not self.owner_uid and mesh


@dataclass(frozen=True, slots=True)
class PolicyView:
    """Of a mesh policy: what decides whether it weakens another, or guards the same. selector
    None: no selector. targets: kind and name of each of its targetRefs. action: of an
    AuthorizationPolicy."""

    selector: tuple[tuple[str, str], ...] | None
    targets: tuple[tuple[str, str], ...]
    weakens: bool
    action: str = ""


def shared(value: T) -> T:
    """The one tuple that stands for all that equal it: thousands of objects say the same."""
    kept: T = _kept(value)
    return kept


@lru_cache(4096)
def _kept(value: tuple[Any, ...]) -> Any:
    return value


def canonical(value: Any) -> bytes:
    """The same bytes for the same content."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest_of(kind: Kind, body: Body) -> bytes:
    """A digest of all that is ours to say about an object of this kind.

    That is everything but what the server keeps (uid, versions, times, status), labels of others,
    and on bindings annotations: those decide nothing. On mesh policies an annotation does
    (`istio.io/dry-run` switches one off), and on accounts it may carry rights in a cloud.
    """
    metadata = body.get("metadata", {})
    said = {k: v for k, v in body.items() if k not in _SERVERS and v not in (None, {}, [])}
    said["metadata"] = {k: v for k in _OURS if (v := metadata.get(k))}
    said["labels"] = {k: v for k, v in metadata.get("labels", {}).items() if is_our_label(k)}
    if kind != Kind.ROLE_BINDING:
        said["annotations"] = metadata.get("annotations") or {}
    return blake2b(canonical(said), digest_size=16).digest()


def is_our_label(key: str) -> bool:
    """Whether a label is ours to say."""
    return key == MANAGED_BY or key.startswith(f"{GROUP}/")


MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "agent-identity-operator"
IDENTITY_LABEL = f"{GROUP}/identity"
GRANT_LABEL = f"{GROUP}/grant"
RETIRED_LABEL = f"{GROUP}/retired"
CLEANUP_FINALIZER = f"{GROUP}/cleanup"
_SERVERS = frozenset({"metadata", "status", "apiVersion", "kind"})
_OURS = ("ownerReferences", "finalizers")
