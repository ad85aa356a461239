"""Documents as one set of manifests: ours by name, each once, and the world that they make."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from agent_identity.cli.documents import NAMESPACED, Document, Documents
from agent_identity.cli.findings import Finding, Severity, title
from agent_identity.cli.shape import shape_findings
from agent_identity.cli.surroundings import Surroundings, assume_accounts, surroundings
from agent_identity.core.facts import Cluster
from agent_identity.core.resource import Key, Subject

Name = tuple[str, Key]

_SUBJECTS = {subject.value: subject for subject in Subject}


@dataclass(frozen=True, slots=True)
class Manifests:
    """documents: by kind and name. findings: what is wrong with each by itself."""

    documents: dict[Name, Document]
    findings: tuple[Finding, ...]
    around: Surroundings
    ignored: int

    def identity(self, key: Key) -> Document:
        return self.documents["AgentIdentity", key]

    def of_kind(self, kind: str) -> list[Key]:
        """Names of all objects of a kind, sorted."""
        return sorted(key for found, key in self.documents if found == kind)


def manifests(read: Documents, cluster: Cluster, *, namespace: str) -> Manifests:
    """namespace: of identities that name none, as with kubectl."""
    documents = [_placed(d, namespace) for d in read.items]
    findings = [f for d in documents if d.is_ours for f in shape_findings(d)]
    named: dict[Name, Document] = {}
    for document in documents:
        name = _name(document)
        if name is None:
            continue
        if name in named:
            findings.append(_twice(document, named[name]))
        named.setdefault(name, document)
    return Manifests(named, tuple(findings), _around(named, cluster), read.ignored)


def _placed(document: Document, namespace: str) -> Document:
    metadata = document.body.get("metadata")
    if document.kind not in NAMESPACED or not isinstance(metadata, dict):
        return document
    if metadata.get("namespace"):
        return document
    return replace(document, body=document.body | {"metadata": metadata | {"namespace": namespace}})


def _name(document: Document) -> Name | None:
    """None where there is no name to speak of; the object's shape is told elsewhere."""
    metadata = document.body.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return None
    namespace = str(metadata["namespace"]) if document.kind in NAMESPACED else ""
    subject = _SUBJECTS.get(document.kind, Subject.IDENTITY)
    return document.kind, Key(namespace, metadata["name"], subject)


def _twice(document: Document, first: Document) -> Finding:
    where = first.where(("metadata", "name"))
    return Finding(
        Severity.ERROR,
        document.where(("metadata", "name")),
        title(document),
        "metadata.name",
        f"is there twice, first in {where}",
        "Leave one out: which one counts depends on the order in which they are applied.",
    )


def _around(named: dict[Name, Document], cluster: Cluster) -> Surroundings:
    around = surroundings(
        cluster,
        _bodies(named, "AgentIdentity"),
        _bodies(named, "AgentIdentityClass"),
        _bodies(named, "Namespace"),
        grants=_bodies(named, "AgentAccessGrant"),
    )
    assume_accounts(around.world, around.identities())
    return around


def _bodies(named: dict[Name, Document], kind: str) -> Iterable[dict[str, Any]]:
    for (found, key), document in sorted(named.items(), key=lambda n: n[0]):
        if found == kind:
            spot = {"name": key.name} | ({"namespace": key.namespace} if key.namespace else {})
            yield document.body | {"metadata": _plain(document.body["metadata"]) | spot}


def _plain(metadata: dict[str, Any]) -> dict[str, Any]:
    """Only what decides something, and only where it is of the right type."""
    texts = ("uid", "creationTimestamp", "resourceVersion")
    labels = metadata.get("labels")
    labels = labels if isinstance(labels, dict) else {}
    kept = {k: metadata[k] for k in texts if isinstance(metadata.get(k), str)}
    return kept | {"labels": {k: w for k, w in labels.items() if isinstance(w, str)}}
