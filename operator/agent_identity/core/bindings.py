"""Which ServiceAccounts a binding names. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from agent_identity.core.resource import Key

_USER_PREFIX = "system:serviceaccount:"


def bound_accounts(body: Mapping[str, Any]) -> frozenset[Key]:
    """Of a RoleBinding or a ClusterRoleBinding. An account may be named as the user that it is to
    the API server, too (Kubernetes, Using RBAC Authorization, "Referring to subjects"), and in a
    RoleBinding without a namespace, which is the binding's own then. Groups of accounts are left
    out: they name nobody, and what they give is not had by choosing a name."""
    here = (body.get("metadata") or {}).get("namespace", "")
    return frozenset(_accounts(body.get("subjects") or (), here))


def _accounts(subjects: Iterable[Mapping[str, Any]], here: str) -> Iterable[Key]:
    for subject in subjects:
        kind, name = subject.get("kind"), str(subject.get("name", ""))
        if kind == "ServiceAccount":
            yield Key(str(subject.get("namespace") or here), name)
        elif kind == "User" and name.startswith(_USER_PREFIX):
            namespace, _, account = name.removeprefix(_USER_PREFIX).partition(":")
            yield Key(namespace, account)
