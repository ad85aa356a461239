"""`render`: all that the operator would write for a set of manifests. Pure.

Kubernetes objects are exactly the operator's, but for the UID of their owner, which only a cluster
knows. What goes to Vault has no manifest: it is shown as an object of `render.agentidentity.dev`
with the path and the payload of the write.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent_identity.api.v1alpha1 import GROUP, ClassVault
from agent_identity.cli.documents import plain
from agent_identity.cli.findings import shown_caller
from agent_identity.cli.manifests import Manifests
from agent_identity.cli.surroundings import grant_room, is_granted, pure_rooms
from agent_identity.core.checks import judge
from agent_identity.core.facts import Facts
from agent_identity.core.grants import GrantFacts, judge_grant
from agent_identity.core.identity import AgentClass
from agent_identity.core.resource import STAGES, Key, Kind, Resource

# The rooms' door is for identities; the policies of a class are the room's own, and pure as well.
from agent_identity.providers.vault.desired import class_policies
from agent_identity.reconcile.decide import decide
from agent_identity.reconcile.world import World

Body = Mapping[str, Any]
PSEUDO = f"render.{GROUP}/v1"
# Vault's templates need the accessor of the agents' auth mount, which only Vault knows.
ACCESSOR = "ACCESSOR-OF-THE-MOUNT"
_SHADOW = "enforcement is Shadow: nothing is written"


@dataclass(frozen=True, slots=True)
class Written:
    """One object. owner: the identity or class that it is written for."""

    owner: str
    body: Body


@dataclass(frozen=True, slots=True)
class Rendered:
    """assumed: what was taken for granted. stalled: identities and grants for which nothing is
    written. shadow: grants for which nothing is to be written."""

    objects: tuple[Written, ...]
    assumed: tuple[str, ...]
    stalled: tuple[str, ...]
    shadow: tuple[str, ...]


def render(read: Manifests, only: Key | None) -> Rendered:
    """only: one identity, and the policies of its class."""
    world = read.around.world
    keys = [k for k in read.of_kind("AgentIdentity") if only in (None, k)]
    granted = [f for k in keys if is_granted(f := read.around.facts(k))]
    stalled = [f for k in keys if not is_granted(f := read.around.facts(k))]
    names = {f.identity.class_name for f in granted} if only else set(world.classes)
    classes = [world.classes[name] for name in sorted(names)]
    objects = [w for c in classes for w in _of_class(world.cluster.name, c)]
    objects += [w for f in granted for w in _of_identity(f)]
    grants = _grants(world) if only is None else []
    objects += [w for f in grants for w in _of_grant(f)]
    return Rendered(
        tuple(objects),
        tuple(text for f in granted for text in _assumed(read, f)),
        (*map(_stalled, stalled), *filter(None, map(_stalled_grant, grants))),
        tuple(f"{_owner(f)}: {_SHADOW}" for f in grants if _is_shadow(f)),
    )


def _stalled(facts: Facts) -> str:
    return plain(f"{facts.identity.key}: {judge(facts).problem}; nothing is written")


def _grants(world: World) -> list[GrantFacts]:
    return list(filter(None, map(world.grants.facts, sorted(world.grants.all))))


def _stalled_grant(facts: GrantFacts) -> str:
    """Empty for one that does not."""
    problem = judge_grant(facts).problem
    return plain(f"{_owner(facts)}: {problem}; nothing is written") if problem else ""


def _is_shadow(facts: GrantFacts) -> bool:
    spec = facts.grant.spec
    return spec is not None and spec.enforcement == "Shadow"


def _owner(facts: GrantFacts) -> str:
    return f"AgentAccessGrant {facts.grant.key}"


def _of_class(cluster: str, agent_class: AgentClass) -> Iterator[Written]:
    vault = agent_class.vault
    if vault is None:
        return
    owner = f"AgentIdentityClass {agent_class.name}"
    for name, text in sorted(class_policies(cluster, agent_class, ACCESSOR).items()):
        where = f"sys/policies/acl/{name}"
        yield Written(owner, _pseudo("VaultPolicy", name, vault, where, {"policy": text}))


def _of_grant(facts: GrantFacts) -> Iterator[Written]:
    for resource in grant_room(facts.cluster).desired(facts, judge_grant(facts).standing):
        yield Written(_owner(facts), resource.body)


def _of_identity(facts: Facts) -> Iterator[Written]:
    decision = decide(facts, pure_rooms(facts.cluster))
    owner = f"AgentIdentity {facts.identity.key}"
    for resource in sorted(decision.desired, key=lambda r: (STAGES[r.ref.kind], r.ref)):
        yield Written(owner, _body(resource, facts))


def _body(resource: Resource, facts: Facts) -> Body:
    vault = facts.agent_class.vault if facts.agent_class else None
    if resource.ref.kind is not Kind.VAULT_ROLE or vault is None:
        return resource.body
    name = resource.ref.name
    where = f"auth/{vault.agent_auth.mount}/role/{name}"
    return _pseudo("VaultRole", name, vault, where, resource.body)


def _pseudo(kind: str, name: str, vault: ClassVault, where: str, payload: Body) -> Body:
    spec: dict[str, Any] = {"address": vault.address, "path": where, "payload": dict(payload)}
    if vault.namespace:
        spec["namespace"] = vault.namespace
    return {"apiVersion": PSEUDO, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _assumed(read: Manifests, facts: Facts) -> Iterator[str]:
    key = facts.identity.key
    if key.namespace in read.around.assumed:
        yield f"{key}: namespace {key.namespace} is not among the files: taken for allowed"
    for caller, found in sorted((facts.callers or {}).items(), key=lambda c: str(c[0])):
        if not found:
            told = shown_caller(caller, key.namespace)
            yield f"{key}: caller {told} is not among the files, or stalls: left out"
