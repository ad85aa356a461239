"""The one backend of all rooms whose objects are Kubernetes objects.

Nothing is adopted: what is made is POSTed, and what differs is replaced as a whole by a PUT of the
version that was seen. What the API server answers goes into the cache at once, so that the next
decision does not wait for the watch.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import OWNED, ApiError, Kube
from agent_identity.core.checks import judge
from agent_identity.core.errors import Failed
from agent_identity.core.facts import Facts
from agent_identity.core.names import derived_refs
from agent_identity.core.ownership import is_left_over, is_orphan
from agent_identity.core.resource import GRANTS, Kind, Observed, Ref, Resource, digest_of
from agent_identity.providers.contract import Debt, Sight

Remember = Callable[[Kind, Mapping[str, Any]], None]
Making = Callable[[Resource], AbstractContextManager[None]]
Expect = Callable[[Observed], None]
Forget = Callable[[Ref, str], None]
UIDOf = Callable[[Ref], str]
_SOON = 0.05


class KubeBackend:
    """wrote, saw, forget: put what was written, read, or seen to be gone, into the engine's cache.
    uid_of: what that cache says; empty for what is not in it. making: around what makes an
    object. expect_gone: this object is about to be taken away by us."""

    def __init__(
        self,
        kube: Kube,
        *,
        wrote: Remember,
        saw: Remember,
        forget: Forget,
        uid_of: UIDOf,
        making: Making,
        expect_gone: Expect,
    ) -> None:
        self._kube = kube
        self._wrote = wrote
        self._saw = saw
        self._making = making
        self._expect_gone = expect_gone
        self._forget = forget
        self._uid_of = uid_of

    async def observe(self, facts: Facts, *, granted: bool) -> Sight:
        uid = facts.identity.meta.uid

        def is_ours(seen: Observed) -> bool:
            kept = seen.is_owned_by(uid) or seen.is_retired_policy
            return kept or _is_stray(seen, facts) or _gives_an_earlier_one(seen, facts)

        return Sight({ref: seen for ref, seen in facts.observed.items() if is_ours(seen)})

    async def create(self, resource: Resource) -> None:
        ref = resource.ref
        try:
            with self._making(resource), _naming_the_role(resource.body):
                path = OWNED[ref.kind].path(ref.namespace)
                body = await self._kube.create(path, resource.body)
        except ApiError as error:
            if not error.conflict:
                raise
            await self.look_again(ref)
            raise _seen_late(ref) from error
        self._wrote(ref.kind, body)
        _confirm(resource, body)

    async def replace(self, resource: Resource, seen: Observed) -> None:
        metadata = dict(resource.body["metadata"])
        metadata |= {"resourceVersion": seen.resource_version, "uid": seen.uid}
        with self._making(resource):
            body = await self._put(seen.ref, {**resource.body, "metadata": metadata})
        _confirm(resource, body)

    async def delete(self, seen: Observed) -> bool:
        path = _path(seen.ref)
        if not seen.finalizers:
            self._expect_gone(seen)
        try:
            answer = await self._kube.delete(path, uid=seen.uid)
        except ApiError as error:
            if error.conflict:
                await self.look_again(seen.ref)
            if not error.absent:
                raise
            self._forget(seen.ref, seen.uid)
            return True
        if answer.get("kind") == "Status" or not _held(answer):
            self._forget(seen.ref, seen.uid)
            return True
        self._wrote(seen.ref.kind, answer)
        return False

    async def release(self, seen: Observed) -> bool:
        """Take every finalizer off, a binding's subjects too, and delete it if nobody has. True:
        it was seen to be gone."""
        body = await self.look_again(seen.ref)
        if body is None or body["metadata"]["uid"] != seen.uid:
            return True
        body["metadata"].pop("finalizers", None)
        self._expect_gone(seen)
        await self._put_released(seen.ref, body)
        if not body["metadata"].get("deletionTimestamp"):
            return await self.delete(seen)
        return await self.look_again(seen.ref) is None

    async def _put_released(self, ref: Ref, body: dict[str, Any]) -> None:
        """A binding is emptied too. Without `bind` on its role any more, only its finalizers may
        go, which is enough where it is going already."""
        if ref.kind == Kind.ROLE_BINDING:
            try:
                await self._put(ref, {**body, "subjects": []})
            except ApiError as error:
                if error.reason is not Reason.FORBIDDEN:
                    raise
            else:
                return
        await self._put(ref, body)

    async def forget_account(self, account: Observed, facts: Facts | None) -> None:
        """Nothing in the cluster outlives an account."""

    def owed(self, account: Observed | None, facts: Facts | None) -> tuple[Debt, ...]:
        return ()

    async def _put(self, ref: Ref, body: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            with _naming_the_role(body):
                answer = await self._kube.replace(_path(ref), body)
        except ApiError as error:
            if not (error.conflict or error.absent):
                raise
            await self.look_again(ref)
            raise _seen_late(ref) from error
        self._wrote(ref.kind, answer)
        return answer

    async def look_again(self, ref: Ref) -> dict[str, Any] | None:
        """An object as it is now, told to who keeps what was seen; None where there is none."""
        before = self._uid_of(ref)
        try:
            body = await self._kube.get(_path(ref))
        except ApiError as error:
            if not error.absent:
                raise
            # Another one may have been made while the answer was on its way.
            self._forget(ref, before)
            return None
        self._saw(ref.kind, body)
        return body


@contextmanager
def _naming_the_role(body: Mapping[str, Any]) -> Iterator[None]:
    """The API server tells of every right in the role, and never of the role or of `bind`."""
    try:
        yield
    except ApiError as error:
        if not error.escalates:
            raise
        role = body["roleRef"]["name"]
        detail = f"the operator may not bind ClusterRole {role}"
        detail += ": add it to the chart's boundClusterRoles"
        raise ApiError(error.status, error.reason, detail) from error


def _confirm(resource: Resource, body: Mapping[str, Any]) -> None:
    """What an admission controller makes of it may not be what was granted."""
    if digest_of(resource.ref.kind, body) != resource.digest:
        detail = f"{resource.ref} was changed on its way into the API server"
        raise Failed(Reason.REJECTED, detail)


def _is_stray(seen: Observed, facts: Facts) -> bool:
    """Ours with its owner taken off, and not asked for, or a right that may not be had any more:
    it goes. While only it is in the way it is somebody's to look at, as any foreign object."""
    if not is_orphan(seen):
        return False
    if seen.ref not in derived_refs(facts.identity):
        return True
    problem = judge(facts).problem
    withdrawn = problem is not None and problem.reason is not Reason.FOREIGN_OBJECT
    return withdrawn and seen.ref.kind in GRANTS


def _gives_an_earlier_one(seen: Observed, facts: Facts) -> bool:
    """A right of an earlier identity of the name, or its account. What guards its pods goes when
    the garbage collector takes it."""
    gives = seen.ref.kind in GRANTS or seen.ref.kind is Kind.SERVICE_ACCOUNT
    return gives and is_left_over(seen, facts.owners)


def _path(ref: Ref) -> str:
    return OWNED[ref.kind].path(ref.namespace, ref.name)


def _held(answer: Mapping[str, Any]) -> bool:
    metadata = answer.get("metadata") or {}
    return bool(metadata.get("finalizers")) or not metadata.get("deletionTimestamp")


def _seen_late(ref: Ref) -> Failed:
    return Failed(Reason.BUSY, f"{ref} has changed meanwhile", retry_after=_SOON)
