"""All agents of a cluster, as far as its reader may see them: as the operator's World, which is fed
with what could be read; what could not is remembered.
"""

from collections.abc import Collection, Iterator, Mapping

from agent_identity.cli.cluster import Absent, Json, Reader
from agent_identity.cli.documents import Unreadable
from agent_identity.cli.graph_agents import CLUSTER, EVERYWHERE, NOWHERE, SERVICES, Sight
from agent_identity.cli.seen import Seen
from agent_identity.cli.surroundings import Surroundings, assume_accounts, surroundings
from agent_identity.clients.kube import (
    CLASSES,
    CLUSTER_ROLE_BINDINGS,
    GRANTS,
    IDENTITIES,
    NAMESPACES,
    OWNED,
    PODS,
    Api,
)
from agent_identity.clients.kube import SERVICES as SERVICE_API
from agent_identity.core.facts import Cluster
from agent_identity.core.identity import Identity
from agent_identity.core.observed import observe_object
from agent_identity.core.resource import IDENTITY_LABEL, MESH_KINDS, Kind, Subject
from agent_identity.reconcile.bindings import parse_cluster_binding
from agent_identity.reconcile.pods import parse_pod
from agent_identity.reconcile.services import parse_service
from agent_identity.reconcile.world import World


def of_cluster(reader: Reader, cluster: Cluster, namespace: str) -> Sight:
    """namespace: the one that must be readable; empty for all of them."""
    identities, where = _identities(reader, namespace)
    names = {str((b.get("spec") or {}).get("className") or "default") for b in identities}
    classes, unread = _classes(reader, names)
    around = surroundings(cluster, identities, classes, _namespaces(reader, namespace))
    known: dict[str, str] = {Subject.IDENTITY: where}
    known[Subject.GRANT] = _grants(reader, around.world, namespace)
    known |= {kind: _objects(reader, around.world, kind, namespace) for kind in OWNED}
    known[SERVICES] = _services(reader, around.world, namespace)
    _rest(reader, around.world, namespace)
    _accounts_by_status(around, known[Kind.SERVICE_ACCOUNT])
    refused = tuple(reader.refused)
    agents = (_seen(around, i, known, unread, refused) for i in around.identities())
    notes = (*(f"not allowed to read {what}" for what in refused), *_unlabelled(around))
    return Sight(CLUSTER, around.world, tuple(agents), known, notes)


def _seen(
    around: Surroundings,
    identity: Identity,
    known: Mapping[str, str],
    unread: Collection[str],
    refused: tuple[str, ...],
) -> Seen:
    """unread: classes that may not be read."""
    namespace = identity.key.namespace
    return Seen(
        facts=around.facts(identity.key),
        class_known=identity.class_name not in unread,
        namespace_known=namespace not in around.assumed,
        pods=None,
        bindings=(),
        hidden=frozenset(k for k in OWNED if known[k] not in (EVERYWHERE, namespace)),
        refused=refused,
        guessed=(),
    )


def _listed(
    reader: Reader, plural: str, api: Api, namespace: str, **query: str
) -> tuple[list[Json], str]:
    """Of all namespaces, else of the one; and where that is, or NOWHERE."""
    everywhere = f"{plural} in all namespaces"
    found = reader.many(everywhere, api.path(), **query)
    if found is not None or everywhere in reader.not_served:
        return found or [], EVERYWHERE
    if not namespace:
        return [], NOWHERE
    found = reader.many(f"{plural} in {namespace}", api.path(namespace), **query)
    return found or [], NOWHERE if found is None else namespace


def _identities(reader: Reader, namespace: str) -> tuple[list[Json], str]:
    found, where = _listed(reader, "AgentIdentities", IDENTITIES, namespace)
    if reader.not_served:
        raise Absent("the kind AgentIdentity is not installed")
    if where == NOWHERE:
        ask = "" if namespace else "; name one that you may read with --namespace"
        raise Unreadable(f"not allowed to read {' or '.join(reader.refused)}{ask}")
    return found, where


def _classes(reader: Reader, names: Collection[str]) -> tuple[list[Json], frozenset[str]]:
    """Those that may be read, and the names of the others."""
    found = reader.many("AgentIdentityClasses", CLASSES.path())
    if found is not None:
        return found, frozenset()
    ones = {n: reader.one(f"AgentIdentityClass {n}", CLASSES.path(name=n)) for n in sorted(names)}
    unread = (n for n in ones if not reader.may_read(f"AgentIdentityClass {n}"))
    return [body for body in ones.values() if body], frozenset(unread)


def _namespaces(reader: Reader, namespace: str) -> list[Json]:
    found = reader.many("Namespaces", NAMESPACES.path())
    if found is None and namespace:
        one = reader.one(f"Namespace {namespace}", NAMESPACES.path(name=namespace))
        return [one] if one else []
    return found or []


def _grants(reader: Reader, world: World, namespace: str) -> str:
    """Where all of them are known."""
    bodies, where = _listed(reader, "AgentAccessGrants", GRANTS, namespace)
    for body in bodies:
        world.grants.see(body)
    return where


def _services(reader: Reader, world: World, namespace: str) -> str:
    """Where all of them are known. Only in an ambient mesh they decide anything."""
    istio = (c.spec.mesh.istio for c in world.classes.values() if c.spec)
    if not any(mesh and mesh.data_plane == "Ambient" for mesh in istio):
        return EVERYWHERE
    bodies, where = _listed(reader, "Services", SERVICE_API, namespace)
    for body in bodies:
        world.service_changed(None, parse_service(body))
    return where


def _objects(reader: Reader, world: World, kind: Kind, namespace: str) -> str:
    """Feeds the world with the objects of a kind that decides; where all of them are known."""
    plural = f"{kind.removesuffix('y')}ies" if kind.endswith("y") else f"{kind}s"
    bodies, where = _listed(reader, plural, OWNED[kind], namespace)
    root = world.cluster.mesh_root_namespace
    if kind in MESH_KINDS and where != EVERYWHERE and namespace != root:
        bodies += reader.many(f"{plural} in {root}", OWNED[kind].path(root)) or []
    if kind in MESH_KINDS and any(what.startswith(plural) for what in reader.not_served):
        world.mesh_installed = lambda: False
    for body in bodies:
        world.object_changed(None, observe_object(kind, body))
    return where


def _rest(reader: Reader, world: World, namespace: str) -> None:
    """Bindings of the whole cluster, and pods: policies of others may select by their labels."""
    for body in reader.many("ClusterRoleBindings", CLUSTER_ROLE_BINDINGS.path()) or ():
        world.bindings.cluster_binding_changed(None, parse_cluster_binding(body))
    for body in _listed(reader, "Pods", PODS, namespace, selector=IDENTITY_LABEL)[0]:
        world.pod_changed(None, parse_pod(body))


def _accounts_by_status(around: Surroundings, seen_in: str) -> None:
    """Where accounts may not be read, whether an agent has one its status says."""
    unseen = (i for i in around.identities() if seen_in not in (EVERYWHERE, i.key.namespace))
    assume_accounts(around.world, (i for i in unseen if i.status.get("serviceAccount")))


def _unlabelled(around: Surroundings) -> Iterator[str]:
    for name in sorted(around.assumed):
        yield f"the labels of namespace {name} may not be read: taken for allowed"
