"""Kubernetes Events: what happened, and to whom. Told in passing: a lost one is no failure."""

import asyncio
import random
import string
from datetime import UTC, datetime

from agent_identity.api.v1alpha1 import GROUP, VERSION
from agent_identity.clients.kube import EVENTS, Kube
from agent_identity.core.errors import Failed
from agent_identity.core.identity import Ours
from agent_identity.core.resource import MANAGER
from agent_identity.telemetry import log

_WAITING = 500
_NOTE_LIMIT = 1000
_PER_SECOND = 10


class EventWriter:
    """A short queue and a slow pen: a storm of events never slows the work itself."""

    def __init__(self, kube: Kube, *, instance: str) -> None:
        self._kube = kube
        self._instance = instance
        self._waiting: asyncio.Queue[tuple[str, dict[str, object]]] = asyncio.Queue(_WAITING)

    def tell(self, subject: Ours, reason: str, note: str, *, warning: bool) -> None:
        """Note an event; dropped when too many wait."""
        namespace = subject.meta.key.namespace or "default"
        body = self._event(subject, reason, note, "Warning" if warning else "Normal")
        try:
            self._waiting.put_nowait((namespace, body))
        except asyncio.QueueFull:
            log.warning("event dropped: %s %s", reason, note)

    def _event(self, subject: Ours, reason: str, note: str, kind: str) -> dict[str, object]:
        key = subject.meta.key
        suffix = "".join(random.choices(string.ascii_lowercase + string.digits, k=10))
        regarding = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": key.subject.value,
            "name": key.name,
            "uid": subject.meta.uid,
            **({"namespace": key.namespace} if key.namespace else {}),
        }
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{key.name}.{suffix}", "namespace": key.namespace or "default"},
            "eventTime": datetime.now(UTC)
            .isoformat(timespec="microseconds")
            .replace("+00:00", "Z"),
            "reportingController": f"{GROUP}/{MANAGER}",
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "type": kind,
            "reason": reason,
            "regarding": regarding,
            "note": note[:_NOTE_LIMIT],
        }

    async def run(self) -> None:
        """For ever: write what waits."""
        while True:
            namespace, body = await self._waiting.get()
            try:
                await self._kube.create(EVENTS.path(namespace), body)
            except Failed as error:
                log.info("event not written: %s", error.message)
            await asyncio.sleep(1 / _PER_SECOND)
