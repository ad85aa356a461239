"""What is written on our own kinds' objects: finalizers and status. Never a spec."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent_identity.api.conditions import EventReason, Reason
from agent_identity.clients.events import EventWriter
from agent_identity.clients.kube import OURS, ApiError, Kube
from agent_identity.core.errors import Failed
from agent_identity.core.identity import Ours, parse_class, parse_grant, parse_identity
from agent_identity.core.resource import Subject, canonical
from agent_identity.core.status import Status
from agent_identity.reconcile.world import World

_SOON = 0.1
_PARSE: Mapping[Subject, Callable[[Mapping[str, Any]], Ours]] = {
    Subject.IDENTITY: parse_identity,
    Subject.CLASS: parse_class,
    Subject.GRANT: parse_grant,
}


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
        try:
            body = await self._patch(subject, metadata={"finalizers": list(finalizers)})
        except ApiError as error:
            if not error.conflict:
                raise
            await self._look_again(subject)
            raise Failed(Reason.BUSY, "changed meanwhile", retry_after=_SOON) from error
        self._saw(subject, body)

    async def write_status(self, subject: Ours, status: Status) -> None:
        """Only where something differs; over what somebody changed meanwhile once more. Raises
        ApiError, also for a second conflict: no event follows one that the API server met by
        itself."""
        if canonical(subject.status) == canonical(status):
            return
        try:
            await self._write_status(subject, status)
        except ApiError as error:
            if not error.absent:
                raise

    async def _write_status(self, subject: Ours, status: Status) -> None:
        try:
            body = await self._patch_status(subject, status)
        except ApiError as error:
            if not error.conflict:
                raise
            there = await self._look_again(subject)
            if there.meta.uid != subject.meta.uid:
                return
            body = await self._patch_status(there, status)
        self._saw(subject, body)
        self._tell_turn(subject, status)

    async def _patch_status(self, subject: Ours, status: Status) -> Mapping[str, Any]:
        # A merge patch keeps what it does not name.
        gone = {k: None for k in subject.status if k not in status}
        return await self._patch(subject, "status", status={**gone, **status})

    async def _patch(self, subject: Ours, subresource: str = "", **parts: Any) -> Mapping[str, Any]:
        """Over the version that was seen: what a leader that slept sends late is refused, since
        another one has written meanwhile."""
        meta = {"uid": subject.meta.uid, "resourceVersion": subject.meta.resource_version}
        body = {**parts, "metadata": {**parts.get("metadata", {}), **meta}}
        return await self._kube.patch(own_path(subject, subresource), body)

    async def _look_again(self, subject: Ours) -> Ours:
        """The watch may be long in telling, and until then each try would end in the same way."""
        body = await self._kube.get(own_path(subject))
        self._see[subject.meta.key.subject](body)
        return _PARSE[subject.meta.key.subject](body)

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
