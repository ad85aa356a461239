"""What a reader sees of one identity and of all that decides about it, as the operator's World."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent_identity.api.v1alpha1 import Waypoint
from agent_identity.cli.cluster import Absent, Json, Reader
from agent_identity.cli.documents import Unreadable
from agent_identity.cli.surroundings import Surroundings, assume_accounts, surroundings
from agent_identity.clients.kube import (
    CLASSES,
    CLUSTER_ROLE_BINDINGS,
    GRANTS,
    IDENTITIES,
    NAMESPACES,
    OWNED,
    PODS,
    SERVICES,
)
from agent_identity.core.facts import Cluster, Facts, ForeignBinding
from agent_identity.core.identity import Grant
from agent_identity.core.observed import observe_object
from agent_identity.core.resource import GRANT_LABEL, IDENTITY_LABEL, MESH_KINDS, Key, Kind
from agent_identity.reconcile.bindings import parse_cluster_binding
from agent_identity.reconcile.callers import outbound_of
from agent_identity.reconcile.pods import Pod
from agent_identity.reconcile.services import parse_service
from agent_identity.reconcile.world import World


@dataclass(frozen=True, slots=True)
class AgentPod:
    """A pod that carries the identity's label, and the account that it runs as."""

    name: str
    account: str


@dataclass(frozen=True, slots=True)
class AskedGrant:
    """A grant that an agent asks; None where there is none. policies: those that are marked as its
    own; None where they may not be read."""

    grant: Grant | None
    policies: Sequence[Json] | None = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """refused: what may not be read. hidden: kinds of which nothing could be seen. bindings: those
    of others that name the account. guessed: settings of the operator that nothing told. grants:
    of those that it asks the ones that may be read."""

    facts: Facts
    class_known: bool
    namespace_known: bool
    pods: tuple[AgentPod, ...] | None
    bindings: tuple[str, ...]
    hidden: frozenset[Kind]
    refused: tuple[str, ...]
    guessed: tuple[str, ...]
    grants: Mapping[Key, AskedGrant] = field(default_factory=dict)

    def condition(self, kind: str) -> Mapping[str, Any]:
        """As the operator told it; empty where it did not."""
        rows = self.facts.identity.status.get("conditions") or ()
        return next((c for c in rows if c.get("type") == kind), {})


def look_at(reader: Reader, key: Key, told: Mapping[str, str], root: str) -> Seen:
    """told: cluster name and trust domain, where they were given. root: the mesh's namespace."""
    body = _identity(reader, key)
    identities = _every(reader, "AgentIdentities", IDENTITIES.path(), key) or [body]
    classes = _class_bodies(reader, body)
    cluster, guessed = _cluster(told, root, [body, *identities])
    around = surroundings(cluster, identities, classes or (), _namespaces(reader, key))
    return _near(reader, around, key, class_known=classes is not None, guessed=guessed)


def _near(
    reader: Reader, around: Surroundings, key: Key, *, class_known: bool, guessed: tuple[str, ...]
) -> Seen:
    """With all that stands beside the identity, and with the grants that it asks."""
    identity = around.world.identities[key]
    waypoint = around.world.around.waypoint_of(identity)
    if waypoint is not None:
        _services(reader, around.world, key.namespace)
    hidden = _objects(reader, around.world, key.namespace, waypoint)
    _cluster_bindings(reader, around.world)
    _accounts_of_others(around, key, hidden)
    pods, grants = _pods(reader, around.world, key), _grants(reader, around.world, key)
    facts = around.facts(key)
    return Seen(
        facts=facts,
        class_known=class_known,
        namespace_known=key.namespace not in around.assumed,
        pods=pods,
        bindings=_bindings_of_others(reader, facts),
        hidden=hidden,
        refused=tuple(reader.refused),
        guessed=guessed,
        grants=grants,
    )


def _identity(reader: Reader, key: Key) -> Json:
    what = f"AgentIdentity {key}"
    body = reader.one(what, IDENTITIES.path(key.namespace, key.name))
    if body is None and not reader.may_read(what):
        raise Unreadable(f"not allowed to read {what}")
    if body is None:
        raise Absent(f"there is no {what}, or its kind is not installed")
    return body


def _every(reader: Reader, what: str, path: str, key: Key) -> list[Json] | None:
    """Of the whole cluster, else of the namespace."""
    found = reader.many(f"{what} in all namespaces", path)
    if found is None:
        own = IDENTITIES.path(key.namespace)
        found = reader.many(f"{what} in {key.namespace}", own)
    return found


def _class_bodies(reader: Reader, identity: Json) -> list[Json] | None:
    """None where its class may not be read; callers may be of other classes."""
    found = reader.many("AgentIdentityClasses", CLASSES.path())
    if found is not None:
        return found
    name = str((identity.get("spec") or {}).get("className") or "default")
    what = f"AgentIdentityClass {name}"
    one = reader.one(what, CLASSES.path(name=name))
    return None if one is None and not reader.may_read(what) else [b for b in (one,) if b]


def _namespaces(reader: Reader, key: Key) -> list[Json]:
    found = reader.many("Namespaces", NAMESPACES.path())
    if found is not None:
        return found
    one = reader.one(f"Namespace {key.namespace}", NAMESPACES.path(name=key.namespace))
    return [one] if one else []


def _services(reader: Reader, world: World, namespace: str) -> None:
    """They decide what a waypoint passes on."""
    for body in reader.many(f"Services in {namespace}", SERVICES.path(namespace)) or ():
        world.service_changed(None, parse_service(body))


