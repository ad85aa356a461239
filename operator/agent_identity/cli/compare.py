"""Two sets of manifests: who gains and who loses which right, and what can't be changed. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent_identity.api.v1alpha1 import ClassVault
from agent_identity.cli.findings import Finding, Severity, finding
from agent_identity.cli.manifests import Manifests
from agent_identity.cli.surroundings import is_granted
from agent_identity.core.grants import judge_grant
from agent_identity.core.identity import AgentClass, Grant
from agent_identity.core.resource import Key, Subject
from agent_identity.core.rights import (
    ANYBODY,
    Right,
    RightKind,
    class_ceilings,
    gained,
    grant_rights,
    identity_rights,
)


@dataclass(frozen=True, slots=True)
class Change:
    """A right that somebody has more, or less, than before. agents: of a class, who is of it.
    grant: the one that gives it."""

    holder: str
    right: Right
    where: str
    agents: tuple[str, ...] = ()
    grant: str = ""


def changes(old: Manifests, new: Manifests) -> Iterator[Change]:
    """What `new` gives beyond `old`, agents first."""
    for key in new.of_kind("AgentIdentity"):
        for right in gained(_rights(old, key), _rights(new, key)):
            yield Change(f"AgentIdentity {key}", right, _spot(new, key, right))
    for key in new.of_kind("AgentAccessGrant"):
        document = new.documents["AgentAccessGrant", key]
        for right in gained(_let_in(old, key), _let_in(new, key)):
            where = document.where(tuple(right.source.split(".")))
            yield Change(right.subject, right, where, grant=str(key))
    for key in new.of_kind("AgentIdentityClass"):
        yield from _class_changes(old, new, key)


def opened(old: Manifests, new: Manifests) -> Iterator[Change]:
    """What stands open once the grant that guards it is gone, as that says itself."""
    for key in old.of_kind("AgentAccessGrant"):
        document = old.documents["AgentAccessGrant", key]
        if ("AgentAccessGrant", key) not in new.documents and _opens_when_gone(old, key):
            right = Right(RightKind.INBOUND, ANYBODY, ("*", "*", "*"), "spec.onDelete")
            where = document.where(("spec", "onDelete"))
            yield Change(f"AgentAccessGrant {key}", right, where, grant=str(key))


def _opens_when_gone(among: Manifests, key: Key) -> bool:
    """Not one that guards nothing: it is in Shadow, or stalls."""
    facts = among.around.world.grants.facts(key)
    spec = facts.grant.spec if facts and not judge_grant(facts).problem else None
    return spec is not None and (spec.enforcement, spec.on_delete) == ("Enforce", "Open")


def _let_in(among: Manifests, key: Key) -> frozenset[Right]:
    """Nobody by a grant that is not there or stalls."""
    facts = among.around.world.grants.facts(key)
    if facts is None or judge_grant(facts).problem:
        return frozenset()
    return grant_rights(facts)


def _class_changes(old: Manifests, new: Manifests, key: Key) -> Iterator[Change]:
    before, after = (m.around.world.classes.get(key.name) for m in (old, new))
    if after is None or after.spec is None:
        return
    agents = tuple(str(k) for k in new.around.world.identities_of_class(key.name))
    document = new.documents["AgentIdentityClass", key]
    for right in gained(class_ceilings(before) if before else (), class_ceilings(after)):
        where = document.where(tuple(right.source.split(".")))
        yield Change(f"AgentIdentityClass {key}", right, where, agents)


def _rights(among: Manifests, key: Key) -> frozenset[Right]:
    """None for an agent that is not there or stalls."""
    if ("AgentIdentity", key) not in among.documents:
        return frozenset()
    facts = among.around.facts(key)
    if facts.agent_class is not None and not is_granted(facts):
        return frozenset()
    return identity_rights(facts.identity, facts.agent_class)


def _spot(new: Manifests, key: Key, right: Right) -> str:
    """The field that gives the right: of the identity, or of its class."""
    field, _, class_name = right.source.partition(" of class ")
    of_class = "AgentIdentityClass", Key("", class_name, Subject.CLASS)
    if class_name and of_class in new.documents:
        document = new.documents[of_class]
    else:
        document = new.identity(key)
    return document.where(tuple(field.split(".")))


def told(change: Change, severity: Severity, verb: str) -> Finding:
    """verb: what its holder does with the right."""
    is_class = change.holder.startswith("AgentIdentityClass ")
    by = f" (agents of it: {', '.join(change.agents) or 'none'})" if is_class else ""
    by = f" (AgentAccessGrant {change.grant})" if change.grant else by
    what = f"{'its ceiling ' if is_class else ''}{verb}: {change.right}{by}"
    return Finding(severity, change.where, change.holder, change.right.source, what)


def told_to_open(change: Change) -> Finding:
    what = f"opens when it is deleted: {change.right} that no other policy guards"
    return Finding(Severity.RISK, change.where, change.holder, change.right.source, what)


# --- what can't be changed

_FIXED: tuple[tuple[str, Callable[[ClassVault], str | None]], ...] = (
    ("spec.vault.address", lambda vault: vault.address),
    ("spec.vault.namespace", lambda vault: vault.namespace),
    ("spec.vault.agentAuth.mount", lambda vault: vault.agent_auth.mount),
)


def immutable(old: Manifests, new: Manifests) -> Iterator[Finding]:
    """Rules about a change are the API server's alone, so they are told here once more."""
    for key in new.of_kind("AgentIdentityClass"):
        before, after = (m.around.world.classes.get(key.name) for m in (old, new))
        document = new.documents["AgentIdentityClass", key]
        for path in _moved(before, after):
            text = "can't be changed: roles live there"
            advice = "Delete the class and apply it again."
            yield finding(Severity.ERROR, document, path, text, advice)
    for key in new.of_kind("AgentAccessGrant"):
        grants = (m.around.world.grants.all.get(key) for m in (old, new))
        document = new.documents["AgentAccessGrant", key]
        for path in _moved_grant(*grants):
            text = "can't be changed: that would open what it guards"
            advice = "Delete the grant, and make another."
            yield finding(Severity.ERROR, document, path, text, advice)
    for key in new.of_kind("AgentIdentity"):
        was, now = (m.around.world.identities.get(key) for m in (old, new))
        if was and now and was.account != now.account:
            text = f"the account's name can't be changed: it is {was.account}"
            advice = "Make a new identity and delete this one."
            path = "spec.serviceAccount.name"
            yield finding(Severity.ERROR, new.identity(key), path, text, advice)


def _moved(before: AgentClass | None, after: AgentClass | None) -> list[str]:
    """Paths of the fields that stand for the place where roles live, and differ."""
    if before is None or before.vault is None or after is None or after.spec is None:
        return []
    if after.vault is None:
        return ["spec.vault"]
    return [path for path, read in _FIXED if read(before.vault) != read(after.vault)]


def _moved_grant(before: Grant | None, after: Grant | None) -> list[str]:
    """Paths of the fields that say what a grant guards, and whether it does, and differ."""
    if before is None or before.spec is None or after is None or after.spec is None:
        return []
    was, now = before.spec, after.spec
    moved = ["spec.selector"] if was.selector != now.selector else []
    moved += ["spec.targetRefs"] if was.target_refs != now.target_refs else []
    back = (was.enforcement, now.enforcement) == ("Enforce", "Shadow")
    return [*moved, "spec.enforcement"] if back else moved
