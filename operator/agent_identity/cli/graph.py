"""Who may call whom, as values: nodes, edges, and the part of them around somebody. Pure."""

from dataclasses import dataclass, replace

from agent_identity.api.described import Described
from agent_identity.cli.documents import plain
from agent_identity.core.resource import Key


class NodeKind(Described):
    """What a node stands for."""

    AGENT = "AgentIdentity", "an agent"
    GROUP = "AllAgentIdentities", "every agent of a namespace"
    GRANT = "AgentAccessGrant", "a service that a grant guards"
    WORKLOAD = "ServiceAccount", "a workload that is no agent"
    ANYBODY = "Anybody", "whoever can reach what is called"


class State(Described):
    """Whether a caller may call."""

    IN_FORCE = "in force", "It may call."
    NOT_GRANTED = "not granted", "The caller asks for it, and no grant gives it."
    NOT_ASKED = "not asked for", "A grant names the caller, which does not ask: no access."
    NOT_THERE = "not there", "The caller does not exist, or stalls: it is not let in."
    CLOSED = "closed", "What is called lets nobody in by this rule: it stalls, or lacks something."
    SHADOW = "shadow", "Enforcement is Shadow: nothing is enforced, and anybody may call."
    ANYBODY = "anybody", "Nothing enforces who may call: anybody may."
    UNKNOWN = "not known", "What would say it may not be read."


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """Somebody who calls or is called. guards: of a grant, for what it is. stalls: gets nothing
    until somebody changes something. trouble: why it is no caller, or can't be called. others: who
    may call it besides the callers that are named."""

    id: str
    kind: NodeKind
    namespace: str = ""
    name: str = ""
    account: str = ""
    agent_class: str = ""
    guards: str = ""
    stalls: bool = False
    trouble: str = ""
    others: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """source may call target, as far as state says so. via: the rule, and whose it is. calls: what
    may be called, in words. why: more about the state."""

    target: str
    source: str
    via: str
    calls: str
    state: State
    why: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """An edge, and those of its ends that nobody else draws; or a node by itself."""

    nodes: tuple[Node, ...]
    edge: Edge | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """All of it, sorted. origin: files or cluster. notes: what was assumed, or may not be read."""

    origin: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    notes: tuple[str, ...] = ()


KINDS = {kind.value: kind for kind in NodeKind}
EVERYBODY = "*"
"""In place of a name: every agent of a namespace. No name can be this."""
ANYBODY = Node(NodeKind.ANYBODY.value, NodeKind.ANYBODY)


def node_of(kind: NodeKind, key: Key, *, stalls: bool = False, **more: str) -> Node:
    """Texts are strangers': whatever would be a command to a terminal is written out."""
    namespace, name = plain(key.namespace), plain(key.name)
    told = {field: plain(text) for field, text in more.items()}
    return Node(f"{kind} {namespace}/{name}", kind, namespace, name, stalls=stalls, **told)


def around(whole: Graph, key: Key) -> Graph:
    """What an agent may call and who may call it; it counts among the agents of its namespace."""
    agent = node_of(NodeKind.AGENT, key).id
    names = {agent, node_of(NodeKind.GROUP, Key(key.namespace, EVERYBODY)).id}
    edges = (e for e in whole.edges if e.target == agent or e.source in names)
    return _drawn(whole, tuple(edges), {agent})


def within(whole: Graph, namespace: str) -> Graph:
    """What is called in a namespace, or from it."""
    names = {node.id for node in whole.nodes if node.namespace == plain(namespace)}
    edges = (e for e in whole.edges if e.target in names or e.source in names)
    return _drawn(whole, tuple(edges), names)


def _drawn(whole: Graph, edges: tuple[Edge, ...], kept: set[str]) -> Graph:
    """These edges, with their ends and the nodes that are kept anyhow."""
    ends = kept | {e.source for e in edges} | {e.target for e in edges}
    return replace(whole, edges=edges, nodes=tuple(n for n in whole.nodes if n.id in ends))
