"""The kinds of agentidentity.dev/v1alpha1 as types: the one place where their shape is written.

The CRDs are generated from these classes, and every object is parsed into them once, at the door.
Fields that narrow a right are required, because the API server drops an unknown (misspelt) field
instead of refusing it, and a typo must never widen anything.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from agent_identity.api import fields as f
from agent_identity.api.frozen import Frozen, Law
from agent_identity.api.rules import Outbound, Rule

GROUP = "agentidentity.dev"
VERSION = "v1alpha1"

# Immutable is the *effective* account: an optional field could be changed by way of leaving it out.
EFFECTIVE_ACCOUNT = (
    "(has({0}.spec.serviceAccount) && has({0}.spec.serviceAccount.name)"
    " ? {0}.spec.serviceAccount.name : {0}.metadata.name)"
)


class PullSecret(Frozen):
    """A Secret with registry credentials, in the identity's namespace."""

    name: Annotated[
        str,
        Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253),
    ]
    """The Secret's name."""


class ServiceAccountSpec(Frozen):
    """The account that the agent's pods run as."""

    name: f.DnsLabel | None = None
    """The account's name. Defaults to metadata.name; the effective name can't be changed."""
    annotations: Annotated[
        dict[f.AnnotationKey, f.AnnotationValue] | None, Field(max_length=16)
    ] = None
    """Annotations for the account. Only keys that the class lists."""
    image_pull_secrets: Annotated[
        tuple[PullSecret, ...] | None, Field(max_length=8, json_schema_extra=f.map_by("name"))
    ] = None
    """Secrets that pods of this account pull images with."""


class Inbound(Frozen):
    """Who may call this agent."""

    enforcement: Literal["Enforce", "Shadow"]
    """Enforce: STRICT mTLS and a policy that lets in the named callers only. Shadow: write no mesh
    object, and say in status what would be written."""
    rules: Annotated[
        tuple[Rule, ...] | None, Field(max_length=32, json_schema_extra=f.map_by("name"))
    ] = None
    """Who is let in. No rules: nobody."""


class RbacSpec(Frozen):
    """The Kubernetes rights that the agent asks for."""

    cluster_roles: Annotated[
        tuple[f.ClusterRoleName, ...],
        Field(min_length=1, max_length=16, json_schema_extra=f.as_set()),
    ]
    """ClusterRoles, bound in the identity's own namespace only. Names that the class lists."""


class VaultSpec(Frozen):
    """The secrets that the agent asks for."""

    policies: Annotated[
        tuple[f.DnsLabel, ...], Field(min_length=1, max_length=16, json_schema_extra=f.as_set())
    ]
    """Names of policies that the class lists; never a path."""
    token_ttl_seconds: Annotated[f.Seconds | None, Field(alias="tokenTTLSeconds")] = None
    """How long a token lives. Defaults to the class's default; at most the class's maximum."""


class AgentIdentitySpec(Frozen):
    """What one agent is and asks for, inside the ceilings of its class."""

    class_name: f.DnsLabel = "default"
    """The AgentIdentityClass whose ceilings apply."""
    service_account: ServiceAccountSpec | None = None
    """The account that the agent's pods run as. The operator makes it; it never adopts one."""
    inbound: Inbound | None = None
    """Who may call this agent. Left out: enforced, and nobody may."""
    outbound: Annotated[
        tuple[Outbound, ...] | None,
        Field(max_length=64, json_schema_extra=f.map_by("namespace", "grant")),
    ] = None
    """What this agent asks to call: it gets what a grant gives as well. Left out: nothing."""
    rbac: RbacSpec | None = None
    """Kubernetes rights. Left out: none."""
    vault: VaultSpec | None = None
    """Secrets. Left out: none."""


class NamespaceSelector(Frozen):
    """Which namespaces may use a class."""

    match_labels: Annotated[dict[f.LabelKey, f.LabelValue], Field(max_length=16)]
    """Labels that a namespace must carry. {} is every namespace; it must be written."""


class ClassServiceAccounts(Frozen):
    """Ceilings for accounts."""

    annotation_keys: Annotated[
        tuple[f.AnnotationKey, ...],
        Field(
            max_length=32,
            json_schema_extra=f.as_set()
            | f.rules(
                f.rule(
                    "self.all(k, !k.startsWith('agentidentity.dev/')"
                    " && !k.startsWith('vault.hashicorp.com/'))",
                    "annotations that the operator or Vault decides by can't be handed out",
                )
            ),
        ),
    ]
    """Annotation keys that identities may set on their accounts."""


class ClassInbound(Frozen):
    """Ceilings and baseline for inbound calls."""

    minimum_enforcement: Literal["Enforce", "Shadow"] = "Enforce"
    """Shadow lets identities choose Shadow, while a fleet is being migrated."""
    rules: Annotated[
        tuple[Rule, ...] | None, Field(max_length=8, json_schema_extra=f.map_by("name"))
    ] = None
    """Rules that every agent of the class gets on top of its own, e.g. for a scraper."""


