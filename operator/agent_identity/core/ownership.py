"""The marks on what is ours, written and read in one place."""

from collections.abc import Mapping
from typing import Any

from agent_identity.api.v1alpha1 import GROUP, VERSION
from agent_identity.core.identity import Identity
from agent_identity.core.names import identity_named_by
from agent_identity.core.resource import (
    CLEANUP_FINALIZER,
    IDENTITY_LABEL,
    MANAGED_BY,
    MANAGER,
    RETIRED_LABEL,
    Key,
    Observed,
    Ref,
)

Metadata = dict[str, Any]


def owned_metadata(identity: Identity, ref: Ref, **more: Any) -> Metadata:
    """Metadata of an object of this identity: our label, and its controller by UID."""
    return {
        "name": ref.name,
        "namespace": ref.namespace,
        "labels": {IDENTITY_LABEL: identity.key.name, MANAGED_BY: MANAGER},
        "ownerReferences": [
            {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": "AgentIdentity",
                "name": identity.key.name,
                "uid": identity.meta.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
        **more,
    }


def retired_metadata(key: Key, ref: Ref) -> Metadata:
    """Metadata of a policy that outlives its identity: without an owner nothing collects it."""
    labels = {IDENTITY_LABEL: key.name, MANAGED_BY: MANAGER, RETIRED_LABEL: "true"}
    return {"name": ref.name, "namespace": ref.namespace, "labels": labels}


def controller_uid(metadata: Mapping[str, Any]) -> str:
    """UID of the AgentIdentity that controls an object; empty where none does."""
    for owner in metadata.get("ownerReferences") or ():
        ours = str(owner.get("apiVersion", "")).startswith(f"{GROUP}/")
        if owner.get("controller") and ours and owner.get("kind") == "AgentIdentity":
            return str(owner.get("uid", ""))
    return ""


def is_orphan(seen: Observed) -> bool:
    """Ours by label, and by a name or finalizer that only we give, with its owner taken off: what
    an orphaning deletion leaves. Taken away once it is not asked for; never kept or adopted."""
    ours = identity_named_by(seen.ref) == seen.identity or CLEANUP_FINALIZER in seen.finalizers
    return seen.labelled and bool(seen.identity) and not seen.owner_uid and ours
