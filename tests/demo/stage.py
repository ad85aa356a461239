"""What the story plays on: a test bed, one operator and a mesh, in one temporary directory."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from demo.mesh import Mesh, Pod
from testbed.bed import Bed
from testbed.cache import Report
from testbed.lifecycle import Lifecycle
from testbed.operator_process import REPOSITORY, OperatorProcess
from testbed.toolchain import find_binaries

CLUSTER = "demo"
RESYNC_SECONDS = 5
SETTINGS = {
    "AGENT_IDENTITY_RESYNC_SECONDS": str(RESYNC_SECONDS),
    "AGENT_IDENTITY_DELETION_DEADLINE_SECONDS": "10",
}
CLASS_FILE = REPOSITORY / "examples" / "quickstart" / "2-class.yaml"
EXAMPLE_ADDRESS = "https://vault.example:8200"


class Stage(Lifecycle):
    """before_stop: called before anything is stopped, whatever the reason."""

    def __init__(self, directory: Path, *, report: Report, before_stop: Callable[[], None]) -> None:
        self.directory = directory
        self._report = report
        self._before_stop = before_stop
        self._binaries = find_binaries(report)
        self._bed = Bed(directory, cluster_name=CLUSTER, report=report, binaries=self._binaries)
        self._operator: OperatorProcess | None = None
        self._mesh = Mesh(directory, self._bed.control_plane, self._binaries)

    def start(self) -> None:
        """Returns once the operator and istiod are ready."""
        _whole(self._start)

    def stop(self) -> None:
        self._before_stop()
        self._mesh.stop()
        if self._operator is not None:
            self._operator.stop()
        self._bed.stop()

    def run(self, pod: Pod) -> None:
        """Returns once the pod can be called."""
        _whole(lambda: self._mesh.run(pod))

    def remove(self, pod: Pod) -> None:
        _whole(lambda: self._mesh.remove(pod))

    @property
    def log_file(self) -> Path:
        return self._running.log_file

    def end_of_log(self, lines: int) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

    def renew_tokens(self) -> None:
        """As a kubelet would."""
        self._running.refresh_tokens()

    def environment(self) -> dict[str, str]:
        """Of every command: this cluster and this OpenBao, and nothing of the user's own."""
        binaries = self._binaries
        programs = [self._mesh.programs, binaries.kubectl.parent, binaries.bao.parent]
        return {
            "PATH": ":".join([*map(str, programs), "/usr/bin", "/bin"]),
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "DEMO": str(self.directory),
            "KUBECONFIG": str(self._bed.control_plane.kubeconfig),
            "BAO_ADDR": self._bed.openbao.address,
            "BAO_CACERT": str(self._bed.openbao.ca_file),
            "BAO_TOKEN": self._bed.openbao.root_token,
        }

    def exports(self) -> list[str]:
        """Lines for a terminal that is to see the same."""
        environment = self.environment()
        same = [f"export {n}={environment[n]}" for n in ("KUBECONFIG", "BAO_ADDR", "BAO_CACERT")]
        programs = environment["PATH"].removesuffix(":/usr/bin:/bin")
        return [
            f"export PATH={programs}:$PATH",
            f"export DEMO={self.directory}",
            *same,
            f"export BAO_TOKEN=$(cat {self._root_token_file})",
        ]

    @property
    def _running(self) -> OperatorProcess:
        if self._operator is None:
            raise RuntimeError("the operator hasn't been started")
        return self._operator

    @property
    def _root_token_file(self) -> Path:
        return self.directory / "root-token"

    def _start(self) -> None:
        self._bed.start()
        self._report("starting the operator, with the token of its own ServiceAccount, and istiod")
        self._operator = self._bed.operator(settings=SETTINGS)
        self._operator.start()
        self._mesh.start()
        self._operator.wait_ready()
        self._write_class()
        self._write_root_token()

    def _write_root_token(self) -> None:
        """A file, because a printed token stays in scrollbacks and logs."""
        self._root_token_file.write_text(self._bed.openbao.root_token)

    def _write_class(self) -> None:
        """The quickstart's class with the address and the CA of this OpenBao."""
        openbao = self._bed.openbao
        certificate = "\n".join(f"      {line}" for line in openbao.ca_pem.strip().splitlines())
        filled_in = f"{openbao.address}\n    caBundle: |\n{certificate}"
        text = CLASS_FILE.read_text()
        if EXAMPLE_ADDRESS not in text:
            raise RuntimeError(f"{CLASS_FILE} doesn't name {EXAMPLE_ADDRESS}")
        (self.directory / CLASS_FILE.name).write_text(text.replace(EXAMPLE_ADDRESS, filled_in))


def _whole(step: Callable[[], None]) -> None:
    """Whoever interrupts waits for the end of it: only what has started can be stopped."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(step).result()