def _objects(
    reader: Reader, world: World, namespace: str, waypoint: Waypoint | None
) -> frozenset[Kind]:
    """Feeds the world with all objects that decide; the kinds of which nothing could be seen."""
    hidden: set[Kind] = set()
    guarding = {namespace, world.cluster.mesh_root_namespace}
    if waypoint is not None and waypoint.namespace:
        guarding.add(waypoint.namespace)
    for kind, api in OWNED.items():
        places = guarding if kind in MESH_KINDS else {namespace}
        for place in sorted(places):
            what = _listed(kind, place)
            bodies = reader.many(what, api.path(place))
            for body in bodies or ():
                world.object_changed(None, observe_object(kind, body))
            if bodies is None and what in reader.not_served:
                world.mesh_installed = lambda: False
            elif bodies is None and place == namespace:
                hidden.add(kind)
    return frozenset(hidden)


def _listed(kind: Kind, namespace: str) -> str:
    plural = f"{kind.removesuffix('y')}ies" if kind.endswith("y") else f"{kind}s"
    return f"{plural} in {namespace}"


def _accounts_of_others(around: Surroundings, key: Key, hidden: frozenset[Kind]) -> None:
    """Accounts of other namespaces are not read: whether an agent has one, its status says."""
    near = Kind.SERVICE_ACCOUNT not in hidden
    assume_accounts(
        around.world,
        (
            i
            for i in around.identities()
            if i.status.get("serviceAccount") and not (near and i.key.namespace == key.namespace)
        ),
    )


def _pods(reader: Reader, world: World, key: Key) -> tuple[AgentPod, ...] | None:
    selector = f"{IDENTITY_LABEL}={key.name}"
    bodies = reader.many(f"Pods in {key.namespace}", PODS.path(key.namespace), selector=selector)
    if bodies is None:
        return None
    for body in bodies:
        metadata = body["metadata"]
        labels = metadata.get("labels") or {}
        world.pod_changed(None, Pod(key.namespace, metadata["name"], labels))
    pods = (
        AgentPod(b["metadata"]["name"], (b.get("spec") or {}).get("serviceAccountName", ""))
        for b in bodies
    )
    return tuple(sorted(pods, key=lambda p: p.name))


def _grants(reader: Reader, world: World, key: Key) -> Mapping[Key, AskedGrant]:
    """One by one: who may read a grant by its name may not read all grants there."""
    found: dict[Key, AskedGrant] = {}
    for grant in sorted(outbound_of(world.identities[key])):
        what = f"AgentAccessGrant {grant}"
        body = reader.one(what, GRANTS.path(grant.namespace, grant.name))
        if body is not None:
            world.grants.see(body)
            found[grant] = AskedGrant(world.grants.all[grant], _policies(reader, grant))
        elif reader.may_read(what):
            found[grant] = AskedGrant(None)
    return found


def _policies(reader: Reader, grant: Key) -> list[Json] | None:
    what = _listed(Kind.AUTHORIZATION_POLICY, grant.namespace)
    path = OWNED[Kind.AUTHORIZATION_POLICY].path(grant.namespace)
    bodies = reader.many(what, path, selector=f"{GRANT_LABEL}={grant.name}")
    return [] if bodies is None and what in reader.not_served else bodies


def _cluster_bindings(reader: Reader, world: World) -> None:
    bodies = reader.many("ClusterRoleBindings", CLUSTER_ROLE_BINDINGS.path())
    for body in bodies or ():
        world.bindings.cluster_binding_changed(None, parse_cluster_binding(body))


def _bindings_of_others(reader: Reader, facts: Facts) -> tuple[str, ...]:
    """In words, with the role that each gives; World keeps no more than their names."""
    namespace = facts.identity.key.namespace
    near = reader.many(
        _listed(Kind.ROLE_BINDING, namespace), OWNED[Kind.ROLE_BINDING].path(namespace)
    )
    everywhere = reader.many("ClusterRoleBindings", CLUSTER_ROLE_BINDINGS.path())
    roles = {_place(body): _role(body) for body in (*(near or ()), *(everywhere or ()))}
    return tuple(
        f"{_kind_of(b)} {b.name}: {roles.get((b.namespace, b.name), 'a role')}"
        f" in {b.namespace or 'the whole cluster'}"
        for b in facts.foreign_bindings
    )


def _kind_of(binding: ForeignBinding) -> str:
    return "RoleBinding" if binding.namespace else "ClusterRoleBinding"


def _place(body: Json) -> tuple[str, str]:
    return body["metadata"].get("namespace", ""), body["metadata"]["name"]


def _role(body: Json) -> str:
    return f"{body['roleRef']['kind']} {body['roleRef']['name']}"


def _cluster(
    told: Mapping[str, str], root: str, bodies: Sequence[Json]
) -> tuple[Cluster, tuple[str, ...]]:
    """What the operator was set to is in what it says of any identity. bodies: the one that is
    asked about, then all."""
    statuses = [b.get("status") or {} for b in bodies]
    domains = (str(s.get("spiffeID", "")) for s in statuses)
    domain = told.get("trust_domain") or next((_domain(d) for d in domains if d), "")
    roles = (str(s.get("vaultRole", "")) for s in statuses)
    name = told.get("cluster_name") or next((r.partition("_")[0] for r in roles if r), "")
    guessed = tuple(_guessed(bodies[0], domain=domain, name=name))
    return Cluster(name or "cluster", domain or "cluster.local", root), guessed


def _guessed(body: Json, *, domain: str, name: str) -> Iterator[str]:
    if not domain:
        yield "the trust domain is not known yet: taken for cluster.local"
    # Nothing but the name of the Vault role has it.
    if not name and (body.get("spec") or {}).get("vault"):
        yield "the cluster's name is not known yet: give --cluster-name"


def _domain(spiffe_id: str) -> str:
    return spiffe_id.removeprefix("spiffe://").partition("/")[0]
