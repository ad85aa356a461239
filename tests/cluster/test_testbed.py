"""The test bed keeps its own promises: what the other tests stand on is checked here."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from testbed.control_plane import ControlPlane
from testbed.openbao import OpenBao
from testbed.toolchain import find_binaries
from testbed.waiting import wait_until

ROLE = {
    "bound_service_account_namespaces": ["default"],
    "bound_service_account_names": ["default"],
    "audience": "vault",
    "token_policies": ["default"],
}
MANIFESTS = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: agent-identity-operator, namespace: agent-identity-system}
"""
CHART = "{apiVersion: v2, name: things, version: 0.1.0}"
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object}}
"""
ABANDONED_BED = """
import signal, sys
from pathlib import Path
from testbed.bed import Bed

at = Path(sys.argv[1])
with Bed(at / "bed", istio=False, chart=at / "chart", report=lambda _: None):
    print("ready", flush=True)
    signal.pause()
"""


@pytest.fixture(scope="module")
def control_planes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ControlPlane]]:
    directory, binaries = tmp_path_factory.mktemp("planes"), find_binaries()
    planes = [ControlPlane(directory / name, binaries) for name in ("east", "west")]
    with ExitStack() as stack, ThreadPoolExecutor(len(planes)) as pool:
        list(pool.map(stack.enter_context, planes))
        yield planes


@pytest.fixture(scope="module")
def openbao(
    tmp_path_factory: pytest.TempPathFactory, control_planes: list[ControlPlane]
) -> Iterator[OpenBao]:
    with OpenBao(tmp_path_factory.mktemp("openbao"), find_binaries()) as server:
        server.enable_kubernetes_auth(control_planes[0])
        server.enable_kv()
        server.write("auth/kubernetes/role/agent", ROLE)
        yield server


def test_two_control_planes_side_by_side_share_nothing(control_planes: list[ControlPlane]) -> None:
    east, west = control_planes
    east.kubectl("create", "namespace", "only-in-east")
    assert east.server != west.server
    assert west.kubectl("get", "namespace", "only-in-east", check=False).returncode != 0
    foreign = west.kubectl("get", "ns", token=east.token("default", "default"), check=False)
    assert "Unauthorized" in foreign.stderr


def test_the_audit_log_tells_who_asked_for_what(control_planes: list[ControlPlane]) -> None:
    plane = control_planes[0]
    plane.kubectl("get", "configmaps", token=plane.token("default", "default"), check=False)
    seen = [
        (event["verb"], event["responseStatus"]["code"])
        for event in plane.audit_events()
        if event["user"]["username"] == "system:serviceaccount:default:default"
        and event.get("objectRef", {}).get("resource") == "configmaps"
    ]
    assert seen == [("list", 403)]


def test_an_api_server_comes_back_with_its_data(control_planes: list[ControlPlane]) -> None:
    plane = control_planes[1]
    plane.kubectl("create", "namespace", "kept")
    plane.stop_api_server()
    assert plane.kubectl("get", "namespace", "kept", check=False).returncode != 0
    plane.start_api_server()
    plane.kubectl("get", "namespace", "kept")


def test_a_service_account_logs_in_with_the_right_audience_only(
    control_planes: list[ControlPlane], openbao: OpenBao
) -> None:
    plane = control_planes[0]
    right = plane.token("default", "default", audience="vault")
    wrong = plane.token("default", "default")
    status, answer = openbao.login(mount="kubernetes", role="agent", jwt=right)
    assert (status, answer["auth"]["policies"]) == (200, ["default"])
    assert openbao.login(mount="kubernetes", role="agent", jwt=wrong)[0] == 403
    # A token that the other cluster signed is nobody here.
    foreign = control_planes[1].token("default", "default", audience="vault")
    assert openbao.login(mount="kubernetes", role="agent", jwt=foreign)[0] == 403


def test_each_call_to_openbao_is_one_audit_entry(openbao: OpenBao) -> None:
    before = len(openbao.audit_requests())
    openbao.write("kv/data/audited", {"data": {"n": 1}})
    openbao.request("GET", "kv/data/audited", token="nobody")
    entries = openbao.audit_requests()[before:]
    assert [(e["operation"], e["path"], e["display_name"]) for e in entries] == [
        ("create", "kv/data/audited", "root"),
        ("read", "kv/data/audited", ""),
    ]
    assert "permission denied" in entries[1]["error"]


def test_openbao_keeps_its_data_over_every_way_to_stop(openbao: OpenBao) -> None:
    openbao.write("kv/data/kept", {"data": {"n": 1}})
    address = openbao.address
    for end in (openbao.stop, openbao.kill):
        end()
        with pytest.raises(OSError, match="refused"):
            openbao.request("GET", "sys/health")
        openbao.start()
    openbao.seal()
    assert openbao.request("GET", "kv/data/kept")[0] == 503
    openbao.unseal()
    kept = openbao.read("kv/data/kept")
    assert kept is not None
    assert kept["data"] == {"n": 1}
    assert openbao.address == address
    assert openbao.list("kv/metadata") == ["audited", "kept"]


def test_nothing_is_left_behind_by_a_killed_process(tmp_path: Path) -> None:
    _write_chart(tmp_path)
    command = [sys.executable, "-c", ABANDONED_BED, str(tmp_path)]
    tests = Path(__file__).resolve().parents[1]
    environment = os.environ | {"PYTHONPATH": str(tests)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as owner:
        assert owner.stdout is not None
        try:
            assert owner.stdout.readline() == "ready\n"
            servers = _children_of(owner.pid)
            assert len(servers) == 4
        finally:
            owner.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(map(_runs, servers)), timeout=10, what="every server ended")


def _write_chart(directory: Path) -> None:
    templates = directory / "chart" / "templates"
    templates.mkdir(parents=True)
    (directory / "chart" / "Chart.yaml").write_text(CHART)
    (templates / "things.yaml").write_text(CRD)
    (templates / "operator.yaml").write_text(MANIFESTS)


def _children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
