"""The mesh of the demo: a real istiod, and pods with Istio's sidecar in front of a server.

There is no kubelet: `Mesh.run` does what one would do for a pod. Whoever wants to call a pod runs
`call` (call.py), a process of its own, which reads what this writes down.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed.control_plane import ControlPlane
from testbed.istiod import Istiod
from testbed.lifecycle import Lifecycle
from testbed.operator_process import REPOSITORY
from testbed.toolchain import Binaries
from testbed.workload import Workload

FACTS_FILE = "mesh.json"
CALL = """\
#!/bin/sh
PYTHONPATH="{tests}" exec "{python}" -m demo.call "{directory}" "$@"
"""


@dataclass(frozen=True)
class Pod:
    """Runs as the ServiceAccount of its name."""

    namespace: str
    name: str
    labels: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Mesh(Lifecycle):
    """programs: the folder that `call` is put into."""

    def __init__(self, directory: Path, control_plane: ControlPlane, binaries: Binaries) -> None:
        self.programs = directory / "bin"
        self._directory = directory
        self._istiod = Istiod(directory / "istiod", control_plane, binaries)
        self._running: dict[str, Workload] = {}

    def start(self) -> None:
        """Returns once istiod answers. No pod runs yet."""
        self._istiod.start()
        self._write_call()

    def stop(self) -> None:
        for name in list(self._running):
            self._running.pop(name).stop()
        self._istiod.stop()

    def run(self, pod: Pod) -> None:
        """Returns once its sidecar serves. Its ServiceAccount must exist."""
        workload = Workload(
            self._directory / f"pod-{pod.namespace}-{pod.name}",
            self._istiod,
            pod.namespace,
            pod.name,
            account=pod.name,
            labels=pod.labels,
        )
        self._running[str(pod)] = workload
        workload.start()
        self._write_facts()

    def remove(self, pod: Pod) -> None:
        """The Pod object too."""
        self._running.pop(str(pod)).stop()
        self._write_facts()

    def _write_facts(self) -> None:
        pods = {
            name: {
                "namespace": workload.namespace,
                "name": workload.name,
                "ip": workload.ip,
                "spiffe_id": workload.spiffe_id,
            }
            for name, workload in self._running.items()
        }
        authority = {"address": self._istiod.address, "root": self._istiod.root}
        facts = {"authority": authority, "pods": pods}
        (self._directory / FACTS_FILE).write_text(json.dumps(facts))

    def _write_call(self) -> None:
        self.programs.mkdir()
        program = self.programs / "call"
        tests = REPOSITORY / "tests"
        text = CALL.format(tests=tests, python=sys.executable, directory=self._directory)
        program.write_text(text)
        program.chmod(0o755)
