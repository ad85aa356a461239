"""Of several identities that want one account, which holds it. Pure."""

from collections.abc import Sequence

from agent_identity.core.facts import Rival
from agent_identity.core.identity import Identity


def rival_of(identity: Identity, others: Sequence[Identity], owner: str) -> Rival | None:
    """Who else holds the account. The owner of the live account does; while there is none, the
    oldest identity that wants it, and of two as old the one of the lesser UID.

    others: who wants it too. owner: UID of who controls the live account; empty without one.
    """
    if not others or owner == identity.meta.uid:
        return None
    holder = next((o for o in others if o.meta.uid == owner), None)
    if holder is None:
        standing = [identity, *(o for o in others if not o.deleting)]
        holder = min(standing, key=lambda i: (i.meta.created, i.meta.uid))
    return None if holder is identity else Rival(holder.key.name, holder.deleting)
