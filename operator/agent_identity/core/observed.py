"""A live Kubernetes object as an `Observed`: a digest and the few facts that decide. Pure."""

from collections.abc import Mapping
from sys import intern
from typing import Any

from agent_identity.core.bindings import bound_accounts
from agent_identity.core.ownership import controller_uid
from agent_identity.core.resource import (
    GRANT_LABEL,
    IDENTITY_LABEL,
    MANAGED_BY,
    MANAGER,
    RETIRED_LABEL,
    Key,
    Kind,
    Observed,
    PolicyView,
    Ref,
    digest_of,
    shared,
)

# Each frozenset() is a new one, of 216 bytes.
_NOBODY: frozenset[Key] = frozenset()


def observe_object(kind: Kind, body: Mapping[str, Any]) -> Observed:
    """What is kept of a live object. Its body is not: thousands of them would fill the memory."""
    metadata = body["metadata"]
    labels = metadata.get("labels") or {}
    labelled, owner = labels.get(MANAGED_BY) == MANAGER, controller_uid(metadata)
    return Observed(
        ref=Ref(kind, intern(metadata["namespace"]), intern(metadata["name"])),
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        digest=digest_of(kind, body),
        created=intern(metadata.get("creationTimestamp") or ""),
        labelled=labelled,
        identity=intern(labels.get(IDENTITY_LABEL, "")),
        grant=intern(labels.get(GRANT_LABEL, "")),
        owner_uid=intern(owner),
        retired=labels.get(RETIRED_LABEL) == "true",
        deleting=bool(metadata.get("deletionTimestamp")),
        finalizers=shared(tuple(metadata.get("finalizers") or ())),
        policy=_policy_view(kind, body.get("spec") or {}),
        names=_names(kind, body, owned=labelled and bool(owner)),
    )


def _names(kind: Kind, body: Mapping[str, Any], *, owned: bool) -> frozenset[Key]:
    """What an identity controls is kept as that identity has it: it need not be remembered."""
    return bound_accounts(body) if kind == Kind.ROLE_BINDING and not owned else _NOBODY


def _policy_view(kind: Kind, spec: Mapping[str, Any]) -> PolicyView | None:
    action = ""
    if kind == Kind.AUTHORIZATION_POLICY:
        action = str(spec.get("action", "ALLOW"))
        weakens = action == "ALLOW" and bool(spec.get("rules"))
    elif kind == Kind.PEER_AUTHENTICATION:
        modes = [spec.get("mtls"), *(spec.get("portLevelMtls") or {}).values()]
        weakens = any((m or {}).get("mode", "UNSET") != "STRICT" for m in modes)
    else:
        return None
    selector = spec.get("selector")
    labels = (selector or {}).get("matchLabels") or {}
    pairs = tuple(sorted((intern(str(k)), intern(str(v))) for k, v in labels.items()))
    return PolicyView(pairs or None, _targets(spec), weakens, action)


def _targets(spec: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    one = [spec["targetRef"]] if spec.get("targetRef") else []
    refs = [*(spec.get("targetRefs") or ()), *one]
    return tuple(sorted((str(r.get("kind", "")), str(r.get("name", ""))) for r in refs))
