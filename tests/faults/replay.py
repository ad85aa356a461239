"""Who may do what after each single write, in the order in which the writes took effect.

An end state can be right although a right stood open for a moment on the way; here each prefix of
the history counts.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from faults.exchange import Exchange
from faults.recorder import Body, Change, Name
from faults.scene import path_of

Objects = Mapping[Name, Body]
Roles = Mapping[str, Body]
"""Vault roles by name, as they were written."""
_ROLE = "/role/"
OWNERS = {
    "AgentIdentity": "agentidentity.dev/identity",
    "AgentAccessGrant": "agentidentity.dev/grant",
}
"""Kind → the label by which what is made for one of them names it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """change: what led to it; None where that was a write to Vault, which has a number instead.
    ours: made by the operator, or for it: what it leaves to the garbage collector goes in no order,
    so it has to take all away before it lets the owner go. collected: by the garbage collector."""

    at: float
    change: Change | None
    number: int
    ours: bool
    objects: Objects
    roles: Roles
    collected: bool = False


def moments(
    changes: Iterable[Change], exchanges: Iterable[Exchange], roles: Roles
) -> Iterator[Moment]:
    """Of all changes of a scene, from the first one on. roles: at the beginning."""
    known = list(exchanges)
    revisions, deleted = _written(known), _deleted(known)
    vault = _vault_writes(known)
    objects: dict[Name, Body] = {}
    current = dict(roles)
    for change in changes:
        while vault and vault[0][0] < change.revision:
            yield _after_vault(vault.pop(0)[1], objects, current)
        if change.gone:
            objects.pop(change.name, None)
        else:
            objects[change.name] = change.body
        ours = change.revision in revisions or (change.gone and path_of(change.name) in deleted)
        collected = not ours and _is_left_over(change, objects)
        seen = dict(objects), dict(current)
        yield Moment(change.at, change, 0, ours or collected, *seen, collected)
    for _, exchange in vault:
        yield _after_vault(exchange, objects, current)


def _after_vault(exchange: Exchange, objects: Objects, roles: dict[str, Body]) -> Moment:
    role = exchange.call.path.partition(_ROLE)[2]
    if exchange.call.method == "DELETE":
        roles.pop(role, None)
    else:
        roles[role] = json.loads(exchange.body)
    return Moment(exchange.sent_at, None, exchange.number, True, dict(objects), dict(roles))


def _is_left_over(change: Change, objects: Objects) -> bool:
    """It went when its owner was not there any more. By UID: another owner may have the name."""
    owner = _owner_uid(change.body) if change.gone else ""
    return bool(owner) and all(body["metadata"]["uid"] != owner for body in objects.values())


def _owner_uid(body: Body) -> str:
    """Of that one of ours that controls an object; empty where none does."""
    owners = body["metadata"].get("ownerReferences") or ()
    return next((o["uid"] for o in owners if o.get("controller") and o["kind"] in OWNERS), "")


def _written(exchanges: Iterable[Exchange]) -> set[int]:
    """Revisions that the operator's writes led to."""
    return {r for e in exchanges if e.changes and (r := _revision(e))}


def _deleted(exchanges: Iterable[Exchange]) -> set[str]:
    return {e.call.path for e in exchanges if e.call.method == "DELETE" and e.applied}


def _revision(exchange: Exchange) -> int:
    if exchange.call.server != "kube" or not exchange.applied:
        return 0
    metadata: dict[str, Any] = json.loads(exchange.answer).get("metadata") or {}
    return int(metadata.get("resourceVersion") or 0)


def _vault_writes(exchanges: Sequence[Exchange]) -> list[tuple[int, Exchange]]:
    """Each with the last revision that was answered before it was sent, in the order in which they
    were sent: one that was held back on its way counts from when it was carried out."""
    answered = [(e.answered_at, r) for e in exchanges if (r := _revision(e))]
    return [
        (max((r for at, r in answered if at <= e.sent_at), default=0), e)
        for e in sorted(exchanges, key=lambda e: e.sent_at)
        if e.call.server == "vault" and e.changes and e.applied and _ROLE in e.call.path
    ]


def rights(moment: Moment) -> set[str]:
    """Everything that somebody may do, in words; also that nothing keeps anybody out."""
    found: set[str] = set()
    for name, body in moment.objects.items():
        if name.kind == "RoleBinding":
            found |= _bound(name, body)
        elif name.kind == "AuthorizationPolicy":
            found |= _let_in(name, body)
    for role, body in moment.roles.items():
        found |= {f"vault role {role} gives {p}" for p in body.get("token_policies") or ()}
    return found


def _bound(name: Name, body: Body) -> set[str]:
    role = body["roleRef"]["name"]
    who = (f"{s.get('namespace', '')}/{s['name']}" for s in body.get("subjects") or ())
    return {f"{one} is bound to {role} in {name.namespace}" for one in who}


def _let_in(name: Name, body: Body) -> set[str]:
    """Who may call, by each rule; each operation for itself, so that less of it is no more."""
    spec = body["spec"]
    if not _allows(spec):
        return set()
    to = _selected(name, spec)
    return {
        f"{who} may call {to} with {what}"
        for rule in spec.get("rules") or ()
        for who in _sources(rule)
        for what in _operations(rule)
    }


