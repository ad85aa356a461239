"""What agents ask for and no grant gives, as a part of the graph. Pure.

What becomes of what an agent asks for is the operator's own answer (`Facts.outbound`).
"""

from collections.abc import Iterator

from agent_identity.api.conditions import ConditionType
from agent_identity.cli.callers import calls_of
from agent_identity.cli.documents import plain
from agent_identity.cli.graph import Drawn, Edge, Node, NodeKind, State, node_of
from agent_identity.cli.graph_agents import Agents, Sight
from agent_identity.core.facts import Ask, AskState
from agent_identity.core.resource import Subject

_UNREAD = "grants of its namespace may not be read"
_AS_TOLD = "as the operator says"
_NO_GRANT = "there is no such grant"
_NO_RULE = "the grant has no such rule"
_NOT_NAMED = "the rule does not name this agent"


def asked_for(agents: Agents) -> Iterator[Drawn]:
    """Each with the grant, whether it is there or not."""
    for key, seen in agents.seen.items():
        said = seen.condition(ConditionType.OUTBOUND).get("status") == "True"
        for ask in seen.facts.outbound:
            if not agents.sight.knows(Subject.GRANT, ask.grant.namespace):
                yield _unread(agents.nodes[key], ask, said=said)
            elif ask.state is AskState.NOT_GRANTED:
                yield _refused(agents.nodes[key], ask, agents.sight)


def _unread(agent: Node, ask: Ask, *, said: bool) -> Drawn:
    """said: whether the operator says that all that it asks for is in force."""
    grant = node_of(NodeKind.GRANT, ask.grant, others=f"Not to be said: {_UNREAD}.")
    state, why = (State.IN_FORCE, _AS_TOLD) if said else (State.UNKNOWN, _UNREAD)
    return Drawn((grant,), Edge(grant.id, agent.id, _via(ask), "", state, why))


def _refused(agent: Node, ask: Ask, sight: Sight) -> Drawn:
    known = sight.world.grants.all.get(ask.grant)
    rule = next((r for r in known.rules if r.name == ask.rule), None) if known else None
    absent = f"{_NO_GRANT}{sight.where}"
    why = _NOT_NAMED if rule else _NO_RULE if known else absent
    calls = plain(calls_of(rule)) if rule else ""
    grant = node_of(NodeKind.GRANT, ask.grant, trouble=absent)
    edge = Edge(grant.id, agent.id, _via(ask), calls, State.NOT_GRANTED, why)
    # One that is there is drawn with all that is known of it.
    return Drawn(() if known else (grant,), edge)


def _via(ask: Ask) -> str:
    return plain(f"spec.outbound, rule {ask.rule}")
