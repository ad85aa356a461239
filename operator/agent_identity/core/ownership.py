"""The marks on what is ours, written and read in one place."""

from collections.abc import Mapping
from typing import Any

from agent_identity.api.v1alpha1 import GROUP, VERSION
from agent_identity.core.identity import Grant, Identity
from agent_identity.core.names import owner_named_by
from agent_identity.core.resource import (
    CLEANUP_FINALIZER,
    GRANT_LABEL,
    IDENTITY_LABEL,
    MANAGED_BY,
    MANAGER,
    RETIRED_LABEL,
    Key,
    Observed,
    Ref,
    Subject,
)

Metadata = dict[str, Any]


def owned_metadata(owner: Identity | Grant, ref: Ref, **more: Any) -> Metadata:
    """Metadata of an object of this owner: our labels, and its controller by UID."""
    key = owner.meta.key
    return {
        "name": ref.name,
        "namespace": ref.namespace,
        "labels": _labels(key),
        "ownerReferences": [
            {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": key.subject.value,
                "name": key.name,
                "uid": owner.meta.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
        **more,
    }


def retired_metadata(key: Key, ref: Ref) -> Metadata:
    """Metadata of a policy that outlives its owner: without one nothing collects it."""
    labels = _labels(key) | {RETIRED_LABEL: "true"}
    return {"name": ref.name, "namespace": ref.namespace, "labels": labels}


def _labels(key: Key) -> dict[str, str]:
    return {_NAMING[key.subject]: key.name, MANAGED_BY: MANAGER}


def controller_uid(metadata: Mapping[str, Any]) -> str:
    """UID of that one of ours that controls an object; empty where none does."""
    for owner in metadata.get("ownerReferences") or ():
        ours = str(owner.get("apiVersion", "")).startswith(f"{GROUP}/")
        if owner.get("controller") and ours and owner.get("kind") in _NAMING:
            return str(owner.get("uid", ""))
    return ""


def is_orphan(seen: Observed) -> bool:
    """Ours by label, and by a name or finalizer that only we give, with its owner taken off: what
    an orphaning deletion leaves. Taken away once it is not asked for; never kept or adopted."""
    whose = seen.marked_for
    ours = owner_named_by(seen.ref) == whose or CLEANUP_FINALIZER in seen.finalizers
    return seen.labelled and bool(whose.name) and not seen.owner_uid and ours


def is_left_over(seen: Observed, owners: frozenset[str]) -> bool:
    """Of an earlier identity of the name. owners: UIDs of identities that are there. The garbage
    collector deletes it, since its owner is gone; a finalizer may hold it all the same."""
    return seen.labelled and bool(seen.owner_uid) and seen.owner_uid not in owners


_NAMING = {Subject.IDENTITY: IDENTITY_LABEL, Subject.GRANT: GRANT_LABEL}
