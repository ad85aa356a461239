"""The operator as one process against the real servers, with its own identity and nothing else."""

import json
import os
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from testbed.control_plane import ISSUER, ControlPlane
from testbed.endpoint import Endpoint, Json
from testbed.lifecycle import Lifecycle
from testbed.ports import LOOPBACK, free_port
from testbed.processes import Child

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = REPOSITORY / ".venv-operator" / "bin" / "python"
NAMESPACE = "agent-identity-system"
SERVICE_ACCOUNT = "agent-identity-operator"
AUDIENCES = {"kube-token": ISSUER, "vault-token": "vault"}
KIB_PER_MIB = 1024


class OperatorProcess(Lifecycle):
    """Starts with `start` or `with`; its port and its directory stay the same over restarts."""

    def __init__(
        self,
        directory: Path,
        control_plane: ControlPlane,
        *,
        cluster_name: str = "test",
        trust_domain: str = "cluster.local",
        python: Path = PYTHON,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.log_file = directory / "operator.log"
        self.port = free_port()
        self._control_plane = control_plane
        self._python = python
        self._cluster_name, self._trust_domain = cluster_name, trust_domain
        self._settings = dict(settings or {})
        self._child: Child | None = None

    def start(self) -> None:
        """Returns at once; `wait_ready` waits."""
        if self._child is not None and self._child.alive:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        self.refresh_tokens()
        self._child = Child(
            "operator",
            [self._python, "-m", "agent_identity"],
            log_file=self.log_file,
            env=self._environment(),
            cwd=self.directory,
        )

    def stop(self) -> None:
        """SIGTERM, as a kubelet stops a container."""
        if self._child is not None:
            self._child.stop(patience=30)

    def kill(self) -> None:
        self._running.kill()

    def pause(self) -> None:
        self._running.pause()

    def resume(self) -> None:
        self._running.resume()

    def restart(self) -> None:
        self.stop()
        self.start()

    def wait_ready(self, timeout: float = 60) -> None:
        """Fails at once, with the end of the log, when the process ends."""
        self._running.wait_ready(lambda: self._endpoint.ok("/readyz"), timeout=timeout)

    def refresh_tokens(self) -> None:
        """New projected tokens; a kubelet would do so by itself, this waits to be told."""
        for name, audience in AUDIENCES.items():
            token = self._control_plane.token(NAMESPACE, SERVICE_ACCOUNT, audience=audience)
            unfinished = self.directory / f".{name}"
            unfinished.write_text(token)
            unfinished.rename(self.directory / name)

    def metrics(self) -> str:
        """The page that Prometheus would read."""
        answer = self._endpoint.call("GET", "/metrics", timeout=5)
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"/metrics: {answer.status} {answer.text}")
        return answer.text

    def log_lines(self) -> list[Json]:
        """The log of every start so far; a line that isn't an object becomes its `text`."""
        if not self.log_file.exists():
            return []
        return [_parsed(line) for line in self.log_file.read_text(errors="replace").splitlines()]

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def cpu_seconds(self) -> float:
        """User and system time since the process was started."""
        # The second field is the program's name in brackets and may hold anything.
        fields = self._proc("stat").rpartition(")")[2].split()
        user, system = int(fields[11]), int(fields[12])
        return (user + system) / os.sysconf("SC_CLK_TCK")

    def peak_rss_mib(self) -> float:
        """The most memory that was ever resident."""
        lines = dict(line.split(":", 1) for line in self._proc("status").splitlines())
        return int(lines["VmHWM"].split()[0]) / KIB_PER_MIB

    @property
    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError("the operator hasn't been started")
        return self._child

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self.pid}/{name}").read_text()

    @property
    def _endpoint(self) -> Endpoint:
        return Endpoint(f"http://{LOOPBACK}:{self.port}")

    def _environment(self) -> dict[str, str]:
        ours = {
            "CLUSTER_NAME": self._cluster_name,
            "TRUST_DOMAIN": self._trust_domain,
            "NAMESPACE": NAMESPACE,
            "KUBE_SERVER": self._control_plane.server,
            "KUBE_TOKEN_FILE": str(self.directory / "kube-token"),
            "KUBE_CA_FILE": str(self._control_plane.ca_file),
            "VAULT_TOKEN_FILE": str(self.directory / "vault-token"),
            "HTTP_HOST": LOOPBACK,
            "HTTP_PORT": str(self.port),
        }
        system = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        prefixed = {f"AGENT_IDENTITY_{name}": value for name, value in ours.items()}
        return system | prefixed | self._settings


def _parsed(line: str) -> Json:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"text": line}
