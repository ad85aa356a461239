"""A look at what is there now, before something is taken away that an old view may mistake.

A Kubernetes object is deleted by the UID that was seen. A Vault role has but a name, which an
identity made anew has too; and an identity that looks as if others' objects were in its way may be
well, if these were seen before it came.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from agent_identity.core.checks import in_the_way
from agent_identity.core.errors import Failed
from agent_identity.core.facts import Facts
from agent_identity.core.identity import Identity
from agent_identity.core.plan import Action
from agent_identity.core.resource import Key, Kind, Ref
from agent_identity.core.spiffe import SpiffeID
from agent_identity.reconcile.execute import Executor
from agent_identity.reconcile.fresh import FreshReads
from agent_identity.reconcile.world import World

# An old view lacks a few. Who writes thousands into a policy of ours must not keep it open by it.
_LOOKS = 32


class SecondLook:
    """What it sees goes into the world, so that who finds a difference decides again."""

    def __init__(self, fresh: FreshReads, world: World, executor: Executor) -> None:
        self._fresh = fresh
        self._world = world
        self._executor = executor

    async def finds_taker(self, identity: Identity, takes: Sequence[Action]) -> bool:
        """Whether it's still the one that was decided on, where that tells whose is what it is
        about to take: a Vault role has but a name, and what an earlier identity left is told by an
        owner that is not there."""
        own = ("", identity.meta.uid)
        if all(a.ref.kind is not Kind.VAULT_ROLE and _owner(a) in own for a in takes):
            return True
        return await self.finds(identity)

    async def finds(self, identity: Identity) -> bool:
        """Whether it's still the one that was decided on. An API server that does not answer keeps
        no right in place: then it is."""
        try:
            await self._fresh.look_at_identity(identity.key)
        except Failed:
            return True
        known = self._world.identities.get(identity.key)
        return known is not None and _is_same(known, identity)

    async def has_pods(self, key: Key, unseen: Callable[[Failed], None]) -> bool:
        """Whether pods run on that its policies guard. Taken for gone because no watch has told of
        them yet, they would be open to everybody for good. Where that can't be seen they are taken
        to be there; unseen: told why."""
        if self._world.has_pods(key):
            return True
        try:
            return await self._fresh.has_pods(key)
        except Failed as failure:
            unseen(failure)
            return True

    async def look_at_those(self, principals: Collection[str]) -> None:
        """Those who would be shut out. An API server that does not answer keeps nobody in."""
        found = [one for one in map(SpiffeID.of_principal, principals) if one]
        if len(found) <= _LOOKS:
            await asyncio.gather(*map(self._look_if_it_answers, found))

    async def _look_if_it_answers(self, workload: SpiffeID) -> None:
        with suppress(Failed):
            await self.look_at_owner(Key(workload.namespace, workload.account))

    async def look_at_owner(self, account: Key) -> None:
        """An account, the identity that its label names, and what is in that one's way. Raises
        ApiError."""
        ref = Ref(Kind.SERVICE_ACCOUNT, account.namespace, account.name)
        await self._executor.look_again(ref)
        seen = self._world.owned.get(ref)
        if seen is None or not (seen.labelled and seen.identity):
            return
        owner = Key(account.namespace, seen.identity)
        await self._fresh.look_at_identity(owner)
        if facts := self._world.facts(owner):
            await self.finds_in_the_way(facts)

    async def finds_in_the_way(self, facts: Facts) -> bool:
        """Whether what was in its way is there, as it was seen."""
        seen = in_the_way(facts)
        try:
            for other in seen:
                await self._executor.look_again(other.ref)
        except Failed:
            return True
        after = self._world.facts(facts.identity.key)
        return after is not None and in_the_way(after) == seen


def _owner(action: Action) -> str:
    return action.seen.owner_uid if action.seen else ""


def _is_same(one: Identity, other: Identity) -> bool:
    left, right = one.meta, other.meta
    return (left.uid, left.generation, one.deleting) == (
        right.uid,
        right.generation,
        other.deleting,
    )
