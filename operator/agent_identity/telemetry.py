"""Logs as JSON lines, and the metrics. Label sets are bounded: no names of identities."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from agent_identity.core.redact import redacted

log = logging.getLogger("agent_identity")

REQUESTS = Counter(
    "agent_identity_requests_total",
    "Requests that left the process",
    ["backend", "method", "result"],
)
RECONCILES = Counter("agent_identity_reconciles_total", "Reconciles", ["kind", "result"])
DURATION = Histogram(
    "agent_identity_reconcile_seconds",
    "Duration of a reconcile",
    ["kind"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
QUEUE_DEPTH = Gauge("agent_identity_queue_depth", "Keys that are due and wait for a worker")
QUEUE_AGE = Gauge("agent_identity_queue_age_seconds", "How long the first of them has waited")
CONDITIONS = Gauge(
    "agent_identity_conditions",
    "Identities, classes and grants by condition",
    ["kind", "condition", "status", "reason"],
)
REPAIRED = Counter("agent_identity_drift_repaired_total", "Objects put back", ["kind"])
LEADER = Gauge("agent_identity_leader", "1 in the replica that works, 0 in one that waits")
DEBTS = Gauge("agent_identity_debts", "Clean-ups that a deletion could not wait for")

CONTEXT: ContextVar[dict[str, Any]] = ContextVar("agent_identity_log_context")


_TRACE = 3000


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": redacted(record.getMessage(), _TRACE),
            **CONTEXT.get({}),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = redacted(self.formatException(record.exc_info)[-_TRACE:], _TRACE)
        return json.dumps(line, default=str)


def set_up_logging(level: str) -> None:
    """JSON lines on standard output; of libraries, warnings and worse."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    log.setLevel(level)


def now() -> str:
    """RFC 3339, whole seconds, as metav1.Time writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
