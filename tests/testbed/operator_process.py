"""The operator as one process against the real servers, with its own identity and nothing else."""

import json
import os
import signal
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from testbed.control_plane import ISSUER, ControlPlane
from testbed.endpoint import Endpoint, Json
from testbed.lifecycle import Lifecycle
from testbed.ports import LOOPBACK, free_port
from testbed.processes import Child
from testbed.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = REPOSITORY / ".venv-operator" / "bin" / "python"
NAMESPACE = "agent-identity-system"
SERVICE_ACCOUNT = "agent-identity-operator"
AUDIENCES = {"kube-token": ISSUER, "vault-token": "vault"}
CHANGES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
# Where the operator looks when it is not told.
FILES = {
    "AGENT_IDENTITY_KUBE_TOKEN_FILE": "/var/run/secrets/kubernetes.io/serviceaccount/token",
    "AGENT_IDENTITY_KUBE_CA_FILE": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    "AGENT_IDENTITY_VAULT_TOKEN_FILE": "/var/run/secrets/agentidentity.dev/vault/token",
}
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
        # In the Lease, and in the user agent of every request that a server logs.
        self.instance = directory.name
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
            self._command(),
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
        """Until it leads and works; fails at once, with the end of the log, when it ends."""
        self._wait_role("ok", timeout)

    def wait_standby(self, timeout: float = 60) -> None:
        """Until it waits for another one's Lease."""
        self._wait_role("standby", timeout)

    def _wait_role(self, role: str, timeout: float) -> None:
        self._running.wait_ready(
            lambda: self.probe("/readyz") == (HTTPStatus.OK, role), timeout=timeout
        )

    def probe(self, path: str) -> tuple[int, str]:
        """Status and text of a probe."""
        answer = self._endpoint.call("GET", path, timeout=5)
        return answer.status, answer.text

    def terminate(self) -> None:
        """SIGTERM, and no wait."""
        self._running.send(signal.SIGTERM)

    def wait_ended(self, timeout: float = 60) -> int:
        """Until the process has ended by itself; its exit code, negative for a signal."""
        # Left to be reaped by who asks whether it's alive.
        how = os.WEXITED | os.WNOWAIT | os.WNOHANG
        ended = wait_until(
            lambda: os.waitid(os.P_PID, self.pid, how), timeout=timeout, what="the operator ended"
        )
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

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

    def changes(self) -> list[Json]:
        """What it changed, as the API server logged it: answered, and without the Lease."""
        return [event for event in self.requests() if event["verb"] in CHANGES]

    def requests(self) -> list[Json]:
        """What it asked for of any resource, as the API server logged it: answered, and without
        the Lease."""
        return [
            event
            for event in self._control_plane.audit_events()
            if event["stage"] == "ResponseComplete"
            and f"({self.instance}_" in event.get("userAgent", "")
            and event.get("objectRef", {}).get("resource", "leases") != "leases"
        ]

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

    def _command(self) -> list[str | Path]:
        return [self._python, "-m", "agent_identity"]

    def _environment(self) -> dict[str, str]:
        ours = {
            "CLUSTER_NAME": self._cluster_name,
            "TRUST_DOMAIN": self._trust_domain,
            "NAMESPACE": NAMESPACE,
            "KUBE_SERVER": self._control_plane.server,
            "KUBE_TOKEN_FILE": str(self.directory / "kube-token"),
            "KUBE_CA_FILE": str(self._control_plane.ca_file),
            "VAULT_TOKEN_FILE": str(self.directory / "vault-token"),
            "INSTANCE": self.instance,
            "HTTP_HOST": LOOPBACK,
            "HTTP_PORT": str(self.port),
        }
        system = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        prefixed = {f"AGENT_IDENTITY_{name}": value for name, value in ours.items()}
        return system | prefixed | self._settings


