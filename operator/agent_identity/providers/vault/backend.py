"""Reads and writes roles at the Vaults of all classes."""

from collections.abc import Callable

from agent_identity.api.conditions import Reason
from agent_identity.core.errors import Failed, Problem
from agent_identity.core.facts import Facts
from agent_identity.core.names import vault_home, vault_role
from agent_identity.core.resource import Key, Kind, Observed, Ref, Resource, digest_of
from agent_identity.providers.contract import Debt, Sight
from agent_identity.providers.vault.desired import CONDITION, role_payload
from agent_identity.providers.vault.homes import SOON, Connect, Home, Homes
from agent_identity.providers.vault.of_class import VaultClasses
from agent_identity.providers.vault.roles import Accounts, Roles, given_by, written

__all__ = ["Accounts", "VaultBackend"]


class VaultBackend(VaultClasses):
    """The I/O half of the room, and what a class needs; see providers.contract.

    cluster_uid: of the kube-system namespace, which tells two clusters of one name apart.
    """

    def __init__(
        self, *, cluster: str, cluster_uid: Callable[[], str], connect: Connect, accounts: Accounts
    ) -> None:
        homes, roles = Homes(cluster, cluster_uid, connect), Roles(cluster, accounts)
        super().__init__(cluster, homes, roles, accounts)

    async def observe(self, facts: Facts, *, granted: bool) -> Sight:
        if facts.rival is not None:
            return Sight({})
        identity = facts.identity
        role = vault_role(self._cluster, identity.key.namespace, identity.account)
        here, problem = self._wanted_home(facts, granted=granted)
        found: dict[Ref, Observed] = {}
        for name, home in self._homes.with_role(role, first=here).items():
            if problem and granted and name == here:
                continue
            ref = Ref(Kind.VAULT_ROLE, name, role)
            try:
                seen = await self._seen(home, ref, facts, here=here if granted else "")
            except Problem as trouble:
                problem = trouble
                continue
            found |= {ref: seen} if seen else {}
        return Sight(found, problem)

    def _wanted_home(self, facts: Facts, *, granted: bool) -> tuple[str, Problem | None]:
        """Where the identity's role is to be, and why that can't be seen. A home that was listed
        is known well enough to take a role away from it; where a class was never held, there is
        none."""
        agent_class = facts.agent_class
        if agent_class is None or agent_class.vault is None or facts.identity.vault is None:
            return "", next(iter(self._unlisted(facts).values()), None)
        home, name = vault_home(agent_class.vault), agent_class.name
        if home in self._homes:
            return home, self._troubles.get(name) if granted else None
        return home, self._why_unlisted(name) if granted or agent_class.held else None

    def _why_unlisted(self, class_name: str) -> Problem:
        detail = f"the Vault of class {class_name} has not been looked at yet"
        busy = Failed(Reason.BUSY, detail, retry_after=SOON)
        return self._troubles.get(class_name, busy)

    def _unlisted(self, facts: Facts) -> dict[str, Problem]:
        """Home → why it has not been listed since the start, where an identity that asks for no
        secrets any more may still have its role: as long as its status tells of one."""
        told = any(row[0] == CONDITION for row in facts.identity.conditions)
        if facts.identity.vault is not None or not told:
            return {}
        return {home: self._why_unlisted(name) for home, name in self._homes.unlisted().items()}

    async def _seen(self, home: Home, ref: Ref, facts: Facts, *, here: str) -> Observed | None:
        """here: where it is to be; empty where nowhere. What is to go need not be read. While that
        home was never reached, a role elsewhere that says all that this one would may be it."""
        unreached = here != "" and here not in self._homes
        if not unreached and ref.namespace != here:
            return _role(ref, b"")
        payload = await home.vault.read(home.role_path(ref.name))
        if payload is None:
            return None
        known, given = home.place.policies_of.get(ref.name, ()), given_by(payload)
        # What somebody took out of it by hand, issued tokens still have: it is to be written again.
        taken_out = [policy for policy in known if policy not in given]
        home.place.policies_of[ref.name] = (*given, *taken_out)
        digest = b"" if taken_out else digest_of(ref.kind, written(payload))
        return None if unreached and digest == _due(facts) else _role(ref, digest)

    async def create(self, resource: Resource) -> None:
        home = self._homes.seen(resource.ref.namespace)
        # Where others took away one that gave more, its tokens live on.
        await self._roles.rewrite(home, resource.ref.name, resource.body)

    async def replace(self, resource: Resource, seen: Observed) -> None:
        home = self._homes.seen(resource.ref.namespace)
        await self._roles.rewrite(home, resource.ref.name, resource.body)

    async def delete(self, seen: Observed) -> bool:
        home = self._homes.seen(seen.ref.namespace)
        # Its class may have swept it since it was seen: to take it would make it anew.
        if seen.ref.name in home.place.roles:
            await self._roles.take(home, seen.ref.name)
        return True

    async def forget_account(self, account: Observed, facts: Facts | None) -> None:
        role = vault_role(self._cluster, account.ref.namespace, account.ref.name)
        for name in self._concerned(facts, Key(account.ref.namespace, account.ref.name)):
            home = self._homes.get(name)
            if home is None:
                detail = f"the Vault at {name.partition('|')[0]} has not been reached yet"
                raise Failed(Reason.UNREACHABLE, detail)
            await self._roles.forget(home, account.uid, role)

    def owed(self, account: Observed | None, facts: Facts | None) -> tuple[Debt, ...]:
        if facts is not None:
            owner = Key(facts.identity.key.namespace, facts.identity.account)
        elif account is not None:
            owner = Key(account.ref.namespace, account.ref.name)
        else:
            return ()
        uid = account.uid if account else ""
        return tuple(
            Debt(uid, home, owner.namespace, owner.name) for home in self._concerned(facts, owner)
        )

    def _concerned(self, facts: Facts | None, owner: Key) -> list[str]:
        """Homes where an account may have logged in: where it has a role, and where its class
        says; of an account whose identity is gone, anywhere."""
        if facts is None:
            return sorted({*self._homes.names(), *self._homes.unlisted()})
        role = vault_role(self._cluster, owner.namespace, owner.name)
        agent_class, asked = facts.agent_class, facts.identity.vault
        own = vault_home(agent_class.vault) if agent_class and agent_class.vault else ""
        homes = {*self._homes.with_role(role, first=own), *self._unlisted(facts)}
        if asked and agent_class and agent_class.held and own:
            homes.add(own)
        return sorted(homes)


def _role(ref: Ref, digest: bytes) -> Observed:
    return Observed(ref=ref, uid=ref.name, resource_version="", digest=digest)


def _due(facts: Facts) -> bytes:
    """Digest of the role as it is to be."""
    vault = facts.agent_class.vault if facts.agent_class else None
    return digest_of(Kind.VAULT_ROLE, role_payload(facts, vault)) if vault else b""
