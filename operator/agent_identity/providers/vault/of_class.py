"""What a class needs at its Vault: its policies, and that nothing is there that nobody wants."""

from collections.abc import Mapping
from functools import partial

from agent_identity.api.conditions import ConditionType, Reason
from agent_identity.core.errors import Failed, Problem
from agent_identity.core.identity import AgentClass
from agent_identity.core.names import (
    split_vault_role,
    vault_home,
    vault_policy_prefix,
    vault_role,
)
from agent_identity.core.resource import Key
from agent_identity.core.status import Report
from agent_identity.providers.contract import Claim, Claims, Debt
from agent_identity.providers.vault.desired import class_policies
from agent_identity.providers.vault.homes import SOON, Home, Homes
from agent_identity.providers.vault.roles import Accounts, Roles
from agent_identity.telemetry import log


class VaultClasses:
    """Of every class; see providers.contract."""

    condition = ConditionType.VAULT

    def __init__(self, cluster: str, homes: Homes, roles: Roles, accounts: Accounts) -> None:
        self._cluster = cluster
        self._homes = homes
        self._roles = roles
        self._accounts = accounts
        self._troubles: dict[str, Problem] = {}

    def asked(self, agent_class: AgentClass) -> bool:
        return agent_class.vault is not None

    def note(self, agent_class: AgentClass, trouble: Problem) -> None:
        """A Vault that is busy for a moment is not in trouble."""
        if trouble.reason is not Reason.BUSY:
            self._troubles[agent_class.name] = trouble

    async def reach(self, agent_class: AgentClass) -> bool:
        await self._homes.look_up(agent_class)
        return True

    async def serve(self, agent_class: AgentClass, claims: Claims) -> Report:
        """What can't be swept is told, and keeps nothing from the class's identities."""
        home = await self._homes.enter(agent_class)
        await self._write_policies(agent_class, home)
        self._troubles.pop(agent_class.name, None)
        return Report(self.condition, problem=await self._sweep(home, claims))

    async def _write_policies(self, agent_class: AgentClass, home: Home) -> None:
        policies = class_policies(self._cluster, agent_class, home.place.accessor)
        for name, text in policies.items():
            path = f"sys/policies/acl/{name}"
            there = await home.vault.read(path)
            if there is None or there.get("policy") != text:
                await home.vault.write(path, {"policy": text})
        await self._remove_policies(agent_class, home, keep=set(policies))

    async def _remove_policies(
        self, agent_class: AgentClass, home: Home, *, keep: set[str]
    ) -> None:
        """Policies of the class that it has no more. An operator that may not list policies may
        not write any either, which is enough where the class only names policies of others."""
        prefix = vault_policy_prefix(self._cluster, agent_class.name)
        try:
            names = await home.vault.keys("sys/policies/acl")
        except Failed as failure:
            if keep or failure.reason is not Reason.FORBIDDEN:
                raise
            return
        for name in names:
            if name.startswith(prefix) and name not in keep:
                await home.vault.delete(f"sys/policies/acl/{name}")

    async def _sweep(self, home: Home, claims: Claims) -> Failed | None:
        """Goes on with the others where one role can't be taken away; why the first could not."""
        # What failed before comes last: after a failure Vault may be left alone for a moment.
        place, failures = home.place, dict[str, Failed]()
        for role in sorted(place.roles, key=lambda role: (role in place.left, role)):
            try:
                with self._roles.unnamed(role):
                    await self._take_if_nobodys(home, role, claims)
            except Failed as failure:
                place.left.add(role)
                failures[role] = failure
        return _left_over(failures)

    async def _take_if_nobodys(self, home: Home, role: str, claims: Claims) -> None:
        """Asked for each role just before it goes: an identity may have come since the list, and
        another class may be taking it away."""
        if await self._claim(home, role, claims) is not Claim.NOBODYS:
            return
        if role in home.place.roles and role not in home.place.at_work:
            await self._roles.take(home, role)

    async def _claim(self, home: Home, role: str, claims: Claims) -> Claim:
        owner = split_vault_role(self._cluster, role)
        assert owner is not None, role  # noqa: S101
        return await claims(partial(self._homes.may_be_at, home), Key(*owner))

    async def leave(self, agent_class: AgentClass, claims: Claims) -> None:
        home = await self._homes.enter(agent_class)
        if left := await self._sweep(home, claims):
            raise left
        await self._remove_policies(agent_class, home, keep=set())
        # Nothing may be awaited between this look and the end: of two that go, one is the last.
        if self._homes.is_last_at(home.place, agent_class.name):
            await self._wait_for_the_rest(home, claims)
        self._homes.leave(agent_class.name)
        self._troubles.pop(agent_class.name, None)

    async def _wait_for_the_rest(self, home: Home, claims: Claims) -> None:
        """Somebody else is at work on these, or has given up just now: without a class nobody
        could take them away."""
        for role in sorted(home.place.roles | home.place.at_work):
            if await self._claim(home, role, claims) is not Claim.WANTED:
                detail = "the role of an identity that is being deleted is still there"
                raise Failed(Reason.BUSY, detail, retry_after=SOON)

    def forget_former(self, name: str, now_there: AgentClass | None) -> None:
        """Where it was in no trouble its identities take away there what they have."""
        if now_there is not None and self._is_where_it_was(now_there):
            return
        if self._troubles.pop(name, None):
            self._homes.leave(name)

    def _is_where_it_was(self, agent_class: AgentClass) -> bool:
        """Or can't be read at the moment: a Vault that a class has it has for good."""
        if agent_class.spec is None:
            return True
        vault = agent_class.vault
        return vault is not None and vault_home(vault) == self._homes.of_class(agent_class.name)

    async def pay(self, agent_class: AgentClass, debt: Debt) -> bool:
        vault = agent_class.vault
        if vault is None or vault_home(vault) != debt.home:
            return False
        home = self._homes.get(debt.home) or await self._homes.enter(agent_class)
        role = vault_role(self._cluster, debt.namespace, debt.account)
        # A new identity may have the account, and so the role, by now; the old UID is gone.
        if not self._accounts(Key(debt.namespace, debt.account)):
            with self._roles.unnamed(role):
                await self._roles.take(home, role)
        await self._roles.forget(home, debt.uid, role)
        return True


def _left_over(failures: Mapping[str, Failed]) -> Failed | None:
    if not failures:
        return None
    role, first = next(iter(failures.items()))
    log.warning("%d roles that nobody wants stay, %s first: %s", len(failures), role, first.message)
    told = f"a role that nobody wants can't be taken away: {first.message}"
    return Failed(first.reason, told, retry_after=first.retry_after)
