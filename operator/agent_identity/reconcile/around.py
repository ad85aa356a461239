"""What stands around an agent in the mesh: policies of others, and what leads to it. No I/O."""

from collections.abc import Iterator, Mapping, Sequence

from agent_identity.api.v1alpha1 import Waypoint
from agent_identity.core.facts import Cluster, ForeignPolicy
from agent_identity.core.identity import AgentClass, Identity
from agent_identity.core.mesh import GATEWAYS, Reach, Target, passed_by, weakening
from agent_identity.core.names import policy_name
from agent_identity.core.resource import IDENTITY_LABEL, Key, Kind, PolicyView, Ref
from agent_identity.reconcile.index import Index
from agent_identity.reconcile.objects import Objects
from agent_identity.reconcile.pods import Pods
from agent_identity.reconcile.services import Services


class Around:
    """identities, classes, index, objects: views of the World's."""

    def __init__(
        self,
        cluster: Cluster,
        identities: Mapping[Key, Identity],
        classes: Mapping[str, AgentClass],
        *,
        index: Index,
        objects: Objects,
        pods: Pods,
        services: Services,
    ) -> None:
        self._root = cluster.mesh_root_namespace
        self._identities = identities
        self._classes = classes
        self._index = index
        self._objects = objects
        self._pods = pods
        self._services = services

    def foreign_policies(self, identity: Identity) -> tuple[ForeignPolicy, ...]:
        """Policies of others that let in more than the identity's own."""
        key, reach = identity.key, self._reach(identity)
        own = self._objects.all.get(
            Ref(Kind.PEER_AUTHENTICATION, key.namespace, policy_name(key.name))
        )
        places = [key.namespace, self._root]
        places += sorted({t.namespace for t in reach.passed} - set(places))
        return weakening(self._objects.strangers(*places), reach, own, self._root)

    def concerned(self, namespace: str, views: Sequence[PolicyView]) -> Iterator[Key]:
        """Identities for which a policy of others may hold. views: of the policy, as it was and as
        it is. Whom it never holds for it does not concern: hundreds of grants in one namespace
        would wake thousands of agents each."""
        elsewhere = any(kind in GATEWAYS for view in views for kind, _ in view.targets)
        everywhere = elsewhere or namespace == self._root
        keys = self._identities if everywhere else self._index.by_namespace.of(namespace)
        for key in list(keys):
            reach = self._reach(self._identities[key])
            if any(reach.holds(namespace, view) for view in views):
                yield key

    def led_to(self, target: Target) -> list[Key]:
        """Agents to which a Service or a Gateway leads, sorted."""
        if target.kind == "Service":
            agent = self._services.led_to(target.namespace, target.name)
            return [agent] if agent else []
        return sorted(self._behind(target))

    def waypoint_of(self, identity: Identity) -> Waypoint | None:
        """The one that its class names."""
        agent_class = self._classes.get(identity.class_name)
        return agent_class.waypoint if agent_class else None

    def _behind(self, gateway: Target) -> Iterator[Key]:
        for name, agent_class in self._classes.items():
            waypoint = agent_class.waypoint
            if waypoint is None or waypoint.service_account != gateway.name:
                continue
            if waypoint.namespace == gateway.namespace:
                yield from self._index.by_class.of(name)
            elif waypoint.namespace is None:
                here = self._index.by_namespace.of(gateway.namespace)
                yield from (k for k in here if self._identities[k].class_name == name)

    def _reach(self, identity: Identity) -> Reach:
        key, services = identity.key, self._services.of(identity.key)
        pods = ({IDENTITY_LABEL: key.name}, *(p.labels for p in self._pods.of(key)))
        passed = passed_by(key, self.waypoint_of(identity), services, self._root)
        return Reach(frozenset({key.namespace, self._root}), pods, passed)
