"""The operator's own World, fed from files or from what a reader may see of a cluster.

What is not known is assumed to be in order, and what was assumed is remembered: a pipeline is told
of it, and a verdict never rests on it in silence.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agent_identity.core.checks import Standing, judge
from agent_identity.core.facts import Cluster, Facts
from agent_identity.core.identity import Identity, Namespace, parse_namespace
from agent_identity.core.names import account_ref
from agent_identity.core.resource import Key, Observed
from agent_identity.providers.contract import GrantRoom, Provider
from agent_identity.reconcile.world import World
from agent_identity.registry import Rooms, build_rooms

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """assumed: namespaces whose labels are not known."""

    world: World
    assumed: frozenset[str] = field(default_factory=frozenset)

    def facts(self, key: Key) -> Facts:
        """What a decision rests on. A namespace that is not known is one that the identity's own
        class allows."""
        facts = self.world.facts(key)
        if facts is None:
            raise KeyError(str(key))
        if key.namespace not in self.assumed:
            return facts
        spec = facts.agent_class.spec if facts.agent_class else None
        labels = spec.namespace_selector.match_labels if spec else {}
        return replace(facts, namespace=_namespace(key.namespace, labels))

    def identities(self) -> list[Identity]:
        """Sorted by namespace and name."""
        return [self.world.identities[k] for k in sorted(self.world.identities)]


def surroundings(
    cluster: Cluster,
    identities: Iterable[Body],
    classes: Iterable[Body],
    namespaces: Iterable[Body],
    *,
    grants: Iterable[Body] = (),
) -> Surroundings:
    """Bodies need a name; what else the API server would have filled in is filled in here."""
    world = World(cluster, lambda _: None)
    for body in namespaces:
        world.namespace_changed(None, parse_namespace(_complete(body)))
    for body in classes:
        world.see_class(_complete(body))
    for body in identities:
        world.see_identity(_complete(body))
    for body in grants:
        world.grants.see(_complete(body))
    return Surroundings(world, _assume_namespaces(world))


def assume_accounts(world: World, of: Iterable[Identity]) -> None:
    """As it is once the operator has done its work: each has its own account, and of two that
    want one the operator's rule decides."""
    for identity in sorted(of, key=lambda i: (i.meta.created, i.meta.uid)):
        ref = account_ref(identity)
        if ref not in world.owned:
            mark = {"labelled": True, "identity": identity.key.name}
            account = Observed(ref, f"account of {identity.key}", "1", b"", **mark)  # type: ignore[arg-type]
            world.object_changed(None, replace(account, owner_uid=identity.meta.uid))


def is_granted(facts: Facts) -> bool:
    """Whether nothing keeps the identity from what it asks for."""
    return judge(facts).standing is Standing.GRANTED


def pure_rooms(cluster: Cluster) -> tuple[Provider, ...]:
    """The rooms' pure halves."""
    return _registered(cluster).rooms


def grant_room(cluster: Cluster) -> GrantRoom:
    return _registered(cluster).grant_room


def _registered(cluster: Cluster) -> Rooms:
    """Nothing behind the rooms is ever called."""

    def nowhere(_: object) -> Any:
        raise RuntimeError("a command talks to no backend")

    return build_rooms(
        cluster=cluster.name,
        cluster_uid=str,
        connect=nowhere,
        accounts=lambda _: "",
        mesh_installed=lambda: True,
    )


def _complete(body: Body) -> dict[str, Any]:
    """The owner's UID is known in a cluster only, so a text stands for it that can be none."""
    metadata = body["metadata"]
    namespace = metadata.get("namespace", "")
    name = f"{namespace}/{metadata['name']}" if namespace else metadata["name"]
    given = {"uid": f"uid-of-{name}", "generation": 1} | metadata
    version = str(metadata.get("resourceVersion", "1"))
    return {**body, "metadata": given | {"resourceVersion": version if version.isdigit() else "1"}}


def _assume_namespaces(world: World) -> frozenset[str]:
    """With the labels of all classes that are used there, so that callers count as allowed."""
    unknown = {i.key.namespace for i in world.identities.values()} - set(world.namespaces)
    for name in sorted(unknown):
        labels: dict[str, str] = {}
        for identity in world.identities.values():
            agent_class = world.classes.get(identity.class_name)
            if identity.key.namespace == name and agent_class and agent_class.spec:
                labels |= agent_class.spec.namespace_selector.match_labels
        world.namespace_changed(None, _namespace(name, labels))
    return frozenset(unknown)


def _namespace(name: str, labels: Mapping[str, str]) -> Namespace:
    return Namespace(name, f"uid-of-{name}", labels, deleting=False)
