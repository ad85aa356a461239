"""A workload of the mesh: a Pod object, the sidecar that a node would run for it, and a server.

There is no kubelet: the pod's status is written here, with a loopback address that is its own.
"""

import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubernetes.dynamic.exceptions import NotFoundError

from testbed.endpoint import Json
from testbed.istiod import Istiod
from testbed.lifecycle import Lifecycle
from testbed.ports import LOOPBACK, on_free_ports
from testbed.processes import Child
from testbed.waiting import wait_until
from testbed.workload_addresses import Address
from testbed.workload_sidecar import Sidecar

SERVER = Path(__file__).with_name("workload_server.py")
TESTS = SERVER.parents[1]
# Of the pod, at its own address: the same for all, as in a real Deployment.
HTTP_PORT, SECOND_HTTP_PORT, GRPC_PORT, TCP_PORT = 8080, 8081, 9090, 7000
PROTOCOLS = {HTTP_PORT: "HTTP", SECOND_HTTP_PORT: "HTTP", GRPC_PORT: "GRPC", TCP_PORT: "TCP"}
POD_LABEL = "pod"
NETWORKING = "networking.istio.io/v1"
MERGE = "application/merge-patch+json"


class Workload(Lifecycle):
    """Called at `ip`, at the ports of PROTOCOLS. Its ServiceAccount must exist.

    labels: further labels of the pod; it has a label of its own name. drain: see Sidecar.
    """

    def __init__(
        self,
        directory: Path,
        istiod: Istiod,
        namespace: str,
        name: str,
        *,
        account: str,
        labels: Mapping[str, str] | None = None,
        drain: str = "",
    ) -> None:
        self.directory = directory
        self.istiod = istiod
        self.namespace, self.name, self.account = namespace, name, account
        self._labels = {POD_LABEL: name, **(labels or {})}
        self._drain = drain
        self._address: Address | None = None
        self._served: dict[str, int] = {}
        self._server: Child | None = None
        self._sidecar: Sidecar | None = None

    def start(self) -> None:
        """Returns once its sidecar serves."""
        self._address = Address.take()
        pod = self._create_pod()
        self._server = on_free_ports(3, self._start_server)
        self._create_sidecar_object()
        self._sidecar = Sidecar(self.directory / "sidecar", self.istiod, pod, drain=self._drain)
        self._sidecar.start()
        wait_until(self._listens, timeout=30, what=f"the sidecar of {self.name} listens")

    def stop(self) -> None:
        """Takes its objects away too, since the address may be another pod's next."""
        for running in (self._sidecar, self._server):
            if running is not None:
                running.stop()
        if self._address is not None:
            self._delete_objects()
            self._address.give_back()

    @property
    def ip(self) -> str:
        if self._address is None:
            raise RuntimeError(f"{self.name} hasn't been started")
        return self._address.ip

    @property
    def sidecar(self) -> Sidecar:
        if self._sidecar is None:
            raise RuntimeError(f"{self.name} hasn't been started")
        return self._sidecar

    @property
    def spiffe_id(self) -> str:
        return f"spiffe://{self.istiod.trust_domain}/ns/{self.namespace}/sa/{self.account}"

    @property
    def labels(self) -> Mapping[str, str]:
        return self._labels

    def _create_pod(self) -> Json:
        pod: Json = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": self._labels},
            "spec": {
                "serviceAccountName": self.account,
                "nodeName": "testbed",
                "containers": [{"name": "server", "image": "none"}],
            },
            "status": {
                "phase": "Running",
                "podIP": self.ip,
                "podIPs": [{"ip": self.ip}],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }
        pods = self._resource("v1", "Pod")
        pods.create(body=pod, namespace=self.namespace)
        status = {"status": pod["status"]}
        pods.status.patch(body=status, name=self.name, namespace=self.namespace, content_type=MERGE)
        return pod

    def _delete_objects(self) -> None:
        now = {"gracePeriodSeconds": 0}
        for version, kind in (("v1", "Pod"), (NETWORKING, "Sidecar")):
            try:
                objects = self._resource(version, kind)
                objects.delete(name=self.name, namespace=self.namespace, body=now)
            except NotFoundError:
                continue

    def _start_server(self, http: int, grpc: int, tcp: int) -> Child:
        self._served = {"HTTP": http, "GRPC": grpc, "TCP": tcp}
        child = Child(
            f"server of {self.name}",
            [sys.executable, SERVER, f"--http={http}", f"--grpc={grpc}", f"--tcp={tcp}"],
            log_file=self.directory / "server.log",
            env={"PYTHONPATH": str(TESTS), "PATH": "/usr/bin:/bin"},
        )
        return child.until_ready(lambda: all(map(_accepts, [LOOPBACK] * 3, (http, grpc, tcp))))

    def _listens(self) -> bool:
        return all(_accepts(self.ip, port) for port in PROTOCOLS)

    def _create_sidecar_object(self) -> None:
        """What a pod without interception says of itself: where Envoy listens, and passes on to."""
        listeners = [
            {
                "port": {"number": port, "protocol": protocol, "name": f"p{port}"},
                "bind": self.ip,
                "captureMode": "NONE",
                "defaultEndpoint": f"{LOOPBACK}:{self._served[protocol]}",
            }
            for port, protocol in PROTOCOLS.items()
        ]
        body = {
            "apiVersion": NETWORKING,
            "kind": "Sidecar",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "workloadSelector": {"labels": {POD_LABEL: self.name}},
                "ingress": listeners,
                # It calls nobody.
                "egress": [{"hosts": ["~/*"]}],
            },
        }
        self._resource(NETWORKING, "Sidecar").create(body=body, namespace=self.namespace)

    def _resource(self, version: str, kind: str) -> Any:
        client = self.istiod.control_plane.client()
        return client.resources.get(api_version=version, kind=kind)


def _accepts(ip: str, port: int) -> bool:
    with socket.create_connection((ip, port), timeout=1):
        return True
