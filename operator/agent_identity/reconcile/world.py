"""What the engine knows, and who must be looked at when it changes. No I/O.

Events go in, keys come out (through `enqueue`); `facts` gathers what one decision rests on. All of
it can be lost: it is rebuilt from lists.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from agent_identity.api.v1alpha1 import Caller, Rule
from agent_identity.core.checks import Standing, judge
from agent_identity.core.facts import Cluster, Facts, ForeignPolicy, Rival
from agent_identity.core.identity import (
    AgentClass,
    Identity,
    Namespace,
    means_the_same,
    parse_class,
    parse_identity,
)
from agent_identity.core.mesh import weakening
from agent_identity.core.names import (
    account_ref,
    derived_refs,
    identity_named_by,
    policy_name,
    vault_home,
)
from agent_identity.core.resource import IDENTITY_LABEL, Key, Kind, Observed, Ref, Resource
from agent_identity.core.spiffe import SpiffeID
from agent_identity.reconcile.bindings import ForeignBindings

T = TypeVar("T", Key, str)
Enqueue = Callable[[Key], None]
MESH_KINDS = (Kind.PEER_AUTHENTICATION, Kind.AUTHORIZATION_POLICY)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that carries an identity's label."""

    namespace: str
    name: str
    labels: Mapping[str, str]


@dataclass(slots=True)
class _Index:
    by_account: dict[Key, set[Key]] = field(default_factory=dict)
    by_class: dict[str, set[Key]] = field(default_factory=dict)
    by_namespace: dict[str, set[Key]] = field(default_factory=dict)
    callees: dict[Key, set[Key]] = field(default_factory=lambda: defaultdict(set))
    named: dict[Key, set[Key]] = field(default_factory=dict)
    objects: dict[Key, set[Ref]] = field(default_factory=lambda: defaultdict(set))
    foreign: dict[str, set[Ref]] = field(default_factory=lambda: defaultdict(set))


