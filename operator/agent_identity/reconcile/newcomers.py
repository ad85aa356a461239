"""Whom a write of policies would newly let in, and whom it would shut out though nobody here has
let them in: they are to be read afresh before it.

What a policy opens already is known from what was written last, or else by one read of it; so a
policy with hundreds of callers that gains one costs no read of the others. A write replaces the
version that this was found out about, or fails.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from agent_identity.clients.kube import OWNED
from agent_identity.core.errors import Failed
from agent_identity.core.openings import Openings, only_with, openings_in, openings_of, what_stays
from agent_identity.core.plan import Action
from agent_identity.core.resource import Key, Kind, Observed, Ref, digest_of
from agent_identity.reconcile.fresh import FreshReads

# Policies that grow at the same time. One that is not among them is read.
_KEPT = 128
Agents = Mapping[str, Key]
"""Principal → the agent that it is."""


class Newcomers:
    """Of one pipeline, with what it wrote."""

    def __init__(self, fresh: FreshReads) -> None:
        self._fresh = fresh
        self._known: dict[Ref, tuple[bytes, Openings]] = {}

    async def among(self, agents: Agents, actions: Iterable[Action]) -> dict[str, Key]:
        """Those of the agents that get something by these writes which they do not have."""
        found = await asyncio.gather(*(self._new_by(a, agents) for a in _policies(actions)))
        return {principal: agents[principal] for new in found for principal in sorted(new)}

    async def _new_by(self, action: Action, agents: Agents) -> frozenset[str]:
        if action.resource is None:
            return frozenset()
        after = openings_of(action.resource)
        concerned = after.principals & agents.keys()
        if action.seen is None or not concerned:
            return concerned
        return concerned & after.beside(await self._openings_of(action.seen))

    async def shut_out(self, actions: Iterable[Action]) -> set[str]:
        """Principals that would leave policies of which it was not known what they let in: a view
        from before an agent's account takes it for nobody."""
        found = await asyncio.gather(*map(self._shut_out_by, _policies(actions)))
        return set().union(*found)

    async def _shut_out_by(self, action: Action) -> frozenset[str]:
        if action.resource is None or action.seen is None or self._remembered(action.seen):
            return frozenset()
        before = await self._openings_of(action.seen)
        there = before.principals if before else frozenset[str]()
        return there - openings_of(action.resource).principals

    def narrowed(self, action: Action) -> Action | None:
        """Of this write what it takes from somebody, and no more: all of it where it gives to
        nobody, else that some leave altogether. None where nobody does, or where it's not known
        without a read what the policy lets in."""
        known = self._remembered(action.seen) if action.seen else None
        if known is None or action.resource is None:
            return None
        after = openings_of(action.resource)
        if after.only_narrows(known):
            return action
        if after.frame != known.frame or known.principals <= after.principals:
            return None
        return replace(action, resource=only_with(after.principals, action.resource, known))

    def staying(self, changed: Iterable[Action], gives: Iterable[Action]) -> list[Action]:
        """Of these changes what they take that nothing else gives, while policies to which others
        were to move can't be made. gives: all of them together. Where it's not known without a
        read what a policy lets in, the whole change: what is withdrawn waits for nobody."""
        wanted = [openings_of(a.resource) for a in gives if a.resource]
        return [rest for action in changed if (rest := self._staying(action, wanted))]

    def _staying(self, action: Action, wanted: Sequence[Openings]) -> Action | None:
        resource, seen = action.resource, action.seen
        known = self._remembered(seen) if seen else None
        if not (resource and seen and known) or openings_of(resource).frame != known.frame:
            return action
        rest = what_stays(resource, known, wanted)
        return None if rest.digest == seen.digest else replace(action, resource=rest)

    def only_narrow(self, actions: Iterable[Action]) -> bool:
        """Whether it's known without a read that these writes open nothing to anybody."""
        return all(self._only_narrows(action) for action in actions)

    def _only_narrows(self, action: Action) -> bool:
        known = self._remembered(action.seen) if action.seen else None
        resource = action.resource
        return bool(known and resource and openings_of(resource).only_narrows(known))

    def _remembered(self, seen: Observed) -> Openings | None:
        digest, known = self._known.get(seen.ref, (b"", None))
        return known if digest == seen.digest else None

    async def _openings_of(self, seen: Observed) -> Openings | None:
        """None where it can't be read, or is not any more what was seen."""
        if known := self._remembered(seen):
            return known
        ref = seen.ref
        try:
            body = await self._fresh.read(OWNED[ref.kind].path(ref.namespace, ref.name))
        except Failed:
            return None
        if digest_of(ref.kind, body) != seen.digest:
            return None
        return self._keep(ref, seen.digest, openings_in(ref.kind, body))

    def wrote(self, actions: Iterable[Action]) -> None:
        """These have been carried out."""
        for action in actions:
            resource = action.resource
            if action.gives and resource and resource.ref.kind is Kind.AUTHORIZATION_POLICY:
                self._keep(resource.ref, resource.digest, openings_of(resource))

    def _keep(self, ref: Ref, digest: bytes, openings: Openings) -> Openings:
        self._known.pop(ref, None)
        self._known[ref] = digest, openings
        if len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        return openings


def _policies(actions: Iterable[Action]) -> list[Action]:
    return [a for a in actions if a.ref.kind is Kind.AUTHORIZATION_POLICY]
