"""The one door of every room.

A room's pure half (`Provider`) says what is to be; a `Backend` reads and writes it. Rooms of
Kubernetes objects share the backend in `kube_backend.py`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol

from agent_identity.api.conditions import ConditionType
from agent_identity.api.grants import AgentAccessGrantSpec
from agent_identity.core.checks import Standing
from agent_identity.core.errors import Problem
from agent_identity.core.facts import Facts
from agent_identity.core.grants import GrantFacts
from agent_identity.core.identity import AgentClass
from agent_identity.core.resource import Key, Kind, Observed, Ref, Resource
from agent_identity.core.status import Report, Status

MayBe = Callable[[str], bool]
"""Whether a home may be where something is."""


class Claim(Enum):
    """Whose something at a backend is. WANTED: a live, allowed identity's. ENDING: one's that is
    being deleted, which takes it away itself. NOBODYS: what must be swept."""

    WANTED = auto()
    ENDING = auto()
    NOBODYS = auto()


Claims = Callable[[MayBe, Key], Awaitable[Claim]]
"""Whose it is what (namespace, account) has at such a home; looked at afresh before the answer is
NOBODYS."""


@dataclass(frozen=True, slots=True)
class Debt:
    """What a deletion that could not wait left behind. uid: of the ServiceAccount that is gone."""

    uid: str
    home: str
    namespace: str
    account: str


@dataclass(frozen=True, slots=True)
class Sight:
    """found: what could be seen. problem: why that may not be all."""

    found: Mapping[Ref, Observed]
    problem: Problem | None = None


class Provider(Protocol):
    """The pure half of a room."""

    room: str
    condition: ConditionType | None
    kinds: tuple[Kind, ...]

    def asked(self, facts: Facts) -> bool:
        """Whether the identity asks for what this room gives: else it has no condition."""
        ...

    def desired(self, facts: Facts, standing: Standing) -> tuple[Resource, ...]:
        """All objects of this room that the identity is to have. Raises Waiting where it can't be
        said yet; then nothing of the room is touched, but what the standing forbids."""
        ...

    def retired(self, key: Key, facts: Facts | None) -> tuple[Resource, ...]:
        """What stays when the identity is gone while its pods run on. facts: None where it is gone
        already; then all that may stand."""
        ...

    def report(self, facts: Facts) -> Report | None:
        """What to say when everything desired is in place. None: no condition."""
        ...

    def status_fields(self, facts: Facts) -> Mapping[str, Any]:
        """Status fields beside the conditions."""
        ...


class Backend(Protocol):
    """The I/O half. All calls are idempotent and bounded by a timeout, and raise our errors."""

    async def observe(self, facts: Facts, *, granted: bool) -> Sight:
        """Everything of this identity that is there, not only what is wanted. granted: whether
        anything is; what is to go need not be read."""
        ...

    async def create(self, resource: Resource) -> None:
        """Make a new object; one that exists already is a Problem and stays as it is."""
        ...

    async def replace(self, resource: Resource, seen: Observed) -> None:
        """Make an object exactly as desired."""
        ...

    async def delete(self, seen: Observed) -> bool:
        """Take an object away. True: it was seen to be gone."""
        ...

    async def forget_account(self, account: Observed, facts: Facts | None) -> None:
        """Take away what hangs on the account's UID, before the account goes for good."""
        ...

    def owed(self, account: Observed | None, facts: Facts | None) -> tuple[Debt, ...]:
        """What must be recorded when `delete` or `forget_account` can't be waited for any more."""
        ...


class GrantRoom(Protocol):
    """What lets a grant's callers in. Pure. kind: of the objects that it is written as."""

    room: str
    kind: Kind

    def desired(self, facts: GrantFacts, standing: Standing) -> tuple[Resource, ...]:
        """All objects that the grant is to have; one that is not granted keeps its main one, which
        lets nobody in."""
        ...

    def retired(
        self, key: Key, seen: Observed | None, spec: AgentAccessGrantSpec | None
    ) -> Resource:
        """What stays of the main object when the grant is gone. One of seen and spec, which says
        what it guards, must be known."""
        ...

    def reports(self, facts: GrantFacts) -> Sequence[Report]:
        """What to say when everything desired is in place."""
        ...

    def status_fields(self, facts: GrantFacts, standing: Standing) -> Status:
        """Status fields beside the conditions."""
        ...


class ClassRoom(Protocol):
    """What a class as a whole needs of a backend. All calls raise our errors."""

    condition: ConditionType

    def asked(self, agent_class: AgentClass) -> bool:
        """Whether the class has this part."""
        ...

    async def reach(self, agent_class: AgentClass) -> bool:
        """Look whether the backend is there, changing nothing. True: what will be made there must
        be taken away before the class may go."""
        ...

    async def serve(self, agent_class: AgentClass, claims: Claims) -> Report:
        """Keep the class's own things in place, and sweep what nobody wants."""
        ...

    def note(self, agent_class: AgentClass, trouble: Problem) -> None:
        """Why the class could not be served, or left: its identities are told."""
        ...

    async def leave(self, agent_class: AgentClass, claims: Claims) -> None:
        """Take the class's own things away, and what is nobody's any more. Raises Busy while what
        is ending could not be reached any more without this class."""
        ...

    def forget_former(self, name: str, now_there: AgentClass | None) -> None:
        """A class of this name went, and maybe another one came: where the former could not be
        left, nobody waits for its backend any more."""
        ...

    async def pay(self, agent_class: AgentClass, debt: Debt) -> bool:
        """Take away what a deleted identity left behind. False: it is owed to another backend."""
        ...
