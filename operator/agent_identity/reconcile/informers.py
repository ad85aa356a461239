"""The engine's own watches: of what it makes, and of what decisions rest on."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from agent_identity.clients.kube import (
    CLUSTER_ROLE_BINDINGS,
    NAMESPACES,
    OWNED,
    PODS,
    SERVICES,
    Kube,
)
from agent_identity.core.identity import Namespace, parse_namespace
from agent_identity.core.observed import observe_object
from agent_identity.core.resource import IDENTITY_LABEL, MESH_KINDS, Key, Kind, Observed, Ref
from agent_identity.reconcile.bindings import ClusterBinding, parse_cluster_binding
from agent_identity.reconcile.informer import Informer
from agent_identity.reconcile.pods import Pod, parse_pod
from agent_identity.reconcile.services import SeenService, parse_service
from agent_identity.reconcile.world import World


class Informers:
    """relist: see Informer. Our own kinds are watched elsewhere."""

    def __init__(self, kube: Kube, world: World, relist: float) -> None:
        self._world = world
        inform = partial(Informer, kube, relist=relist)
        self.namespaces: Informer[Namespace] = inform(
            NAMESPACES, parse=parse_namespace, changed=world.namespace_changed
        )
        self.pods: Informer[Pod] = inform(
            PODS, parse=parse_pod, changed=world.pod_changed, selector=IDENTITY_LABEL
        )
        self.services: Informer[SeenService] = inform(
            SERVICES, parse=parse_service, changed=world.service_changed
        )
        self.cluster_bindings: Informer[ClusterBinding] = inform(
            CLUSTER_ROLE_BINDINGS,
            parse=parse_cluster_binding,
            changed=world.bindings.cluster_binding_changed,
        )
        self.owned: dict[Kind, Informer[Observed]] = {
            kind: inform(
                api,
                parse=_observer(kind),
                changed=world.object_changed,
                optional=kind in MESH_KINDS,
            )
            for kind, api in OWNED.items()
        }

    @property
    def all(self) -> list[Informer[Any]]:
        others: list[Informer[Any]] = [self.namespaces, self.pods, self.services]
        return [*others, self.cluster_bindings, *self.owned.values()]

    def mesh_installed(self) -> bool:
        return all(self.owned[kind].installed for kind in MESH_KINDS)

    def wrote(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """An object as the API server told it in answer to a write of ours."""
        with self._world.own_write():
            self.owned[kind].remember(body)

    def saw(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """An object as a read told it, ahead of the watch."""
        self.owned[kind].remember(body)

    def uid_of(self, ref: Ref) -> str:
        """Of the object that is known by this name; empty where there is none."""
        seen = self.owned[ref.kind].items.get(Key(ref.namespace, ref.name))
        return seen.uid if seen else ""

    def forget(self, ref: Ref, uid: str) -> None:
        """uid: of the object that is gone."""
        if uid and uid == self.uid_of(ref):
            self.owned[ref.kind].forget(Key(ref.namespace, ref.name))


def _observer(kind: Kind) -> Callable[[Mapping[str, Any]], Observed]:
    return lambda body: observe_object(kind, body)
