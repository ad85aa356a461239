"""Identities by what they are looked up by. No I/O."""

from agent_identity.core.identity import Identity
from agent_identity.core.resource import Key
from agent_identity.reconcile.multimap import Multimap


class Index:
    """by_account: the account's namespace and name → who wants it."""

    def __init__(self) -> None:
        self.by_account: Multimap[Key, Key] = Multimap()
        self.by_class: Multimap[str, Key] = Multimap()
        self.by_namespace: Multimap[str, Key] = Multimap()

    def add(self, identity: Identity) -> None:
        key = identity.key
        self.by_account.add(_account(identity), key)
        self.by_class.add(identity.class_name, key)
        self.by_namespace.add(key.namespace, key)

    def discard(self, identity: Identity) -> None:
        """Take it from everywhere."""
        key = identity.key
        self.by_account.discard(_account(identity), key)
        self.by_class.discard(identity.class_name, key)
        self.by_namespace.discard(key.namespace, key)


def _account(identity: Identity) -> Key:
    """For most it is the identity's own key, which need not be kept twice."""
    key = identity.key
    return key if identity.account == key.name else Key(key.namespace, identity.account)
