"""A cluster from kind instead of the programs that the test bed builds, for who has Docker.

Only what differs is here. It was written from the sources of kind and pytest-kind, on a machine
where no Docker daemon runs: beyond the check for Docker it has not been run yet.
"""

import base64
import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest
import pytest_kind.cluster  # type: ignore[import-untyped]
import yaml
from pytest_kind import KindCluster

from testbed.cache import cached
from testbed.control_plane import AUDIT_POLICY, ISSUER, ControlPlane
from testbed.endpoint import Json
from testbed.toolchain import Binaries

# The release whose default node has the Kubernetes that the test bed builds.
KIND_VERSION = "v0.33.0"
FILES_IN_NODE = "/etc/kubernetes/testbed"
LOGS_IN_NODE = "/var/log/kubernetes"
AUDIT_LOG = f"{LOGS_IN_NODE}/audit.log"


def docker_problem() -> str:
    """Why kind can't work here; empty where it can."""
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    except OSError as error:
        return f"CLUSTER=kind needs Docker: `docker info` failed: {error}"
    said = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
    return f"CLUSTER=kind needs Docker: `docker info` failed: {said}" if done.returncode else ""


class KindControlPlane(ControlPlane):
    """One kind cluster; one for each test process, so that they share nothing."""

    def __init__(self, directory: Path, binaries: Binaries) -> None:
        super().__init__(directory, binaries)
        self._name = f"agent-identity-{os.getpid()}"
        self._cluster: KindCluster | None = None

    def start(self) -> None:
        """Returns once the node is up; its administrator is the one of the other provider."""
        if problem := docker_problem():
            raise RuntimeError(problem)
        self.directory.mkdir(parents=True, exist_ok=True)
        kind, config = _kind(), self._write_config()
        # pytest-kind makes a folder where it stands.
        with contextlib.chdir(self.directory):
            self._cluster = KindCluster(self._name, self.kubeconfig, kind_path=kind)
            self._cluster.create(config)
        self._take_over_kubeconfig()

    def stop(self) -> None:
        if self._cluster is not None:
            self._cluster.delete()

    def stop_api_server(self) -> None:
        """Its static pod would come back by itself, at a moment of its own."""
        _cannot("stop the API server")

    def start_api_server(self) -> None:
        """Nobody has stopped it."""
        _cannot("start the API server")

    def audit_events(self) -> list[Json]:
        """From within the node: only its root may read the log."""
        command = ["docker", "exec", f"{self._name}-control-plane", "cat", AUDIT_LOG]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            _cannot(f"read the audit log ({done.stderr.strip()})")
        lines = done.stdout.splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def _write_config(self) -> Path:
        files, config = self.directory / "in-node", self.directory / "kind.yaml"
        files.mkdir()
        (files / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))
        admin = f'{self.admin_token},admin,admin,"system:masters"\n'
        (files / "tokens.csv").write_text(admin)
        config.write_text(yaml.safe_dump(_configuration(files)))
        return config

    def _take_over_kubeconfig(self) -> None:
        """kind's administrator has a certificate and no token, and is not of system:masters."""
        cluster = yaml.safe_load(self.kubeconfig.read_text())["clusters"][0]["cluster"]
        self.server = cluster["server"]
        self.ca_file.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        self._write_kubeconfig(self.kubeconfig, self.admin_token)


def _kind() -> Path:
    """kind from PATH, else as pytest-kind downloads it; once per machine."""
    found = shutil.which("kind")
    if found:
        return Path(found)
    pytest_kind.cluster.KIND_VERSION = KIND_VERSION

    def make(directory: Path) -> None:
        with contextlib.chdir(directory):
            KindCluster("download", kind_path=directory / "kind").ensure_kind()

    return cached(f"kind-{KIND_VERSION}", make, report=print) / "kind"


def _configuration(files: Path) -> Json:
    """Tokens for the audiences of the test bed's own control plane, its administrator, and an audit
    log like its."""
    mount = {"hostPath": str(files), "containerPath": FILES_IN_NODE, "readOnly": True}
    return {
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "kind": "Cluster",
        "nodes": [{"role": "control-plane", "extraMounts": [mount]}],
        "kubeadmConfigPatches": [yaml.safe_dump(_patch())],
    }


def _patch() -> Json:
    flags = {
        "service-account-issuer": ISSUER,
        "token-auth-file": f"{FILES_IN_NODE}/tokens.csv",
        "audit-policy-file": f"{FILES_IN_NODE}/audit-policy.json",
        "audit-log-path": AUDIT_LOG,
    }
    return {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": [{"name": n, "value": v} for n, v in flags.items()],
            "extraVolumes": [
                _volume("files", FILES_IN_NODE, read_only=True),
                _volume("logs", LOGS_IN_NODE, read_only=False),
            ],
        },
    }


def _volume(name: str, path: str, *, read_only: bool) -> Json:
    """From the node, where kind mounts it, into the API server's pod."""
    return {
        "name": f"testbed-{name}",
        "hostPath": path,
        "mountPath": path,
        "readOnly": read_only,
        "pathType": "DirectoryOrCreate",
    }


def _cannot(what: str) -> NoReturn:
    pytest.skip(f"CLUSTER=kind can't {what}")