class Waypoint(Frozen):
    """Who stands before the agents where the data plane is Ambient, and enforces HTTP and gRPC."""

    service_account: f.DnsLabel
    """The account that the waypoint runs as; Istio gives it the Gateway's name."""
    namespace: f.DnsLabel | None = None
    """Where it runs. Left out: in each agent's own namespace."""


class Istio(Frozen):
    """How the mesh is run."""

    laws = (
        Law(
            "!has(self.waypoint) || self.dataPlane == 'Ambient'",
            "waypoint is for dataPlane Ambient only",
            lambda i: i.waypoint is None or i.data_plane == "Ambient",
        ),
    )

    data_plane: Literal["Sidecar", "Ambient"]
    """Sidecar: policies are enforced beside the workload, by Envoy (not by proxyless gRPC).
    Ambient: ports by ztunnel, HTTP and gRPC by a waypoint."""
    waypoint: Waypoint | None = None
    """With Ambient: who passes HTTP and gRPC on. Left out, such rules let nobody in."""


class Mesh(Frozen):
    """Which mesh enforces who may call."""

    laws = (
        Law(
            "has(self.istio) == (self.type == 'Istio')",
            "istio is required with type Istio and refused with None",
            lambda m: (m.istio is not None) == (m.type == "Istio"),
        ),
    )

    type: Literal["Istio", "None"]
    """Istio, or None: nothing would enforce inbound rules, so identities can't have any."""
    istio: Istio | None = None
    """Exactly with type Istio."""


class ClassRbac(Frozen):
    """Ceilings for Kubernetes rights."""

    cluster_roles: Annotated[
        tuple[f.ClusterRoleName, ...], Field(max_length=64, json_schema_extra=f.as_set())
    ]
    """ClusterRoles that identities may ask for. The operator needs `bind` on each of them."""


class VaultLogin(Frozen):
    """How the operator itself logs in."""

    mount: f.VaultMount
    """Mount of a Kubernetes auth method."""
    role: f.VaultName
    """Role of the operator on that mount."""


_FIXED = "can't be changed: roles live there; delete the class and apply it again"


class VaultAgentAuth(Frozen):
    """How agents log in."""

    laws = (Law("self.mount == oldSelf.mount", f"the mount {_FIXED}"),)

    mount: f.VaultMount
    """Mount of the Kubernetes auth method where the agents' roles are written."""
    audience: f.Audience
    """Audience that an agent's token must carry."""


class VaultRule(Frozen):
    """One path, and what may be done there."""

    path: f.VaultPath
    """A Vault path. {cluster}, {namespace} and {serviceAccount} are whole segments that stand for
    the agent's own; * may only be the last segment."""
    capabilities: Annotated[
        tuple[Literal["create", "read", "update", "patch", "delete", "list"], ...],
        Field(min_length=1, max_length=6, json_schema_extra=f.as_set()),
    ]
    """What is allowed on that path."""


_INNER = r"([^/]+/)?(sys|auth|identity|cubbyhole)(/|$)"


def _is_a_strangers(policy: str) -> bool:
    return policy not in ("root", "default") and not policy.startswith("agentid_")


def _is_told_apart(path: str) -> bool:
    """Account names repeat in other namespaces."""
    before, found, _ = path.partition("{serviceAccount}")
    return not found or "{namespace}/" in before


class VaultPolicy(Frozen):
    """A policy that identities may ask for by name."""

    laws = (
        Law(
            "has(self.rules) != has(self.policyName)",
            "exactly one of rules (written by the operator) and policyName (written by others)",
            lambda p: (p.rules is None) != (p.policy_name is None),
        ),
        Law(
            "!has(self.policyName) || !(self.policyName in ['root', 'default'])"
            " && !self.policyName.startsWith('agentid_')",
            "policyName can't be root, default, or one that the operator writes",
            lambda p: p.policy_name is None or _is_a_strangers(p.policy_name),
        ),
        Law(
            "!has(self.rules) || self.rules.all(r,"
            " !r.path.matches('^([^/]+/)?(sys|auth|identity|cubbyhole)(/|$)'))",
            "agents get no paths under sys, auth, identity or cubbyhole",
            lambda p: not any(re.match(_INNER, r.path) for r in p.rules or ()),
        ),
        Law(
            "!has(self.rules) || self.rules.all(r, !r.path.contains('{serviceAccount}')"
            " || r.path.matches('^(.*/)?[{]namespace[}]/(.*/)?[{]serviceAccount[}](/.*)?$'))",
            "{serviceAccount} needs an earlier {namespace}: account names repeat",
            lambda p: all(_is_told_apart(r.path) for r in p.rules or ()),
        ),
    )

    name: f.DnsLabel
    """The name that identities ask for."""
    rules: Annotated[tuple[VaultRule, ...] | None, Field(min_length=1, max_length=16)] = None
    """The operator writes one policy of these rules for the whole class."""
    policy_name: f.VaultName | None = None
    """A policy that Vault's own administrators wrote. The operator needs no right on policies."""


