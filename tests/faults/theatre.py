"""Everything that campaigns run on: a bed, an operator that sees it through two proxies, and who
starts it anew when it was killed."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from faults.play import Faults
from faults.proxy import FaultProxy
from faults.recorder import Recorder
from faults.request_log import RequestLog
from faults.scene import OTHER_READER, READER, Stage, cluster_roles, concerned
from testbed.bed import Bed
from testbed.operator_process import OperatorProcess

# As it ships, but for the Lease: whoever was killed waits for its own Lease to end, and nothing
# happens meanwhile. Campaigns that are about the Lease turn it on.
SHIPPED: Mapping[str, str] = {
    "AGENT_IDENTITY_LEADER_ELECTION": "false",
    "AGENT_IDENTITY_LOG_LEVEL": "DEBUG",
}


class Theatre:
    """Usable inside `async with`. direct: without proxies."""

    def __init__(
        self,
        *,
        report: Callable[[str], None],
        settings: Mapping[str, str] = SHIPPED,
        direct: bool = False,
    ) -> None:
        self._stack = AsyncExitStack()
        self._report = report
        self._settings = dict(settings)
        self._direct = direct
        self._killed = asyncio.Event()
        self._own: OperatorProcess | None = None
        self.faults = Faults()
        self.kills = 0

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
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        roles = {"boundClusterRoles": [READER, OTHER_READER]}
        self.bed = Bed(directory, report=self._report, values=roles)
        await asyncio.to_thread(self.bed.start)
        self._stack.callback(self.bed.stop)
        self.recorder = await self._stack.enter_async_context(
            Recorder(self.bed.control_plane, concerned)
        )
        self.log = RequestLog(self.recorder.scene_of_account)
        plane, bao = self.bed.control_plane, self.bed.openbao
        self.kube = await self._proxy("kube", lambda: plane.server, plane.ca_file)
        self.vault = await self._proxy("vault", lambda: bao.address, bao.ca_file)
        address, ca = self.vault.address, self.vault.authority.pem
        self.stage = Stage(
            self.bed,
            self.recorder,
            bao.address if self._direct else address,
            bao.ca_pem if self._direct else ca,
        )
        self._stack.push_async_callback(self.stage.close)
        for body in cluster_roles():
            path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
            await self.stage.send("POST", path, body)
        await self.use(self._settings)
        revival = asyncio.create_task(self._revive())
        self._stack.callback(revival.cancel)

    async def _proxy(self, name: str, upstream: Callable[[], str], ca_file: Path) -> FaultProxy:
        proxy = FaultProxy(name, upstream, ca_file, self.log, kill=self.kill)
        proxy.choose = self.faults.choose
        return await self._stack.enter_async_context(proxy)

    @property
    def operator(self) -> OperatorProcess:
        if self._own is None:
            raise RuntimeError("there is no operator yet")
        return self._own

    async def use(self, settings: Mapping[str, str]) -> None:
        """Another operator instead of the one that runs, ready to work."""
        await self.stop()
        self._own = self.bed.operator(settings={**settings, **self._through_proxies()})
        self._stack.callback(self._own.stop)
        await self.start()

    async def stop(self) -> None:
        """SIGTERM, and its end waited for."""
        if self._own is not None:
            await asyncio.to_thread(self._own.stop)

    async def start(self) -> None:
        await asyncio.to_thread(self.operator.start)
        self._learn_secrets()
        await asyncio.to_thread(self.operator.wait_ready)

    def _through_proxies(self) -> dict[str, str]:
        if self._direct:
            return {}
        ca_file = self.bed.directory / "proxy-ca.crt"
        ca_file.write_text(self.kube.authority.pem)
        return {
            "AGENT_IDENTITY_KUBE_SERVER": self.kube.address,
            "AGENT_IDENTITY_KUBE_CA_FILE": str(ca_file),
        }

    def _learn_secrets(self) -> None:
        for name in ("kube-token", "vault-token"):
            self.log.secrets.add((self.operator.directory / name).read_text())

    def kill(self) -> None:
        """SIGKILL, now; `_revive` sees to the rest."""
        self.kills += 1
        os.kill(self.operator.pid, signal.SIGKILL)
        self._killed.set()

    async def _revive(self) -> None:
        """As a kubelet would: what has ended is started again."""
        while True:
            await self._killed.wait()
            self._killed.clear()
            await asyncio.to_thread(self.operator.kill)
            await asyncio.to_thread(self.operator.start)
            self._learn_secrets()
