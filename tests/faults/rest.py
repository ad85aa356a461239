"""What may still be written of one scene once all there is as it should be.

Scenes share one Vault and one operator: while others still play, a Vault that fails one of them is
left alone for a moment, which is in the status of all that are asked about it, and what has gone
from it is taken away once more. All else that is written is written for nothing.
"""

import json

from faults.exchange import Exchange
from faults.recorder import Body
from faults.snapshot import State

_CLASSES = "/agentidentityclasses/"
_OF_A_CLASS = b'"kind":"AgentIdentityClass"'
# Vault's own condition, and those that sum up all.
_OF_VAULT = frozenset({"VaultReady", "Ready", "Reconciling", "Stalled"})
Rows = frozenset[tuple[str, str, str]]


def may_be_late(exchange: Exchange, end: State) -> bool:
    """Of a write while others still play. end: what there was when all was as it should be."""
    call = exchange.call
    if call.tells or (call.server == "vault" and call.method == "DELETE"):
        return True
    return call.path.endswith("/status") and _but_for_vault(exchange) in map(_rows, _bodies(end))


def may_be_anew(exchange: Exchange) -> bool:
    """Of a write after a restart, when nobody plays: a class that is well again says so."""
    call = exchange.call
    if call.tells:
        return _OF_A_CLASS in exchange.body
    return _CLASSES in call.path and call.path.endswith("/status") and _says_ready(exchange)


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
