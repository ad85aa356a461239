"""The two servers in memory, and the operator's own parts wired to them; the other tests here use
both.

What is at stake in those tests is which calls leave the operator, in which order and with what in
them: that shows in milliseconds. What the real servers make of them, `tests/cluster` shows. The
tests of this file hold the stand-ins to the rules of the real ones that the others rely on.
"""

import asyncio
import copy
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, cast

import pytest

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import ApiError, Kube
from agent_identity.clients.vault import Vault

Json = dict[str, Any]
Story = Callable[..., Coroutine[Any, Any, None]]
DELETED = "2026-01-01T00:00:00Z"


def told(story: Story) -> Callable[..., None]:
    """A test that is a coroutine."""

    @wraps(story)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(story(*args, **kwargs), 10))

    return run


class Calls:
    """What was called, and what is refused: `broken` maps the beginning of a call to an error."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.bodies: list[tuple[str, Json]] = []
        self.broken: dict[str, Exception] = {}

    def note(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        call = f"{verb} {path}"
        self.calls.append(call)
        self.bodies.append((call, copy.deepcopy(dict(body or {}))))
        for start, error in self.broken.items():
            if call.startswith(start):
                raise error

    def changes(self) -> list[str]:
        """Calls that change something."""
        return [c for c in self.calls if not c.startswith(("GET", "LIST", "LOOKUP"))]

    def body(self, call: str) -> Json:
        """The body of the last call that begins so."""
        return [body for made, body in self.bodies if made.startswith(call)][-1]


def _refusal(status: int) -> ApiError:
    return ApiError(status, Reason.REJECTED, f"the API server answered {status}")


class MemoryApi(Calls):
    """The API server, as far as `clients.kube` uses it."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, Json] = {}
        self.versions = itertools.count(100)

    @property
    def kube(self) -> Kube:
        return cast("Kube", self)

    def put(self, path: str, body: Json) -> Json:
        """Store an object as somebody else's write; a copy of what is stored."""
        metadata = {"uid": f"uid-{next(self.versions)}", "creationTimestamp": DELETED}
        stored = copy.deepcopy(body)
        stored["metadata"] = metadata | stored["metadata"]
        stored["metadata"]["resourceVersion"] = str(next(self.versions))
        self.objects[path] = stored
        return copy.deepcopy(stored)

    def _there(self, path: str) -> Json:
        if path not in self.objects:
            raise _refusal(HTTPStatus.NOT_FOUND)
        return self.objects[path]

    def _precondition(self, path: str, wanted: Mapping[str, Any]) -> Json:
        there = self._there(path)
        for name in ("uid", "resourceVersion"):
            if wanted.get(name, there["metadata"][name]) != there["metadata"][name]:
                raise _refusal(HTTPStatus.CONFLICT)
        return there

    def _keep(self, path: str, body: Json) -> Json:
        stored = self.put(path, body)
        metadata = stored["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            del self.objects[path]
        return stored

    async def get(self, path: str) -> Json:
        self.note("GET", path)
        return copy.deepcopy(self._there(path))

    async def pages(self, path: str, *, selector: str) -> AsyncIterator[tuple[list[Json], str]]:
        """All at once. selector: one label with its value."""
        self.note("LIST", path)
        label, _, value = selector.partition("=")
        found = [body for at, body in self.objects.items() if at.startswith(f"{path}/")]
        yield [b for b in found if b["metadata"].get("labels", {}).get(label) == value], "1"

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        name = f"{path}/{body['metadata']['name']}"
        self.note("POST", name, body)
        if name in self.objects:
            raise _refusal(HTTPStatus.CONFLICT)
        return self.put(name, dict(body))

    async def replace(self, path: str, body: Mapping[str, Any]) -> Json:
        self.note("PUT", path, body)
        there = self._precondition(path, body["metadata"])["metadata"]
        kept = {
            k: there[k] for k in ("uid", "creationTimestamp", "deletionTimestamp") if k in there
        }
        return self._keep(path, {**body, "metadata": {**body["metadata"], **kept}})

    async def patch(self, path: str, body: Mapping[str, Any]) -> Json:
        self.note("PATCH", path, body)
        path = path.removesuffix("/status")
        there = self._precondition(path, body.get("metadata", {}))
        return self._keep(path, _merged(there, body))

    async def delete(self, path: str, *, uid: str) -> Json:
        self.note("DELETE", path, {"uid": uid})
        there = self._precondition(path, {"uid": uid})
        if not there["metadata"].get("finalizers"):
            del self.objects[path]
            return {"kind": "Status"}
        there["metadata"]["deletionTimestamp"] = DELETED
        return self._keep(path, there)


def _merged(there: Json, patch: Mapping[str, Any]) -> Json:
    """RFC 7396."""
    after = copy.deepcopy(there)
    for key, value in patch.items():
        if value is None:
            after.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(after.get(key), dict):
            after[key] = _merged(after[key], value)
        else:
            after[key] = copy.deepcopy(value)
    return after


class MemoryVault(Calls):
    """Vault, as far as the room uses it."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, Json] = {}
        self.entities: dict[str, Json] = {}
        self.spec: Any = None

    def connected(self, spec: Any) -> Vault:
        """It itself: one server for every class."""
        self.spec = spec
        return cast("Vault", self)

    def log_in(self, namespace: str, account: str, uid: str) -> Json:
        """The entity that a login makes."""
        metadata = {"service_account_namespace": namespace, "service_account_name": account}
        alias = {"mount_accessor": "acc", "name": uid, "metadata": metadata}
        entity = {"id": f"entity-of-{uid}", "aliases": [alias]}
        self.entities[str(entity["id"])] = entity
        return entity

    async def read(self, path: str) -> Json | None:
        self.note("GET", path)
        if path == "sys/auth":
            return {"kubernetes/": {"accessor": "acc"}}
        return copy.deepcopy(self.stored.get(path))

    async def keys(self, path: str) -> list[str]:
        self.note("LIST", path)
        return [p.removeprefix(f"{path}/") for p in self.stored if p.startswith(f"{path}/")]

    async def write(self, path: str, body: Mapping[str, Any]) -> Json | None:
        if path == "identity/lookup/entity":
            self.note("LOOKUP", path, body)
            found = (e for e in self.entities.values() if _has_alias(e, body["alias_name"]))
            return next(found, None)
        self.note("WRITE", path, body)
        self.stored[path] = self.stored.get(path, {}) | copy.deepcopy(dict(body))
        return None

    async def delete(self, path: str) -> None:
        self.note("DELETE", path)
        self.stored.pop(path, None)
        self.entities.pop(path.removeprefix("identity/entity/id/"), None)


def _has_alias(entity: Json, name: str) -> bool:
    return any(alias["name"] == name for alias in entity["aliases"])


PATH = "/api/v1/namespaces/agents/serviceaccounts"


@told
async def test_a_write_of_an_old_version_is_refused() -> None:
    api = MemoryApi()
    made = await api.create(PATH, {"metadata": {"name": "a"}})
    api.put(f"{PATH}/a", made)
    with pytest.raises(ApiError) as refusal:
        await api.replace(f"{PATH}/a", made)
    assert refusal.value.conflict


@told
async def test_what_has_a_finalizer_goes_with_it() -> None:
    api = MemoryApi()
    made = await api.create(PATH, {"metadata": {"name": "a", "finalizers": ["x"]}})
    going = await api.delete(f"{PATH}/a", uid=made["metadata"]["uid"])
    going["metadata"]["finalizers"] = []
    await api.replace(f"{PATH}/a", going)
    assert api.objects == {}


@told
async def test_vault_keeps_what_an_update_leaves_out() -> None:
    vault = MemoryVault()
    await vault.write("auth/kubernetes/role/x", {"a": 1})
    await vault.write("auth/kubernetes/role/x", {"b": 2})
    assert await vault.read("auth/kubernetes/role/x") == {"a": 1, "b": 2}
