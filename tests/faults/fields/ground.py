"""One bed with its operator, and how cases talk to the API server and to OpenBao."""

import asyncio
import itertools
import json
import ssl
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from http import HTTPStatus
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp

from faults.fields.schema import Body
from faults.fields.seeds import (
    OTHER_READER,
    READER,
    VAULT,
    VAULT_CA,
    VAULT_NAMESPACE,
    filled,
    shared_classes,
)
from faults.fields.vault_namespace import set_up_vault_namespace
from faults.fields.writes import WriteLog
from faults.recorder import Name, Recorder
from faults.scene import cluster_roles, concerned, path_of
from testbed.bed import Bed
from testbed.operator_process import OperatorProcess
from testbed.tenant import RESYNC_SECONDS, SHORT_PERIODS

VALUES: Mapping[str, Any] = {"boundClusterRoles": [READER, OTHER_READER]}
"""What the chart of the bed must be installed with."""
# Often enough for a window of two periods, and seldom enough for many cases at a time.
_RESYNC_SECONDS = 10
SETTINGS = {**SHORT_PERIODS, "AGENT_IDENTITY_RESYNC_SECONDS": str(_RESYNC_SECONDS)}
_PLACES = {
    "Service": "/api/v1/namespaces/{}/services",
    "Namespace": "/api/v1/namespaces",
}
_CLUSTER_ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
# As administrators set up the operator; in a Vault namespace all of it once more.
_IN_VAULT = (
    ("VaultRole", "auth/kubernetes/role", ()),
    # All else of it counts versions and times.
    ("VaultPolicy", "sys/policies/acl", ("policy",)),
)
_HOMES = ("", f"{VAULT_NAMESPACE}/")


# One bed may see several campaigns.
_NUMBERS = itertools.count(1)


class Answer(NamedTuple):
    status: int
    text: str

    @property
    def ok(self) -> bool:
        return self.status < HTTPStatus.BAD_REQUEST

    @property
    def body(self) -> Body:
        return dict(json.loads(self.text))


class _ByScene(dict[Name, Body]):
    """Objects, which are asked for by scene many times between two changes."""

    def __init__(self) -> None:
        super().__init__()
        self.of: defaultdict[str, dict[Name, Body]] = defaultdict(dict)

    def __setitem__(self, name: Name, body: Body) -> None:
        super().__setitem__(name, body)
        self.of[concerned(name)][name] = body

    def pop(self, name: Name, *default: Any) -> Any:
        self.of[concerned(name)].pop(name, None)
        return super().pop(name, *default)


class Ground:
    """Usable inside `async with`. operator: one of SHORT_PERIODS that works on the bed already, or
    it gets one. window: two periods in which everything is looked at again."""

    def __init__(self, bed: Bed, operator: OperatorProcess | None = None) -> None:
        self.bed = bed
        self.recorder = Recorder(bed.control_plane, concerned)
        self._objects = self.recorder.now = _ByScene()
        self._operator = operator
        self.window = 2.0 * (RESYNC_SECONDS if operator else _RESYNC_SECONDS) + 0.5
        self._stack = AsyncExitStack()
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        try:
            await self._build()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _build(self) -> None:
        operator = self._operator or self.bed.operator(settings=SETTINGS)
        if self._operator is None:
            self._stack.callback(operator.stop)
            await asyncio.to_thread(operator.start)
        await asyncio.to_thread(operator.wait_ready)
        self.operator = operator
        await self._stack.enter_async_context(self.recorder)
        trust = ssl.create_default_context(cafile=str(self.bed.openbao.ca_file))
        self._vault = await self._stack.enter_async_context(
            aiohttp.ClientSession(
                self.bed.openbao.address,
                connector=aiohttp.TCPConnector(limit=0, ssl=trust),
                headers={"X-Vault-Token": self.bed.openbao.root_token},
            )
        )
        await asyncio.to_thread(set_up_vault_namespace, self.bed, VAULT_NAMESPACE)
        await self._set_up_shared()
        self._writes = WriteLog(self.bed, operator.instance)

    async def _set_up_shared(self) -> None:
        for role in cluster_roles():
            await self._post(_CLUSTER_ROLES, role)
        for agent_class in shared_classes():
            await self.create(filled(agent_class, self.words))

    # --- writing

    @property
    def words(self) -> dict[str, str]:
        return {VAULT: self.bed.openbao.address, VAULT_CA: self.bed.openbao.ca_pem}

    def scene_name(self) -> str:
        return f"w{next(_NUMBERS):05d}"

    async def create(self, body: Body) -> None:
        """Raises where it is refused; nothing where it is there already."""
        answer = await self.try_create(body)
        if not answer.ok and answer.status != HTTPStatus.CONFLICT:
            raise RuntimeError(f"{body['kind']} {body['metadata']}: {answer.text}")

    async def try_create(self, body: Body) -> Answer:
        metadata, kind = body["metadata"], body["kind"]
        where = metadata.get("namespace", "")
        known = _PLACES.get(kind)
        path = known.format(where) if known else path_of(Name(kind, where, ""))
        return await self._post(path, body)

    async def _post(self, path: str, body: Body) -> Answer:
        return await self.send("POST", path, body)

    async def replace_spec(self, name: Name, after: Mapping[str, Any]) -> Answer:
        """PUT of the object as it is now with another spec; again where it changed meanwhile."""
        while True:
            body = (await self.send("GET", path_of(name))).body
            body.pop("spec")
            answer = await self.send("PUT", path_of(name), {**body, **after})
            if answer.status != HTTPStatus.CONFLICT:
                return answer

    async def delete(self, name: Name) -> None:
        answer = await self.send("DELETE", path_of(name))
        if not answer.ok and answer.status != HTTPStatus.NOT_FOUND:
            raise RuntimeError(f"DELETE {name}: {answer.text}")

    async def send(self, method: str, path: str, body: Any = None) -> Answer:
        """As the administrator."""
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        limit = aiohttp.ClientTimeout(total=60)
        async with self.recorder.session.request(
            method, path, data=data, headers=headers, timeout=limit
        ) as answer:
            return Answer(answer.status, await answer.text())

    # --- looking

    def objects(self, scene: str) -> dict[Name, Body]:
        """All that carries a scene's name."""
        return dict(self._objects.of[scene])

    async def writes_since(self, scene: str, moment: float) -> list[str]:
        """Of the operator, on what concerns a scene; moment: of the wall clock."""
        async with self._reading:
            await asyncio.to_thread(self._writes.read_on)
        return self._writes.since(scene, moment)

    def forget(self, scene: str) -> None:
        """Nothing that has happened there counts any more."""
        self._writes.forget(scene)
        self.recorder.forget(scene)

    async def vault_state(self, scene: str) -> dict[str, Any]:
        """Roles and policies that carry a scene's name."""
        found: dict[str, Any] = {}
        for home in _HOMES:
            for what, path, kept in _IN_VAULT:
                keys = (await self._vault_data("LIST", home + path) or {}).get("keys", ())
                for key in (k for k in keys if concerned(Name(what, "", k)) == scene):
                    data = await self._vault_data("GET", f"{home}{path}/{key}")
                    if data is not None:
                        found[f"{what}/{home}{key}"] = {k: data[k] for k in kept or data}
        return found

    async def _vault_data(self, method: str, path: str) -> dict[str, Any] | None:
        async with self._vault.request(method, f"/v1/{path}") as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                return None
            answer.raise_for_status()
            return dict((await answer.json())["data"])
