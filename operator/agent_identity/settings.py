"""The operator's settings, and the only reader of the environment.

Cluster name and trust domain are the operator's and not a class's, so that one class manifest
serves all clusters.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent_identity.api.fields import DNS_LABEL

PREFIX = "AGENT_IDENTITY_"
_NAME = "agent-identity-operator"
_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names it and says what it must be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Durations are seconds."""

    cluster_name: str
    """Names this cluster in Vault; a DNS label. Two clusters at one Vault mount need two names."""
    trust_domain: str
    """The mesh's trust domain, as in its `meshConfig.trustDomain`."""
    namespace: str
    """Where the operator lives, and keeps what it still owes."""
    kube_server: str
    kube_token_file: Path
    kube_ca_file: Path
    vault_token_file: Path
    """A projected token with the audience of the operator's Vault login role."""
    mesh_root_namespace: str
    workers: int
    """Identities worked on at the same time; each Vault gets at most a quarter of them, and all
    classes together at most half, or three."""
    requests_per_second: int
    """Ceiling for requests to the API server."""
    resync_seconds: float
    """Everything is looked at again within this period: drift in Vault is found no later."""
    deletion_deadline_seconds: float
    """How long a deletion waits for a backend before it goes on and records what is owed."""
    http_host: str
    http_port: int
    """Probes and metrics."""
    log_level: str
    instance: str
    """Names this process in the Lease, in events and to the API server: the pod's name."""
    leader_election: bool
    """Off only where there is never a second process, not even during an update."""
    lease_seconds: int
    """A leader that is gone is replaced after so long."""
    grace_seconds: float
    """How long, when the process is told to end, work that has begun may go on."""


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str, default: str | None = None, pattern: str = r".+") -> str:
        value = self._environment.get(PREFIX + name, default)
        if value is None:
            raise SettingsError(f"{PREFIX}{name} is required")
        if not re.fullmatch(pattern, value):
            raise SettingsError(f"{PREFIX}{name}={value!r} must match {pattern}")
        return value

    def number(self, name: str, default: float, minimum: float) -> float:
        text = self._environment.get(PREFIX + name, str(default))
        try:
            value = float(text)
        except ValueError:
            raise SettingsError(f"{PREFIX}{name}={text!r} must be a number") from None
        if value < minimum:
            raise SettingsError(f"{PREFIX}{name}={text} must be at least {minimum:g}")
        return value


def _in_cluster_server(environment: Mapping[str, str]) -> str | None:
    host = environment.get("KUBERNETES_SERVICE_HOST")
    port = environment.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if host and ":" in host else host
    return f"https://{host}:{port}" if host else None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables; raises SettingsError on the first wrong one."""
    read = _Reader(environment)
    return Settings(
        cluster_name=read.text("CLUSTER_NAME", pattern=DNS_LABEL),
        trust_domain=read.text("TRUST_DOMAIN", pattern=r"[a-z0-9._-]{1,255}"),
        namespace=read.text("NAMESPACE", "agent-identity-system", DNS_LABEL),
        kube_server=read.text("KUBE_SERVER", _in_cluster_server(environment), r"https://.+"),
        kube_token_file=Path(read.text("KUBE_TOKEN_FILE", f"{_ACCOUNT_FOLDER}/token")),
        kube_ca_file=Path(read.text("KUBE_CA_FILE", f"{_ACCOUNT_FOLDER}/ca.crt")),
        vault_token_file=Path(
            read.text("VAULT_TOKEN_FILE", "/var/run/secrets/agentidentity.dev/vault/token")
        ),
        mesh_root_namespace=read.text("MESH_ROOT_NAMESPACE", "istio-system", DNS_LABEL),
        workers=int(read.number("WORKERS", 16, 4)),
        requests_per_second=int(read.number("REQUESTS_PER_SECOND", 1000, 1)),
        resync_seconds=read.number("RESYNC_SECONDS", 600, 1),
        deletion_deadline_seconds=read.number("DELETION_DEADLINE_SECONDS", 30, 1),
        http_host=read.text("HTTP_HOST", "0.0.0.0"),  # noqa: S104  in a pod, probes come from outside
        http_port=int(read.number("HTTP_PORT", 8080, 1)),
        log_level=read.text("LOG_LEVEL", "INFO", "DEBUG|INFO|WARNING|ERROR"),
        instance=read.text(
            "INSTANCE", environment.get("HOSTNAME") or _NAME, r"[A-Za-z0-9._-]{1,100}"
        ),
        leader_election=read.text("LEADER_ELECTION", "true", "true|false") == "true",
        lease_seconds=int(read.number("LEASE_SECONDS", 15, 1)),
        grace_seconds=read.number("GRACE_SECONDS", 20, 0),
    )
