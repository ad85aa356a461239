"""Who calls whom: whom rules name on one side, the agents that are there on the other. No I/O.

Events go in as what an agent is to others (`stands`) and whom an object's rules name (`name`);
whoever must look again because of it is made due.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from agent_identity.api import rules
from agent_identity.core.grants import Caller
from agent_identity.core.identity import Identity
from agent_identity.core.resource import Key, Subject
from agent_identity.core.spiffe import SpiffeID
from agent_identity.reconcile.multimap import Multimap

Asked = Mapping[Key, frozenset[str]]
"""Grant → the rules of it that an agent's own spec.outbound asks for."""
_Named = tuple[str, str, str]
_EVERY_AGENT = "AllAgentIdentities"


@dataclass(frozen=True, slots=True)
class Standing:
    """What an agent is to those it calls. principal: empty for one that may be nobody's caller."""

    principal: str = ""
    asks: Asked = field(default_factory=dict)

    def asked(self, grant: Key) -> tuple[str, frozenset[str]] | None:
        """Who asks a grant, and for what; None for nothing."""
        rules = self.asks.get(grant)
        return (self.principal, rules) if self.principal and rules else None


class Callers:
    """enqueue: makes a key due. is_agents: whether an account is an agent's own."""

    def __init__(
        self, trust_domain: str, enqueue: Callable[[Key], None], is_agents: Callable[[Key], bool]
    ) -> None:
        self._trust_domain = trust_domain
        self._enqueue = enqueue
        self._is_agents = is_agents
        self._standings: dict[Key, Standing] = {}
        self._here: Multimap[str, Key] = Multimap()
        self._callees: Multimap[_Named, Key] = Multimap()
        self._named: dict[Key, tuple[_Named, ...]] = {}
        self._askers: Multimap[Key, Key] = Multimap()

    # --- events in

    def name(self, callee: Key, callers: Iterable[rules.Caller]) -> None:
        """These, and no others any more, are whom an object's rules name."""
        for named in self._named.pop(callee, ()):
            self._callees.discard(named, callee)
        found = {_named(caller, callee.namespace) for caller in callers}
        if found:
            self._named[callee] = tuple(found)
        for named in found:
            self._callees.add(named, callee)

    def stands(self, agent: Key, standing: Standing) -> None:
        """What an agent is now; who names it looks again if that has changed, and a grant also
        when what the agent asks of it has."""
        before = self._standings.get(agent, Standing())
        if before == standing:
            return
        self._keep(agent, before, standing)
        for callee in sorted(self.callees(agent)):
            if callee.subject is Subject.GRANT:
                concerned = before.asked(callee) != standing.asked(callee)
            else:
                concerned = before.principal != standing.principal
            if concerned:
                self._enqueue(callee)

    def _keep(self, agent: Key, before: Standing, after: Standing) -> None:
        for grant in before.asks:
            self._askers.discard(grant, agent)
        for grant in after.asks:
            self._askers.add(grant, agent)
        if after == Standing():
            self._standings.pop(agent, None)
            self._here.discard(agent.namespace, agent)
        else:
            self._standings[agent] = after
            self._here.add(agent.namespace, agent)

    def account_changed(self, account: Key) -> None:
        """Whether an account is an agent's own may have changed."""
        named = ("ServiceAccount", account.namespace, account.name)
        for callee in sorted(self._callees.of(named)):
            self._enqueue(callee)

    # --- facts out

    def callees(self, agent: Key) -> set[Key]:
        """Whose rules name this agent, or all agents of its namespace."""
        by_name = self._callees.of(("AgentIdentity", agent.namespace, agent.name))
        return {*by_name, *self._callees.of((_EVERY_AGENT, agent.namespace, ""))}

    def askers(self, grant: Key) -> set[Key]:
        """Agents whose spec.outbound names a grant, whether it is there or not."""
        return set(self._askers.of(grant))

    def names(self, caller: rules.Caller, namespace: str, agent: Key) -> bool:
        """Whether a rule's caller is this agent. namespace: of the rule's object."""
        kind, where, name = _named(caller, namespace)
        named = kind == "AgentIdentity" and name == agent.name
        return where == agent.namespace and (named or kind == _EVERY_AGENT)

    def who(self, caller: rules.Caller, namespace: str) -> Iterator[Caller]:
        """Those whom a rule's caller stands for and who are there. An agent's own account is no
        other workload's: as such it would have what its agent may not, or no longer."""
        kind, where, name = _named(caller, namespace)
        if kind == "ServiceAccount":
            if not self._is_agents(Key(where, name)):
                account = SpiffeID(self._trust_domain, where, name)
                yield Caller("ServiceAccount", where, name, account.principal)
            return
        agents = self._here.of(where) if kind == _EVERY_AGENT else [Key(where, name)]
        for agent in sorted(agents):
            if principal := self._standings.get(agent, Standing()).principal:
                yield Caller("AgentIdentity", agent.namespace, agent.name, principal)

    def asks(self, agent: Key, grant: Key, rule: str) -> bool:
        """Whether an agent's own spec.outbound asks for a grant's rule."""
        return rule in self._standings.get(agent, Standing()).asks.get(grant, ())


def outbound_of(identity: Identity) -> Asked:
    """What an identity's spec.outbound asks for."""
    entries = (identity.spec.outbound or ()) if identity.spec else ()
    return {Key(e.namespace, e.grant, Subject.GRANT): frozenset(e.rules) for e in entries}


def _named(caller: rules.Caller, namespace: str) -> _Named:
    return caller.kind, caller.namespace or namespace, caller.name or ""
