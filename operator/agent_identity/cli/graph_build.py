"""The graph of all that can be seen. Pure.

Whether an agent may be a caller, and whether its rules are in force, is the operator's own verdict;
nothing is decided here.
"""

from collections.abc import Iterator
from dataclasses import replace

from agent_identity.api.conditions import ConditionType
from agent_identity.api.rules import Caller, Rule
from agent_identity.cli.callers import Others, absent, calls_of, others, rules_of, who_else
from agent_identity.cli.documents import plain
from agent_identity.cli.findings import shown_caller
from agent_identity.cli.graph import ANYBODY, Drawn, Edge, Graph, State
from agent_identity.cli.graph_agents import (
    FILES,
    OWN_ACCOUNT,
    SERVICES,
    Agents,
    Sight,
    called,
    stalled,
)
from agent_identity.cli.graph_asks import asked_for
from agent_identity.cli.graph_grants import granted
from agent_identity.cli.seen import Seen
from agent_identity.core.errors import Invalid
from agent_identity.core.facts import Facts
from agent_identity.providers.istio.ambient import is_ambient, what_is_missing
from agent_identity.providers.istio.desired import IstioRoom

_OPEN = {
    Others.SHADOW: State.SHADOW,
    Others.NO_MESH: State.ANYBODY,
    Others.NOT_YET: State.ANYBODY,
    Others.PERHAPS: State.UNKNOWN,
}


def graph(sight: Sight) -> Graph:
    """Agents and what grants guard, whom their rules name, and who asks for what."""
    agents = Agents(sight)
    drawn = [d for seen in sight.agents for d in _inbound(seen, agents)]
    drawn += granted(agents)
    drawn += asked_for(agents)
    nodes = {*agents.nodes.values(), *(node for one in drawn for node in one.nodes)}
    edges = {one.edge for one in drawn if one.edge}
    notes = tuple(dict.fromkeys(plain(note) for note in sight.notes))
    return Graph(sight.origin, tuple(sorted(nodes)), tuple(sorted(edges)), notes)


def _inbound(seen: Seen, agents: Agents) -> Iterator[Drawn]:
    """Everything that says who may call one agent."""
    key = seen.facts.identity.key
    target = agents.nodes[key].id
    stalls, who = stalled(seen), who_else(seen)
    state, why = _OPEN.get(who, State.IN_FORCE), others(seen) if who in _OPEN else ""
    if who in _OPEN and not (stalls and agents.sight.origin == FILES):
        yield Drawn((ANYBODY,), Edge(target, ANYBODY.id, "", "anything", state, plain(why)))
    closed = stalls or _closed(seen.facts)
    for source, rule in rules_of(seen.facts):
        via, calls = plain(f"{source} {rule.name}"), plain(calls_of(rule))
        lost = closed or _lost(seen, rule, agents)
        given = (State.CLOSED, lost) if lost else (state, why)
        for caller in rule.from_:
            node = agents.meant(caller, key.namespace)
            missing = _missing(caller, seen, agents)
            told = (State.NOT_THERE, missing) if missing else given
            yield Drawn((node,), Edge(target, node.id, via, calls, told[0], plain(told[1])))


def _closed(facts: Facts) -> str:
    """Why no rule of an agent that does not stall lets anybody in; empty where they may. Policies
    of others have their own place."""
    problem = IstioRoom().report(replace(facts, foreign_policies=())).problem
    return problem.message if isinstance(problem, Invalid) else ""


def _lost(seen: Seen, rule: Rule, agents: Agents) -> str:
    """Why one rule lets nobody in. Where Services may not be read the operator's word counts."""
    facts = seen.facts
    if not is_ambient(facts):
        return ""
    if agents.sight.knows(SERVICES, facts.identity.key.namespace):
        return what_is_missing(facts, [rule])
    row = seen.condition(ConditionType.INBOUND)
    return "" if row.get("status") == "True" else f"as the operator says: {row.get('message', '')}"


def _missing(caller: Caller, seen: Seen, agents: Agents) -> str:
    """Why a caller is not let in; empty if it is."""
    namespace = seen.facts.identity.key.namespace
    if caller.kind == "ServiceAccount":
        return "" if agents.is_let_in(caller, namespace) else OWN_ACCOUNT
    if agents.sees(called(caller, namespace).namespace):
        return agents.meant(caller, namespace).trouble
    return absent(shown_caller(caller, namespace), seen)
