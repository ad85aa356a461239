"""All agents that can be seen, as nodes, and whom a rule means by a caller. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent_identity.api.conditions import ConditionType
from agent_identity.api.rules import Caller
from agent_identity.cli.callers import others
from agent_identity.cli.graph import EVERYBODY, KINDS, Node, NodeKind, node_of
from agent_identity.cli.seen import Seen
from agent_identity.core.checks import judge
from agent_identity.core.resource import Key, Subject
from agent_identity.reconcile.world import World

FILES, CLUSTER = "files", "cluster"
EVERYWHERE, NOWHERE = "", "*"
SERVICES = "Service"
OWN_ACCOUNT = "it is an agent's own account, which is let in as that AgentIdentity only"
_NOBODY = {
    NodeKind.AGENT: "there is no such agent{where}",
    NodeKind.GROUP: "there is no agent of that namespace{where} that may call",
}
_UNSEEN = "Not to be said: agents of its namespace may not be read."
_NOT_SAID = "Not to be said: it stalls, and files do not tell which policies stand."


@dataclass(frozen=True, slots=True)
class Sight:
    """All agents that can be seen, each with what decides about it. known: by kind the namespace of
    which all objects are known, or EVERYWHERE (which is left out), or NOWHERE."""

    origin: str
    world: World
    agents: tuple[Seen, ...]
    known: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Follows what is not there."""
        return " among the files" if self.origin == FILES else ""

    def knows(self, kind: str, namespace: str) -> bool:
        """Whether all objects of a kind in a namespace are known."""
        return self.known.get(kind, EVERYWHERE) in (EVERYWHERE, namespace)


class Agents:
    """seen, nodes: by name."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self.seen = {seen.facts.identity.key: seen for seen in sight.agents}
        self.nodes = {key: _agent(seen, sight) for key, seen in self.seen.items()}
        self._inhabited = {key.namespace for key, node in self.nodes.items() if not node.trouble}

    def sees(self, namespace: str) -> bool:
        """Whether all agents of a namespace are known."""
        return self.sight.knows(Subject.IDENTITY, namespace)

    def meant(self, caller: Caller, namespace: str) -> Node:
        """Whom a rule of a namespace means. One that is not there has that for its trouble."""
        key = called(caller, namespace)
        kind = KINDS[caller.kind]
        if kind is NodeKind.AGENT and key in self.nodes:
            return self.nodes[key]
        if kind is NodeKind.WORKLOAD or (
            kind is NodeKind.GROUP and key.namespace in self._inhabited
        ):
            return node_of(kind, key)
        if self.sees(key.namespace):
            return node_of(kind, key, trouble=_NOBODY[kind].format(where=self.sight.where))
        return node_of(kind, key, others=_UNSEEN)

    def is_let_in(self, workload: Caller, namespace: str) -> bool:
        """A workload is let in by name: nobody looks whether it is there."""
        return any(self.sight.world.callers.who(workload, namespace))


def called(caller: Caller, namespace: str) -> Key:
    """The name of a caller in a rule of a namespace."""
    return Key(caller.namespace or namespace, caller.name or EVERYBODY)


def _agent(seen: Seen, sight: Sight) -> Node:
    identity = seen.facts.identity
    stalls = stalled(seen)
    unsaid = stalls and sight.origin == FILES
    return node_of(
        NodeKind.AGENT,
        identity.key,
        account=identity.account,
        agent_class=identity.class_name,
        stalls=bool(stalls),
        trouble=stalls or _no_caller(seen, sight.world),
        others=_NOT_SAID if unsaid else _others(seen),
    )


def _others(seen: Seen) -> str:
    names = ", ".join(f"{p.kind} {p.namespace}/{p.name}" for p in seen.facts.foreign_policies)
    return others(seen).replace("see below", names)


def stalled(seen: Seen) -> str:
    """Why an agent gets nothing, by the operator's verdict, or by its word where the class may not
    be read; empty if it is in order."""
    if seen.class_known:
        problem = judge(seen.facts).problem
        return f"stalls: {problem}" if problem else ""
    row = seen.condition(ConditionType.STALLED)
    return f"stalls, as the operator says: {row['message']}" if row.get("status") == "True" else ""


def _no_caller(seen: Seen, world: World) -> str:
    identity = seen.facts.identity
    if identity.deleting:
        return "is being deleted"
    if not seen.class_known or world.principal(identity.key):
        return ""
    return "has no account of its own yet"
