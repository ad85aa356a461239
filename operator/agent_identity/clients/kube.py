"""The API server, over one aiohttp session.

Only what the engine needs: read, list, watch, create, replace, patch, delete, as JSON.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from agent_identity.api.conditions import Reason
from agent_identity.api.v1alpha1 import GROUP, VERSION
from agent_identity.clients.failures import what_failed
from agent_identity.clients.lease import Fence, FencedRequest, sockets_behind, watched_by
from agent_identity.clients.limits import TokenBucket
from agent_identity.clients.token_file import TokenFile
from agent_identity.core.errors import Failed
from agent_identity.core.redact import redacted
from agent_identity.core.resource import Kind, Subject
from agent_identity.telemetry import REQUESTS

Json = dict[str, Any]
PAGE = 100
"""Objects of one answer to a list: with 500, and ten kinds listed at once, a start with 2,500
identities took 15 MiB more that never came back."""
LONGEST_PAGE = 2 * 1024 * 1024
"""Bytes of one answer to a list, unless of one object. Parsed it is 40 times as much where its
author has it so."""
READ_SECONDS = 15.0
_TIMEOUT = aiohttp.ClientTimeout(total=READ_SECONDS, connect=5)
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5, sock_read=70)
# An object of 1.5 MiB, the most that etcd takes, whose every byte is escaped as six. aiohttp reads
# lines of twice as much as it is told.
_LONGEST_LINE = 5 * 1024 * 1024
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Api:
    """Where a kind is served."""

    prefix: str
    plural: str

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        parts = [self.prefix]
        parts += ["namespaces", namespace] if namespace else []
        parts += [p for p in (self.plural, name, subresource) if p]
        return "/".join(parts)


IDENTITIES = Api(f"/apis/{GROUP}/{VERSION}", "agentidentities")
CLASSES = Api(f"/apis/{GROUP}/{VERSION}", "agentidentityclasses")
GRANTS = Api(f"/apis/{GROUP}/{VERSION}", "agentaccessgrants")
OURS: Mapping[Subject, Api] = {
    Subject.IDENTITY: IDENTITIES,
    Subject.CLASS: CLASSES,
    Subject.GRANT: GRANTS,
}
NAMESPACES = Api("/api/v1", "namespaces")
PODS = Api("/api/v1", "pods")
SERVICES = Api("/api/v1", "services")
CLUSTER_ROLE_BINDINGS = Api("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings")
CONFIG_MAPS = Api("/api/v1", "configmaps")
LEASES = Api("/apis/coordination.k8s.io/v1", "leases")
EVENTS = Api("/apis/events.k8s.io/v1", "events")
MESH_PREFIX = "/apis/security.istio.io/v1"
OWNED: Mapping[Kind, Api] = {
    Kind.SERVICE_ACCOUNT: Api("/api/v1", "serviceaccounts"),
    Kind.ROLE_BINDING: Api("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    Kind.PEER_AUTHENTICATION: Api(MESH_PREFIX, "peerauthentications"),
    Kind.AUTHORIZATION_POLICY: Api(MESH_PREFIX, "authorizationpolicies"),
}


class ApiError(Failed):
    """The API server refused. status: HTTP's. cause: of a Status, e.g. NamespaceTerminating.
    escalates: whoever asked may not give the rights that they asked to give."""

    def __init__(
        self,
        status: int,
        reason: Reason,
        message: str,
        *,
        cause: str = "",
        escalates: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason, message, retry_after=retry_after)
        self.status = status
        self.cause = cause
        self.escalates = escalates

    @property
    def absent(self) -> bool:
        """Not there, or not there much longer: nothing can be made in such a namespace."""
        return self.status == HTTPStatus.NOT_FOUND or self.cause == "NamespaceTerminating"

    @property
    def conflict(self) -> bool:
        return self.status == HTTPStatus.CONFLICT

    @property
    def expired(self) -> bool:
        """The resourceVersion is too old: list again (Kubernetes API concepts, "410 Gone")."""
        return self.status == HTTPStatus.GONE


_REASONS: Mapping[int, Reason] = {
    HTTPStatus.UNAUTHORIZED: Reason.FORBIDDEN,
    HTTPStatus.FORBIDDEN: Reason.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS: Reason.THROTTLED,
}
_UNREADABLE = "what the API server answers can't be read"
# The API server has no code for it, and all that it says is longer than a message of ours.
_ESCALATION = "attempting to grant RBAC permissions not currently held"


def _api_error(status: int, body: Mapping[str, Any], retry_after: str | None) -> ApiError:
    server = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    reason = _REASONS.get(status, Reason.UNREACHABLE if server else Reason.REJECTED)
    causes = (body.get("details") or {}).get("causes") or ()
    cause = next((str(c["reason"]) for c in causes if c.get("reason")), "")
    message = redacted(str(body.get("message") or f"the API server answered {status}"))
    escalates = status == HTTPStatus.FORBIDDEN and _ESCALATION in str(body.get("message"))
    wait = float(retry_after) if retry_after and retry_after.isdigit() else None
    return ApiError(status, reason, message, cause=cause, escalates=escalates, retry_after=wait)


def authenticated_session(
    token: TokenFile,
    ca_file: Path,
    *,
    connections: int,
    base_url: str | None = None,
    fence: Fence,
    user_agent: str,
    also: Sequence[aiohttp.ClientMiddlewareType] = (),
) -> aiohttp.ClientSession:
    """A session that presents the token as it is in the file at each request. user_agent: tells
    this process from another one in the API server's audit log."""

    async def present(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        try:
            request.headers["Authorization"] = f"Bearer {token.read()}"
        except Failed as error:
            # Whoever holds the session knows aiohttp's errors only.
            raise aiohttp.ClientConnectionError(error.message) from error
        return await handler(request)

    tls = ssl.create_default_context(cafile=str(ca_file))
    return aiohttp.ClientSession(
        base_url,
        timeout=_TIMEOUT,
        connector=aiohttp.TCPConnector(
            limit=connections, ssl=tls, socket_factory=sockets_behind(fence)
        ),
        middlewares=(*also, watched_by(fence), present),
        request_class=FencedRequest,
        headers={"User-Agent": user_agent},
    )


async def patient_with_absence(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """For kopf: over a 404 it would end, and over this it tries again. A CRD that was taken away
    may come back, and whatever is left of the other kind must be able to go."""
    answer = await handler(request)
    if answer.status == HTTPStatus.NOT_FOUND:
        answer.close()
        raise aiohttp.ClientConnectionError("the API server does not serve this kind")
    return answer


class Kube:
    """session: see `authenticated_session`. rate: requests per second. write_seconds: after which
    a request that changes something is given up."""

    def __init__(
        self, session: aiohttp.ClientSession, *, rate: int, write_seconds: float = READ_SECONDS
    ) -> None:
        self._bucket = TokenBucket(rate)
        write = aiohttp.ClientTimeout(total=write_seconds, connect=min(5, write_seconds))
        self._write_timeout = write
        self._session = session

    async def get(self, path: str) -> Json:
        """One object as it is now (a quorum read). Raises ApiError, `absent` without one."""
        return await self._send("GET", path)

    async def pages(
        self, path: str, *, selector: str = ""
    ) -> AsyncIterator[tuple[list[Json], str]]:
        """All objects, some at a time, and the resourceVersion to watch from, which is the same
        for all of them (Kubernetes API concepts, "Retrieving large results sets in chunks").
        Where they are long it is fewer at a time."""
        query, limit = {"labelSelector": selector} if selector else {}, PAGE
        while True:
            query["limit"], longest = str(limit), LONGEST_PAGE if limit > 1 else None
            try:
                page = await self._send("GET", path, query=query, longest=longest)
            except _TooLongError:
                limit = max(1, limit // 4)
                continue
            try:
                items, metadata = page["items"], page["metadata"]
                version, more = metadata["resourceVersion"], metadata.get("continue")
            except (KeyError, TypeError) as error:
                raise Failed(Reason.UNREACHABLE, _UNREADABLE) from error
            yield items, version
            if not more:
                return
            # Two long objects of somebody's must not make thousands of requests of a list.
            query["continue"], limit = more, min(PAGE, 2 * limit)

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """POST: never takes over what is there."""
        return await self._send("POST", path, body=body)

    async def replace(self, path: str, body: Mapping[str, Any]) -> Json:
        """PUT: the whole object; body carries the resourceVersion that it replaces."""
        return await self._send("PUT", path, body=body)

    async def patch(self, path: str, body: Mapping[str, Any]) -> Json:
        """A merge patch (RFC 7396)."""
        return await self._send("PATCH", path, body=body, content_type=MERGE_PATCH)

    async def delete(self, path: str, *, uid: str) -> Json:
        """DELETE of just this object, and not of another one of that name."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        return await self._send("DELETE", path, body=options)

    async def watch(
        self, path: str, version: str, *, selector: str = ""
    ) -> AsyncIterator[tuple[str, Json]]:
        """(type, object) of every event after `version`, bookmarks included, until the server
        ends the stream. Raises ApiError, `expired` where the version is too old."""
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "600",
        } | ({"labelSelector": selector} if selector else {})
        try:
            async with self._session.get(
                path, params=query, timeout=_WATCH_TIMEOUT, read_bufsize=_LONGEST_LINE
            ) as response:
                await _raise_for(response)
                while line := await response.content.readuntil():
                    yield _event(json.loads(line))
        except (HttpProcessingError, *_BROKEN) as error:
            detail = f"the watch of {path} broke: {what_failed(error)}"
            raise Failed(Reason.UNREACHABLE, detail) from error

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        longest: int | None = None,
    ) -> Json:
        await self._bucket.take()
        headers = {"Content-Type": content_type}
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        try:
            async with self._session.request(
                method,
                path,
                data=data,
                params=query,
                headers=headers,
                timeout=_TIMEOUT if method == "GET" else self._write_timeout,
            ) as response:
                REQUESTS.labels("kubernetes", method, str(response.status)).inc()
                await _raise_for(response)
                answer = _json(await _read(response, longest))
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
            REQUESTS.labels("kubernetes", method, "error").inc()
            raise Failed(
                Reason.UNREACHABLE, f"the API server does not answer: {what_failed(error)}"
            ) from error
        if answer is None:
            raise Failed(Reason.UNREACHABLE, _UNREADABLE)
        return answer


class _TooLongError(Exception):
    """Of an answer: not all of it was read."""


async def _read(response: aiohttp.ClientResponse, longest: int | None) -> bytes:
    if longest is None:
        return await response.read()
    try:
        await response.content.readexactly(longest)
    except asyncio.IncompleteReadError as all_of_it:
        return all_of_it.partial
    raise _TooLongError


def _json(content: bytes) -> Json | None:
    """The object that is there."""
    try:
        body = json.loads(content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


_BROKEN = (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError)


def _event(event: Json) -> tuple[str, Json]:
    if event["type"] == "ERROR":
        raise _api_error(event["object"].get("code", 500), event["object"], None)
    return event["type"], event["object"]


async def _raise_for(response: aiohttp.ClientResponse) -> None:
    if response.status < HTTPStatus.BAD_REQUEST:
        return
    body = _json(await response.read()) or {}
    status = body if body.get("kind") == "Status" else {}
    raise _api_error(response.status, status, response.headers.get("Retry-After"))
