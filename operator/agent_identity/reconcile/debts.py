"""What deletions could not wait for, in a ConfigMap of the operator's namespace.

It must outlive the identity, its namespace and the operator itself; the class whose backend it is
owed to pays it when that answers again.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from hashlib import blake2b

from agent_identity.clients.kube import CONFIG_MAPS, ApiError, Kube
from agent_identity.core.resource import MANAGED_BY, MANAGER
from agent_identity.providers.contract import Debt
from agent_identity.telemetry import DEBTS, log

NAME = "agent-identity-debts"


class Ledger:
    """namespace: the operator's own. recorded: told of a home to which something new is owed."""

    def __init__(
        self, kube: Kube, namespace: str, *, recorded: Callable[[str], None] = lambda _: None
    ) -> None:
        self._recorded = recorded
        self._kube = kube
        self._namespace = namespace
        self._debts: dict[str, Debt] = {}

    async def load(self) -> None:
        """Read what an earlier process recorded."""
        try:
            body = await self._kube.get(CONFIG_MAPS.path(self._namespace, NAME))
        except ApiError as error:
            if not error.absent:
                raise
            return
        data = body.get("data") or {}
        self._debts = {name: debt for name, text in data.items() if (debt := _parsed(text))}
        DEBTS.set(len(self._debts))

    def owed_to(self, home: str) -> list[Debt]:
        return [d for d in self._debts.values() if d.home == home]

    async def record(self, debts: Iterable[Debt]) -> None:
        """Returns when they are stored: only then may the deletion go on."""
        new = {_name(d): d for d in debts if _name(d) not in self._debts}
        if new:
            await self._write({n: json.dumps(asdict(d), sort_keys=True) for n, d in new.items()})
            self._debts |= new
            DEBTS.set(len(self._debts))
            for home in {d.home for d in new.values()}:
                self._recorded(home)

    async def strike(self, debt: Debt) -> None:
        """It is paid."""
        await self._write({_name(debt): None})
        self._debts.pop(_name(debt), None)
        DEBTS.set(len(self._debts))

    async def _write(self, data: dict[str, str | None]) -> None:
        path = CONFIG_MAPS.path(self._namespace, NAME)
        try:
            await self._kube.patch(path, {"data": data})
        except ApiError as error:
            if not error.absent:
                raise
            metadata = {"name": NAME, "labels": {MANAGED_BY: MANAGER}}
            body = {"metadata": metadata, "data": {k: v for k, v in data.items() if v}}
            await self._kube.create(CONFIG_MAPS.path(self._namespace), body)


def _parsed(text: str) -> Debt | None:
    try:
        return Debt(**json.loads(text))
    except (ValueError, TypeError):
        log.warning("a debt in ConfigMap %s can't be read and is left alone", NAME)
        return None


def _name(debt: Debt) -> str:
    parts = f"{debt.uid}\n{debt.home}\n{debt.namespace}\n{debt.account}"
    return blake2b(parts.encode(), digest_size=16).hexdigest()
