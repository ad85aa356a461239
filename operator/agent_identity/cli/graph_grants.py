"""What AgentAccessGrants add to the graph: who may call what they guard. Pure.

Whom a grant lets in is the operator's own answer (`World.grants`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent_identity.api.conditions import ConditionType
from agent_identity.api.rules import Caller, Rule
from agent_identity.cli.asked import guarded
from agent_identity.cli.callers import calls_of
from agent_identity.cli.documents import plain
from agent_identity.cli.graph import ANYBODY, Drawn, Edge, Node, NodeKind, State, node_of
from agent_identity.cli.graph_agents import FILES, OWN_ACCOUNT, Agents, called
from agent_identity.core.grants import GrantFacts, judge_grant, main_ref
from agent_identity.core.resource import Key, Kind
from agent_identity.reconcile.callers import outbound_of

_SHADOW = (
    "Anybody whom no policy of others keeps out: enforcement is Shadow, so nothing is written."
)
_NOT_YET = "Anybody whom no policy of others keeps out, until its own policy stands."
_PERHAPS = "Perhaps anybody: see PolicyReady."
_NOT_SAID = "Not to be said: it stalls, and files do not tell whether its policy stands."
_OPEN = {_SHADOW: State.SHADOW, _NOT_YET: State.ANYBODY, _PERHAPS: State.UNKNOWN}
_OF_GROUP = "those of its agents that ask for it are drawn by themselves"
_ABROAD = "agents of its namespace may not be read"


@dataclass(frozen=True, slots=True)
class _Called:
    """A grant as the one that is called. state, why: of those whom it lets in. admitted, told: by
    rule the agents that it lets in, as the operator decides it here, and as its status has it."""

    key: Key
    node: Node
    state: State
    why: str
    admitted: Mapping[str, frozenset[Key]]
    told: Mapping[str, frozenset[Key]]

    def by(self, source: Node, rule: Rule, state: State, why: str) -> Drawn:
        via, calls = plain(f"rule {rule.name}"), plain(calls_of(rule))
        return Drawn((source,), Edge(self.node.id, source.id, via, calls, state, plain(why)))

    def lets(self, source: Node, rule: Rule) -> Drawn:
        return self.by(source, rule, self.state, self.why)


def granted(agents: Agents) -> Iterator[Drawn]:
    """Every grant, whom its rules name, and whether they may call."""
    grants = agents.sight.world.grants
    for facts in filter(None, map(grants.facts, sorted(grants.all))):
        one = _called(facts, agents)
        yield Drawn((one.node,))
        if one.node.others in _OPEN:
            state = _OPEN[one.node.others]
            edge = Edge(one.node.id, ANYBODY.id, "", "anything", state, one.node.others)
            yield Drawn((ANYBODY,), edge)
        for rule in facts.grant.rules:
            for caller in rule.from_:
                yield from _named(one, rule, caller, agents)


# --- the grant itself


def _called(facts: GrantFacts, agents: Agents) -> _Called:
    key, stands = facts.grant.key, _stands(facts, agents)
    stalls, who = _stalls(facts), _others(facts, agents, stands)
    node = node_of(
        NodeKind.GRANT,
        key,
        guards=guarded(facts.grant),
        stalls=bool(stalls),
        trouble=stalls,
        others=who,
    )
    state = State.CLOSED if stalls else _OPEN.get(who, State.IN_FORCE)
    why = stalls or (who if who in _OPEN else "")
    admitted = {
        rule: frozenset(Key(c.namespace, c.name) for c in found if c.kind == "AgentIdentity")
        for rule, found in facts.admitted.items()
    }
    return _Called(key, node, state, why, admitted, _told(facts))


def _stalls(facts: GrantFacts) -> str:
    problem = judge_grant(facts).problem
    if facts.grant.deleting:
        return "is being deleted"
    return f"stalls: {problem}" if problem else ""


def _stands(facts: GrantFacts, agents: Agents) -> bool | None:
    """Whether its policy does: of files, as it is once the operator has done its work; where
    policies may not be read, by the operator's word, and None where that does not say it."""
    grant = facts.grant
    if agents.sight.origin == FILES:
        return True
    if agents.sight.knows(Kind.AUTHORIZATION_POLICY, grant.key.namespace):
        main = facts.observed.get(main_ref(grant.key))
        return main is not None and main.is_owned_by(grant.meta.uid)
    rows = grant.status.get("conditions") or ()
    told = any(r.get("type") == ConditionType.POLICY and r.get("status") == "True" for r in rows)
    return True if told else None


def _others(facts: GrantFacts, agents: Agents, stands: bool | None) -> str:  # noqa: FBT001
    """Who may call besides the callers that are named."""
    if _stalls(facts) and agents.sight.origin == FILES:
        return _NOT_SAID
    spec = facts.grant.spec
    if spec and spec.enforcement == "Shadow" and not _stalls(facts):
        return _SHADOW
    if not stands:
        return _PERHAPS if stands is None else _NOT_YET
    adding = [o for o in facts.others if o.adds]
    names = ", ".join(f"{'' if o.certain else 'perhaps '}{o.namespace}/{o.name}" for o in adding)
    return f"Besides, whom the policies of others let in: {names}." if names else "Nobody else."


def _told(facts: GrantFacts) -> Mapping[str, frozenset[Key]]:
    """The status has the first of a grant's callers."""
    found: dict[str, set[Key]] = {}
    for caller in facts.grant.status.get("callers") or ():
        for rule in caller.get("rules") or ():
            key = Key(str(caller.get("namespace")), str(caller.get("name")))
            found.setdefault(rule, set()).add(key)
    return {rule: frozenset(keys) for rule, keys in found.items()}


# --- whom it names


def _named(one: _Called, rule: Rule, caller: Caller, agents: Agents) -> Iterator[Drawn]:
    """One caller of a rule. Of a whole namespace each agent that asks has an edge of its own."""
    node, key = agents.meant(caller, one.key.namespace), called(caller, one.key.namespace)
    if caller.kind == "ServiceAccount" and agents.is_let_in(caller, one.key.namespace):
        yield one.lets(node, rule)
    elif caller.kind == "ServiceAccount":
        yield one.by(node, rule, State.NOT_THERE, OWN_ACCOUNT)
    elif key in one.told.get(rule.name, ()) and not agents.sees(key.namespace):
        yield one.lets(node, rule)
    elif not agents.sees(key.namespace):
        yield one.by(node, rule, State.UNKNOWN, _ABROAD)
    elif node.trouble:
        yield one.by(node, rule, State.NOT_THERE, node.trouble)
    elif caller.kind == "AgentIdentity":
        asks = _takes(one, rule, key, agents)
        yield one.lets(node, rule) if asks else one.by(node, rule, State.NOT_ASKED, "")
    else:
        yield one.by(node, rule, State.NOT_ASKED, _OF_GROUP)
        members = (k for k in agents.nodes if k.namespace == key.namespace)
        takers = (k for k in members if _takes(one, rule, k, agents))
        yield from (one.lets(agents.nodes[k], rule) for k in takers)


def _takes(one: _Called, rule: Rule, agent: Key, agents: Agents) -> bool:
    """Whether an agent that is named asks for it too. One whose class is not known is nobody's
    caller to the operator; what it asks for then stands in its own spec."""
    if agent in one.admitted.get(rule.name, ()):
        return True
    seen = agents.seen[agent]
    asked = outbound_of(seen.facts.identity).get(one.key, frozenset())
    return not seen.class_known and not agents.nodes[agent].trouble and rule.name in asked
