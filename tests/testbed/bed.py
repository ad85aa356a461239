"""Everything that the operator meets: a control plane and an OpenBao that know each other.

Set up from the chart and the policy that ship, so that whatever they lack fails a test.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from testbed.cache import Report
from testbed.control_plane import ControlPlane
from testbed.endpoint import Json
from testbed.lifecycle import Lifecycle
from testbed.openbao import OpenBao
from testbed.operator_process import NAMESPACE, PYTHON, REPOSITORY, OperatorProcess
from testbed.toolchain import Binaries, find_binaries

CHART = REPOSITORY / "charts" / "agent-identity"
POLICY_FILE = REPOSITORY / "examples" / "install" / "vault-policy.hcl"
RELEASE = "agent-identity"
# Tests tamper and ask for tokens as the cluster's administrator, whom the chart exempts from
# nothing unless it is told to. What it ships with is tested in a bed of its own.
ADMIN_MAY: Mapping[str, Json] = {
    "ownedObjects": {"exemptGroups": ["system:masters"]},
    "agentPods": {"breakGlassGroups": ["system:masters"]},
}


class Bed(Lifecycle):
    """Ready for an operator once entered; everything is stopped on the way out."""

    def __init__(
        self,
        directory: Path,
        *,
        cluster_name: str = "test",
        report: Report = print,
        binaries: Binaries | None = None,
        istio: bool = True,
        chart: Path = CHART,
        values: Mapping[str, Any] | None = None,
        provider: Callable[[Path, Binaries], ControlPlane] = ControlPlane,
    ) -> None:
        self.directory = directory
        self.cluster_name = cluster_name
        self._report = report
        self._istio, self._chart = istio, chart
        self._values = {"clusterName": cluster_name, "admission": ADMIN_MAY, **(values or {})}
        found = binaries or find_binaries(report)
        self.control_plane = provider(directory / "control-plane", found)
        self.openbao = OpenBao(directory / "openbao", found)
        self._operators = 0

    def start(self) -> None:
        """The two servers start at the same time, then know of each other."""
        self._report("starting a control plane and OpenBao")
        with ThreadPoolExecutor(2) as pool:
            started = [pool.submit(self.control_plane.start), pool.submit(self.openbao.start)]
            for start in started:
                start.result()
        self._install_everything()
        self._report("the control plane and OpenBao are ready")

    def stop(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            pool.submit(self.openbao.stop)
            pool.submit(self.control_plane.stop)

    def operator(
        self,
        *,
        trust_domain: str = "cluster.local",
        python: Path = PYTHON,
        settings: Mapping[str, str] | None = None,
    ) -> OperatorProcess:
        """Another operator of this cluster, not yet started, in a directory of its own."""
        self._operators += 1
        return OperatorProcess(
            self.directory / f"operator-{self._operators}",
            self.control_plane,
            cluster_name=self.cluster_name,
            trust_domain=trust_domain,
            python=python,
            settings=settings,
        )

    def helm(self, *arguments: str | Path, check: bool = True) -> CompletedProcess[str]:
        """The real helm, as the cluster's administrator, in the operator's namespace."""
        return self.control_plane.helm("--namespace", NAMESPACE, *arguments, check=check)

    def _install_everything(self) -> None:
        if self._istio:
            self.control_plane.install_istio_crds()
        values = self.directory / "values.json"
        values.write_text(json.dumps(self._values))
        self.helm("install", RELEASE, self._chart, "--create-namespace", "--values", values)
        self.openbao.enable_kv()
        self.openbao.set_up_operator(
            self.control_plane, cluster_name=self.cluster_name, policy_file=POLICY_FILE
        )
