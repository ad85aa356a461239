"""What the operator wrote and when, as the servers' own audit logs say it, read as they grow."""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from faults.scene import scene_of
from testbed.bed import Bed
from testbed.operator_process import CHANGES

_VAULT_CHANGES = frozenset({"create", "update", "patch", "delete"})
# Events are told at their own pace, and nothing hangs on them.
_NOT_COUNTED = frozenset({"events", "leases"})
_LEAST_REFUSAL = 400


class _Tail:
    """Whole lines that came since the last look."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._at = 0

    def lines(self) -> Iterator[bytes]:
        with self._file.open("rb") as log:
            log.seek(self._at)
            for line in log:
                if not line.endswith(b"\n"):
                    return
                self._at += len(line)
                yield line


class WriteLog:
    """instance: of the operator, as it names itself to the API server."""

    def __init__(self, bed: Bed, instance: str) -> None:
        self._kube = _Tail(bed.control_plane.audit_log)
        self._vault = _Tail(bed.openbao.audit_log)
        self._instance = f"({instance}_".encode()
        self._found: dict[str, list[tuple[float, str]]] = defaultdict(list)

    def since(self, scene: str, moment: float) -> list[str]:
        """Writes that concern a scene and were answered after this moment of the wall clock."""
        return [what for at, what in self._found[scene] if at > moment]

    def forget(self, scene: str) -> None:
        self._found.pop(scene, None)

    def read_on(self) -> None:
        for line in self._kube.lines():
            if self._instance in line and b'"verb":"get"' not in line:
                self._take_kube(json.loads(line))
        for line in self._vault.lines():
            if b'"type":"response"' in line:
                self._take_vault(json.loads(line))

    def _take_kube(self, event: dict[str, object]) -> None:
        about = event.get("objectRef")
        status = event.get("responseStatus")
        if not isinstance(about, dict) or event["verb"] not in CHANGES:
            return
        refused = isinstance(status, dict) and int(status.get("code", 0)) >= _LEAST_REFUSAL
        if refused or about["resource"] in _NOT_COUNTED:
            return
        parts = (
            about["resource"],
            about.get("namespace"),
            about.get("name"),
            about.get("subresource"),
        )
        where = "/".join(str(part) for part in parts if part)
        self._note(str(event["stageTimestamp"]), f"{event['verb']} {where}")

    def _take_vault(self, entry: dict[str, dict[str, str]]) -> None:
        """Agents of a scene do not log in, so whoever names it is the operator."""
        request, path = entry["request"], entry["request"]["path"]
        ours = entry.get("auth", {}).get("display_name") != "root"
        if ours and request["operation"] in _VAULT_CHANGES and "error" not in entry:
            self._note(str(entry["time"]), f"{request['operation']} vault:{path}")

    def _note(self, time: str, what: str) -> None:
        if scene := scene_of(what):
            self._found[scene].append((_seconds(time), what))


def _seconds(time: str) -> float:
    """Of RFC 3339, whose fraction may be finer than Python's."""
    whole, _, fraction = time.rstrip("Z").partition(".")
    begun = datetime.fromisoformat(f"{whole}+00:00").timestamp()
    return begun + float(f"0.{fraction or 0}")
