"""What must hold of a state beside another one. Pure.

A state has everything of one place by name: objects as JSON that two places have in common, and
what OpenBao has.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from faults.fields.schema import KINDS
from faults.snapshot import differences

State = dict[str, str]
Body = dict[str, Any]
_VAULT = ("VaultRole/", "VaultPolicy/")
# What says that a backend does not do what is asked of it; what it has stays until it does.
_TROUBLES = frozenset(
    {"Unreachable", "Sealed", "Forbidden", "LoginRefused", "Rejected", "ClusterNameTaken"}
)
_LABEL = "agentidentity.dev/identity"


def bodies(state: State) -> dict[str, Body]:
    return {name: json.loads(text) for name, text in state.items()}


def condition(body: Mapping[str, Any], kind: str) -> Body:
    """Empty where there is none."""
    rows = (body.get("status") or {}).get("conditions") or ()
    return next((row for row in rows if row["type"] == kind), {})


def is_own(name: str) -> bool:
    return name.partition("/")[0] in KINDS


# --- what is said


def settled(body: Mapping[str, Any]) -> bool:
    """Looked at as it is now, and not on its way out. body: as the API server has it."""
    status, metadata = body.get("status") or {}, body["metadata"]
    seen = status.get("observedGeneration") == metadata["generation"]
    return seen and bool(condition(body, "Ready")) and "deletionTimestamp" not in metadata


def dishonest(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    """What a status says that can't be so. body: as the API server has it."""
    generation = body["metadata"]["generation"]
    rows = (body.get("status") or {}).get("conditions") or ()
    for row in rows:
        if row["observedGeneration"] != generation:
            yield f"{name}: {row['type']} is about another generation"
        if row["status"] == "False" and row["type"].endswith("Ready") and not row["message"]:
            yield f"{name}: {row['type']} is False and does not say why"
    said = tuple(condition(body, k).get("status") for k in ("Ready", "Reconciling", "Stalled"))
    if said not in {
        ("True", "False", "False"),
        ("False", "True", "False"),
        ("False", "False", "True"),
    }:
        yield f"{name}: Ready, Reconciling, Stalled are {said}"


def stalled(body: Mapping[str, Any]) -> bool:
    return condition(body, "Stalled").get("status") == "True"


# --- what there is


def effects(state: State, subject: str) -> State:
    """All that a spec leads to: without the subject, and without what is said of others."""
    found = {n: b for n, b in bodies(state).items() if n != subject and not is_own(n)}
    return {name: json.dumps(body, sort_keys=True) for name, body in found.items()}


def told(state: State) -> State:
    """All that is said, without what was asked for."""
    found = {n: b.get("status") for n, b in bodies(state).items() if is_own(n)}
    return {name: json.dumps(status, sort_keys=True) for name, status in found.items()}


def unlike(scratch: State, changed: State) -> list[str]:
    """Where a state that was come to by changes is not as if it were made from scratch."""
    wanted, found = bodies(scratch), bodies(changed)
    if _in_trouble(wanted) or _in_trouble(found):
        wanted, found = _without_vault(wanted), _without_vault(found)
    if _has_stalled_class(found):
        wanted, found = _without_policies(wanted), _without_policies(found)
    return differences(_texts(_without_remains(wanted)), _texts(_without_remains(found)))


def _texts(state: Mapping[str, Body]) -> State:
    return {name: json.dumps(body, sort_keys=True) for name, body in state.items()}


def _in_trouble(state: Mapping[str, Body]) -> bool:
    return any(is_own(name) and _has_trouble(name, body) for name, body in state.items())


def _has_trouble(name: str, body: Body) -> bool:
    """Whether a Vault does not do what it is told, or can't be told anything."""
    row = condition(body, "VaultReady")
    of_class = name.startswith("AgentIdentityClass/") and row.get("status") == "False"
    return of_class or row.get("reason") in _TROUBLES


def _has_stalled_class(state: Mapping[str, Body]) -> bool:
    return any(n.startswith("AgentIdentityClass/") and stalled(b) for n, b in state.items())


def _without_policies(state: Mapping[str, Body]) -> dict[str, Body]:
    """A class that can't be read keeps the policies it has, which by then no role gives."""
    return {n: b for n, b in state.items() if not n.startswith("VaultPolicy/")}


