"""For a class: whether the mesh's CRDs are there."""

from collections.abc import Callable

from agent_identity.api.conditions import ConditionType, Reason
from agent_identity.core.errors import Problem, Waiting
from agent_identity.core.identity import AgentClass
from agent_identity.core.status import Report
from agent_identity.providers.contract import Claims, Debt


class MeshInstalled:
    """installed: whether the API server serves the mesh's kinds. See providers.contract."""

    condition = ConditionType.MESH

    def __init__(self, installed: Callable[[], bool]) -> None:
        self._installed = installed

    def asked(self, agent_class: AgentClass) -> bool:
        return agent_class.has_mesh

    async def reach(self, agent_class: AgentClass) -> bool:
        return False

    async def serve(self, agent_class: AgentClass, claims: Claims) -> Report:
        if not self._installed():
            detail = "the API server does not serve security.istio.io/v1: install Istio's CRDs"
            raise Waiting(Reason.MESH_NOT_INSTALLED, detail)
        return Report(self.condition)

    def note(self, agent_class: AgentClass, trouble: Problem) -> None:
        """Identities look for themselves."""

    async def leave(self, agent_class: AgentClass, claims: Claims) -> None:
        """A class has nothing of its own in the mesh."""

    def forget_former(self, name: str, now_there: AgentClass | None) -> None:
        """Nothing is known of any class."""

    async def pay(self, agent_class: AgentClass, debt: Debt) -> bool:
        return False
