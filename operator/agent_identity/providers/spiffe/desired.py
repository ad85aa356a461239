"""The SPIFFE ID: who the agent is. Computed, never chosen; nothing is written for it.

`core.checks` has refused what the standard refuses before a room is asked.
"""

from collections.abc import Mapping
from typing import Any

from agent_identity.api.conditions import ConditionType
from agent_identity.core.checks import Standing
from agent_identity.core.facts import Facts
from agent_identity.core.resource import Key, Kind, Resource
from agent_identity.core.spiffe import SpiffeID
from agent_identity.core.status import Report


class SpiffeRoom:
    """Pure half of the room; see providers.contract."""

    room = "spiffe"
    condition: ConditionType | None = None
    kinds: tuple[Kind, ...] = ()

    def asked(self, facts: Facts) -> bool:
        return True

    def desired(self, facts: Facts, standing: Standing) -> tuple[Resource, ...]:
        return ()

    def retired(self, key: Key, facts: Facts | None) -> tuple[Resource, ...]:
        return ()

    def report(self, facts: Facts) -> Report | None:
        return None

    def status_fields(self, facts: Facts) -> Mapping[str, Any]:
        identity = facts.identity
        name = SpiffeID(facts.cluster.trust_domain, identity.key.namespace, identity.account)
        return {"spiffeID": str(name)}
