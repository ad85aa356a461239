"""The operator's writes are read from both audit logs, each once, and nobody else's."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from faults.fields.writes import WriteLog

if TYPE_CHECKING:
    from testbed.bed import Bed

AT = "2026-01-01T00:00:{:02}.123456Z"
SECONDS = 1767225600


def kube(verb: str, second: int, *, agent: str = "op (operator-1_x)", code: int = 200) -> str:
    event = {
        "verb": verb,
        "userAgent": agent,
        "stageTimestamp": AT.format(second),
        "objectRef": {"resource": "rolebindings", "namespace": "w00001", "name": "b"},
        "responseStatus": {"code": code},
    }
    return json.dumps(event, separators=(",", ":")) + "\n"


def vault(operation: str, path: str, second: int, **more: Any) -> str:
    request = {"operation": operation, "path": path}
    entry = {"type": "response", "time": AT.format(second), "request": request, **more}
    return json.dumps(entry, separators=(",", ":")) + "\n"


@pytest.fixture
def logs(tmp_path: Path) -> dict[str, Path]:
    files = {name: tmp_path / name for name in ("kube", "vault")}
    for file in files.values():
        file.write_text("")
    return files


@pytest.fixture
def log(logs: dict[str, Path]) -> WriteLog:
    bed = SimpleNamespace(
        control_plane=SimpleNamespace(audit_log=logs["kube"]),
        openbao=SimpleNamespace(audit_log=logs["vault"]),
    )
    return WriteLog(cast("Bed", bed), "operator-1")


def test_writes_of_a_scene_since_a_moment(log: WriteLog, logs: dict[str, Path]) -> None:
    role = "auth/kubernetes/role/test_w00001_agent"
    logs["kube"].write_text(kube("create", 1) + kube("patch", 3))
    logs["vault"].write_text(vault("update", role, 2) + vault("update", role, 4))
    log.read_on()
    wrote = log.since("w00001", SECONDS + 2.5)
    assert wrote == ["patch rolebindings/w00001/b", f"update vault:{role}"]
    assert log.since("w00002", 0) == []


@pytest.mark.parametrize(
    "line",
    [
        kube("get", 1),
        kube("watch", 1),
        kube("patch", 1, code=409),
        kube("patch", 1, agent="kubectl"),
    ],
)
def test_what_is_no_write_of_the_operator(line: str, log: WriteLog, logs: dict[str, Path]) -> None:
    logs["kube"].write_text(line)
    log.read_on()
    assert log.since("w00001", 0) == []


@pytest.mark.parametrize(
    "line",
    [
        vault("read", "auth/kubernetes/role/test_w00001_agent", 1),
        vault("update", "sys/policies/acl/w00001", 1, auth={"display_name": "root"}),
        vault("update", "sys/policies/acl/w00001", 1, error="permission denied"),
    ],
)
def test_what_is_no_write_to_vault(line: str, log: WriteLog, logs: dict[str, Path]) -> None:
    logs["vault"].write_text(line)
    log.read_on()
    assert log.since("w00001", 0) == []


def test_a_line_that_is_not_whole_yet_waits(log: WriteLog, logs: dict[str, Path]) -> None:
    line = kube("create", 1)
    logs["kube"].write_text(line[:40])
    log.read_on()
    assert log.since("w00001", 0) == []
    logs["kube"].write_text(line)
    log.read_on()
    log.read_on()
    assert len(log.since("w00001", 0)) == 1
