"""A class as a whole: what it stands on, whether that is there, and its end."""

from collections.abc import Sequence

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import ApiError
from agent_identity.core.errors import Failed, Invalid, Problem, Waiting
from agent_identity.core.identity import AgentClass
from agent_identity.core.names import vault_home
from agent_identity.core.resource import CLEANUP_FINALIZER, Key
from agent_identity.core.status import Report, class_status, overall
from agent_identity.providers.contract import Claim, ClassRoom, Debt, MayBe
from agent_identity.reconcile.debts import Ledger
from agent_identity.reconcile.pipeline import Tools
from agent_identity.reconcile.world import Enqueue
from agent_identity.telemetry import log, now

_SOON = 0.1


class ClassPipeline:
    """enqueue: makes a key due."""

    def __init__(
        self, tools: Tools, rooms: Sequence[ClassRoom], ledger: Ledger, *, enqueue: Enqueue
    ) -> None:
        self._world = tools.world
        self._own = tools.own
        self._fresh = tools.fresh
        self._second_look = tools.second_look
        self._rooms = rooms
        self._ledger = ledger
        self._enqueue = enqueue
        self._told: dict[str, tuple[str, ...]] = {}

    async def reconcile(self, known: AgentClass) -> Problem | None:
        """Serve the class, say how it stands, and wake its identities when that has changed."""
        agent_class = await self._as_it_is(known)
        self.forget_former(known.name)
        if agent_class is None:
            return None
        if agent_class.deleting:
            return await self._end(agent_class)
        if agent_class.spec is None:
            return await self._refuse(agent_class)
        served = [await self._serve(room, agent_class) for room in self._asked(agent_class)]
        reports = [report for report, _ in served]
        if busy := next((r.problem for r in reports if _is_busy(r)), None):
            return busy
        status = class_status(agent_class, reports, now())
        await self._own.write_status(self._as_written(agent_class), status)
        self._wake(agent_class, reports)
        return overall(reports) or next((unpaid for _, unpaid in served if unpaid), None)

    async def _as_it_is(self, known: AgentClass) -> AgentClass | None:
        """What watches tell may be old: for a class that is gone nothing may be made at a backend,
        and from one that was made anew nothing be taken."""
        await self._fresh.look_at_class(known.name)
        return self._world.classes.get(known.name)

    def forget_former(self, name: str) -> None:
        """Of a class that is gone, or has become another one, and could not be left: somebody has
        taken its finalizer off."""
        now_there = self._world.classes.get(name)
        for room in self._rooms:
            room.forget_former(name, now_there)
        if now_there is None:
            self._told.pop(name, None)

    def _asked(self, agent_class: AgentClass) -> list[ClassRoom]:
        return [room for room in self._rooms if room.asked(agent_class)]

    async def _serve(
        self, room: ClassRoom, agent_class: AgentClass
    ) -> tuple[Report, Problem | None]:
        """What the room says, and why something is still owed to it."""
        try:
            if not agent_class.held and await room.reach(agent_class):
                await self._hold(agent_class)
            report = await room.serve(agent_class, self._claim)
        except Problem as problem:
            room.note(agent_class, problem)
            return Report(room.condition, problem=problem), None
        return report, await self._pay(room, agent_class)

    async def _claim(self, may_be: MayBe, account: Key) -> Claim:
        """A view may be older than an identity: before it is nobody's, whose account it is is
        looked at. No role stands before its account does, so without one it is nobody's. Raises
        Failed where that can't be seen."""
        if (known := self._known_claim(may_be, account)) is not Claim.NOBODYS:
            return known
        try:
            await self._second_look.look_at_owner(account)
        except Failed as failure:
            detail = f"whose it is can't be seen: {failure.message}"
            raise Failed(failure.reason, detail, retry_after=failure.retry_after) from failure
        return self._known_claim(may_be, account)

    def _known_claim(self, may_be: MayBe, account: Key) -> Claim:
        if self._world.wants_vault(may_be, account):
            return Claim.WANTED
        return Claim.ENDING if self._world.is_ending(account) else Claim.NOBODYS

    def _wake(self, agent_class: AgentClass, reports: Sequence[Report]) -> None:
        """Its identities look at how their class stands; at rest nobody is woken."""
        stand = tuple(f"{r.condition}{r.problem}" for r in reports)
        if self._told.get(agent_class.name) == stand:
            return
        self._told[agent_class.name] = stand
        for key in self._world.identities_of_class(agent_class.name):
            self._enqueue(key)

    async def _pay(self, room: ClassRoom, agent_class: AgentClass) -> Problem | None:
        """What is owed to this class's backend, which answers; why the first debt stays. It keeps
        no other from being paid."""
        unpaid: Problem | None = None
        for debt in self._owed(agent_class):
            try:
                if await room.pay(agent_class, debt):
                    await self._ledger.strike(debt)
            except Problem as problem:
                unpaid = unpaid or problem
        if unpaid:
            log.warning("still owing: %s", unpaid.message)
        return unpaid

    def _owed(self, agent_class: AgentClass) -> list[Debt]:
        vault = agent_class.vault
        return self._ledger.owed_to(vault_home(vault)) if vault else []

    async def _refuse(self, agent_class: AgentClass) -> Problem:
        problem = Invalid(Reason.INVALID_SPEC, agent_class.problem)
        await self._own.write_status(agent_class, class_status(agent_class, [], now(), problem))
        return problem

    async def _hold(self, agent_class: AgentClass) -> None:
        """A class with a Vault is held until its roles are gone: without it nobody could log in
        to take them away. One whose Vault was never reached has nothing there and may go."""
        current = self._as_written(agent_class)
        if current.held:
            return
        finalizers = (*current.meta.finalizers, CLEANUP_FINALIZER)
        try:
            there = await self._set_finalizers(current, finalizers)
        except ApiError as error:
            detail = f"the class can't be given its finalizer: {error.message}"
            raise Failed(error.reason, detail, retry_after=error.retry_after) from error
        if not there:
            raise Failed(Reason.BUSY, "the class is gone", retry_after=_SOON)

    def _as_written(self, agent_class: AgentClass) -> AgentClass:
        """With what was written on it since it was looked at."""
        known = self._world.classes.get(agent_class.name)
        return known if known and known.meta.uid == agent_class.meta.uid else agent_class

    async def _set_finalizers(self, agent_class: AgentClass, finalizers: Sequence[str]) -> bool:
        """Whether the class is there."""
        try:
            await self._own.set_finalizers(agent_class, finalizers)
        except ApiError as error:
            if not error.absent:
                raise
            self._world.lose_class(agent_class.name, agent_class.meta.uid)
            return False
        return True

    async def _end(self, agent_class: AgentClass) -> Problem | None:
        if not agent_class.held:
            return None
        try:
            if agent_class.spec is None:
                raise Waiting(Reason.CLASS_INVALID, f"can't be left: {agent_class.problem}")
            await self._leave(agent_class)
        except Problem as problem:
            if problem.reason is Reason.BUSY:
                return problem
            rooms = self._asked(agent_class)
            for room in rooms:
                room.note(agent_class, problem)
            report = [Report(room.condition, problem=problem) for room in rooms]
            status = class_status(agent_class, report, now(), problem)
            await self._own.write_status(agent_class, status)
            return problem
        current = self._as_written(agent_class)
        rest = [f for f in current.meta.finalizers if f != CLEANUP_FINALIZER]
        await self._set_finalizers(current, rest)
        return None

    async def _leave(self, agent_class: AgentClass) -> None:
        """Debts first: without the class nobody could pay them."""
        rooms = self._asked(agent_class)
        for room in rooms:
            if unpaid := await self._pay(room, agent_class):
                raise unpaid
        for room in rooms:
            await room.leave(agent_class, self._claim)
        # An identity that could not wait any longer may have gone meanwhile.
        if self._owed(agent_class):
            raise Failed(Reason.BUSY, "what is left at its Vault is still owed", retry_after=_SOON)


def _is_busy(report: Report) -> bool:
    return report.problem is not None and report.problem.reason is Reason.BUSY
