"""Objects in the operator's way: made by others under its names, or its own after a tampering."""

from dataclasses import dataclass
from typing import Any

from hostile_asks import HELD
from hostile_specs import Manifest

KINDS = ("ServiceAccount", "RoleBinding", "PeerAuthentication", "AuthorizationPolicy")
FINALIZER = "agentidentity.dev/cleanup"
ELSEWHERE = {"selector": {"matchLabels": {"app": "elsewhere"}}}


def object_name(kind: str, identity: str) -> str:
    """The derived name of an identity's object; it asks for the ClusterRole ticket-reader."""
    if kind == "ServiceAccount":
        return identity
    if kind == "RoleBinding":
        return f"agentidentity:{identity}:ticket-reader"
    return f"agentidentity-{identity}"


def our_labels(identity: str) -> dict[str, str]:
    """The labels that the operator puts on what it makes."""
    return {
        "agentidentity.dev/identity": identity,
        "app.kubernetes.io/managed-by": "agent-identity-operator",
    }


def owner(identity: str, uid: str) -> list[dict[str, Any]]:
    """The ownerReferences that the operator puts on what it makes."""
    return [
        {
            "apiVersion": "agentidentity.dev/v1alpha1",
            "kind": "AgentIdentity",
            "name": identity,
            "uid": uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


MARKS = ("unmarked", "label", "own-uid", "other-uid", "label-and-other-uid")


@dataclass(frozen=True)
class Foreign:
    """An object under a derived name. marks: which of ours are forged; the other UID is that of
    another live identity. Label and own UID together would make it ours."""

    kind: str
    marks: str

    @property
    def identity(self) -> str:
        return f"{self.kind.lower()}-{self.marks}"

    @property
    def name(self) -> str:
        return object_name(self.kind, self.identity)

    def manifest(self, own: Manifest, other: Manifest) -> Manifest:
        """own, other: the metadata of the identities."""
        metadata: Manifest = {"name": self.name, "namespace": own["namespace"]}
        if "label" in self.marks:
            metadata["labels"] = our_labels(self.identity)
        if "uid" in self.marks:
            of = own if self.marks == "own-uid" else other
            metadata["ownerReferences"] = owner(of["name"], of["uid"])
        return _foreign_body(self.kind) | {"kind": self.kind, "metadata": metadata}


def _foreign_body(kind: str) -> Manifest:
    """What decides over nobody in these namespaces."""
    if kind == "ServiceAccount":
        return {"apiVersion": "v1"}
    if kind == "RoleBinding":
        group = "rbac.authorization.k8s.io"
        role = {"apiGroup": group, "kind": "Role", "name": "nothing"}
        return {"apiVersion": f"{group}/v1", "roleRef": role, "subjects": []}
    how: Manifest = (
        {"mtls": {"mode": "PERMISSIVE"}} if kind == "PeerAuthentication" else {"rules": [{}]}
    )
    return {"apiVersion": "security.istio.io/v1", "spec": ELSEWHERE | how}


# A binding with our labels, of a name that only we give, and without an owner may be one of ours
# whose owner was taken off to keep a right: it goes as soon as it may not be had.
STRAY = Foreign("RoleBinding", "label")
FOREIGN = [f for kind in KINDS for marks in MARKS if (f := Foreign(kind, marks)) != STRAY]


@dataclass(frozen=True)
class Tampering:
    """A merge patch of one of our objects; then it may be deleted."""

    id: str
    kind: str
    patch: Manifest
    deleted: bool = False

    @property
    def identity(self) -> str:
        return f"{self.kind.lower()}-{self.id}"

    @property
    def name(self) -> str:
        return object_name(self.kind, self.identity)


def held_open(kind: str) -> Manifest:
    """A foreign finalizer, beside our own where there is one."""
    ours = [FINALIZER] if kind == "ServiceAccount" else []
    return {"metadata": {"finalizers": [*ours, HELD]}}


_MALLORY = {"kind": "ServiceAccount", "name": "mallory", "namespace": "default"}
_AP, _PA, _SA, _RB = "AuthorizationPolicy", "PeerAuthentication", "ServiceAccount", "RoleBinding"
TAMPERINGS = [
    *(Tampering("held-and-deleted", kind, held_open(kind), deleted=True) for kind in KINDS),
    *(Tampering("deleted", kind, {}, deleted=True) for kind in KINDS),
    *(Tampering("held", kind, held_open(kind)) for kind in KINDS),
    Tampering("open-rule", _AP, {"spec": {"rules": [{}]}}),
    Tampering("rules-gone", _AP, {"spec": {"rules": None}}),
    Tampering("more-labels", _AP, {"spec": {"selector": {"matchLabels": {"app": "x"}}}}),
    Tampering("no-selector", _AP, {"spec": {"selector": None}}),
    Tampering("deny", _AP, {"spec": {"action": "DENY"}}),
    Tampering("audit", _AP, {"spec": {"action": "AUDIT"}}),
    Tampering("dry-run", _AP, {"metadata": {"annotations": {"istio.io/dry-run": "true"}}}),
    Tampering("permissive", _PA, {"spec": {"mtls": {"mode": "PERMISSIVE"}}}),
    Tampering("no-mtls", _PA, {"spec": {"mtls": None}}),
    Tampering("port", _PA, {"spec": {"portLevelMtls": {"8080": {"mode": "DISABLE"}}}}),
    Tampering("more-labels", _PA, {"spec": {"selector": {"matchLabels": {"app": "x"}}}}),
    Tampering("retired", _PA, {"metadata": {"labels": {"agentidentity.dev/retired": "true"}}}),
    Tampering("mounted", _SA, {"automountServiceAccountToken": True}),
    Tampering("mount-unsaid", _SA, {"automountServiceAccountToken": None}),
    Tampering("annotation", _SA, {"metadata": {"annotations": {"iam.example/role": "admin"}}}),
    Tampering("pull-secret", _SA, {"imagePullSecrets": [{"name": "theirs"}]}),
    Tampering("no-finalizer", _SA, {"metadata": {"finalizers": None}}),
    Tampering("subject", _RB, {"subjects": [_MALLORY]}),
    Tampering("no-subjects", _RB, {"subjects": None}),
]


@dataclass(frozen=True)
class Ending:
    """An identity that is deleted while finalizers of others hold its objects. terminating: those
    that somebody has deleted before. policy: how the identity is deleted."""

    id: str
    held: tuple[str, ...] = ()
    terminating: tuple[str, ...] = ()
    policy: str = "Background"


ENDINGS = [
    *(Ending(f"held-{kind.lower()}", (kind,)) for kind in KINDS),
    Ending("held-all", KINDS),
    Ending("held-binding-terminating", (_RB,), (_RB,)),
    Ending("held-account-terminating", (_SA,), (_SA,)),
    Ending("held-all-terminating", KINDS, KINDS),
    Ending("held-all-foreground", KINDS, policy="Foreground"),
    Ending("orphaned", policy="Orphan"),
]
