"""What the agent asks to call. Nothing is written for it here: a grant's policy lets it in."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agent_identity.api.conditions import ConditionType, Reason
from agent_identity.core.checks import Standing
from agent_identity.core.errors import Waiting
from agent_identity.core.facts import Ask, AskState, Facts
from agent_identity.core.identity import Identity
from agent_identity.core.resource import Key, Kind, Resource
from agent_identity.core.status import Report

_SHOWN = 16
_MORE = re.compile(r" and \d+ more$")


class OutboundRoom:
    """Pure half of the room; see providers.contract."""

    room = "outbound"
    condition: ConditionType | None = ConditionType.OUTBOUND
    kinds: tuple[Kind, ...] = ()

    def asked(self, facts: Facts) -> bool:
        return facts.identity.spec is not None and bool(facts.identity.spec.outbound)

    def desired(self, facts: Facts, standing: Standing) -> tuple[Resource, ...]:
        return ()

    def retired(self, key: Key, facts: Facts | None) -> tuple[Resource, ...]:
        return ()

    def report(self, facts: Facts) -> Report | None:
        """What others have not granted holds nothing back: a fleet is applied in any order."""
        asks = tuple(_as_known(ask, facts.identity) for ask in facts.outbound)
        told = "; ".join(_told(s, asks) for s in AskState if _of(s, asks))
        states = {ask.state for ask in asks}
        if states <= {AskState.IN_FORCE}:
            return Report(ConditionType.OUTBOUND, message=told)
        refused = AskState.NOT_GRANTED in states
        reason = Reason.NOT_GRANTED if refused else Reason.GRANT_NOT_READY
        problem = Waiting(reason, told)
        return Report(ConditionType.OUTBOUND, problem=problem, decisive=False)

    def status_fields(self, facts: Facts) -> Mapping[str, Any]:
        return {}


def state_told(ask: Ask, message: str) -> AskState | None:
    """What a message of this room says of an ask; None where it does not name it."""
    for part in message.split("; "):
        for state in AskState:
            begin = f"{state.value}: "
            names = _MORE.sub("", part.removeprefix(begin)).split(", ")
            if part.startswith(begin) and str(ask) in names:
                return state
    return None


def _as_known(ask: Ask, identity: Identity) -> Ask:
    """Of a grant not looked at yet, no more is in force than the status says already."""
    if ask.sure or ask.state is not AskState.IN_FORCE or _said_in_force(ask, identity):
        return ask
    return replace(ask, state=AskState.NOT_IN_PLACE)


def _said_in_force(ask: Ask, identity: Identity) -> bool:
    rows = identity.status.get("conditions") or ()
    row: Mapping[str, Any] = next((r for r in rows if r.get("type") == ConditionType.OUTBOUND), {})
    message = str(row.get("message", ""))
    if (state := state_told(ask, message)) is not None:
        return state is AskState.IN_FORCE
    # One of many that are not named.
    same = row.get("observedGeneration") == identity.meta.generation
    return same and message.startswith(f"{AskState.IN_FORCE.value}: ")


def _of(state: AskState, asks: tuple[Ask, ...]) -> list[Ask]:
    return [ask for ask in asks if ask.state is state]


def _told(state: AskState, asks: tuple[Ask, ...]) -> str:
    names = [str(ask) for ask in _of(state, asks)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{state.value}: {', '.join(names[:_SHOWN])}{more}"