class ClassVault(Frozen):
    """The Vault (or OpenBao) of this class, and its ceilings."""

    laws = (
        Law("self.address == oldSelf.address", f"the address {_FIXED}"),
        Law(
            "has(self.__namespace__) == has(oldSelf.__namespace__)"
            " && (!has(self.__namespace__) || self.__namespace__ == oldSelf.__namespace__)",
            f"the Vault namespace {_FIXED}",
        ),
        Law(
            "self.defaultTokenTTLSeconds <= self.maxTokenTTLSeconds",
            "defaultTokenTTLSeconds is over maxTokenTTLSeconds",
            lambda v: v.default_token_ttl_seconds <= v.max_token_ttl_seconds,
        ),
    )

    address: Annotated[str, Field(pattern=f.HTTPS_ADDRESS, max_length=253)]
    """https:// and host, with a port when it isn't 443."""
    namespace: f.VaultMount | None = None
    """Vault namespace, where there are any."""
    ca_bundle: Annotated[str | None, Field(pattern=f.PEM, max_length=65536)] = None
    """PEM certificates that Vault's certificate is verified with. Left out: the system's."""
    login: VaultLogin
    """How the operator itself logs in."""
    agent_auth: VaultAgentAuth
    """How agents log in."""
    default_token_ttl_seconds: Annotated[f.Seconds, Field(alias="defaultTokenTTLSeconds")]
    """Life of an agent's token where the identity does not say."""
    max_token_ttl_seconds: Annotated[f.Seconds, Field(alias="maxTokenTTLSeconds")]
    """The longest life that an identity may ask for, and the longest that a token has."""
    policies: Annotated[
        tuple[VaultPolicy, ...] | None, Field(max_length=32, json_schema_extra=f.map_by("name"))
    ] = None
    """Policies that identities may ask for."""


class AgentIdentityClassSpec(Frozen):
    """The platform team's ceilings."""

    laws = (
        Law(
            "!has(oldSelf.vault) || has(self.vault)",
            "vault can't be removed once set: delete the class, and its roles go with it",
        ),
    )

    namespace_selector: NamespaceSelector
    """Namespaces that may use this class. One whose labels stop matching loses all
    but mTLS and deny."""
    service_accounts: ClassServiceAccounts | None = None
    """Ceilings for accounts. Left out: no annotations."""
    inbound: ClassInbound | None = None
    """Ceilings and baseline for inbound calls. Left out: always enforced."""
    mesh: Mesh
    """Which mesh enforces who may call."""
    rbac: ClassRbac | None = None
    """Ceilings for Kubernetes rights. Left out: none."""
    vault: ClassVault | None = None
    """Secrets. Left out: none."""


class Condition(Frozen):
    """One condition, as in Kubernetes' metav1.Condition."""

    type: Annotated[str, Field(max_length=64)]
    """What is told about."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(max_length=64)]
    """Why, in one word; the README lists them all with what to do."""
    message: Annotated[str, Field(max_length=2048)]
    """Why, in words."""
    observed_generation: Annotated[int, Field(ge=0)]
    """The generation of the spec that this was seen for."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """Since when the status is what it is."""


Conditions = Annotated[
    tuple[Condition, ...], Field(max_length=16, json_schema_extra=f.map_by("type"))
]
"""The conditions, one of a type."""


class AgentIdentityStatus(Frozen):
    """What the agent has, what is missing, and why."""

    observed_generation: Annotated[int | None, Field(ge=0)] = None
    """The generation of the spec that this status is about."""
    spiffe_id: Annotated[str | None, Field(alias="spiffeID", max_length=2048)] = None
    """The agent's SPIFFE ID, once it has an account."""
    service_account: Annotated[str | None, Field(max_length=63)] = None
    """The agent's ServiceAccount, once it has one."""
    vault_role: Annotated[str | None, Field(max_length=253)] = None
    """The role that the agent logs in to Vault with, once it has one."""
    would_write: Annotated[
        tuple[Annotated[str, Field(max_length=1024)], ...] | None, Field(max_length=64)
    ] = None
    """With enforcement Shadow: what Enforce would write."""
    conditions: Conditions | None = None
    """Ready, Reconciling, Stalled, and one per section of the spec that is asked for."""


class AgentIdentityClassStatus(Frozen):
    """Whether what the class stands on is there."""

    observed_generation: Annotated[int | None, Field(ge=0)] = None
    """The generation of the spec that this status is about."""
    conditions: Conditions | None = None
    """Ready, Reconciling, Stalled, VaultReady and MeshReady."""
