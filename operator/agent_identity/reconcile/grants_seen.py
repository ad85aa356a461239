"""AgentAccessGrants as they are known, and what each lets in. No I/O."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from agent_identity.core.facts import Ask, AskState, Cluster
from agent_identity.core.grants import Caller, GrantFacts, holds_for, main_ref, others_on
from agent_identity.core.identity import Grant, Identity, means_the_same, parse_grant
from agent_identity.core.mesh import GATEWAYS, Target
from agent_identity.core.resource import Key, PolicyView, Subject
from agent_identity.reconcile.around import Around
from agent_identity.reconcile.callers import Callers, outbound_of
from agent_identity.reconcile.gone import Gone
from agent_identity.reconcile.multimap import Multimap
from agent_identity.reconcile.objects import Objects
from agent_identity.reconcile.pods import Pod, Pods
from agent_identity.reconcile.services import SeenService

Pairs = frozenset[tuple[Caller, str]]
_Place = tuple[str, str, str]


class Grants:
    """enqueue: makes a key due. forget: see `World.forgetting`."""

    def __init__(
        self,
        cluster: Cluster,
        enqueue: Callable[[Key], None],
        forget: Callable[[Key, str], None],
        *,
        callers: Callers,
        objects: Objects,
        pods: Pods,
        around: Around,
        mesh_installed: Callable[[], bool],
    ) -> None:
        self._cluster = cluster
        self._enqueue = enqueue
        self._forget = forget
        self._callers = callers
        self._objects = objects
        self._pods = pods
        self._mesh_installed = mesh_installed
        self._gone: Gone[str] = Gone()
        self.all: dict[Key, Grant] = {}
        self._by_namespace: Multimap[str, Key] = Multimap()
        self._written: dict[Key, Pairs] = {}
        self._in_force: dict[Key, frozenset[_Place]] = {}
        self._around = around
        self._bound: Multimap[Target, Key] = Multimap()

    # --- events in

    def see(self, body: Mapping[str, Any], *, own: bool = False) -> None:
        """An AgentAccessGrant as the API server told it; own: see `World.see_identity`."""
        metadata = body["metadata"]
        if metadata["uid"] in self._gone:
            return
        before = self.all.get(Key(metadata["namespace"], metadata["name"], Subject.GRANT))
        if before and int(before.meta.resource_version) >= int(metadata["resourceVersion"]):
            return
        if before and before.meta.uid != metadata["uid"]:
            self.lose(before.key, before.meta.uid)
            before = None
        after = parse_grant(body, before)
        self.all[after.key] = after
        if before and means_the_same(before, after, own=own):
            return
        self._by_namespace.add(after.key.namespace, after.key)
        self._bind(before, after)
        self._callers.name(after.key, _named_by(after))
        self._enqueue(after.key)
        self._touch_askers(after.key)

    def lose(self, key: Key, uid: str) -> None:
        """An AgentAccessGrant is gone."""
        self._gone.add(uid)
        known = self.all.get(key)
        if known is None or known.meta.uid != uid:
            return
        del self.all[key]
        self._by_namespace.discard(key.namespace, key)
        self._bind(known, None)
        self._written.pop(key, None)
        self._in_force.pop(key, None)
        self._callers.name(key, ())
        self._forget(key, uid)
        self._enqueue(key)
        self._touch_askers(key)

    def knows(self, grant: Grant) -> bool:
        """Whether it is there still, and is not another one by now."""
        known = self.all.get(grant.key)
        return known is not None and known.meta.uid == grant.meta.uid

    def wrote(self, key: Key, pairs: Pairs) -> None:
        """What a grant's policies, as they stand now, let in. Agents whose entries came into force
        or went out of it say so in their status; after the first look all that ask for something,
        of whom it was not known."""
        before = self._written.get(key)
        self._written[key] = pairs
        self._in_force[key] = frozenset((c.namespace, c.name, rule) for c, rule in pairs)
        if before is None:
            self._touch_askers(key)
            return
        for caller in sorted({c for c, _ in pairs ^ before}):
            if caller.kind == "AgentIdentity":
                self._enqueue(Key(caller.namespace, caller.name))

    def written(self, key: Key) -> Pairs:
        """What was let in when this process last looked; nothing where it never did."""
        return self._written.get(key, frozenset())

    def policy_changed(self, namespace: str, views: Sequence[PolicyView]) -> None:
        """A policy of others has changed there; in the mesh's root namespace for everybody. views:
        as it was and as it is."""
        everywhere = namespace == self._cluster.mesh_root_namespace
        for key in sorted(self.all if everywhere else self._by_namespace.of(namespace)):
            if any(holds_for(self.all[key], view) is not None for view in views):
                self._enqueue(key)

    def pod_changed(self, pod: Pod) -> None:
        """An agent's pod has come or gone, or has other labels."""
        for key in sorted(self._by_namespace.of(pod.namespace)):
            spec = self.all[key].spec
            if spec and spec.selector and pod.carries(spec.selector.match_labels):
                self._enqueue(key)

    def service_changed(self, seen: SeenService) -> None:
        """A Service leads to an agent, or does no more."""
        if seen.service:
            self._way_changed(Target(seen.agent.namespace, "Service", seen.service.name))

    def waypoints_changed(self) -> None:
        """Agents may be behind another one."""
        self._way_changed(_ANY_GATEWAY)

    def _way_changed(self, target: Target) -> None:
        for key in sorted(self._bound.of(target)):
            self._enqueue(key)

    def _bind(self, before: Grant | None, after: Grant | None) -> None:
        for grant, change in ((before, self._bound.discard), (after, self._bound.add)):
            if grant is None:
                continue
            for target in _targets(grant):
                change(_ANY_GATEWAY if target.kind in GATEWAYS else target, grant.key)

    def _touch_askers(self, key: Key) -> None:
        for agent in sorted(self._callers.askers(key)):
            self._enqueue(agent)

    # --- facts out

    def facts(self, key: Key) -> GrantFacts | None:
        """All that a decision about this grant rests on; None where there is no such one."""
        grant = self.all.get(key)
        if grant is None:
            return None
        admitted = {r.name: tuple(self._let_in(grant, r.name, r.from_)) for r in grant.rules}
        strangers = self._objects.strangers(key.namespace, self._cluster.mesh_root_namespace)
        return GrantFacts(
            cluster=self._cluster,
            grant=grant,
            observed=self._objects.labelled(key) | self._objects.named_for(key),
            admitted=admitted,
            missing=_missing(grant, admitted),
            agents=tuple(self._agents_at(grant)),
            others=others_on(grant, strangers),
            mesh_installed=self._mesh_installed(),
        )

    def _agents_at(self, grant: Grant) -> Iterator[str]:
        """Agents that it would guard. Names of another namespace's are not for its author."""
        selector = grant.spec.selector.match_labels if grant.spec and grant.spec.selector else {}
        here = grant.key.namespace
        found = set(self._pods.matched(here, selector)) if selector else set[Key]()
        found.update(*(self._around.led_to(target) for target in _targets(grant)))
        yield from sorted(agent.name for agent in found if agent.namespace == here)
        if any(agent.namespace != here for agent in found):
            yield "of another namespace"

    def _let_in(self, grant: Grant, rule: str, named: Iterable[Any]) -> Iterator[Caller]:
        """Each once, sorted; agents only where they ask for it themselves."""
        found = {c for n in named for c in self._callers.who(n, grant.key.namespace)}
        for caller in sorted(found):
            agent = Key(caller.namespace, caller.name)
            if caller.kind == "ServiceAccount" or self._callers.asks(agent, grant.key, rule):
                yield caller

    def asked_by(self, identity: Identity) -> tuple[Ask, ...]:
        """What an identity's spec.outbound asks for, and what has become of it, sorted."""
        return tuple(
            Ask(grant, rule, self._state(identity.key, grant, rule), sure=grant in self._in_force)
            for grant, rules in sorted(outbound_of(identity).items())
            for rule in sorted(rules)
        )

    def _state(self, agent: Key, key: Key, rule: str) -> AskState:
        """A grant that does not name the agent looks like one that is not there: a status must
        not be a way to read another namespace."""
        grant = self.all.get(key)
        named = [r for r in (grant.rules if grant else ()) if r.name == rule]
        if not any(self._callers.names(c, key.namespace, agent) for r in named for c in r.from_):
            return AskState.NOT_GRANTED
        if grant is None or grant.spec is None or grant.deleting:
            return AskState.NOT_IN_PLACE
        if grant.spec.enforcement == "Shadow":
            return AskState.SHADOW
        return AskState.IN_FORCE if self._is_in_force(agent, key, rule) else AskState.NOT_IN_PLACE

    def _is_in_force(self, agent: Key, key: Key, rule: str) -> bool:
        if key in self._in_force:
            return (agent.namespace, agent.name, rule) in self._in_force[key]
        # Before this process has looked at the grant once, there is its policy to go by.
        grant, main = self.all[key], self._objects.all.get(main_ref(key))
        return main is not None and main.is_owned_by(grant.meta.uid)


_ANY_GATEWAY = Target("", "Gateway", "")


def _targets(grant: Grant) -> list[Target]:
    refs = (grant.spec.target_refs if grant.spec else None) or ()
    return [Target(grant.key.namespace, ref.kind, ref.name) for ref in refs]


def _named_by(grant: Grant) -> Iterator[Any]:
    for rule in grant.rules:
        yield from rule.from_


def _missing(grant: Grant, admitted: Mapping[str, tuple[Caller, ...]]) -> int:
    let_in = {(c.kind, c.namespace, c.name) for found in admitted.values() for c in found}
    named = {
        (c.kind, c.namespace or grant.key.namespace, c.name)
        for c in _named_by(grant)
        if c.kind != "AllAgentIdentities"
    }
    return len(named - let_in)
