"""Every derived name, made in one place. All are injective: two owners never get one name.

`:` can't stand in an identity's name, and `_` in no Kubernetes name, so they separate.
"""

from agent_identity.api.v1alpha1 import AgentIdentityClassSpec, ClassVault
from agent_identity.core.identity import Identity
from agent_identity.core.resource import MESH_KINDS, STAGES, Key, Kind, Ref, Stage, Subject


def account_ref(identity: Identity) -> Ref:
    return Ref(Kind.SERVICE_ACCOUNT, identity.key.namespace, identity.account)


def policy_name(identity_name: str) -> str:
    """Of an identity's PeerAuthentication and AuthorizationPolicy."""
    return f"{_POLICY_PREFIX}{identity_name}"


def waypoint_policy_ref(identity: Key) -> Ref:
    """The AuthorizationPolicy that a waypoint enforces. A dot can't stand in a name of ours."""
    name = f"{policy_name(identity.name)}{_WAYPOINT}"
    return Ref(Kind.AUTHORIZATION_POLICY, identity.namespace, name)


def stage_of(ref: Ref) -> Stage:
    """When it is given, and taken away, beside the other objects of one identity."""
    if ref.kind == Kind.AUTHORIZATION_POLICY and ref.name.endswith(_WAYPOINT):
        return Stage.WAYPOINT
    return STAGES[ref.kind]


def grant_policy_name(grant_name: str, part: str = "") -> str:
    """Of a grant's AuthorizationPolicy; part: which one, where it takes more than one. A dot can't
    stand in a grant's name."""
    return f"{_GRANT_PREFIX}{grant_name}" + (f".{part}" if part else "")


def binding_name(identity_name: str, cluster_role: str) -> str:
    return f"agentidentity:{identity_name}:{cluster_role}"


def vault_role(cluster: str, namespace: str, account: str) -> str:
    return f"{cluster}_{namespace}_{account}"


def vault_marker(cluster: str) -> str:
    """The role that says which cluster a prefix belongs to; no identity's, as `__` shows."""
    return f"{cluster}__marker"


def vault_policy_prefix(cluster: str, class_name: str) -> str:
    return f"agentid_{cluster}_{class_name}_"


def vault_policy(cluster: str, class_name: str, policy: str) -> str:
    return f"{vault_policy_prefix(cluster, class_name)}{policy}"


def split_vault_role(cluster: str, role: str) -> tuple[str, str] | None:
    """(namespace, account) of a role of ours; None for what is not, the marker included."""
    parts = role.split("_")
    if len(parts) != 3 or parts[0] != cluster or not parts[1] or not parts[2]:
        return None
    return parts[1], parts[2]


def vault_home(vault: ClassVault) -> str:
    """Where a class's roles live: one Vault, one namespace, one mount."""
    return f"{vault.address}|{vault.namespace or ''}|{vault.agent_auth.mount}"


def derived_refs(identity: Identity) -> tuple[Ref, ...]:
    """Every Kubernetes object that the identity could own, whatever its class, but for the policy
    that a waypoint enforces."""
    namespace, name = identity.key.namespace, identity.key.name
    rbac = identity.spec.rbac if identity.spec else None
    roles = sorted(rbac.cluster_roles) if rbac else ()
    return (
        account_ref(identity),
        Ref(Kind.PEER_AUTHENTICATION, namespace, policy_name(name)),
        Ref(Kind.AUTHORIZATION_POLICY, namespace, policy_name(name)),
        *(Ref(Kind.ROLE_BINDING, namespace, binding_name(name, role)) for role in roles),
    )


def owned_refs(identity: Identity, ceiling: AgentIdentityClassSpec) -> tuple[Ref, ...]:
    """Every Kubernetes object that the identity owns with all it asks for."""
    mesh, istio = ceiling.mesh.type == "Istio", ceiling.mesh.istio
    refs = tuple(r for r in derived_refs(identity) if mesh or r.kind not in MESH_KINDS)
    ambient = istio is not None and istio.data_plane == "Ambient"
    return (*refs, waypoint_policy_ref(identity.key)) if ambient else refs


def grant_named_by(ref: Ref) -> str:
    """The grant whose derived name an object has; empty for a name that is no grant's."""
    if ref.kind != Kind.AUTHORIZATION_POLICY or not ref.name.startswith(_GRANT_PREFIX):
        return ""
    return ref.name.removeprefix(_GRANT_PREFIX).partition(".")[0]


def owner_named_by(ref: Ref) -> Key:
    """Whose derived name an object has; of no name where it is nobody's."""
    if name := grant_named_by(ref):
        return Key(ref.namespace, name, Subject.GRANT)
    return Key(ref.namespace, identity_named_by(ref))


def identity_named_by(ref: Ref) -> str:
    """The identity whose derived name an object has; empty for an account, whose name is chosen,
    and for a name that is no identity's."""
    if ref.kind in MESH_KINDS and ref.name.startswith(_POLICY_PREFIX):
        return ref.name.removeprefix(_POLICY_PREFIX).removesuffix(".waypoint")
    parts = ref.name.split(":", 2)
    if ref.kind == Kind.ROLE_BINDING and len(parts) == 3 and parts[0] == "agentidentity":
        return parts[1]
    return ""


_WAYPOINT = ".waypoint"
_POLICY_PREFIX = "agentidentity-"
_GRANT_PREFIX = "agentaccessgrant-"
