"""All that one decision about one identity rests on, gathered before anything is decided."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from agent_identity.api.rules import Caller
from agent_identity.core.identity import AgentClass, Identity, Namespace
from agent_identity.core.resource import Key, Kind, Observed, Ref


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the operator's settings say about the cluster."""

    name: str
    trust_domain: str
    mesh_root_namespace: str


@dataclass(frozen=True, slots=True)
class ForeignPolicy:
    """A mesh policy that is not ours and lets in more than ours, for these pods."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, order=True)
class ForeignBinding:
    """A binding that is not ours and names the account. namespace: empty for the cluster's."""

    namespace: str
    name: str


class AskState(Enum):
    """What has become of a rule that an agent's spec.outbound asks for, in words for its status."""

    IN_FORCE = "in force"
    NOT_GRANTED = "not granted"
    SHADOW = "granted, but the grant's enforcement is Shadow: nothing is enforced"
    NOT_IN_PLACE = "granted, but the grant's policy is not in place"


@dataclass(frozen=True, slots=True, order=True)
class Ask:
    """One rule of one grant that an agent asks for. sure: whether this process has looked at the
    grant; before that, one whose policy is there may be in force for this agent or not."""

    grant: Key
    rule: str
    state: AskState = field(compare=False)
    sure: bool = field(default=True, compare=False)

    def __str__(self) -> str:
        return f"{self.grant} rule {self.rule}"


@dataclass(frozen=True, slots=True, order=True)
class AgentService:
    """A Service that selects pods of one agent only. ports: of the Service, and of the pods that
    each leads to; one that leads to a port by name is left out."""

    name: str
    ports: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Rival:
    """Another identity that holds the account that this one wants."""

    name: str
    deleting: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """agent_class, namespace: None where there is none. observed: the Kubernetes objects that
    carry the identity's label or one of its names. owners: UIDs of identities that are
    there and control one of these. callers: every caller that its rules and its
    class's name → SPIFFE principals of those who are there. outbound: what its
    spec.outbound asks for, sorted. services: those that lead to it, sorted. pods: whether
    pods with the label run.
    mesh_installed: whether the mesh's CRDs are served."""

    cluster: Cluster
    identity: Identity
    agent_class: AgentClass | None
    namespace: Namespace | None
    observed: Mapping[Ref, Observed]
    owners: frozenset[str] = frozenset()
    rival: Rival | None = None
    callers: Mapping[Caller, tuple[str, ...]] | None = None
    foreign_policies: tuple[ForeignPolicy, ...] = ()
    foreign_bindings: tuple[ForeignBinding, ...] = ()
    outbound: tuple[Ask, ...] = ()
    services: tuple[AgentService, ...] = ()
    pods: bool = False
    mesh_installed: bool = True

    @property
    def account(self) -> Observed | None:
        """The identity's own ServiceAccount, where there is one."""
        owned = (s for s in self.observed.values() if s.is_owned_by(self.identity.meta.uid))
        return next((s for s in owned if s.ref.kind is Kind.SERVICE_ACCOUNT), None)

    def lacking(self, refs: Iterable[Ref]) -> frozenset[Ref]:
        """Those that the identity does not have."""
        return frozenset(r for r in refs if not self.has(r))

    def has(self, ref: Ref) -> bool:
        """Whether the object is there and is this identity's own."""
        seen = self.observed.get(ref)
        return seen is not None and seen.is_owned_by(self.identity.meta.uid)
