"""Reads and writes roles at the Vaults of all classes.

Vault can't be watched, so an inventory of the roles under our prefix is kept for each home (one
Vault, one namespace, one mount): listed when the class is served, and kept up with every write.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from agent_identity.api.conditions import ConditionType, Reason
from agent_identity.api.v1alpha1 import ClassVault
from agent_identity.clients.vault import Vault
from agent_identity.core.errors import Failed, Invalid, Problem, Waiting
from agent_identity.core.facts import Facts
from agent_identity.core.identity import AgentClass
from agent_identity.core.names import (
    split_vault_role,
    vault_home,
    vault_marker,
    vault_policy_prefix,
    vault_role,
)
from agent_identity.core.resource import Key, Kind, Observed, Ref, Resource, digest_of
from agent_identity.core.status import Report
from agent_identity.providers.contract import Debt, Sight, Wanted
from agent_identity.providers.vault.desired import class_policies

_SOON = 0.2
Connect = Callable[[ClassVault], Vault]
Accounts = Callable[[Key], str]
"""UID of the live ServiceAccount of this (namespace, account); empty where there is none."""


@dataclass(slots=True)
class _Home:
    """What is known of one home. accessor: of its auth mount."""

    vault: Vault
    mount: str
    accessor: str
    roles: set[str]
    policies_of: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def role_path(self, role: str) -> str:
        return f"auth/{self.mount}/role/{role}"


class VaultBackend:
    """The I/O half of the room, and what a class needs; see providers.contract.

    cluster_uid: of the kube-system namespace, which tells two clusters of one name apart.
    """

    condition = ConditionType.VAULT

    def __init__(
        self, *, cluster: str, cluster_uid: Callable[[], str], connect: Connect, accounts: Accounts
    ) -> None:
        self._cluster = cluster
        self._cluster_uid = cluster_uid
        self._connect = connect
        self._accounts = accounts
        self._homes: dict[str, _Home] = {}
        self._clients: dict[str, Vault] = {}
        self._troubles: dict[str, Problem] = {}

    # --- one identity

    async def observe(self, facts: Facts, *, granted: bool) -> Sight:
        if facts.rival is not None:
            return Sight({})
        identity = facts.identity
        role = vault_role(self._cluster, identity.key.namespace, identity.account)
        here, problem = self._wanted_home(facts, granted=granted)
        found: dict[Ref, Observed] = {}
        for name, home in list(self._homes.items()):
            if role not in home.roles or (problem and granted and name == here):
                continue
            ref = Ref(Kind.VAULT_ROLE, name, role)
            try:
                seen = await self._seen(home, ref, read=granted and name == here)
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
            return "", None
        home = vault_home(agent_class.vault)
        trouble = self._troubles.get(agent_class.name)
        if home in self._homes:
            return home, trouble if granted else None
        if not (granted or agent_class.held):
            return home, None
        detail = f"the Vault of class {agent_class.name} has not been looked at yet"
        return home, trouble or Failed(Reason.BUSY, detail, retry_after=_SOON)

    async def _seen(self, home: _Home, ref: Ref, *, read: bool) -> Observed | None:
        """read: what is not wanted at this home goes in any case, so it need not be read."""
        payload = await home.vault.read(home.role_path(ref.name)) if read else {}
        if payload is None:
            home.roles.discard(ref.name)
            return None
        home.policies_of[ref.name] = tuple(payload.get("token_policies") or ())
        digest = digest_of(ref.kind, _written(payload))
        return Observed(ref=ref, uid=ref.name, resource_version="", digest=digest)

    async def create(self, resource: Resource) -> None:
        home = self._homes[resource.ref.namespace]
        await home.vault.write(home.role_path(resource.ref.name), resource.body)
        home.roles.add(resource.ref.name)
        home.policies_of[resource.ref.name] = tuple(resource.body["token_policies"])

    async def replace(self, resource: Resource, seen: Observed) -> None:
        home = self._homes[resource.ref.namespace]
        before = home.policies_of.get(resource.ref.name, ())
        await self.create(resource)
        # Issued tokens keep the policies that they were issued with.
        if set(before) - set(resource.body["token_policies"]):
            await self._forget(home, self._account_of(resource.ref), resource.ref.name)

    async def delete(self, seen: Observed) -> bool:
        home = self._homes[seen.ref.namespace]
        await home.vault.delete(home.role_path(seen.ref.name))
        await self._forget(home, self._account_of(seen.ref), seen.ref.name)
        home.roles.discard(seen.ref.name)
        home.policies_of.pop(seen.ref.name, None)
        return True

    async def forget_account(self, account: Observed, facts: Facts | None) -> None:
        role = vault_role(self._cluster, account.ref.namespace, account.ref.name)
        for name in self._concerned(facts, Key(account.ref.namespace, account.ref.name)):
            home = self._homes.get(name)
            if home is None:
                detail = f"the Vault at {name.partition('|')[0]} has not been reached yet"
                raise Failed(Reason.UNREACHABLE, detail)
            await self._forget(home, account.uid, role)

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
            return sorted(self._homes)
        role = vault_role(self._cluster, owner.namespace, owner.name)
        homes = {name for name, home in self._homes.items() if role in home.roles}
        agent_class, asked = facts.agent_class, facts.identity.vault
        if asked and agent_class and agent_class.held and agent_class.vault:
            homes.add(vault_home(agent_class.vault))
        return sorted(homes)

    def _account_of(self, ref: Ref) -> str:
        owner = split_vault_role(self._cluster, ref.name)
        return self._accounts(Key(*owner)) if owner else ""

    async def _forget(self, home: _Home, account_uid: str, role: str) -> None:
        """Delete the entity that logins of this account made, and with it their tokens. Only an
        entity whose one alias is on our mount and names this account."""
        owner = split_vault_role(self._cluster, role)
        if not account_uid or owner is None:
            return
        asked = {"alias_name": account_uid, "alias_mount_accessor": home.accessor}
        entity = await home.vault.write("identity/lookup/entity", asked)
        if not entity or not _is_of(entity, home.accessor, account_uid, owner):
            return
        await home.vault.delete(f"identity/entity/id/{entity['id']}")

    # --- one class

    def asked(self, agent_class: AgentClass) -> bool:
        return agent_class.vault is not None

    def _note(self, agent_class: AgentClass, trouble: Problem) -> None:
        """A Vault that is busy for a moment is not in trouble."""
        if trouble.reason is not Reason.BUSY:
            self._troubles[agent_class.name] = trouble

    async def reach(self, agent_class: AgentClass) -> bool:
        try:
            await self._looked_up(agent_class)
        except Problem as trouble:
            self._note(agent_class, trouble)
            raise
        return True

    async def serve(self, agent_class: AgentClass, wanted: Wanted) -> Report:
        try:
            home = await self._entered(agent_class)
            await self._write_policies(agent_class, home)
            await self._sweep(home, vault_home(home.vault.spec), wanted)
        except Problem as trouble:
            self._note(agent_class, trouble)
            raise
        self._troubles.pop(agent_class.name, None)
        return Report(self.condition)

    async def _looked_up(self, agent_class: AgentClass) -> _Home:
        """The class's home, nothing listed yet."""
        vault = self._client(agent_class)
        mount = vault.spec.agent_auth.mount
        mounts = await vault.read("sys/auth") or {}
        if f"{mount}/" not in mounts:
            raise Failed(Reason.REJECTED, f"Vault {vault.spec.address} has no auth/{mount}")
        return _Home(vault, mount, str(mounts[f"{mount}/"]["accessor"]), set())

    async def _entered(self, agent_class: AgentClass) -> _Home:
        """The class's home with a fresh list of roles; refused where the prefix is not ours."""
        home = await self._looked_up(agent_class)
        name = vault_home(home.vault.spec)
        await self._claim_prefix(home)
        known = self._homes.setdefault(name, home)
        before = set(known.roles)
        listed = await home.vault.keys(f"auth/{home.mount}/role")
        # What was written while the list was on its way may not be in it.
        since = known.roles - before
        known.roles = {r for r in listed if split_vault_role(self._cluster, r)} | since
        known.vault, known.accessor = home.vault, home.accessor
        return known

    def _client(self, agent_class: AgentClass) -> Vault:
        spec = agent_class.vault
        if spec is None:
            raise Invalid(Reason.INVALID_SPEC, "the class has no vault")
        known = self._clients.get(agent_class.name)
        if known is None or known.spec.model_copy(update={"policies": None}) != spec.model_copy(
            update={"policies": None}
        ):
            known = self._clients[agent_class.name] = self._connect(spec)
        return known

    async def _claim_prefix(self, home: _Home) -> None:
        path = home.role_path(vault_marker(self._cluster))
        marker = await self._marker(home, path)
        uid = self._cluster_uid()
        if marker is None:
            await home.vault.write(path, _marker_payload(uid))
        elif marker.get("bound_service_account_names") != [uid]:
            detail = f"{path} of Vault {home.vault.spec.address} belongs to another cluster"
            raise Waiting(Reason.CLUSTER_NAME_TAKEN, detail)

    async def _marker(self, home: _Home, path: str) -> Mapping[str, Any] | None:
        """The first path with our name in it: another name's is refused."""
        try:
            return await home.vault.read(path)
        except Failed as failure:
            if failure.reason is not Reason.FORBIDDEN:
                raise
            detail = f"{failure.message} (is clusterName right?)"
            raise Failed(failure.reason, detail) from failure

    async def _write_policies(self, agent_class: AgentClass, home: _Home) -> None:
        policies = class_policies(self._cluster, agent_class, home.accessor)
        for name, text in policies.items():
            path = f"sys/policies/acl/{name}"
            there = await home.vault.read(path)
            if there is None or there.get("policy") != text:
                await home.vault.write(path, {"policy": text})
        await self._remove_policies(agent_class, home, keep=set(policies))

    async def _remove_policies(
        self, agent_class: AgentClass, home: _Home, *, keep: set[str]
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

    async def _sweep(self, home: _Home, name: str, wanted: Wanted) -> None:
        """Asked for each role just before it goes: an identity may have come since the list."""
        for role in sorted(home.roles):
            owner = split_vault_role(self._cluster, role)
            if owner and not wanted(name, Key(*owner)):
                ref = Ref(Kind.VAULT_ROLE, name, role)
                with self._unnamed(role):
                    await self.delete(Observed(ref, role, "", b""))

    @contextmanager
    def _unnamed(self, role: str) -> Iterator[None]:
        """The class tells all its identities what failed: whose role it was stays out."""
        try:
            yield
        except Failed as failure:
            told = failure.message.replace(role, f"{self._cluster}_*")
            raise Failed(failure.reason, told, retry_after=failure.retry_after) from failure

    async def leave(self, agent_class: AgentClass, wanted: Wanted) -> None:
        try:
            home = await self._entered(agent_class)
        except Problem as trouble:
            self._note(agent_class, trouble)
            raise
        home_name = vault_home(home.vault.spec)
        await self._sweep(home, home_name, wanted)
        await self._remove_policies(agent_class, home, keep=set())
        self._clients.pop(agent_class.name, None)
        self._troubles.pop(agent_class.name, None)
        if not any(vault_home(c.spec) == home_name for c in self._clients.values()):
            self._homes.pop(home_name, None)

    async def pay(self, agent_class: AgentClass, debt: Debt) -> bool:
        vault = agent_class.vault
        if vault is None or vault_home(vault) != debt.home:
            return False
        home = self._homes.get(debt.home) or await self._entered(agent_class)
        role = vault_role(self._cluster, debt.namespace, debt.account)
        # A new identity may have the account, and so the role, by now; the old UID is gone.
        if not self._accounts(Key(debt.namespace, debt.account)):
            with self._unnamed(role):
                await home.vault.delete(home.role_path(role))
            home.roles.discard(role)
        await self._forget(home, debt.uid, role)
        return True


def _written(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Of what Vault tells about a role, the fields that we write, as we would write them."""
    names = (
        *("bound_service_account_names", "bound_service_account_namespaces"),
        *("bound_service_account_namespace_selector", "audience", "alias_name_source"),
        *("token_policies", "token_no_default_policy", "token_type", "token_ttl", "token_max_ttl"),
        *("token_explicit_max_ttl", "token_period", "token_num_uses", "token_bound_cidrs"),
    )
    return {name: payload.get(name) for name in names}


def _marker_payload(cluster_uid: str) -> dict[str, Any]:
    """A role that nobody can log in with: no namespace can have this name."""
    return {
        "bound_service_account_names": [cluster_uid],
        "bound_service_account_namespaces": ["_cluster_"],
        "audience": "agentidentity.dev/nobody",
        "alias_name_source": "serviceaccount_uid",
        "token_policies": [],
        "token_no_default_policy": True,
        "token_type": "service",
        "token_ttl": 1,
        "token_max_ttl": 1,
    }


def _is_of(
    entity: Mapping[str, Any], accessor: str, account_uid: str, owner: tuple[str, str]
) -> bool:
    aliases = entity.get("aliases") or []
    if len(aliases) != 1:
        return False
    alias = aliases[0]
    metadata = alias.get("metadata") or {}
    return (
        alias.get("mount_accessor") == accessor
        and alias.get("name") == account_uid
        and (metadata.get("service_account_namespace"), metadata.get("service_account_name"))
        == owner
    )
