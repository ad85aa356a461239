"""A real OpenBao with TLS, storage on disk and an audit log, to stop, pause, seal and start."""

import json
from pathlib import Path

from testbed.certificates import Authority
from testbed.control_plane import ControlPlane
from testbed.endpoint import Endpoint, Json
from testbed.lifecycle import Lifecycle
from testbed.ports import LOOPBACK, on_free_ports
from testbed.processes import Child
from testbed.toolchain import Binaries
from testbed.vault_api import VaultApi
from testbed.waiting import wait_until

REVIEWER = "vault"
REVIEWER_SECONDS = 24 * 3600
OPERATOR_ACCOUNT = ("agent-identity-system", "agent-identity-operator")
OPERATOR_NAME = "agent-identity-operator"
OPERATOR_POLICY = f"sys/policies/acl/{OPERATOR_NAME}"
OPERATOR_TOKEN_SECONDS = 1200
CLUSTER_PLACEHOLDER = "CLUSTER"
AuditEntries = list[Json]


class OpenBao(VaultApi, Lifecycle):
    """One server on 127.0.0.1 that keeps its port and its data over stop and start."""

    def __init__(self, directory: Path, binaries: Binaries) -> None:
        super().__init__(self._tls_endpoint, lambda: self.root_token)
        self.directory = directory
        self.address = ""
        self.ca_file = directory / "ca.crt"
        self.ca_pem = ""
        self.root_token = ""
        self.audit_log = directory / "audit.log"
        self._bao = binaries.bao
        self._ports: tuple[int, int] | None = None
        self._unseal_key = ""
        self._server: Child | None = None

    def start(self) -> None:
        """Returns once it answers, unsealed; the first time it's initialised as well."""
        if self._server is not None and self._server.alive:
            return
        if self._ports is not None:
            self._server = self._start_server(*self._ports)
        else:
            self._write_certificates()
            self._server = on_free_ports(2, self._start_server)
            self._initialise()
        self.unseal()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    def kill(self) -> None:
        """SIGKILL: what was being written may be lost."""
        self._running.kill()

    def pause(self) -> None:
        """Connections are accepted by the kernel, and nothing answers."""
        self._running.pause()

    def resume(self) -> None:
        self._running.resume()

    def seal(self) -> None:
        self.write("sys/seal", {})

    def unseal(self) -> None:
        """Returns once the server is active again."""
        self.write("sys/unseal", {"key": self._unseal_key})
        wait_until(
            lambda: self._tls_endpoint().ok("/v1/sys/health"),
            timeout=30,
            what="OpenBao unsealed and active",
        )

    @property
    def pid(self) -> int:
        return self._running.pid

    def audit_requests(self) -> AuditEntries:
        """One entry for each API call that was answered, with who called and what came of it."""
        lines = self.audit_log.read_text().splitlines(keepends=True)
        # The last line may be half written.
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return [_audit_summary(entry) for entry in entries if entry["type"] == "response"]

    def enable_kv(self, mount: str = "kv") -> None:
        """A version 2 key-value store, usable on return."""
        self.write(f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "2"}})
        wait_until(
            lambda: self.read(f"{mount}/config"), timeout=30, what=f"{mount}/ usable", interval=0.02
        )

    def enable_kubernetes_auth(
        self, control_plane: ControlPlane, mount: str = "kubernetes"
    ) -> None:
        """Logins with ServiceAccount tokens, each checked by the control plane's TokenReview."""
        _create_reviewer(control_plane)
        self.write(f"sys/auth/{mount}", {"type": "kubernetes"})
        config = {
            "kubernetes_host": control_plane.server,
            "kubernetes_ca_cert": control_plane.ca_file.read_text(),
            "token_reviewer_jwt": control_plane.token(REVIEWER, REVIEWER, seconds=REVIEWER_SECONDS),
            "disable_local_ca_jwt": True,
        }
        self.write(f"auth/{mount}/config", config)

    def set_up_operator(
        self,
        control_plane: ControlPlane,
        *,
        cluster_name: str,
        policy_file: Path,
        service_account: tuple[str, str] = OPERATOR_ACCOUNT,
        audience: str = "vault",
        mount: str = "kubernetes",
    ) -> None:
        """What an administrator does for the operator: its policy, and its role to log in with."""
        if f"{mount}/" not in (self.read("sys/auth") or {}):
            self.enable_kubernetes_auth(control_plane, mount)
        policy = policy_file.read_text().replace(CLUSTER_PLACEHOLDER, cluster_name)
        self.write(OPERATOR_POLICY, {"policy": policy})
        namespace, name = service_account
        role = {
            "bound_service_account_namespaces": [namespace],
            "bound_service_account_names": [name],
            "audience": audience,
            "token_policies": [OPERATOR_NAME],
            "token_ttl": OPERATOR_TOKEN_SECONDS,
        }
        self.write(f"auth/{mount}/role/{OPERATOR_NAME}", role)

    @property
    def _running(self) -> Child:
        if self._server is None:
            raise RuntimeError("OpenBao hasn't been started")
        return self._server

    def _tls_endpoint(self) -> Endpoint:
        return Endpoint(self.address, self.ca_file)

    def _write_certificates(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        authority = Authority("testbed-openbao")
        self.ca_pem = authority.pem
        self.ca_file.write_text(authority.pem)
        server = authority.server("openbao", dns=["localhost"], ips=[LOOPBACK])
        server.write(self.directory, "openbao")

    def _start_server(self, port: int, cluster_port: int) -> Child:
        self._ports, self.address = (port, cluster_port), f"https://{LOOPBACK}:{port}"
        config = self.directory / "config.json"
        config.write_text(json.dumps(self._config(port, cluster_port), indent=2))
        (self.directory / "data").mkdir(exist_ok=True)
        child = Child(
            "openbao",
            [self._bao, "server", f"-config={config}"],
            log_file=self.directory / "openbao.log",
        )
        return child.until_ready(lambda: self._tls_endpoint().ok("/v1/sys/seal-status"))

    def _config(self, port: int, cluster_port: int) -> Json:
        listener = {
            "address": f"{LOOPBACK}:{port}",
            "cluster_address": f"{LOOPBACK}:{cluster_port}",
            "tls_cert_file": str(self.directory / "openbao.crt"),
            "tls_key_file": str(self.directory / "openbao.key"),
        }
        # Accessors in the clear tell apart who called; secrets stay hashed.
        options = {"file_path": str(self.audit_log), "hmac_accessor": "false"}
        # With one member only, the parser would take `options` for a third label.
        audit = {"description": "every call", "options": options}
        data = {"path": str(self.directory / "data"), "performance_multiplier": "1"}
        return {
            "storage": {"raft": data | {"node_id": "testbed"}},
            "listener": [{"tcp": listener}],
            "audit": [{"file": {"testbed": audit}}],
            "api_addr": self.address,
            "cluster_addr": f"https://{LOOPBACK}:{cluster_port}",
        }

    def _initialise(self) -> None:
        answer = self.write("sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.root_token, self._unseal_key = answer["root_token"], answer["keys_base64"][0]


def _create_reviewer(control_plane: ControlPlane) -> None:
    manifests: list[Json] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": REVIEWER}},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": REVIEWER, "namespace": REVIEWER},
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "vault-token-review"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:auth-delegator",
            },
            "subjects": [{"kind": "ServiceAccount", "name": REVIEWER, "namespace": REVIEWER}],
        },
    ]
    everything = {"apiVersion": "v1", "kind": "List", "items": manifests}
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(everything))


def _audit_summary(entry: Json) -> Json:
    request, auth = entry["request"], entry.get("auth", {})
    return {
        "time": entry["time"],
        "operation": request["operation"],
        "path": request["path"],
        "namespace": request.get("namespace", {}).get("path", ""),
        "accessor": auth.get("accessor", ""),
        "display_name": auth.get("display_name", ""),
        "entity_id": auth.get("entity_id", ""),
        "policies": auth.get("policies", []),
        "metadata": auth.get("metadata", {}),
        "error": entry.get("error", ""),
    }
