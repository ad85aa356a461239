"""Desired and observed in, what to do out. A keyed difference, in the order that is safe."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from agent_identity.core.names import stage_of
from agent_identity.core.resource import STAGES, Kind, Observed, Ref, Resource, Stage


class Verb(StrEnum):
    """What is done to one object."""

    CREATE = "create"
    REPLACE = "replace"
    DELETE = "delete"
    RELEASE = "release"
    """Take finalizers (ours and foreign) off an object that is going, its subjects emptied: a
    terminating binding still grants."""


@dataclass(frozen=True, slots=True)
class Action:
    """One write. resource: for CREATE and REPLACE, and for the RELEASE of what is still wanted.
    seen: for all but CREATE."""

    verb: Verb
    ref: Ref
    room: str
    resource: Resource | None = None
    seen: Observed | None = None

    @property
    def stage(self) -> Stage:
        return stage_of(self.ref)

    @property
    def gives(self) -> bool:
        """Whether this may open something that was not open: then facts are read afresh first."""
        return self.verb in (Verb.CREATE, Verb.REPLACE)


@dataclass(frozen=True, slots=True)
class Plan:
    """takes: top stage first. gives: bottom stage first."""

    takes: tuple[Action, ...] = ()
    gives: tuple[Action, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.takes or self.gives)


def plan_changes(
    desired: Iterable[Resource], observed: Mapping[Ref, Observed], rooms: Mapping[Kind, str]
) -> Plan:
    """What turns `observed` (only what is ours) into `desired`.

    rooms: kind → the room that owns objects of this kind, for what nobody desires any more.
    """
    wanted = {resource.ref: resource for resource in desired}
    towards = (_towards(r, observed.get(r.ref)) for r in wanted.values())
    away = (_away(seen, rooms[ref.kind]) for ref, seen in observed.items() if ref not in wanted)
    actions = [action for action in (*towards, *away) if action]
    return Plan(
        takes=tuple(sorted((a for a in actions if not a.gives), key=lambda a: (-a.stage, a.ref))),
        gives=tuple(sorted((a for a in actions if a.gives), key=lambda a: (a.stage, a.ref))),
    )


def _towards(resource: Resource, seen: Observed | None) -> Action | None:
    if seen is None:
        return Action(Verb.CREATE, resource.ref, resource.room, resource)
    if seen.deleting:
        return Action(Verb.RELEASE, resource.ref, resource.room, resource, seen)
    if seen.digest == resource.digest:
        return None
    return Action(Verb.REPLACE, resource.ref, resource.room, resource, seen)


def _away(seen: Observed, room: str) -> Action:
    held = seen.deleting or (seen.finalizers and STAGES[seen.ref.kind] == Stage.GRANT)
    return Action(Verb.RELEASE if held else Verb.DELETE, seen.ref, room, seen=seen)
