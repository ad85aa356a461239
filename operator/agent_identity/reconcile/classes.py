"""A class as a whole: what it stands on, whether that is there, and its end."""

from collections.abc import Sequence

from agent_identity.api.conditions import ConditionType, Reason
from agent_identity.clients.kube import ApiError
from agent_identity.core.errors import Invalid, Problem, Waiting
from agent_identity.core.identity import AgentClass
from agent_identity.core.names import vault_home
from agent_identity.core.resource import CLEANUP_FINALIZER
from agent_identity.core.status import Report, class_status, overall
from agent_identity.providers.contract import ClassRoom
from agent_identity.reconcile.debts import Ledger
from agent_identity.reconcile.pipeline import Tools
from agent_identity.reconcile.world import Enqueue
from agent_identity.telemetry import log, now


class ClassPipeline:
    """enqueue: makes a key due."""

    def __init__(
        self, tools: Tools, rooms: Sequence[ClassRoom], ledger: Ledger, *, enqueue: Enqueue
    ) -> None:
        self._world = tools.world
        self._own = tools.own
        self._rooms = rooms
        self._ledger = ledger
        self._enqueue = enqueue
        self._told: dict[str, tuple[str, ...]] = {}

    async def reconcile(self, agent_class: AgentClass) -> Problem | None:
        """Serve the class, say how it stands, and wake its identities when that has changed."""
        if agent_class.deleting:
            return await self._end(agent_class)
        if agent_class.spec is None:
            return await self._refuse(agent_class)
        reports = [await self._serve(room, agent_class) for room in self._asked(agent_class)]
        if busy := next((r.problem for r in reports if _is_busy(r)), None):
            return busy
        unpaid = await self._pay(agent_class, reports)
        await self._own.write_status(agent_class, class_status(agent_class, reports, now()))
        self._wake(agent_class, reports)
        return overall(reports) or unpaid

    def _asked(self, agent_class: AgentClass) -> list[ClassRoom]:
        return [room for room in self._rooms if room.asked(agent_class)]

    async def _serve(self, room: ClassRoom, agent_class: AgentClass) -> Report:
        try:
            if not agent_class.held and await room.reach(agent_class):
                await self._hold(agent_class)
            return await room.serve(agent_class, self._world.wants_vault)
        except Problem as problem:
            return Report(room.condition, problem=problem)

    def _wake(self, agent_class: AgentClass, reports: Sequence[Report]) -> None:
        """Its identities look at how their class stands; at rest nobody is woken."""
        stand = tuple(f"{r.condition}{r.problem}" for r in reports)
        if self._told.get(agent_class.name) == stand:
            return
        self._told[agent_class.name] = stand
        for key in self._world.identities_of_class(agent_class.name):
            self._enqueue(key)

    async def _pay(self, agent_class: AgentClass, reports: Sequence[Report]) -> Problem | None:
        """What is owed to this class's backend, once that answers."""
        vault = agent_class.vault
        if vault is None or any(r.problem for r in reports if r.condition == ConditionType.VAULT):
            return None
        for debt in self._ledger.owed_to(vault_home(vault)):
            for room in self._asked(agent_class):
                try:
                    paid = await room.pay(agent_class, debt)
                except Problem as problem:
                    log.warning("still owing: %s", problem.message)
                    return problem
                if paid:
                    await self._ledger.strike(debt)
                    break
        return None

    async def _refuse(self, agent_class: AgentClass) -> Problem:
        problem = Invalid(Reason.INVALID_SPEC, agent_class.problem)
        await self._own.write_status(agent_class, class_status(agent_class, [], now(), problem))
        return problem

    async def _hold(self, agent_class: AgentClass) -> None:
        """A class with a Vault is held until its roles are gone: without it nobody could log in
        to take them away. One whose Vault was never reached has nothing there and may go."""
        current = self._world.classes.get(agent_class.name, agent_class)
        if not current.held:
            await self._set_finalizers(current, (*current.meta.finalizers, CLEANUP_FINALIZER))

    async def _set_finalizers(self, agent_class: AgentClass, finalizers: Sequence[str]) -> None:
        try:
            await self._own.set_finalizers(agent_class, finalizers)
        except ApiError as error:
            if not error.absent:
                raise

    async def _end(self, agent_class: AgentClass) -> Problem | None:
        if not agent_class.held:
            return None
        try:
            if agent_class.spec is None:
                raise Waiting(Reason.CLASS_INVALID, f"can't be left: {agent_class.problem}")
            await self._leave(agent_class)
        except Problem as problem:
            report = [Report(r.condition, problem=problem) for r in self._asked(agent_class)]
            status = class_status(agent_class, report, now(), problem)
            await self._own.write_status(agent_class, status)
            return problem
        rest = [f for f in agent_class.meta.finalizers if f != CLEANUP_FINALIZER]
        current = self._world.classes.get(agent_class.name, agent_class)
        await self._set_finalizers(current, rest)
        return None

    async def _leave(self, agent_class: AgentClass) -> None:
        """Debts first: without the class nobody could pay them."""
        if unpaid := await self._pay(agent_class, []):
            raise unpaid
        for room in self._asked(agent_class):
            await room.leave(agent_class, self._world.wants_vault)


def _is_busy(report: Report) -> bool:
    return report.problem is not None and report.problem.reason is Reason.BUSY
