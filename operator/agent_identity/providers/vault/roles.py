"""One role at one home: what it says, how it is written, and how it and its tokens end."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from agent_identity.api.conditions import Reason
from agent_identity.core.errors import Failed
from agent_identity.core.names import split_vault_role
from agent_identity.core.resource import Body, Key
from agent_identity.providers.vault.homes import SOON, Home, shut_role

# Stands among the names of accounts that a role is for, where none can be called so, while tokens
# may be about that give more than the role does: known after whatever fails before they have ended.
_UNENDED = "_unended_"
Accounts = Callable[[Key], str]
"""UID of the live ServiceAccount of this (namespace, account); empty where there is none."""


class Roles:
    """accounts: see Accounts."""

    def __init__(self, cluster: str, accounts: Accounts) -> None:
        self._cluster = cluster
        self._accounts = accounts

    async def write(self, home: Home, role: str, payload: Body) -> None:
        await home.vault.write(home.role_path(role), payload)
        home.place.roles.add(role)
        home.place.policies_of[role] = given_by(payload)

    async def rewrite(self, home: Home, role: str, payload: Body) -> None:
        """Raises Busy while it is being written or taken away: that may come later, over this."""
        with _alone(home, role):
            before = home.place.policies_of.get(role, ())
            # Issued tokens keep the policies that they were issued with.
            if set(before) - set(payload["token_policies"]):
                await self.write(home, role, _unended(payload))
                await self.forget(home, self.account_of(role), role)
            await self.write(home, role, payload)

    async def take(self, home: Home, role: str) -> None:
        """Raises Busy while it is being written, or taken already: of an identity's end and a sweep
        of its class the later one would make anew, shut, what the other has just deleted."""
        with _alone(home, role):
            await self._take(home, role)

    async def _take(self, home: Home, role: str) -> None:
        """Nobody logs in any more, then its tokens end, then it goes: while it is there, it is
        looked at again. Tokens are found by their account."""
        if account := self.account_of(role):
            await self.write(home, role, shut_role(_UNENDED))
            await self.forget(home, account, role)
        await home.vault.delete(home.role_path(role))
        home.place.lose(role)

    def account_of(self, role: str) -> str:
        owner = split_vault_role(self._cluster, role)
        return self._accounts(Key(*owner)) if owner else ""

    async def forget(self, home: Home, account_uid: str, role: str) -> None:
        """Delete the entity that logins of this account made, and with it their tokens. Only an
        entity whose one alias is on our mount and names this account."""
        owner = split_vault_role(self._cluster, role)
        if not account_uid or owner is None:
            return
        accessor = home.place.accessor
        asked = {"alias_name": account_uid, "alias_mount_accessor": accessor}
        entity = await home.vault.write("identity/lookup/entity", asked)
        if not entity or not _is_of(entity, accessor, account_uid, owner):
            return
        await home.vault.delete(f"identity/entity/id/{entity['id']}")

    @contextmanager
    def unnamed(self, role: str) -> Iterator[None]:
        """A class tells everybody what failed: whose role it was stays out."""
        try:
            yield
        except Failed as failure:
            told = failure.message.replace(role, f"{self._cluster}_*")
            raise Failed(failure.reason, told, retry_after=failure.retry_after) from failure


@contextmanager
def _alone(home: Home, role: str) -> Iterator[None]:
    """Of two who write one role at the same time nobody could say which comes last."""
    if role in home.place.at_work:
        raise Failed(Reason.BUSY, "somebody else is at work on the role", retry_after=SOON)
    home.place.at_work.add(role)
    try:
        yield
    finally:
        home.place.at_work.discard(role)


def _unended(payload: Body) -> Body:
    names = [*payload["bound_service_account_names"], _UNENDED]
    return {**payload, "bound_service_account_names": names}


def given_by(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """The policies that issued tokens may have, as far as the role tells: something more than its
    own while it says so."""
    unended = _UNENDED in (payload.get("bound_service_account_names") or ())
    return (*(payload.get("token_policies") or ()), *([_UNENDED] if unended else []))


def written(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Of what Vault tells about a role, the fields that we write, as we would write them."""
    names = (
        *("bound_service_account_names", "bound_service_account_namespaces"),
        *("bound_service_account_namespace_selector", "audience", "alias_name_source"),
        *("token_policies", "token_no_default_policy", "token_type", "token_ttl", "token_max_ttl"),
        *("token_explicit_max_ttl", "token_period", "token_num_uses", "token_bound_cidrs"),
    )
    return {name: payload.get(name) for name in names}


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
