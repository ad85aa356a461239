"""Services that lead to an agent's pods and to no others, by the agent. No I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent_identity.core.facts import AgentService
from agent_identity.core.resource import IDENTITY_LABEL, Key
from agent_identity.reconcile.multimap import Multimap


@dataclass(frozen=True, slots=True)
class SeenService:
    """agent: the one whose pods alone it selects; of no name for any other Service."""

    agent: Key
    service: AgentService | None


class Services:
    """One store; a Service whose selector changes moves."""

    def __init__(self) -> None:
        self._of: Multimap[Key, AgentService] = Multimap()
        self._leads_to: dict[tuple[str, str], Key] = {}

    def change(self, before: SeenService | None, after: SeenService | None) -> set[Key]:
        """Put a Service in the place of what it was; the agents that this concerns."""
        for seen, keep in ((before, False), (after, True)):
            if seen and seen.service:
                (self._of.add if keep else self._of.discard)(seen.agent, seen.service)
                place = seen.agent.namespace, seen.service.name
                if keep:
                    self._leads_to[place] = seen.agent
                else:
                    self._leads_to.pop(place, None)
        return {s.agent for s in (before, after) if s and s.service and before != after}

    def led_to(self, namespace: str, name: str) -> Key | None:
        """The agent that a Service leads to; None for one of others."""
        return self._leads_to.get((namespace, name))

    def of(self, agent: Key) -> tuple[AgentService, ...]:
        """Those of an agent, sorted."""
        return tuple(sorted(self._of.of(agent)))


def parse_service(body: Mapping[str, Any]) -> SeenService:
    """A Service from the API server's object; of others' nothing is kept."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    agent = (spec.get("selector") or {}).get(IDENTITY_LABEL, "")
    key = Key(metadata["namespace"], agent)
    return SeenService(key, AgentService(metadata["name"], tuple(_ports(spec))) if agent else None)


def _ports(spec: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Without a targetPort it is the same (Kubernetes API, ServicePort). One that is named may be
    any: it is no rule's."""
    for port in spec.get("ports") or ():
        leads_to = port.get("targetPort") or port["port"]
        yield port["port"], leads_to if isinstance(leads_to, int) else _ANY


_ANY = 0
