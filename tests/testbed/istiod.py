"""A real istiod: it translates policies for sidecars, and is the mesh's certificate authority.

Its defaults stay as they are, the debouncing of pushes too. Only the filters of Istio's own build
of Envoy are switched off: they carry telemetry, and the Envoy of the test bed has none of them.
"""

import base64
import json
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

import yaml

from testbed.control_plane import ControlPlane
from testbed.endpoint import Endpoint, Json
from testbed.lifecycle import Lifecycle
from testbed.ports import LOOPBACK, on_free_ports
from testbed.processes import Child
from testbed.toolchain import Binaries, istio_crds
from testbed.waiting import wait_until

ROOT_NAMESPACE = "istio-system"
CLUSTER_ID = "Kubernetes"
SERVER_NAME = "istiod.istio-system.svc"
SIDECARS = "sidecars.networking.istio.io"
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "POD_NAMESPACE": ROOT_NAMESPACE,
    "CLUSTER_ID": CLUSTER_ID,
    "REVISION": "default",
    "ENABLE_CA_SERVER": "true",
    "PILOT_CERT_PROVIDER": "istiod",
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
}


class Istiod(Lifecycle):
    """Serves the cluster of a running control plane. A second one there has the same CA.

    authority: the CA's certificate and key, as PEM: with them a test makes what istiod never does.
    """

    def __init__(
        self,
        directory: Path,
        control_plane: ControlPlane,
        binaries: Binaries,
        *,
        trust_domain: str = "cluster.local",
        aliases: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.control_plane = control_plane
        self.binaries = binaries
        self.trust_domain = trust_domain
        self.address = ""
        self.authority = ("", "")
        self._aliases = list(aliases)
        self._server: Child | None = None

    def start(self) -> None:
        """Returns once it answers and has its root."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._prepare_cluster()
        self._write_config()
        self._server = on_free_ports(4, self._start_server)
        self.authority = wait_until(self._read_authority, timeout=30, what="the mesh's CA")

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(patience=5)

    @property
    def root(self) -> str:
        """The certificate of the mesh's CA, as PEM."""
        return self.authority[0]

    def _read_authority(self) -> tuple[str, str]:
        secrets = self.control_plane.client().resources.get(api_version="v1", kind="Secret")
        data = secrets.get(name="istio-ca-secret", namespace=ROOT_NAMESPACE).data
        certificate, key = (base64.b64decode(data[f]) for f in ("ca-cert.pem", "ca-key.pem"))
        return certificate.decode(), key.decode()

    def _prepare_cluster(self) -> None:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ROOT_NAMESPACE}}
        self.control_plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(namespace))
        documents = yaml.load_all(istio_crds().read_text(), Loader=yaml.CSafeLoader)
        [sidecars] = [d for d in documents if d and d["metadata"]["name"] == SIDECARS]
        self.control_plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(sidecars))
        wait = ("wait", "--for=condition=Established", "--timeout=30s", f"crd/{SIDECARS}")
        # Of a CRD so new that it has no conditions yet, kubectl says that this is an error.
        wait_until(lambda: self.control_plane.kubectl(*wait), timeout=30, what=f"{SIDECARS} served")

    def _write_config(self) -> None:
        mesh: Json = {
            "trustDomain": self.trust_domain,
            "trustDomainAliases": self._aliases,
            "rootNamespace": ROOT_NAMESPACE,
        }
        (self.directory / "mesh.yaml").write_text(yaml.safe_dump(mesh))
        (self.directory / "networks.yaml").write_text("networks: {}\n")

    def _start_server(self, http: int, plain: int, secure: int, monitoring: int) -> Child:
        self.address = f"{LOOPBACK}:{secure}"
        child = Child(
            "istiod",
            [
                self.binaries.pilot_discovery,
                "discovery",
                f"--kubeconfig={self.control_plane.kubeconfig}",
                f"--meshConfig={self.directory / 'mesh.yaml'}",
                f"--networksConfig={self.directory / 'networks.yaml'}",
                "--domain=cluster.local",
                f"--httpAddr={LOOPBACK}:{http}",
                "--httpsAddr=",
                f"--grpcAddr={LOOPBACK}:{plain}",
                f"--secureGRPCAddr={LOOPBACK}:{secure}",
                f"--monitoringAddr={LOOPBACK}:{monitoring}",
                "--ctrlz_port=0",
            ],
            log_file=self.directory / "istiod.log",
            env=ENVIRONMENT | {"POD_NAME": self.directory.name},
            cwd=self.directory,
        )
        ready = Endpoint(f"http://{LOOPBACK}:{http}")
        return child.until_ready(lambda: ready.call("GET", "/ready").status == HTTPStatus.OK)
