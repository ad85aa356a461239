"""AgentAccessGrant: the owner of a service says who may call it.

What an agent gets is what the grant gives and its own `spec.outbound` asks for.
"""

from typing import Annotated, Literal

from pydantic import Field

from agent_identity.api import fields as f
from agent_identity.api.frozen import Frozen, Law
from agent_identity.api.rules import Rule
from agent_identity.api.v1alpha1 import GROUP, Conditions

_TARGETS_LATER = "delete the grant and make another: to move it would open what it guarded"


class WorkloadSelector(Frozen):
    """The pods of the service that is called."""

    laws = (
        Law(
            f"!self.matchLabels.exists(k, k.startsWith('{GROUP}/'))",
            f"labels of {GROUP} are agents': who may call an agent stands in its own inbound",
            lambda s: not any(k.startswith(f"{GROUP}/") for k in s.match_labels),
        ),
    )

    match_labels: Annotated[
        dict[f.LabelKey, f.LabelValue],
        Field(min_length=1, max_length=16),
    ]
    """Labels that a pod must carry; at least one."""


class TargetRef(Frozen):
    """What stands before the service: a waypoint or a gateway enforces the rules."""

    kind: Literal["Service", "Gateway", "ServiceEntry"]
    """Service or ServiceEntry, served by a waypoint; or Gateway (of the Gateway API)."""
    name: f.DnsLabel
    """Its name, in the grant's namespace."""


class AgentAccessGrantSpec(Frozen):
    """Who may call a service of this namespace, and what."""

    laws = (
        Law(
            "has(self.selector) != has(self.targetRefs)",
            "exactly one of selector (sidecars) and targetRefs (waypoints, gateways)",
            lambda g: (g.selector is None) != (g.target_refs is None),
        ),
        Law(
            "has(self.selector) == has(oldSelf.selector)"
            " && (!has(self.selector) || self.selector == oldSelf.selector)",
            f"selector can't be changed: {_TARGETS_LATER}",
        ),
        Law(
            "has(self.targetRefs) == has(oldSelf.targetRefs)"
            " && (!has(self.targetRefs) || self.targetRefs == oldSelf.targetRefs)",
            f"targetRefs can't be changed: {_TARGETS_LATER}",
        ),
        Law(
            "oldSelf.enforcement != 'Enforce' || self.enforcement == 'Enforce'",
            "enforcement can't go back to Shadow, which would let everybody in: delete the grant",
        ),
    )

    selector: WorkloadSelector | None = None
    """Whom the callers reach: pods of this namespace."""
    target_refs: Annotated[
        tuple[TargetRef, ...] | None,
        Field(min_length=1, max_length=16, json_schema_extra=f.map_by("kind", "name")),
    ] = None
    """Whom the callers reach, by what stands before it."""
    enforcement: Literal["Enforce", "Shadow"]
    """Enforce: write a policy that lets in these callers and nobody else. Shadow: write nothing,
    and say in status what would be written and which policies there are already."""
    on_delete: Literal["Close", "Open"] = "Close"
    """When the grant goes. Close: a policy stays that lets nobody in. Open: the policy goes too,
    and lets everybody in whom no other policy keeps out."""
    rules: Annotated[
        tuple[Rule, ...] | None, Field(max_length=32, json_schema_extra=f.map_by("name"))
    ] = None
    """Who is let in; agents need their own `spec.outbound` too. No rules: nobody."""


class GrantCaller(Frozen):
    """Somebody who is let in now."""

    kind: Literal["AgentIdentity", "ServiceAccount"]
    """An agent, or a workload that is none."""
    namespace: f.DnsLabel
    """The caller's namespace."""
    name: f.DnsLabel
    """The caller's name."""
    spiffe_id: Annotated[str, Field(alias="spiffeID", max_length=2048)]
    """Who the caller is to the mesh."""
    rules: Annotated[tuple[f.DnsLabel, ...], Field(max_length=32)]
    """The rules of this grant that let it in."""


class AgentAccessGrantStatus(Frozen):
    """Who is let in, who is not there, and what else guards the same workload."""

    observed_generation: Annotated[int | None, Field(ge=0)] = None
    """The generation of the spec that this status is about."""
    callers: Annotated[tuple[GrantCaller, ...] | None, Field(max_length=64)] = None
    """The first of those who are let in, in the order of their names."""
    caller_count: Annotated[int | None, Field(ge=0)] = None
    """How many are let in."""
    missing_count: Annotated[int | None, Field(ge=0)] = None
    """How many agents are named and not let in: they are not there, or do not ask."""
    policies: Annotated[tuple[str, ...] | None, Field(max_length=64)] = None
    """The AuthorizationPolicies of this grant."""
    would_write: Annotated[
        tuple[Annotated[str, Field(max_length=1024)], ...] | None, Field(max_length=64)
    ] = None
    """With enforcement Shadow: what Enforce would write."""
    others: Annotated[
        tuple[Annotated[str, Field(max_length=512)], ...] | None, Field(max_length=32)
    ] = None
    """Policies of others that select the same workload, and how they combine with this grant's."""
    conditions: Conditions | None = None
    """Ready, Reconciling, Stalled, PolicyReady and SelectorReady."""
