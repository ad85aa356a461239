"""Identities by what they are looked up by. No I/O."""

from typing import TypeVar

from agent_identity.core.identity import Identity
from agent_identity.core.resource import Key

T = TypeVar("T", Key, str)


class Index:
    """by_account: the account's namespace and name → who wants it."""

    def __init__(self) -> None:
        self.by_account: dict[Key, set[Key]] = {}
        self.by_class: dict[str, set[Key]] = {}
        self.by_namespace: dict[str, set[Key]] = {}

    def keep(self, identity: Identity, *, add: bool) -> None:
        """Add an identity, or take it from everywhere."""
        key = identity.key
        _keep(self.by_account, Key(key.namespace, identity.account), key, add=add)
        _keep(self.by_class, identity.class_name, key, add=add)
        _keep(self.by_namespace, key.namespace, key, add=add)


def _keep(index: dict[T, set[Key]], entry: T, key: Key, *, add: bool) -> None:
    """Add to or take from an index; what has no members any more is dropped."""
    members = index.setdefault(entry, set())
    members.add(key) if add else members.discard(key)
    if not members:
        del index[entry]