def _without_vault(state: Mapping[str, Body]) -> dict[str, Body]:
    """Neither what it has nor what is said of roles there."""
    kept = {n: b for n, b in state.items() if not n.startswith(_VAULT)}
    return {n: _without_role(b) if is_own(n) else b for n, b in kept.items()}


def _without_role(body: Body) -> Body:
    status = {k: v for k, v in (body.get("status") or {}).items() if k != "vaultRole"}
    return {**body, "status": status}


def _without_remains(state: Mapping[str, Body]) -> dict[str, Body]:
    """Without what an identity or a grant keeps that may have nothing any more: an account without
    rights, mTLS, a policy without rules, and the finalizer that guards them. Who never had anything
    has none of it."""
    refused = {n for n, b in state.items() if is_own(n) and not _granted(b)}
    owners = {tuple(n.split("/")[1:]) for n in refused}
    kept = {n: b for n, b in state.items() if not (_owner(b) in owners and _is_closed(n, b))}
    return {n: _unheld(b) if n in refused else b for n, b in kept.items()}


def _granted(body: Body) -> bool:
    """Whether it has what it asks for, as far as backends do what they are asked."""
    status = body.get("status") or {}
    return condition(body, "Ready").get("status") == "True" or "spiffeID" in status


def _owner(body: Body) -> tuple[str, ...]:
    metadata = body.get("metadata") or {}
    labels = metadata.get("labels") or {}
    name = labels.get(_LABEL) or labels.get("agentidentity.dev/grant") or ""
    return metadata.get("namespace", ""), name


def _is_closed(name: str, body: Body) -> bool:
    """Whether an object gives nobody anything."""
    kind = name.partition("/")[0]
    if kind == "AuthorizationPolicy":
        return body["spec"].get("action") == "ALLOW" and not body["spec"].get("rules")
    if kind == "ServiceAccount":
        return not body["metadata"].get("annotations")
    return kind == "PeerAuthentication" and body["spec"]["mtls"] == {"mode": "STRICT"}


def _unheld(body: Body) -> Body:
    metadata = {k: v for k, v in body["metadata"].items() if k != "finalizers"}
    return {**body, "metadata": metadata}


# --- who may do what


def still_open(state: State, seed: State) -> Iterator[str]:
    """Rights of those who may have none any more, and guards that they have lost."""
    found, before = bodies(state), bodies(seed)
    for name, body in found.items():
        if name.startswith("AgentIdentity/") and not _granted(body):
            yield from _open_identity(found, before, name)
        if name.startswith("AgentAccessGrant/") and stalled(body):
            yield from _open_grant(found, before, name)


def _open_identity(found: dict[str, Body], before: dict[str, Body], identity: str) -> Iterator[str]:
    _, namespace, name = identity.split("/")
    account = _account(before, namespace, name)
    for other, body in found.items():
        mine = _owner(body) == (namespace, name) and not is_own(other)
        if mine and not _is_closed(other, body):
            yield f"{identity} is stalled and has {other}"
        if f'/ns/{namespace}/sa/{account}"' in json.dumps(body.get("spec")):
            yield f"{identity} is stalled and named by {other}"
        if other.startswith("VaultRole/") and other.endswith(f"_{namespace}_{account}"):
            yield f"{identity} is stalled and has {other}"
    yield from _lost(found, before, (namespace, name))


def _account(before: Mapping[str, Body], namespace: str, name: str) -> str:
    accounts = (
        n
        for n, b in before.items()
        if n.startswith("ServiceAccount/") and _owner(b) == (namespace, name)
    )
    return next(accounts, f"//{name}").split("/")[2]


def _open_grant(found: dict[str, Body], before: dict[str, Body], grant: str) -> Iterator[str]:
    _, namespace, name = grant.split("/")
    for other, body in found.items():
        if _owner(body) == (namespace, name) and not is_own(other) and not _is_closed(other, body):
            yield f"{grant} is stalled and has {other}"
    yield from _lost(found, before, (namespace, name))


def _lost(found: dict[str, Body], before: dict[str, Body], owner: tuple[str, str]) -> Iterator[str]:
    """Mesh policies that stood before: without them everybody is let in."""
    mesh = ("PeerAuthentication/", "AuthorizationPolicy/")
    for name, body in before.items():
        main = name.startswith(mesh) and not name.endswith(".waypoint")
        if main and _owner(body) == owner and name not in found:
            yield f"{name} is gone, so everybody is let in"