class World:
    """pods, owned, namespaces: views of the informers' stores, by key and by reference."""

    def __init__(self, cluster: Cluster, enqueue: Enqueue) -> None:
        self.cluster = cluster
        self._enqueue = enqueue
        self.identities: dict[Key, Identity] = {}
        self.classes: dict[str, AgentClass] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.owned: dict[Ref, Observed] = {}
        self.mesh_installed: Callable[[], bool] = lambda: True
        self._pods: dict[Key, dict[str, Pod]] = defaultdict(dict)
        self._uids: set[str] = set()
        self._own_write = False
        self._making: dict[Ref, bytes] = {}
        self._taken: set[str] = set()
        self._gone_accounts: dict[Key, list[Observed]] = {}
        self._index = _Index()
        self.bindings = ForeignBindings(self._touch_account)
        self._principals: dict[Key, str] = {}

    # --- events in

    def see_identity(self, body: Mapping[str, Any], *, own: bool = False) -> None:
        """An AgentIdentity as the API server told it. own: as the answer to our own write, whose
        finalizers and status are no news."""
        metadata = body["metadata"]
        before = self.identities.get(Key(metadata["namespace"], metadata["name"]))
        # Most of what a watch tells is the echo of our own writes.
        if before and _version(before) >= int(metadata["resourceVersion"]):
            return
        after = parse_identity(body, before)
        self.identities[after.key] = after
        if before and means_the_same(before, after, own=own):
            return
        self._reindex(before, after)
        self._touch(after.key)

    def lose_identity(self, key: Key, uid: str) -> None:
        """An AgentIdentity is gone."""
        before = self.identities.get(key)
        if before is None or before.meta.uid != uid:
            return
        del self.identities[key]
        self._reindex(before, None)
        self._touch(key)

    def see_class(self, body: Mapping[str, Any], *, own: bool = False) -> None:
        """An AgentIdentityClass as the API server told it; own: see `see_identity`."""
        after = parse_class(body)
        before = self.classes.get(after.name)
        if before and _version(before) >= _version(after):
            return
        self.classes[after.name] = after
        if before and means_the_same(before, after, own=own):
            return
        self._enqueue(after.meta.key)
        if before is None or before.spec != after.spec or before.deleting != after.deleting:
            self._class_changed(after.name)

    def lose_class(self, name: str, uid: str) -> None:
        """An AgentIdentityClass is gone."""
        known = self.classes.get(name)
        if known is not None and known.meta.uid == uid:
            del self.classes[name]
            self._class_changed(name)

    def _class_changed(self, name: str) -> None:
        for key in list(self._index.by_class.get(name, ())):
            identity = self.identities[key]
            self._index_callees(identity)
            self._touch(key)

    def namespace_changed(self, before: Namespace | None, after: Namespace | None) -> None:
        name = (after or before).name  # type: ignore[union-attr]
        known = self.namespaces.get(name)
        if after is None:
            self.namespaces.pop(name, None)
        elif known is None or known.version <= after.version:
            self.namespaces[name] = after
        current = self.namespaces.get(name)
        if known is None or current is None or known.labels != current.labels:
            self._touch_all(self._index.by_namespace.get(name, ()))

    def namespace_seen(self, namespace: Namespace) -> None:
        """A namespace as a fresh read told it; the watch may be ahead of it, or behind."""
        known = self.namespaces.get(namespace.name)
        if known is None or known.version < namespace.version:
            self.namespace_changed(known, namespace)

    def pod_changed(self, before: Pod | None, after: Pod | None) -> None:
        if before == after:
            return
        for pod, add in ((before, False), (after, True)):
            if pod is None:
                continue
            key = Key(pod.namespace, pod.labels.get(IDENTITY_LABEL, ""))
            if add:
                self._pods[key][pod.name] = pod
            else:
                self._pods[key].pop(pod.name, None)
                if not self._pods[key]:
                    del self._pods[key]
            self._enqueue(key)

    @contextmanager
    def own_write(self) -> Iterator[None]:
        """What changes in here is no news to the identity that is being worked on; it still is to
        those that name it."""
        self._own_write = True
        try:
            yield
        finally:
            self._own_write = False

    @contextmanager
    def making(self, resource: Resource) -> Iterator[None]:
        """While a write of ours makes an object: whoever tells of it first, the answer or the
        watch, it is no news to the identity that is being worked on."""
        self._making[resource.ref] = resource.digest
        try:
            yield
        finally:
            del self._making[resource.ref]

    def object_changed(self, before: Observed | None, after: Observed | None) -> None:
        seen = after or before
        assert seen is not None  # noqa: S101  an informer tells of a difference
        self.bindings.object_changed(before, after)
        was_foreign = seen.ref in self._index.foreign[seen.ref.namespace]
        self._index_object(seen.ref, before, after)
        if before and (after is None or after.uid != before.uid):
            self._note_gone(before)
        if before and after and _same(before, after):
            return
        made = before is None and after is not None and self._making.get(seen.ref) == after.digest
        for key in self._concerned(seen.ref, before, after):
            self._touch(key, due=not (self._own_write or made))
        if was_foreign or seen.ref in self._index.foreign[seen.ref.namespace]:
            root = seen.ref.namespace == self.cluster.mesh_root_namespace
            self._touch_all(
                self.identities if root else self._index.by_namespace.get(seen.ref.namespace, ())
            )

    def taken(self, uid: str) -> None:
        """An object is about to be seen gone because we took it away."""
        self._taken.add(uid)

    def _note_gone(self, seen: Observed) -> None:
        """An account that others took away, its finalizer by force: what hangs on it is still to
        be taken away."""
        if seen.uid in self._taken:
            self._taken.discard(seen.uid)
        elif seen.ref.kind == Kind.SERVICE_ACCOUNT and seen.labelled and seen.identity:
            key = Key(seen.ref.namespace, seen.identity)
            self._gone_accounts.setdefault(key, []).append(seen)

    def gone_accounts(self, key: Key) -> list[Observed]:
        """Accounts of this identity that went without us, and that we have not dealt with."""
        return list(self._gone_accounts.get(key, ()))

    def forget_gone_account(self, key: Key, account: Observed) -> None:
        """It is dealt with."""
        left = [a for a in self._gone_accounts.get(key, ()) if a.uid != account.uid]
        if left:
            self._gone_accounts[key] = left
        else:
            self._gone_accounts.pop(key, None)

    def _index_object(self, ref: Ref, before: Observed | None, after: Observed | None) -> None:
        if before:
            self._index.objects[Key(ref.namespace, before.identity)].discard(ref)
        self._index.foreign[ref.namespace].discard(ref)
        if after is None:
            self.owned.pop(ref, None)
            return
        self.owned[ref] = after
        if after.labelled:
            self._index.objects[Key(ref.namespace, after.identity)].add(ref)
        if self._is_strangers(after):
            self._index.foreign[ref.namespace].add(ref)

    def _is_strangers(self, seen: Observed) -> bool:
        """Whether a mesh policy is none of ours. One that only wears our label is not: of an
        identity's own name it stalls that identity, of any other name it may weaken one."""
        if seen.ref.kind not in MESH_KINDS:
            return False
        named = bool(seen.identity) and identity_named_by(seen.ref) == seen.identity
        owner = self.identities.get(Key(seen.ref.namespace, seen.identity))
        owned = owner is not None and seen.is_owned_by(owner.meta.uid)
        return not (named and (owned or seen.is_retired_policy))

    def _sort_policies(self, identity: Identity) -> None:
        """Whether its policies are strangers' depends on whether it is there."""
        for ref in derived_refs(identity):
            seen = self.owned.get(ref)
            if seen is None or ref.kind not in MESH_KINDS:
                continue
            if self._is_strangers(seen):
                self._index.foreign[ref.namespace].add(ref)
            else:
                self._index.foreign[ref.namespace].discard(ref)

    def _concerned(
        self, ref: Ref, before: Observed | None, after: Observed | None
    ) -> Iterable[Key]:
        keys = {Key(ref.namespace, o.identity) for o in (before, after) if o and o.identity}
        if ref.kind == Kind.SERVICE_ACCOUNT:
            keys |= self._index.by_account.get(Key(ref.namespace, ref.name), set())
        elif name := identity_named_by(ref):
            keys.add(Key(ref.namespace, name))
        return sorted(keys)

    # --- who must be looked at

    def _touch_all(self, keys: Iterable[Key]) -> None:
        for key in list(keys):
            self._touch(key)

    def _touch(self, key: Key, *, due: bool = True) -> None:
        """Look at an identity again, and at all that name it if who it is has changed."""
        if due:
            self._enqueue(key)
        principal = self.principal(key)
        if principal != self._principals.get(key, ""):
            self._principals[key] = principal
            if not principal:
                del self._principals[key]
            for callee in sorted(self.callees(key)):
                self._enqueue(callee)

    def callees(self, key: Key) -> set[Key]:
        """Identities whose rules name this one, or all agents of its namespace."""
        everybody = Key(key.namespace, "*")
        return self._index.callees.get(key, set()) | self._index.callees.get(everybody, set())

    def _reindex(self, before: Identity | None, after: Identity | None) -> None:
        for identity, add in ((before, False), (after, True)):
            if identity is None:
                continue
            key = identity.key
            _keep(self._index.by_account, Key(key.namespace, identity.account), key, add=add)
            _keep(self._index.by_class, identity.class_name, key, add=add)
            _keep(self._index.by_namespace, key.namespace, key, add=add)
            if add:
                self._uids.add(identity.meta.uid)
                self._index_callees(identity)
            else:
                self._uids.discard(identity.meta.uid)
                self._unindex_callees(key)
        for identity in (before, after):
            if identity is not None:
                self._sort_policies(identity)
        if after is None or before is None or before.deleting != after.deleting:
            rival = after or before
            assert rival is not None  # noqa: S101
            self._touch_rivals(rival)

    def _touch_account(self, account: Key) -> None:
        self._touch_all(sorted(self._index.by_account.get(account, ())))

    def _touch_rivals(self, identity: Identity) -> None:
        account = Key(identity.key.namespace, identity.account)
        for key in self._index.by_account.get(account, set()) - {identity.key}:
            self._touch(key)

    def _index_callees(self, identity: Identity) -> None:
        self._unindex_callees(identity.key)
        named = {
            Key(caller.namespace or identity.key.namespace, caller.name or "*")
            for caller in self._callers_named(identity)
            if caller.kind != "ServiceAccount"
        }
        self._index.named[identity.key] = named
        for key in named:
            self._index.callees[key].add(identity.key)

    def _unindex_callees(self, key: Key) -> None:
        for named in self._index.named.pop(key, ()):
            self._index.callees[named].discard(key)

    # --- facts out

    def facts(self, key: Key) -> Facts | None:
        """All that a decision about this identity rests on; None where there is no such one."""
        identity = self.identities.get(key)
        if identity is None:
            return None
        return replace(
            self._own_facts(identity),
            callers={c: self._resolve(c, key.namespace) for c in self._callers_named(identity)},
            foreign_policies=self._foreign_policies(identity),
            pods=bool(self._pods.get(key)),
            mesh_installed=self.mesh_installed(),
        )

    def _own_facts(self, identity: Identity) -> Facts:
        """Facts without those about others: enough for a verdict."""
        observed = self.objects(identity.key) | self._derived(identity)
        return Facts(
            cluster=self.cluster,
            identity=identity,
            agent_class=self.classes.get(identity.class_name),
            namespace=self.namespaces.get(identity.key.namespace),
            observed=observed,
            owners=frozenset(o.owner_uid for o in observed.values()) & self._uids,
            rival=self._rival(identity),
            foreign_bindings=self.bindings.of(Key(identity.key.namespace, identity.account)),
        )

    def objects(self, key: Key) -> dict[Ref, Observed]:
        """Everything that carries the label of this identity, and ours."""
        return {ref: self.owned[ref] for ref in self._index.objects.get(key, ())}

    def _derived(self, identity: Identity) -> dict[Ref, Observed]:
        return {r: seen for r in derived_refs(identity) if (seen := self.owned.get(r))}

    def _rival(self, identity: Identity) -> Rival | None:
        """Who else holds the account. The owner of the live account does; while there is none,
        the oldest identity that wants it, and of two as old the one of the lesser UID."""
        account = account_ref(identity)
        wanting = self._index.by_account.get(Key(account.namespace, account.name), set())
        others = [self.identities[k] for k in sorted(wanting) if k != identity.key]
        if not others:
            return None
        live = self.owned.get(account)
        owner = live.owner_uid if live and live.labelled else ""
        if owner == identity.meta.uid:
            return None
        holder = next((o for o in others if o.meta.uid == owner), None)
        if holder is None:
            standing = [identity, *(o for o in others if not o.deleting)]
            holder = min(standing, key=lambda i: (i.meta.created, i.meta.uid))
        if holder is identity:
            return None
        return Rival(holder.key.name, holder.deleting)

    def _foreign_policies(self, identity: Identity) -> tuple[ForeignPolicy, ...]:
        key, root = identity.key, self.cluster.mesh_root_namespace
        refs = sorted(self._index.foreign.get(key.namespace, ())) + sorted(
            self._index.foreign.get(root, ())
        )
        pods = [{IDENTITY_LABEL: key.name}, *(p.labels for p in self._pods.get(key, {}).values())]
        name = policy_name(key.name)
        own = self.owned.get(Ref(Kind.PEER_AUTHENTICATION, key.namespace, name))
        return weakening((self.owned[r] for r in refs), pods, own, root)

    def _callers_named(self, identity: Identity) -> Iterator[Caller]:
        agent_class = self.classes.get(identity.class_name)
        class_spec = agent_class.spec if agent_class else None
        rules: list[Rule] = []
        if identity.spec and identity.spec.inbound:
            rules += identity.spec.inbound.rules or ()
        if class_spec and class_spec.inbound:
            rules += class_spec.inbound.rules or ()
        for rule in rules:
            yield from rule.from_

    def _resolve(self, caller: Caller, own_namespace: str) -> tuple[str, ...]:
        namespace = caller.namespace or own_namespace
        if caller.kind == "ServiceAccount":
            name = SpiffeID(self.cluster.trust_domain, namespace, caller.name or "")
            return (name.principal,)
        if caller.kind == "AgentIdentity":
            keys = [Key(namespace, caller.name or "")]
        else:
            keys = sorted(self._index.by_namespace.get(namespace, ()))
        return tuple(p for key in keys if (p := self._principals.get(key)))

    def principal(self, key: Key) -> str:
        """Who an agent is to those it calls; empty for one that is not there, is going, may not
        have what it asks for, or has no account of its own yet."""
        identity = self.identities.get(key)
        if identity is None or identity.deleting:
            return ""
        facts = self._own_facts(identity)
        account = facts.observed.get(account_ref(identity))
        if account is None or account.deleting or not facts.has(account.ref):
            return ""
        if judge(facts).standing is not Standing.GRANTED:
            return ""
        return SpiffeID(self.cluster.trust_domain, key.namespace, identity.account).principal

    def is_live(self, uid: str) -> bool:
        """Whether an identity of this UID is there."""
        return uid in self._uids

    def account_uid(self, account: Key) -> str:
        """UID of a live ServiceAccount of ours."""
        seen = self.owned.get(Ref(Kind.SERVICE_ACCOUNT, account.namespace, account.name))
        return seen.uid if seen and seen.labelled else ""

    def wants_vault(self, home: str, account: Key) -> bool:
        """Whether an identity that may have it wants a role for this account at this home."""
        for key in self._index.by_account.get(account, ()):
            identity = self.identities[key]
            facts = self._own_facts(identity)
            vault = facts.agent_class.vault if facts.agent_class else None
            asks = identity.vault is not None and not identity.deleting
            here = asks and vault is not None and vault_home(vault) == home
            if here and judge(facts).standing is Standing.GRANTED:
                return True
        return False

    def classes_at(self, home: str) -> list[AgentClass]:
        """Classes whose roles live at a home."""
        classes = (self.classes[name] for name in sorted(self.classes))
        return [c for c in classes if c.vault and vault_home(c.vault) == home]

    def identities_of_class(self, name: str) -> list[Key]:
        """Every identity that names a class."""
        return sorted(self._index.by_class.get(name, ()))

    def has_pods(self, key: Key) -> bool:
        """Whether pods with the identity's label are there."""
        return bool(self._pods.get(key))


def _keep(index: dict[T, set[Key]], entry: T, key: Key, *, add: bool) -> None:
    """Add to or take from an index; what has no members any more is dropped."""
    members = index.setdefault(entry, set())
    members.add(key) if add else members.discard(key)
    if not members:
        del index[entry]


def _version(subject: Identity | AgentClass) -> int:
    return int(subject.meta.resource_version)


def _same(before: Observed, after: Observed) -> bool:
    """Whether nothing but the version differs."""
    return (before.uid, before.digest, before.labelled, before.owner_uid, before.deleting) == (
        after.uid,
        after.digest,
        after.labelled,
        after.owner_uid,
        after.deleting,
    )