def image_environment() -> dict[str, str]:
    """What the image sets; its PATH names folders that are not here."""
    lines = (REPOSITORY / "Dockerfile").read_text().splitlines()
    *_, last = (line for line in lines if line.startswith("ENV "))
    pairs = (pair.split("=", 1) for pair in last.split()[1:])
    return {name: value for name, value in pairs if name != "PATH"} | {"PATH": "/usr/bin:/bin"}


class DeployedOperator(OperatorProcess):
    """A pod of the Deployment that the API server has, with this process as its kubelet.

    Command, environment, tokens and CA are what the Deployment says at each start. Only what can't
    be as in a pod is changed: where a volume is mounted, and the address, which all share here.
    """

    def __init__(
        self, directory: Path, control_plane: ControlPlane, *, python: Path = PYTHON
    ) -> None:
        super().__init__(directory, control_plane, python=python)
        self.instance = f"{SERVICE_ACCOUNT}-{directory.name}"
        self._pod: Json = {}

    @property
    def pod(self) -> Json:
        """The spec of the pod, as of the last start."""
        return self._pod

    @property
    def container(self) -> Json:
        only: Json
        [only] = self._pod["containers"]
        return only

    def refresh_tokens(self) -> None:
        """The Deployment as it is now, and all that its volumes hold."""
        deployment = self._get("deployment", SERVICE_ACCOUNT)
        self._pod = deployment["spec"]["template"]["spec"]
        for volume in self._pod["volumes"]:
            for source in volume["projected"]["sources"]:
                for path, text in self._projected(source).items():
                    self._mount(volume["name"], path, text)

    def _projected(self, source: Json) -> dict[str, str]:
        if "serviceAccountToken" in source:
            asked = source["serviceAccountToken"]
            account, audience = self._pod["serviceAccountName"], asked.get("audience", ISSUER)
            token = self._control_plane.token(
                NAMESPACE, account, audience=audience, seconds=asked["expirationSeconds"]
            )
            return {asked["path"]: token}
        asked = source["configMap"]
        data = self._get("configmap", asked["name"])["data"]
        return {item["path"]: data[item["key"]] for item in asked["items"]}

    def _mount(self, volume: str, path: str, text: str) -> None:
        file = self._mounts / volume / path
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}")
        unfinished.write_text(text)
        unfinished.rename(file)

    def _get(self, kind: str, name: str) -> Json:
        got = self._control_plane.kubectl("get", kind, name, "-n", NAMESPACE, "-o", "json")
        return dict(json.loads(got.stdout))

    @property
    def _mounts(self) -> Path:
        return self.directory / "mounts"

    def _command(self) -> list[str | Path]:
        program, *arguments = self.container["command"]
        # The image's PATH begins with the folder of its interpreter.
        return [self._python.parent / program, *arguments, *self.container.get("args", [])]

    def _environment(self) -> dict[str, str]:
        fields = {"metadata.name": self.instance, "metadata.namespace": NAMESPACE}
        said = {
            e["name"]: e["value"]
            if "value" in e
            else fields[e["valueFrom"]["fieldRef"]["fieldPath"]]
            for e in self.container["env"]
        }
        host, _, port = self._control_plane.server.removeprefix("https://").partition(":")
        of_a_pod = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        files = {n: str(self._mounted(said.get(n, path))) for n, path in FILES.items()}
        address = {"AGENT_IDENTITY_HTTP_HOST": LOOPBACK, "AGENT_IDENTITY_HTTP_PORT": str(self.port)}
        return image_environment() | of_a_pod | {"HOSTNAME": self.instance} | said | files | address

    def _mounted(self, path: str) -> Path:
        """Where here is what is at a path of the pod."""
        for mount in self.container["volumeMounts"]:
            at, volume = Path(mount["mountPath"]), str(mount["name"])
            if Path(path).is_relative_to(at):
                return self._mounts / volume / Path(path).relative_to(at)
        raise RuntimeError(f"the Deployment mounts nothing at {path}")


def _parsed(line: str) -> Json:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"text": line}
