"""Every object of the kinds that we own, ours and others', by whom it concerns. No I/O."""

import time
from collections import deque
from collections.abc import Callable
from itertools import chain

from agent_identity.core.identity import Identity
from agent_identity.core.names import (
    derived_refs,
    identity_named_by,
    owner_named_by,
    waypoint_policy_ref,
)
from agent_identity.core.resource import MESH_KINDS, Key, Kind, Observed, Ref
from agent_identity.reconcile.multimap import Multimap

UidOf = Callable[[Key], str]
LATE_LOGIN_SECONDS = 15.0
"""The API server believes a token for 10 s after it last looked (k8s.io/apiserver, the cache of
token authentication); so long an account that is gone may still log in somewhere."""


class Objects:
    """uid_of: UID of an identity that is there, or empty. clock: seconds."""

    def __init__(self, uid_of: UidOf, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.all: dict[Ref, Observed] = {}
        self._uid_of = uid_of
        self._labelled: Multimap[Key, Ref] = Multimap()
        self._named: Multimap[Key, Ref] = Multimap()
        self._strangers: Multimap[str, Ref] = Multimap()
        self._taken: set[str] = set()
        self._gone_accounts: dict[Key, list[Observed]] = {}
        self._late: deque[tuple[float, Key, Observed]] = deque()

    def change(self, before: Observed | None, after: Observed | None) -> None:
        """Put an object in the place of what was there under its name."""
        seen = after or before
        assert seen is not None  # noqa: S101  an informer tells of a difference
        ref = seen.ref
        if before:
            self._labelled.discard(before.marked_for, ref)
            if after is None or after.uid != before.uid:
                self._note_gone(before)
        if after is None:
            self.all.pop(ref, None)
            self._named.discard(owner_named_by(ref), ref)
            self._strangers.discard(ref.namespace, ref)
            return
        self.all[ref] = after
        self._named.add(owner_named_by(ref), ref)
        if after.labelled:
            self._labelled.add(after.marked_for, ref)
        self._sort(after)

    def labelled(self, key: Key) -> dict[Ref, Observed]:
        """Everything that carries our label and that of this identity or grant."""
        return {ref: self.all[ref] for ref in self._labelled.of(key)}

    def named_for(self, key: Key) -> dict[Ref, Observed]:
        """Everything that has a name that only this one of ours gives."""
        return {ref: self.all[ref] for ref in self._named.of(key)}

    def derived(self, identity: Identity) -> dict[Ref, Observed]:
        """Everything that has a name that is this identity's to give."""
        refs = (*derived_refs(identity), waypoint_policy_ref(identity.key))
        return {r: seen for r in refs if (seen := self.all.get(r))}

    # --- mesh policies of strangers

    def is_strangers(self, ref: Ref) -> bool:
        """Whether it is a mesh policy that is no identity's: a grant's may weaken one too."""
        return ref in self._strangers.of(ref.namespace)

    def strangers(self, *namespaces: str) -> list[Observed]:
        """Mesh policies that are no identity's, of these namespaces one after the other."""
        refs = chain.from_iterable(sorted(self._strangers.of(n)) for n in namespaces)
        return [self.all[ref] for ref in refs]

    def sort_again(self, identity: Identity) -> None:
        """Whether its policies are strangers' depends on whether it is there."""
        for seen in self.derived(identity).values():
            self._sort(seen)

    def _sort(self, seen: Observed) -> None:
        sort = self._strangers.add if self._is_strangers(seen) else self._strangers.discard
        sort(seen.ref.namespace, seen.ref)

    def _is_strangers(self, seen: Observed) -> bool:
        """One that only wears our label is: of an identity's own name it stalls that identity, of
        any other name it may weaken one."""
        if seen.ref.kind not in MESH_KINDS:
            return False
        named = bool(seen.identity) and identity_named_by(seen.ref) == seen.identity
        owned = seen.is_owned_by(self._uid_of(Key(seen.ref.namespace, seen.identity)))
        return not (named and (owned or seen.is_retired_policy))

    # --- accounts that went

    def taken(self, seen: Observed) -> None:
        """An object is about to be seen gone because we took it away; or has been already."""
        known = self.all.get(seen.ref)
        if known is not None and known.uid == seen.uid:
            self._taken.add(seen.uid)

    def _note_gone(self, seen: Observed) -> None:
        """What hangs on an account that others took away, its finalizer by force, is still to be
        taken away. Whoever took it, what its last tokens make is to be taken away later."""
        ours = seen.uid in self._taken
        self._taken.discard(seen.uid)
        if seen.ref.kind == Kind.SERVICE_ACCOUNT and seen.labelled and seen.identity:
            key = Key(seen.ref.namespace, seen.identity)
            self._late.append((self._clock() + LATE_LOGIN_SECONDS, key, seen))
            if not ours:
                self._gone_accounts.setdefault(key, []).append(seen)

    def past_late_logins(self) -> list[Key]:
        """Identities an account of which went so long ago that it can log in nowhere any more:
        what it has is to be taken away once more."""
        keys = []
        while self._late and self._late[0][0] <= self._clock():
            _, key, account = self._late.popleft()
            self._gone_accounts.setdefault(key, []).append(account)
            keys.append(key)
        return keys

    def gone_accounts(self, key: Key) -> list[Observed]:
        """Accounts of this identity that went, and that are to be dealt with."""
        return list(self._gone_accounts.get(key, ()))

    def forget_gone_account(self, key: Key, account: Observed) -> None:
        """It is dealt with."""
        left = [a for a in self._gone_accounts.get(key, ()) if a.uid != account.uid]
        if left:
            self._gone_accounts[key] = left
        else:
            self._gone_accounts.pop(key, None)


def guards_anew(before: Observed | None, after: Observed | None) -> bool:
    """Whether a policy of others may mean something else to ours."""
    if before is None or after is None:
        return True
    return (before.policy, before.created) != (after.policy, after.created)
