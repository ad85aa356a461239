"""A real Kubernetes control plane: etcd, kube-apiserver and kube-controller-manager.

There's no kubelet and no scheduler; nothing that the operator does needs one.
"""

import functools
import json
import secrets
import subprocess
from http import HTTPStatus
from pathlib import Path

import kubernetes.client
import kubernetes.dynamic
import yaml

from testbed.certificates import Authority, service_account_keys
from testbed.endpoint import Endpoint, Json
from testbed.lifecycle import Lifecycle
from testbed.ports import LOOPBACK, on_free_ports
from testbed.processes import Child
from testbed.toolchain import Binaries, istio_crds
from testbed.waiting import wait_until

ISSUER = "https://kubernetes.default.svc"
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
)
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*"]},
        {"level": "Metadata"},
    ],
}
ISTIO_KINDS = ("authorizationpolicies", "peerauthentications", "requestauthentications")
ISTIO_NAMES = tuple(f"{plural}.security.istio.io" for plural in ISTIO_KINDS)


class ControlPlane(Lifecycle):
    """One cluster on 127.0.0.1; several run side by side, each in its own directory."""

    def __init__(self, directory: Path, binaries: Binaries) -> None:
        self.directory = directory
        self.server = ""
        self.ca_file = directory / "ca.crt"
        self.kubeconfig = directory / "admin.kubeconfig"
        self.audit_log = directory / "audit.log"
        self.admin_token = secrets.token_hex(16)
        self._controllers_token = secrets.token_hex(16)
        self._binaries = binaries
        self._etcd: Child | None = None
        self._api_server: Child | None = None
        self._controllers: Child | None = None
        self._port = self._etcd_port = self._peer_port = 0

    def start(self) -> None:
        """Returns once the API is ready and the controllers do their work."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write_credentials()
        self._etcd = on_free_ports(2, self._start_etcd)
        self._api_server = on_free_ports(1, self._start_api_server)
        self._controllers = self._start_controllers()
        self._controllers.wait_ready(lambda: self._exists("default/serviceaccounts/default"))

    def stop(self) -> None:
        """The servers first that would log about the loss of the next."""
        for child in (self._controllers, self._api_server, self._etcd):
            if child is not None:
                child.stop(patience=5)

    def stop_api_server(self) -> None:
        """An outage: nothing listens on the port until `start_api_server`."""
        if self._api_server is not None:
            # Nobody says goodbye to watches in a real outage.
            self._api_server.kill()

    def start_api_server(self) -> None:
        """The same API server again, on its port and with its data."""
        self._api_server = self._start_api_server(self._port)

    def restart_etcd(self) -> None:
        """Killed, and there again on its ports with its data."""
        if self._etcd is not None:
            self._etcd.kill()
        self._etcd = self._start_etcd(self._etcd_port, self._peer_port)

    def kubectl(
        self, *args: str, stdin: str | None = None, check: bool = True, token: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """kubectl as the admin, or as whom `token` belongs to."""
        flags = [f"--cache-dir={self.directory / 'kubectl-cache'}"]
        flags += [f"--token={token}"] if token else []
        return self._run(self._binaries.kubectl, *flags, *args, stdin=stdin, check=check)

    def helm(self, *args: str | Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """helm as the admin."""
        return self._run(self._binaries.helm, *args, check=check)

    def _run(
        self, program: Path, *args: str | Path, stdin: str | None = None, check: bool
    ) -> "subprocess.CompletedProcess[str]":
        command = [program, f"--kubeconfig={self.kubeconfig}", *args]
        # No developer's home must have a say.
        environment = {"HOME": str(self.directory), "PATH": "/usr/bin:/bin"}
        result = subprocess.run(
            command, input=stdin, env=environment, capture_output=True, text=True, check=False
        )
        if check and result.returncode:
            told = result.stderr or result.stdout
            raise RuntimeError(f"{' '.join(map(str, [program.name, *args]))}: {told}")
        return result

    def client(self) -> kubernetes.dynamic.DynamicClient:
        """A client for any kind, as the admin."""
        return self._client

    @functools.cached_property
    def _client(self) -> kubernetes.dynamic.DynamicClient:
        configuration = kubernetes.client.Configuration(
            host=self.server,
            api_key={"authorization": self.admin_token},
            api_key_prefix={"authorization": "Bearer"},
        )
        configuration.ssl_ca_cert = str(self.ca_file)
        configuration.proxy = None
        # The default is in /tmp by address, and an earlier cluster may have had ours.
        cache = str(self.directory / "discovery.json")
        api = kubernetes.client.ApiClient(configuration)
        return kubernetes.dynamic.DynamicClient(api, cache_file=cache)  # type: ignore[no-untyped-call]

    def token(
        self,
        namespace: str,
        service_account: str,
        *,
        audience: str = ISSUER,
        seconds: int = 3600,
    ) -> str:
        """A token for a ServiceAccount, as a kubelet would project it."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": seconds},
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        answer = self._endpoint.call("POST", path, body=body, headers=self._admin)
        if answer.status != HTTPStatus.CREATED:
            raise RuntimeError(f"token for {namespace}/{service_account}: {answer.text}")
        return str(answer.json()["status"]["token"])

    def audit_events(self) -> list[Json]:
        """Every request so far; a watch has one event as it begins and one as it ends."""
        lines = self.audit_log.read_text().splitlines(keepends=True)
        # The last line may be half written.
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def install_istio_crds(self) -> None:
        """Only the kinds that decide who may call whom."""
        documents = yaml.load_all(istio_crds().read_text(), Loader=yaml.CSafeLoader)
        wanted = [d for d in documents if d and d["metadata"]["name"] in ISTIO_NAMES]
        manifest = yaml.dump_all(wanted, Dumper=yaml.CSafeDumper)
        self.kubectl("apply", "--server-side", "-f", "-", stdin=manifest)
        names = [f"crd/{name}" for name in ISTIO_NAMES]
        wait = ("wait", "--for=condition=Established", "--timeout=30s", *names)
        # Of a CRD so new that it has no conditions yet, kubectl says that this is an error.
        wait_until(lambda: self.kubectl(*wait), timeout=30, what="Istio's kinds are served")

    @property
    def _endpoint(self) -> Endpoint:
        return Endpoint(self.server, self.ca_file)

    @property
    def _admin(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.admin_token}"}

    def _exists(self, path: str) -> bool:
        return self._endpoint.ok(f"/api/v1/namespaces/{path}", headers=self._admin)

    def _write_credentials(self) -> None:
        authority = Authority("testbed-kubernetes")
        self.ca_file.write_text(authority.pem)
        names = ["kubernetes.default.svc", "kubernetes.default", "kubernetes", "localhost"]
        server = authority.server("kube-apiserver", dns=names, ips=[LOOPBACK, "10.0.0.1"])
        server.write(self.directory, "apiserver")
        service_account_keys().write(self.directory, "service-account")
        (self.directory / "tokens.csv").write_text(
            f'{self.admin_token},admin,admin,"system:masters"\n'
            f"{self._controllers_token},system:kube-controller-manager,controllers\n"
        )
        (self.directory / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))

    def _start_etcd(self, port: int, peer_port: int) -> Child:
        client, peer = f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{peer_port}"
        child = self._child(
            "etcd",
            self._binaries.etcd,
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        self._etcd_port, self._peer_port = port, peer_port
        return child.until_ready(lambda: Endpoint(client).ok("/health"))

    def _start_api_server(self, port: int) -> Child:
        self._port, self.server = port, f"https://{LOOPBACK}:{port}"
        self._write_kubeconfig(self.kubeconfig, self.admin_token)
        at = self.directory
        child = self._child(
            "kube-apiserver",
            self._binaries.kube_apiserver,
            f"--etcd-servers=http://{LOOPBACK}:{self._etcd_port}",
            f"--secure-port={port}",
            f"--bind-address={LOOPBACK}",
            f"--advertise-address={LOOPBACK}",
            f"--tls-cert-file={at / 'apiserver.crt'}",
            f"--tls-private-key-file={at / 'apiserver.key'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={at / 'service-account.crt'}",
            f"--service-account-signing-key-file={at / 'service-account.key'}",
            "--authorization-mode=Node,RBAC",
            f"--token-auth-file={at / 'tokens.csv'}",
            "--endpoint-reconciler-type=none",
            "--enable-admission-plugins=NodeRestriction",
            f"--audit-policy-file={at / 'audit-policy.json'}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-maxsize=0",
        )
        return child.until_ready(lambda: self._endpoint.ok("/readyz"))

    def _start_controllers(self) -> Child:
        kubeconfig = self.directory / "controllers.kubeconfig"
        self._write_kubeconfig(kubeconfig, self._controllers_token)
        return self._child(
            "kube-controller-manager",
            self._binaries.kube_controller_manager,
            f"--kubeconfig={kubeconfig}",
            f"--service-account-private-key-file={self.directory / 'service-account.key'}",
            f"--root-ca-file={self.ca_file}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--secure-port=0",
            f"--controllers={','.join(CONTROLLERS)}",
        )

    def _child(self, name: str, program: Path, *flags: str) -> Child:
        return Child(name, [program, *flags], log_file=self.directory / f"{name}.log")

    def _write_kubeconfig(self, path: Path, token: str) -> None:
        cluster = {"server": self.server, "certificate-authority": str(self.ca_file)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": cluster}],
            "users": [{"name": "testbed", "user": {"token": token}}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": "testbed"}}],
            "current-context": "testbed",
        }
        path.write_text(yaml.safe_dump(content))
