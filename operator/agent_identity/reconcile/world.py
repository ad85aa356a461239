"""What the engine knows, and who must be looked at when it changes. No I/O.

Events go in, keys come out (through `enqueue`); `facts` gathers what one decision rests on. All of
it can be lost: it is rebuilt from lists.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from agent_identity.api.rules import Caller, Rule
from agent_identity.core.checks import Standing, judge
from agent_identity.core.facts import Cluster, Facts, Rival
from agent_identity.core.identity import (
    AgentClass,
    Identity,
    Namespace,
    means_the_same,
    parse_class,
    parse_identity,
)
from agent_identity.core.names import (
    account_ref,
    owner_named_by,
    vault_home,
)
from agent_identity.core.resource import (
    Key,
    Kind,
    Observed,
    Ref,
    Resource,
    Subject,
)
from agent_identity.core.rivals import rival_of
from agent_identity.core.spiffe import SpiffeID
from agent_identity.reconcile.around import Around
from agent_identity.reconcile.bindings import ForeignBindings
from agent_identity.reconcile.callers import Callers, outbound_of
from agent_identity.reconcile.callers import Standing as CallerStanding
from agent_identity.reconcile.gone import Gone
from agent_identity.reconcile.grants_seen import Grants
from agent_identity.reconcile.index import Index
from agent_identity.reconcile.objects import Objects, guards_anew
from agent_identity.reconcile.pods import Pod, Pods
from agent_identity.reconcile.services import SeenService, Services

Enqueue = Callable[[Key], None]
Forget = Callable[[Key, str], None]


class World:
    """pods, owned, namespaces: views of the informers' stores, by key and by reference. forgetting:
    those that keep something of an identity or a grant, and are told its key and UID when it is
    gone."""

    def __init__(self, cluster: Cluster, enqueue: Enqueue) -> None:
        self.cluster = cluster
        self._enqueue = enqueue
        self.identities: dict[Key, Identity] = {}
        self.classes: dict[str, AgentClass] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.objects = Objects(self._uid_of)
        self.owned = self.objects.all
        self.mesh_installed: Callable[[], bool] = lambda: True
        self.pods = Pods()
        self.services = Services()
        self._uids: set[str] = set()
        self._gone: Gone[str] = Gone()
        self._own_write = False
        self._making: dict[Ref, bytes] = {}
        self._index = Index()
        self.around = Around(
            cluster,
            self.identities,
            self.classes,
            index=self._index,
            objects=self.objects,
            pods=self.pods,
            services=self.services,
        )
        self.forgetting: list[Forget] = []
        self.bindings = ForeignBindings(self._touch_account)
        self.callers = Callers(cluster.trust_domain, enqueue, self._is_agents)
        self.grants = Grants(
            cluster,
            enqueue,
            self._forget,
            callers=self.callers,
            objects=self.objects,
            pods=self.pods,
            around=self.around,
            mesh_installed=self._serves_mesh,
        )

    # --- events in

    def see_identity(self, body: Mapping[str, Any], *, own: bool = False) -> None:
        """An AgentIdentity as the API server told it. own: as the answer to our own write, whose
        finalizers and status are no news."""
        metadata = body["metadata"]
        if metadata["uid"] in self._gone:
            return
        before = self.identities.get(Key(metadata["namespace"], metadata["name"]))
        # Most of what a watch tells is the echo of our own writes.
        if before and _version(before) >= int(metadata["resourceVersion"]):
            return
        if before and before.meta.uid != metadata["uid"]:
            self.lose_identity(before.key, before.meta.uid)
            before = None
        after = parse_identity(body)
        self.identities[after.key] = after
        if before and means_the_same(before, after, own=own):
            return
        self._reindex(before, after)
        self._touch(after.key)

    def lose_identity(self, key: Key, uid: str) -> None:
        """An AgentIdentity is gone."""
        self._gone.add(uid)
        before = self.identities.get(key)
        if before is None or before.meta.uid != uid:
            return
        del self.identities[key]
        self._reindex(before, None)
        self._forget(key, uid)
        self._touch(key)

    def _forget(self, key: Key, uid: str) -> None:
        for forget in self.forgetting:
            forget(key, uid)

    def see_class(self, body: Mapping[str, Any], *, own: bool = False) -> None:
        """An AgentIdentityClass as the API server told it; own: see `see_identity`."""
        if body["metadata"]["uid"] in self._gone:
            return
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
        self._gone.add(uid)
        known = self.classes.get(name)
        if known is not None and known.meta.uid == uid:
            del self.classes[name]
            self._enqueue(known.meta.key)
            self._class_changed(name)

    def _class_changed(self, name: str) -> None:
        for key in list(self._index.by_class.of(name)):
            self._name_callers(self.identities[key])
            self._touch(key)
        self.grants.waypoints_changed()

    def namespace_changed(self, before: Namespace | None, after: Namespace | None) -> None:
        name = (after or before).name  # type: ignore[union-attr]
        known = self.namespaces.get(name)
        if after is None:
            self.namespaces.pop(name, None)
        elif known is None or known.version <= after.version:
            self.namespaces[name] = after
        current = self.namespaces.get(name)
        if known is None or current is None or known.labels != current.labels:
            self._touch_all(self._index.by_namespace.of(name))

    def namespace_seen(self, namespace: Namespace) -> None:
        """A namespace as a fresh read told it; the watch may be ahead of it, or behind."""
        known = self.namespaces.get(namespace.name)
        if known is None or known.version < namespace.version:
            self.namespace_changed(known, namespace)

    def pod_changed(self, before: Pod | None, after: Pod | None) -> None:
        if before == after:
            return
        self.pods.change(before, after)
        for pod in (before, after):
            if pod is not None:
                self._enqueue(pod.agent)
                self.grants.pod_changed(pod)

    def service_changed(self, before: SeenService | None, after: SeenService | None) -> None:
        for agent in sorted(self.services.change(before, after)):
            self._enqueue(agent)
        for seen in (before, after):
            if seen is not None and before != after:
                self.grants.service_changed(seen)

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
        """While a write of ours makes an object, or makes it so: whoever tells of it first, the
        answer or the watch, it is no news to the identity that is being worked on."""
        self._making[resource.ref] = resource.digest
        try:
            yield
        finally:
            # Of two that want one account both may be making it.
            self._making.pop(resource.ref, None)

    def object_changed(self, before: Observed | None, after: Observed | None) -> None:
        seen = after or before
        assert seen is not None  # noqa: S101  an informer tells of a difference
        self.bindings.object_changed(before, after)
        was_strangers = self.objects.is_strangers(seen.ref)
        self.objects.change(before, after)
        if before and after and before.says_the_same(after):
            return
        no_news = self._own_write or self._is_made(after)
        for key in self._concerned(seen.ref, before, after):
            self._touch(key, due=not no_news)
        if seen.ref.kind == Kind.SERVICE_ACCOUNT:
            self.callers.account_changed(Key(seen.ref.namespace, seen.ref.name))
        if (was_strangers or self.objects.is_strangers(seen.ref)) and guards_anew(before, after):
            views = [o.policy for o in (before, after) if o and o.policy]
            self._touch_all(self.around.concerned(seen.ref.namespace, views))
            self.grants.policy_changed(seen.ref.namespace, views)

    def _is_made(self, after: Observed | None) -> bool:
        """Whether it is as a write of ours, which has no answer yet, is making it."""
        if after is None or after.deleting:
            return False
        return self._making.get(after.ref) == after.digest

    def _concerned(
        self, ref: Ref, before: Observed | None, after: Observed | None
    ) -> Iterable[Key]:
        keys = {o.marked_for for o in (before, after) if o} | {owner_named_by(ref)}
        if ref.kind == Kind.SERVICE_ACCOUNT:
            keys |= set(self._index.by_account.of(Key(ref.namespace, ref.name)))
        return sorted(key for key in keys if key.name)

    # --- who must be looked at

    def _touch_all(self, keys: Iterable[Key]) -> None:
        for key in list(keys):
            self._touch(key)

    def _touch(self, key: Key, *, due: bool = True) -> None:
        """Look at one of ours again, and at all that name an identity if what it is to them has
        changed."""
        if due:
            self._enqueue(key)
        if key.subject is Subject.IDENTITY:
            identity = self.identities.get(key)
            # Who may be nobody's caller yet wants to know of the grant all the same.
            asks = outbound_of(identity) if identity else {}
            self.callers.stands(key, CallerStanding(self.principal(key), asks))

    def _reindex(self, before: Identity | None, after: Identity | None) -> None:
        for identity, add in ((before, False), (after, True)):
            if identity is None:
                continue
            if add:
                self._index.add(identity)
                self._uids.add(identity.meta.uid)
                self._name_callers(identity)
            else:
                self._index.discard(identity)
                self._uids.discard(identity.meta.uid)
                self.callers.name(identity.key, ())
        for identity in (before, after):
            if identity is not None:
                self.objects.sort_again(identity)
                self.callers.account_changed(Key(identity.key.namespace, identity.account))
        if before is None or after is None or before.class_name != after.class_name:
            self._touch_gateways(before, after)
        if after is None or before is None or before.deleting != after.deleting:
            rival = after or before
            assert rival is not None  # noqa: S101
            self._touch_rivals(rival)

    def _touch_gateways(self, *identities: Identity | None) -> None:
        if any(i and self.around.waypoint_of(i) for i in identities):
            self.grants.waypoints_changed()

    def _touch_account(self, account: Key) -> None:
        self._touch_all(sorted(self._index.by_account.of(account)))

    def _touch_rivals(self, identity: Identity) -> None:
        account = Key(identity.key.namespace, identity.account)
        others = set(self._index.by_account.of(account)) - {identity.key}
        for key in others:
            self._touch(key)

    # --- facts out

    def facts(self, key: Key) -> Facts | None:
        """All that a decision about this identity rests on; None where there is no such one."""
        identity = self.identities.get(key)
        if identity is None:
            return None
        return replace(
            self._own_facts(identity),
            callers={c: self._principals(c, key.namespace) for c in self._callers_named(identity)},
            foreign_policies=self.around.foreign_policies(identity),
            outbound=self.grants.asked_by(identity),
            services=self.services.of(key),
            pods=self.has_pods(key),
            mesh_installed=self.mesh_installed(),
        )

    def _own_facts(self, identity: Identity) -> Facts:
        """Facts without those about others: enough for a verdict."""
        observed = self.objects.labelled(identity.key) | self.objects.derived(identity)
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

    def _rival(self, identity: Identity) -> Rival | None:
        account = account_ref(identity)
        wanting = self._index.by_account.of(Key(account.namespace, account.name))
        others = [self.identities[k] for k in sorted(wanting) if k != identity.key]
        live = self.owned.get(account)
        return rival_of(identity, others, live.owner_uid if live and live.labelled else "")

    def _name_callers(self, identity: Identity) -> None:
        self.callers.name(identity.key, self._callers_named(identity))

    def _principals(self, caller: Caller, namespace: str) -> tuple[str, ...]:
        return tuple(c.principal for c in self.callers.who(caller, namespace))

    def _serves_mesh(self) -> bool:
        return self.mesh_installed()

    def _is_agents(self, account: Key) -> bool:
        """One that is not there is its identity's while that is: an agent that was expelled has no
        account any more, and its pods may run on with a certificate."""
        seen = self.owned.get(Ref(Kind.SERVICE_ACCOUNT, account.namespace, account.name))
        if seen is None:
            return account in self._index.by_account
        return seen.labelled and self.is_live(seen.owner_uid)

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

    def principal(self, key: Key) -> str:
        """Who an agent is to those it calls; empty for one that is not there, is going, may not
        have what it asks for, or has no account of its own yet."""
        identity = self.identities.get(key)
        if identity is None or identity.deleting:
            return ""
        # Looked at first: most of whom are asked about have just come, and this costs little.
        account = self.owned.get(account_ref(identity))
        if account is None or account.deleting or not account.is_owned_by(identity.meta.uid):
            return ""
        if judge(self._own_facts(identity)).standing is not Standing.GRANTED:
            return ""
        return SpiffeID(self.cluster.trust_domain, key.namespace, identity.account).principal

    def _uid_of(self, key: Key) -> str:
        identity = self.identities.get(key)
        return identity.meta.uid if identity else ""

    def is_live(self, uid: str) -> bool:
        """Whether an identity of this UID is there."""
        return uid in self._uids

    def account_uid(self, account: Key) -> str:
        """UID of a live ServiceAccount of ours."""
        seen = self.owned.get(Ref(Kind.SERVICE_ACCOUNT, account.namespace, account.name))
        return seen.uid if seen and seen.labelled else ""

    def wants_vault(self, may_be: Callable[[str], bool], account: Key) -> bool:
        """Whether an identity that may have it wants a role for this account at such a home."""
        for key in self._index.by_account.of(account):
            identity = self.identities[key]
            facts = self._own_facts(identity)
            vault = facts.agent_class.vault if facts.agent_class else None
            asks = identity.vault is not None and not identity.deleting
            here = asks and vault is not None and may_be(vault_home(vault))
            if here and judge(facts).standing is Standing.GRANTED:
                return True
        return False

    def is_ending(self, account: Key) -> bool:
        """Whether the identity that holds this account is being deleted, and by us: it goes when
        all that it has is taken away, or recorded as owed."""
        holders = (self.identities[key] for key in self._index.by_account.of(account))
        return any(i.deleting and i.meta.held and self._rival(i) is None for i in holders)

    def classes_at(self, home: str) -> list[AgentClass]:
        """Classes whose roles live at a home."""
        classes = (self.classes[name] for name in sorted(self.classes))
        return [c for c in classes if c.vault and vault_home(c.vault) == home]

    def identities_of_class(self, name: str) -> list[Key]:
        """Every identity that names a class."""
        return sorted(self._index.by_class.of(name))

    def deleting(self, key: Key) -> bool:
        """Whether one of ours is being deleted, or is gone already."""
        found = self.grants.all.get(key) or self.identities.get(key)
        return found is None or found.deleting

    def has_pods(self, key: Key) -> bool:
        """Whether pods with the identity's label are there."""
        return bool(self.pods.of(key))


def _version(subject: Identity | AgentClass) -> int:
    return int(subject.meta.resource_version)
