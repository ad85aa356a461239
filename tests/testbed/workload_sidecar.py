"""The sidecar of one pod: Istio's own agent, which gets a certificate and runs Envoy.

Nothing redirects connections on this machine. The pod's Sidecar object has interception off, so
Envoy listens on the pod's address itself, at the ports that the pod is called at; all that istiod
writes for them, mTLS and who may call, is the same.
"""

import json
import re
import sys
from pathlib import Path

from testbed.endpoint import Endpoint, Json
from testbed.istiod import CLUSTER_ID, SERVER_NAME, Istiod
from testbed.lifecycle import Lifecycle
from testbed.ports import LOOPBACK, on_free_ports
from testbed.processes import LEASH, Child
from testbed.toolchain import envoy_bootstrap
from testbed.workload_certificates import AUDIENCE

TOKEN_SECONDS = 6 * 3600
# As in an injected pod: where the agent reads, and where it makes its sockets, from its folder on.
TOKEN_FILE = Path("var/run/secrets/tokens/istio-token")
ROOT_FILE = Path("var/run/secrets/istio/root-cert.pem")
LABELS_FILE = Path("etc/istio/pod/labels")
# How istiod names the rules of a policy (pilot/pkg/security/authz/builder).
POLICY = re.compile(r"ns\[([^]]+)\]-policy\[([^]]+)\]-rule\[")


class Sidecar(Lifecycle):
    """pod: the Pod object that this is the sidecar of, with its IP in the status. drain: for how
    long Envoy lets connections end that were open when something changed; empty is Istio's 45s."""

    def __init__(self, directory: Path, istiod: Istiod, pod: Json, *, drain: str = "") -> None:
        self.directory = directory
        self._istiod = istiod
        self._pod = pod
        self._drain = drain
        self._agent: Child | None = None

    def start(self) -> None:
        """Returns once Envoy has all its configuration and listens."""
        self._write_files()
        self._agent = on_free_ports(4, self._start_agent)

    def stop(self) -> None:
        """At once: the agent would drain connections for seconds, and nobody has any."""
        if self._agent is not None:
            self._agent.kill()

    def policies(self) -> set[tuple[str, str]]:
        """Namespace and name of every AuthorizationPolicy that it enforces now."""
        answer = self._admin.call("GET", "/config_dump?resource=dynamic_listeners")
        return set(POLICY.findall(answer.text))

    def refused(self) -> str:
        """Why Envoy did not take what it was told last; empty when it did."""
        dump = self._admin.call("GET", "/config_dump?resource=dynamic_listeners").json()
        errors = (c.get("error_state", {}).get("details", "") for c in dump.get("configs", ()))
        return "; ".join(filter(None, errors))

    def _write_files(self) -> None:
        metadata, account = self._pod["metadata"], self._pod["spec"]["serviceAccountName"]
        token = self._istiod.control_plane.token(
            metadata["namespace"], account, audience=AUDIENCE, seconds=TOKEN_SECONDS
        )
        labels = "".join(f'{k}="{v}"\n' for k, v in metadata.get("labels", {}).items())
        files = {TOKEN_FILE: token, ROOT_FILE: self._istiod.root, LABELS_FILE: labels}
        for path, text in files.items():
            (self.directory / path).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / path).write_text(text)
        self._write_leashed_envoy()

    def _write_leashed_envoy(self) -> None:
        # The agent starts Envoy, and may be killed before it can stop it.
        envoy = self._istiod.binaries.envoy
        leashed = f'exec "{sys.executable}" -I -S "{LEASH}" $PPID "{envoy}" "$@"'
        self._envoy.write_text(f"#!/bin/sh\n{leashed}\n")
        self._envoy.chmod(0o755)

    def _start_agent(self, admin: int, status: int, prometheus: int, health: int) -> Child:
        self._admin = Endpoint(f"http://{LOOPBACK}:{admin}")
        child = Child(
            f"sidecar of {self._pod['metadata']['name']}",
            [
                self._istiod.binaries.pilot_agent,
                "proxy",
                "sidecar",
                f"--templateFile={envoy_bootstrap()}",
                "--concurrency=1",
                "--profiling=false",
            ],
            log_file=self.directory / "sidecar.log",
            env=self._environment(
                PROXY_CONFIG=json.dumps(self._proxy_config(admin, status)),
                ENVOY_PROMETHEUS_PORT=str(prometheus),
                ENVOY_STATUS_PORT=str(health),
            ),
            cwd=self.directory,
        )
        ready = Endpoint(f"http://{LOOPBACK}:{status}")
        return child.until_ready(lambda: ready.ok("/healthz/ready"))

    def _proxy_config(self, admin: int, status: int) -> Json:
        return {
            "discoveryAddress": self._istiod.address,
            "binaryPath": str(self._envoy),
            "proxyAdminPort": admin,
            "statusPort": status,
            **({"drainDuration": self._drain} if self._drain else {}),
        }

    def _environment(self, **more: str) -> dict[str, str]:
        metadata, spec = self._pod["metadata"], self._pod["spec"]
        return {
            "PATH": "/usr/bin:/bin",
            "POD_NAME": metadata["name"],
            "POD_NAMESPACE": metadata["namespace"],
            "INSTANCE_IP": self._pod["status"]["podIP"],
            "SERVICE_ACCOUNT": spec["serviceAccountName"],
            "ISTIO_META_CLUSTER_ID": CLUSTER_ID,
            "ISTIO_META_INTERCEPTION_MODE": "NONE",
            "ISTIOD_SAN": SERVER_NAME,
            "TRUST_DOMAIN": self._istiod.trust_domain,
            "ECC_SIGNATURE_ALGORITHM": "ECDSA",
            # Else it asks three clouds whether this is one of their machines.
            "CLOUD_PLATFORM": "none",
            **more,
        }

    @property
    def _envoy(self) -> Path:
        return self.directory / "envoy"
