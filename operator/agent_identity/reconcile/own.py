"""What is written on our own kinds' objects: finalizers and status. Never a spec."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent_identity.api.conditions import EventReason, Reason
from agent_identity.clients.events import EventWriter
from agent_identity.clients.kube import OURS, ApiError, Kube
from agent_identity.core.errors import Failed
from agent_identity.core.identity import Ours
from agent_identity.core.resource import Subject, canonical
from agent_identity.core.status import Status
from agent_identity.reconcile.world import World

_SOON = 0.1


class OwnWriter:
    """Each answer goes into the world at once, so that nothing waits for the watch."""

    def __init__(self, kube: Kube, world: World, events: EventWriter) -> None:
        self._kube = kube
        self._events = events
        self._see = {
            Subject.IDENTITY: world.see_identity,
            Subject.CLASS: world.see_class,
            Subject.GRANT: world.grants.see,
        }

    async def set_finalizers(self, subject: Ours, finalizers: Sequence[str]) -> None:
        """Its answer is a fresh read too. Raises Busy where somebody changed the object since it
        was seen, which is seen then, and ApiError where it is gone."""
        metadata = {
            "uid": subject.meta.uid,
            "resourceVersion": subject.meta.resource_version,
            "finalizers": list(finalizers),
        }
        try:
            body = await self._kube.patch(own_path(subject), {"metadata": metadata})
        except ApiError as error:
            if not error.conflict:
                raise
            # The watch may be long in telling, and until then each try would end in the same way.
            self._see[subject.meta.key.subject](await self._kube.get(own_path(subject)))
            raise Failed(Reason.BUSY, "changed meanwhile", retry_after=_SOON) from error
        self._saw(subject, body)

    async def write_status(self, subject: Ours, status: Status) -> None:
        """One write, and only where something differs. Raises ApiError, also for a conflict: no
        event follows one that the API server met by itself."""
        if canonical(subject.status) == canonical(status):
            return
        self._tell_turn(subject, status)
        # A merge patch keeps what it does not name.
        gone = {k: None for k in subject.status if k not in status}
        body = {"metadata": {"uid": subject.meta.uid}, "status": {**gone, **status}}
        try:
            answer = await self._kube.patch(own_path(subject, "status"), body)
        except ApiError as error:
            if not error.absent:
                raise
            return
        self._saw(subject, answer)

    def _saw(self, subject: Ours, body: Mapping[str, Any]) -> None:
        self._see[subject.meta.key.subject](body, own=True)

    def _tell_turn(self, subject: Ours, status: Status) -> None:
        """An event when Ready turns, or its reason does; none for a new object that is well."""
        before, after = ready(subject.status), ready(status)
        if (before.get("status"), before.get("reason")) == (after["status"], after["reason"]):
            return
        if after["status"] == "False":
            self._events.tell(subject, str(after["reason"]), str(after["message"]), warning=True)
        elif before:
            detail = "everything is in place again"
            self._events.tell(subject, EventReason.RECOVERED, detail, warning=False)


def own_path(subject: Ours, subresource: str = "") -> str:
    """Where one of our own objects is served."""
    key = subject.meta.key
    return OURS[key.subject].path(key.namespace, key.name, subresource)


def ready(status: Mapping[str, object]) -> Mapping[str, object]:
    """The condition Ready; empty where there is none yet."""
    rows = status.get("conditions")
    found = [c for c in rows if c.get("type") == "Ready"] if isinstance(rows, list) else []
    return found[0] if found else {}


def was_ready(subject: Ours) -> bool:
    """Whether the status says that this very generation is in place."""
    row = ready(subject.status)
    same = subject.status.get("observedGeneration") == subject.meta.generation
    return same and row.get("status") == "True"