def _allows(spec: Body) -> bool:
    return bool(spec.get("action", "ALLOW") == "ALLOW")


def _selected(name: Name, spec: Body) -> str:
    """What a policy is for."""
    return f"{name.namespace}/{json.dumps(spec.get('selector') or spec.get('targetRefs'))}"


def _sources(rule: Body) -> list[str]:
    sources = (s["source"].get("principals") or ["*"] for s in rule.get("from") or ())
    return [p for some in sources for p in some] or ["everybody"]


def _operations(rule: Body) -> list[str]:
    found = []
    for to in rule.get("to") or ():
        operation = to["operation"]
        ports = operation.get("ports") or ["any port"]
        methods = operation.get("methods") or ["any method"]
        paths = operation.get("paths") or ["any path"]
        found += [f"{m} {p} at {n}" for n in ports for m in methods for p in paths]
    return found or ["anything"]


class Guard(NamedTuple):
    """What keeps everybody out. selected: namespace and selector."""

    kind: str
    selected: str


def guards(moment: Moment) -> dict[Guard, Name]:
    """Those of ours that stand, and whose identity or grant each is for."""
    return {
        guard: owner
        for name, body in moment.objects.items()
        if (guard := _guard(name, body)) and (owner := owner_by_label(name, body))
    }


def opened(moment: Moment, stood: Mapping[Guard, Name]) -> set[str]:
    """What everybody may do since a guard that stood does not any more, in words, while whom it is
    for is there to stay. Any policy that allows keeps out whom it does not name, also another's."""
    standing = {_guard(name, body) for name, body in moment.objects.items()}
    return {
        _WITHOUT[guard.kind].format(guard.selected)
        for guard, owner in stood.items()
        if guard not in standing and _stays(moment.objects.get(owner))
    }


_WITHOUT = {
    "AuthorizationPolicy": "everybody may call {}",
    "PeerAuthentication": "everybody may call {} in plaintext",
}


def _guard(name: Name, body: Body) -> Guard | None:
    """None for what keeps nobody out. What is going does not count: whoever deleted it is to blame
    for that, and not who lets it go."""
    spec = body.get("spec") or {}
    closes = {
        "AuthorizationPolicy": _allows(spec),
        "PeerAuthentication": (spec.get("mtls") or {}).get("mode") == "STRICT",
    }
    if not closes.get(name.kind) or not _stays(body):
        return None
    return Guard(name.kind, _selected(name, spec))


def _stays(body: Body | None) -> bool:
    return body is not None and "deletionTimestamp" not in body["metadata"]


def owner_by_label(name: Name, body: Body) -> Name | None:
    """The identity or grant whose an object says that it is."""
    labels = body["metadata"].get("labels") or {}
    found = (Name(kind, name.namespace, labels.get(of, "")) for kind, of in OWNERS.items())
    return next((owner for owner in found if owner.name), None)


def unguarded(moment: Moment) -> set[str]:
    """Rights that accounts have although nothing keeps strangers from their pods."""
    found = set()
    for namespace, name in _accounts(moment):
        given = _rights_of(moment, namespace, name)
        if given and not _stands(moment, namespace, name):
            found |= {f"{one}, before account, mTLS and policy stand" for one in given}
    return found


def _accounts(moment: Moment) -> set[tuple[str, str]]:
    """Namespace and name of each; one that is gone too, while it is bound: whoever makes it anew
    has its rights."""
    found = {n[1:] for n in moment.objects if n.kind in {"ServiceAccount", "AgentIdentity"}}
    ours = (
        b for n, b in moment.objects.items() if n.kind == "RoleBinding" and owner_by_label(n, b)
    )
    bound = (subject for body in ours for subject in body.get("subjects") or ())
    return found | {(subject.get("namespace", ""), subject["name"]) for subject in bound}


def _rights_of(moment: Moment, namespace: str, name: str) -> list[str]:
    bound = [r for r in rights(moment) if r.startswith(f"{namespace}/{name} is bound")]
    own = (r for r in moment.roles if r.endswith(f"_{namespace}_{name}"))
    return [*bound, *(f"role {r}" for r in own if not is_shut(moment.roles[r]))]


def is_shut(role: Body) -> bool:
    """Nobody can log in by it: it is about to go."""
    return role.get("bound_service_account_namespaces") == ["_nobody_"]


def _stands(moment: Moment, namespace: str, name: str) -> bool:
    account = Name("ServiceAccount", namespace, name)
    policy = f"agentidentity-{name}"
    mtls = moment.objects.get(Name("PeerAuthentication", namespace, policy)) or {"spec": {}}
    strict = (mtls["spec"].get("mtls") or {}).get("mode") == "STRICT"
    guarded = Name("AuthorizationPolicy", namespace, policy) in moment.objects
    return strict and guarded and account in moment.objects


def callers_named(moment: Moment, principal_end: str) -> list[Name]:
    """Policies that let in whoever this is."""
    return sorted(
        name
        for name, body in moment.objects.items()
        if name.kind == "AuthorizationPolicy" and f'{principal_end}"' in json.dumps(body["spec"])
    )
