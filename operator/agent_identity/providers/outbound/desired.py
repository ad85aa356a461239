"""What the agent asks to call. Nothing is written for it here: a grant's policy lets it in."""

from collections.abc import Mapping
from typing import Any

from agent_identity.api.conditions import ConditionType, Reason
from agent_identity.core.checks import Standing
from agent_identity.core.errors import Waiting
from agent_identity.core.facts import Ask, AskState, Facts
from agent_identity.core.resource import Key, Kind, Resource
from agent_identity.core.status import Report

_SHOWN = 16


class OutboundRoom:
    """Pure half of the room; see providers.contract."""

    room = "outbound"
    condition: ConditionType | None = ConditionType.OUTBOUND
    kinds: tuple[Kind, ...] = ()

    def asked(self, facts: Facts) -> bool:
        return facts.identity.spec is not None and bool(facts.identity.spec.outbound)

    def desired(self, facts: Facts, standing: Standing) -> tuple[Resource, ...]:
        return ()

    def retired(self, key: Key) -> tuple[Resource, ...]:
        return ()

    def report(self, facts: Facts) -> Report | None:
        """What others have not granted holds nothing back: a fleet is applied in any order."""
        told = "; ".join(_told(s, facts.outbound) for s in AskState if _of(s, facts.outbound))
        states = {ask.state for ask in facts.outbound}
        if states <= {AskState.IN_FORCE}:
            return Report(ConditionType.OUTBOUND, message=told)
        refused = AskState.NOT_GRANTED in states
        reason = Reason.NOT_GRANTED if refused else Reason.GRANT_NOT_READY
        problem = Waiting(reason, told)
        return Report(ConditionType.OUTBOUND, problem=problem, decisive=False)

    def status_fields(self, facts: Facts) -> Mapping[str, Any]:
        return {}


def _of(state: AskState, asks: tuple[Ask, ...]) -> list[Ask]:
    return [ask for ask in asks if ask.state is state]


def _told(state: AskState, asks: tuple[Ask, ...]) -> str:
    names = [str(ask) for ask in _of(state, asks)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{state.value}: {', '.join(names[:_SHOWN])}{more}"
