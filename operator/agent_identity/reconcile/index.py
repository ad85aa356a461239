"""Identities by what they are looked up by. No I/O."""

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar

from agent_identity.core.identity import Identity
from agent_identity.core.resource import Key

T = TypeVar("T", Key, str)
EVERYBODY = "*"
"""In place of a name: all identities of a namespace. No name can be this."""


class Index:
    """by_account: the account's namespace and name → who wants it."""

    def __init__(self) -> None:
        self.by_account: dict[Key, set[Key]] = {}
        self.by_class: dict[str, set[Key]] = {}
        self.by_namespace: dict[str, set[Key]] = {}
        self._callees: dict[Key, set[Key]] = defaultdict(set)
        self._named: dict[Key, set[Key]] = {}

    def keep(self, identity: Identity, *, add: bool) -> None:
        """Add an identity, or take it from everywhere but from whom it names."""
        key = identity.key
        _keep(self.by_account, Key(key.namespace, identity.account), key, add=add)
        _keep(self.by_class, identity.class_name, key, add=add)
        _keep(self.by_namespace, key.namespace, key, add=add)

    def name(self, key: Key, callers: Iterable[Key]) -> None:
        """These, and no others any more, are whom an identity's rules name."""
        for caller in self._named.pop(key, ()):
            self._callees[caller].discard(key)
        named = set(callers)
        if named:
            self._named[key] = named
        for caller in named:
            self._callees[caller].add(key)

    def callees(self, key: Key) -> set[Key]:
        """Identities whose rules name this one, or all agents of its namespace."""
        everybody = Key(key.namespace, EVERYBODY)
        return self._callees.get(key, set()) | self._callees.get(everybody, set())


def _keep(index: dict[T, set[Key]], entry: T, key: Key, *, add: bool) -> None:
    """Add to or take from an index; what has no members any more is dropped."""
    members = index.setdefault(entry, set())
    members.add(key) if add else members.discard(key)
    if not members:
        del index[entry]
