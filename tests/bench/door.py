"""A plain aiohttp client: the least that a program can do to send a request."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from testbed.bed import Bed
from testbed.operator_process import AUDIENCES, NAMESPACE, SERVICE_ACCOUNT

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
Job = Callable[[str], Awaitable[object]]
VAULT_ROLE = "agent-identity-operator"


class Door:
    """One server, as one caller; usable inside `async with`."""

    def __init__(self, address: str, ca_file: Path, headers: Mapping[str, str]) -> None:
        self._address, self._ca_file, self._headers = address, ca_file, dict(headers)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        tls = ssl.create_default_context(cafile=str(self._ca_file))
        self._session = aiohttp.ClientSession(
            self._address, headers=self._headers, connector=aiohttp.TCPConnector(ssl=tls)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("this door hasn't been opened")
        return self._session

    async def send(
        self, method: str, path: str, body: bytes | None = None, content_type: str = JSON
    ) -> bytes:
        """The answer's body; raises for every refusal, so that no failure looks quick."""
        headers = {"Content-Type": content_type}
        async with self.session.request(method, path, data=body, headers=headers) as response:
            content = await response.read()
            if not response.ok:
                raise RuntimeError(f"{method} {path}: {response.status} {content.decode()}")
            return content


def as_admin(bed: Bed) -> Door:
    """The API server, as who creates identities."""
    headers = {"Authorization": f"Bearer {bed.control_plane.admin_token}"}
    return Door(bed.control_plane.server, bed.control_plane.ca_file, headers)


def as_operator(bed: Bed) -> dict[str, Door]:
    """Both servers by name, with the operator's rights."""
    plane, bao = bed.control_plane, bed.openbao
    tokens = {n: plane.token(NAMESPACE, SERVICE_ACCOUNT, audience=a) for n, a in AUDIENCES.items()}
    _, answer = bao.login(mount="kubernetes", role=VAULT_ROLE, jwt=tokens["vault-token"])
    kubernetes = {"Authorization": f"Bearer {tokens['kube-token']}"}
    vault = {"X-Vault-Token": str(answer["auth"]["client_token"])}
    return {
        "kubernetes": Door(plane.server, plane.ca_file, kubernetes),
        "vault": Door(bao.address, bao.ca_file, vault),
    }


async def for_each(names: Iterable[str], job: Job, *, at_a_time: int) -> None:
    """`job` for every name; each of `at_a_time` workers takes the next one when it's done."""
    left = iter(names)

    async def work() -> None:
        for name in left:
            await job(name)

    async with asyncio.TaskGroup() as workers:
        for _ in range(at_a_time):
            workers.create_task(work())
