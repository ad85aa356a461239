"""What the operator sent for one identity, as steps that can be sent for any other.

Taken from the audit logs and from what stands on the servers, never written down here: a floor
that is written by hand soon measures another operator.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from bench.audit import CHANGES, Audit, Mark
from bench.door import JSON, MERGE_PATCH
from bench.workload import IDENTITIES_PATH, NAMESPACE, SAMPLE
from testbed.bed import Bed
from testbed.endpoint import Endpoint

# Stand for what the object of a step has when the step is sent.
UID, VERSION = "the-uid-of-the-object", "the-version-of-the-object"
KEPT_BY_SERVER = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
# Told at a pace of its own, and nothing waits for it.
UNPLAYED = frozenset({"events"})
CLASSES = "agentidentityclasses"


@dataclass(frozen=True, slots=True)
class Step:
    """One request; server is a key of `door.as_operator`. target: the path of the object that the
    answer is about, where a later step may have to name its version."""

    server: str
    method: str
    path: str
    body: str = ""
    content_type: str = JSON
    target: str = ""

    @property
    def changes(self) -> bool:
        return self.method != "GET"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Full of the sample's name and uid, and of UID and VERSION."""

    uid: str
    steps: tuple[Step, ...]

    def fill(self, text: str, *, name: str, uid: str) -> str:
        """`text` of a step for another identity."""
        return text.replace(SAMPLE, name).replace(self.uid, uid)

    @property
    def changes(self) -> "Recipe":
        """Without what was only read."""
        return Recipe(self.uid, tuple(step for step in self.steps if step.changes))


class Recorder:
    """Reads back what came of the sample since a mark, while that still stands. uid: its own."""

    def __init__(self, bed: Bed, uid: str) -> None:
        self._bed, self._uid = bed, uid
        self._endpoint = Endpoint(bed.control_plane.server, bed.control_plane.ca_file)

    def recipe(self, mark: Mark) -> Recipe:
        """The steps in the order in which they were answered."""
        audit = Audit(self._bed)
        timed = [
            *((e["stageTimestamp"], self._kubernetes(e)) for e in _about_sample(audit, mark)),
            *((e["time"], self._vault(e)) for e in _of_sample(audit, mark)),
        ]
        steps = tuple(step for _, step in sorted(timed, key=lambda pair: pair[0]))
        return Recipe(self._uid, steps)

    def _kubernetes(self, event: dict[str, Any]) -> Step:
        verb, uri, ref = event["verb"], event["requestURI"], event["objectRef"]
        if verb == "get":
            return Step("kubernetes", "GET", uri)
        if verb == "create":
            path = f"{uri}/{ref['name']}"
            return _change("POST", uri, self._made(path), target=path)
        if verb == "update":
            return _change("PUT", uri, self._replaced(uri), target=uri)
        if verb == "delete":
            options = {"preconditions": {"uid": UID}, "propagationPolicy": "Background"}
            return _change("DELETE", uri, options, target=uri)
        if ref["resource"] != "agentidentities":
            raise RuntimeError(f"the floor doesn't know how to play {verb} {uri}")
        subresource = ref.get("subresource", "")
        target = uri.removesuffix(f"/{subresource}")
        return _change("PATCH", uri, self._patched(subresource), target=target)

    def _made(self, path: str) -> dict[str, Any]:
        body = self._read(path)
        metadata = {k: v for k, v in body["metadata"].items() if k not in KEPT_BY_SERVER}
        return body | {"metadata": metadata}

    def _replaced(self, path: str) -> dict[str, Any]:
        body = self._made(path)
        return body | {"metadata": body["metadata"] | {"uid": UID, "resourceVersion": VERSION}}

    def _patched(self, subresource: str) -> dict[str, Any]:
        """A status, or the finalizers."""
        body = self._read(f"{IDENTITIES_PATH}/{SAMPLE}")
        if subresource == "status":
            return {"metadata": {"uid": self._uid}, "status": body["status"]}
        finalizers = body["metadata"]["finalizers"]
        metadata = {"uid": self._uid, "resourceVersion": VERSION, "finalizers": finalizers}
        return {"metadata": metadata}

    def _vault(self, entry: dict[str, Any]) -> Step:
        path = f"/v1/{entry['path']}"
        if entry["operation"] in {"read", "delete"}:
            return Step("vault", {"read": "GET", "delete": "DELETE"}[entry["operation"]], path)
        return Step("vault", "POST", path, json.dumps(self._bed.openbao.read(entry["path"])))

    def _read(self, path: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._bed.control_plane.admin_token}"}
        answer = self._endpoint.call("GET", path, headers=headers)
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"what the operator made is gone: {path}: {answer.text}")
        return answer.json()


def _change(method: str, path: str, body: dict[str, Any], *, target: str) -> Step:
    content_type = MERGE_PATCH if method == "PATCH" else JSON
    return Step("kubernetes", method, path, json.dumps(body), content_type, target)


def _about_sample(audit: Audit, mark: Mark) -> Iterator[dict[str, Any]]:
    """While the sample is the only identity, all in its namespace is about it, and so is what is
    read of classes."""
    for event in audit.kubernetes_events(mark):
        ref, verb = event.get("objectRef") or {}, event["verb"]
        here = ref.get("namespace") == NAMESPACE and ref.get("resource") not in UNPLAYED
        seen = verb == "get" and ref.get("resource") == CLASSES
        if (here and verb in CHANGES | {"get"}) or seen:
            yield event


def _of_sample(audit: Audit, mark: Mark) -> Iterator[dict[str, Any]]:
    for entry in audit.vault_entries(mark):
        if SAMPLE in entry["path"] and entry["operation"] in CHANGES | {"read"}:
            yield entry
