"""What may still be written of one scene once all there is as it should be.

Scenes share one Vault and one operator: while others still play, a Vault that fails one of them is
left alone for a moment, which is in the status of all that are asked about it. What an account that
went may have got late is looked for then too; where that fails it is owed, and what has gone is
taken away once more. All else that is written is written for nothing.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from faults.exchange import Call, Exchange
from faults.modes import MODES
from faults.oracles import LABEL, Run
from faults.recorder import Body, Name
from faults.scene import ENDED, TOKEN, token_works
from faults.snapshot import State, differences

_LABELS = {"AgentIdentity": LABEL, "AgentAccessGrant": "agentidentity.dev/grant"}
# Of these kinds, and not those that failed: they are tried again, which is no resync.
_RECONCILES = re.compile(
    r"^agent_identity_reconciles_total"
    r'\{kind="(?:identity|grant)",result="(?:done|waiting|invalid)"\} (?P<count>\S+)$',
    re.MULTILINE,
)
# For fifteen seconds the operator looks again where it gave a request up.
_DOUBT_SECONDS = 17.0
_CLASSES = "/agentidentityclasses/"
_ROLE, _ENTITY = "/role/", "/v1/identity/entity/id/"
_OF_A_CLASS = b'"kind":"AgentIdentityClass"'
# Vault's own condition, and those that sum up all.
_OF_VAULT = frozenset({"VaultReady", "Ready", "Reconciling", "Stalled"})
Rows = frozenset[tuple[str, str, str]]


def looked_at(objects: Mapping[Name, Body]) -> int:
    """How many identities and grants a resync looks at: those that are there, and those that are
    gone and have left something with their label."""
    there = {name for name in objects if name.kind in _LABELS}
    named = {
        Name(kind, name.namespace, labels[label])
        for name, body in objects.items()
        for kind, label in _LABELS.items()
        if label in (labels := body["metadata"].get("labels") or {})
    }
    return len(there | named)


def reconciles(metrics: str) -> float:
    """How often identities and grants were looked at to the end. metrics: the page for
    Prometheus."""
    return sum(float(found["count"]) for found in _RECONCILES.finditer(metrics))


def sure_at(exchanges: Iterable[Exchange]) -> float:
    """When each write to Vault that was given up has been carried out, and been looked at once
    more, by the monotonic clock; 0 where there was none. Only the process that gave it up knows."""
    given_up = (e for e in exchanges if e.fault == "given-up" and e.call.server == "vault")
    ends = (e.at + MODES[e.fault].delay + _DOUBT_SECONDS for e in given_up if e.changes)
    return max(ends, default=0.0)


def changed_in_vault(end: State, now: State, *, ran_out: bool) -> list[str]:
    """What is not as it was when all was as it should be. ran_out: the agent's token has come to
    the end of its own time, so that it gives nothing whatever the operator does."""
    ended = {TOKEN} if ran_out and not token_works(now) else set()
    was, is_ = ({n: s for n, s in state.items() if n not in ended} for state in (end, now))
    return [f"Vault: {line}" for line in differences(was, is_)]


def for_nothing(writes: Iterable[Exchange], run: Run, *, restarted: int) -> Iterator[Exchange]:
    """Of all writes about a scene, those that should not have been. run: at whose end all was as it
    should be. restarted: number of the first exchange after the restart, when nobody plays any
    more."""
    said_ready: dict[str, bool] = {}
    for exchange in writes:
        path = exchange.call.path
        if exchange.number >= restarted:
            allowed = _may_be_anew(exchange, was_ready=said_ready.get(path, False))
        else:
            allowed = exchange.number < run.last or _may_be_late(exchange, run)
        if not allowed:
            yield exchange
        if exchange.applied and path.endswith("/status"):
            said_ready[path] = _says_ready(exchange)


def _may_be_late(exchange: Exchange, run: Run) -> bool:
    call = exchange.call
    if call.tells:
        return True
    if call.server == "vault":
        return call.method == "DELETE" and _has_gone(call, run)
    said = map(_rows, _bodies(run.end.state))
    return call.path.endswith("/status") and _but_for_vault(exchange) in said


def _has_gone(call: Call, run: Run) -> bool:
    """A role is told by its name. The only one who has logged in is the agent, whose token works as
    long as its entity is there."""
    vault = run.end.vault
    if _ROLE in call.path:
        role = call.renamed(run.names).path.partition(_ROLE)[2]
        return f"role {role}" not in vault
    return call.path.startswith(_ENTITY) and vault.get(TOKEN) == json.dumps(ENDED)


def _may_be_anew(exchange: Exchange, *, was_ready: bool) -> bool:
    """A class that was not well and is again says so, once."""
    call = exchange.call
    if call.tells:
        return _OF_A_CLASS in exchange.body
    of_a_class = _CLASSES in call.path and call.path.endswith("/status")
    return of_a_class and _says_ready(exchange) and not was_ready


def _bodies(state: State) -> list[Body]:
    return [json.loads(text) for text in state.values()]


def _but_for_vault(exchange: Exchange) -> Rows:
    return _rows(json.loads(exchange.body))


def _rows(body: Body) -> Rows:
    """Type, status and reason of each condition but those of Vault."""
    rows = (body.get("status") or {}).get("conditions") or ()
    said = ((row["type"], row["status"], row["reason"]) for row in rows)
    return frozenset(row for row in said if row[0] not in _OF_VAULT)


def _says_ready(exchange: Exchange) -> bool:
    rows = json.loads(exchange.body)["status"].get("conditions") or ()
    return all(row["status"] == "True" for row in rows if row["type"] == "Ready")
