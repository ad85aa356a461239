"""What the operator sent for one identity, as steps that can be sent for any other.

Taken from the audit logs and from what stands on the servers, never written down here: a floor
that is written by hand soon measures another operator.
"""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from bench.audit import CHANGES, Audit, Mark
from bench.door import JSON, MERGE_PATCH
from bench.workload import IDENTITIES_PATH, NAMESPACE, SAMPLE
from testbed.bed import Bed
from testbed.endpoint import Endpoint

VERSION = "the-version-that-was-created"
KEPT_BY_SERVER = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


@dataclass(frozen=True, slots=True)
class Step:
    """One request; server is a key of `door.as_operator`."""

    server: str
    method: str
    path: str
    body: str
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class Recipe:
    """Full of the sample's name and uid, and of VERSION."""

    uid: str
    steps: tuple[Step, ...]

    def fill(self, text: str, *, name: str, uid: str, version: str) -> str:
        """`text` of a step for another identity that has just been created."""
        return text.replace(SAMPLE, name).replace(self.uid, uid).replace(VERSION, version)


class Recorder:
    """Reads back what came of a sample that has been created, and become Ready, since a mark."""

    def __init__(self, bed: Bed, created: dict[str, Any], mark: Mark) -> None:
        self._bed, self._mark = bed, mark
        self._endpoint = Endpoint(bed.control_plane.server, bed.control_plane.ca_file)
        self._uid = str(created["metadata"]["uid"])

    def recipe(self) -> Recipe:
        """The steps in the order in which they were answered."""
        audit = Audit(self._bed)
        timed = [
            *((e["stageTimestamp"], self._kubernetes(e)) for e in self._changes(audit)),
            *((e["time"], self._vault(e)) for e in self._writes(audit)),
        ]
        steps = tuple(step for _, step in sorted(timed, key=lambda pair: pair[0]))
        return Recipe(self._uid, steps)

    def _changes(self, audit: Audit) -> list[dict[str, Any]]:
        events = audit.kubernetes_events(self._mark)
        here = (e for e in events if (e.get("objectRef") or {}).get("namespace") == NAMESPACE)
        return [e for e in here if e["verb"] in CHANGES]

    def _writes(self, audit: Audit) -> list[dict[str, Any]]:
        entries = audit.vault_entries(self._mark)
        return [e for e in entries if e["operation"] in CHANGES and SAMPLE in e["path"]]

    def _kubernetes(self, event: dict[str, Any]) -> Step:
        verb, uri, ref = event["verb"], event["requestURI"], event["objectRef"]
        if verb == "create":
            return Step("kubernetes", "POST", uri, json.dumps(self._made(f"{uri}/{ref['name']}")))
        if verb != "patch" or ref["resource"] != "agentidentities":
            raise RuntimeError(f"the floor doesn't know how to play {verb} {uri}")
        body = json.dumps(self._patched(ref.get("subresource", "")))
        return Step("kubernetes", "PATCH", uri, body, MERGE_PATCH)

    def _made(self, path: str) -> dict[str, Any]:
        body = self._read(path)
        metadata = {k: v for k, v in body["metadata"].items() if k not in KEPT_BY_SERVER}
        return body | {"metadata": metadata}

    def _patched(self, subresource: str) -> dict[str, Any]:
        """A status, or the finalizers on the version that was created."""
        body = self._read(f"{IDENTITIES_PATH}/{SAMPLE}")
        if subresource == "status":
            return {"metadata": {"uid": self._uid}, "status": body["status"]}
        finalizers = body["metadata"]["finalizers"]
        metadata = {"uid": self._uid, "resourceVersion": VERSION, "finalizers": finalizers}
        return {"metadata": metadata}

    def _vault(self, entry: dict[str, Any]) -> Step:
        body = self._bed.openbao.read(entry["path"])
        return Step("vault", "POST", f"/v1/{entry['path']}", json.dumps(body))

    def _read(self, path: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._bed.control_plane.admin_token}"}
        answer = self._endpoint.call("GET", path, headers=headers)
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"what the operator made is gone: {path}: {answer.text}")
        return answer.json()
