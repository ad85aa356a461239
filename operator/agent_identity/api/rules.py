"""The rule, which is the same wherever it stands: who may call, and what; and who asks to.

Fields that narrow a right are required, as everywhere in the kinds.
"""

from typing import Annotated, Literal

from pydantic import Field

from agent_identity.api import fields as f
from agent_identity.api.frozen import Frozen, Law


class Http(Frozen):
    """Which HTTP requests a rule lets in."""

    methods: Annotated[
        tuple[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], ...],
        Field(min_length=1, max_length=7, json_schema_extra=f.as_set()),
    ]
    """Methods that are let in."""
    paths: Annotated[
        tuple[f.HttpPath, ...], Field(min_length=1, max_length=32, json_schema_extra=f.as_set())
    ]
    """Paths that are let in: exact (/v1/orders), by prefix (/v1/orders/*), or with templates:
    {*} is one segment, {**} at the end is any number of them."""


class Grpc(Frozen):
    """Which gRPC calls a rule lets in."""

    services: Annotated[
        tuple[f.GrpcService, ...], Field(min_length=1, max_length=16, json_schema_extra=f.as_set())
    ]
    """Full service names, e.g. shop.v1.Orders."""
    methods: Annotated[
        tuple[f.GrpcMethod, ...], Field(min_length=1, max_length=32, json_schema_extra=f.as_set())
    ]
    """Method names of those services; "*" is every method, and must be written to be meant."""


class Caller(Frozen):
    """Somebody who may call."""

    laws = (
        Law(
            "has(self.name) == (self.kind != 'AllAgentIdentities')",
            "name is required, but for kind AllAgentIdentities, which takes none",
            lambda c: (c.name is not None) == (c.kind != "AllAgentIdentities"),
        ),
        Law(
            "self.kind == 'AgentIdentity' || has(self.__namespace__)",
            "namespace is required, but for kind AgentIdentity, where it defaults to our own",
            lambda c: c.kind == "AgentIdentity" or c.namespace is not None,
        ),
    )

    kind: Literal["AgentIdentity", "ServiceAccount", "AllAgentIdentities"]
    """AgentIdentity: one agent. ServiceAccount: a workload that is no agent. AllAgentIdentities:
    every agent of a namespace."""
    namespace: f.DnsLabel | None = None
    """The caller's namespace. May be left out for kind AgentIdentity only: the agent's own."""
    name: f.DnsLabel | None = None
    """The caller's name; none for kind AllAgentIdentities."""


class Rule(Frozen):
    """Callers, and what they may call. All fields narrow together."""

    laws = (
        Law(
            "has(self.http) == (self.protocol == 'HTTP')",
            "http (methods and paths) is required with protocol HTTP, refused with others",
            lambda r: (r.http is not None) == (r.protocol == "HTTP"),
        ),
        Law(
            "has(self.grpc) == (self.protocol == 'GRPC')",
            "grpc (services and methods) is required with protocol GRPC, refused with others",
            lambda r: (r.grpc is not None) == (r.protocol == "GRPC"),
        ),
    )

    name: f.DnsLabel
    """The rule's name, unique in its list."""
    from_: Annotated[tuple[Caller, ...], Field(alias="from", min_length=1, max_length=64)]
    """Who may call. A caller that does not exist is left out; a rule without callers is dropped."""
    ports: Annotated[
        tuple[f.Port, ...], Field(min_length=1, max_length=16, json_schema_extra=f.as_set())
    ]
    """The ports of the workload itself (not of a Service)."""
    protocol: Literal["HTTP", "GRPC", "TCP"]
    """What is spoken on these ports."""
    http: Http | None = None
    """Exactly with protocol HTTP."""
    grpc: Grpc | None = None
    """Exactly with protocol GRPC."""


class Outbound(Frozen):
    """What an agent asks of one AgentAccessGrant. It gets what both say, and no more."""

    namespace: f.DnsLabel
    """The grant's namespace."""
    grant: f.DnsLabel
    """The grant's name."""
    rules: Annotated[
        tuple[f.DnsLabel, ...], Field(min_length=1, max_length=32, json_schema_extra=f.as_set())
    ]
    """Names of the grant's rules that this agent means to use."""
