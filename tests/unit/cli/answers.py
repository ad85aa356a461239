"""A cluster that is made up: its API server's answers, and the graph of what a reader sees."""

from collections.abc import Mapping
from typing import Any

from sets import Manifest, agent_class, full, identity, namespace

from agent_identity.cli.cluster import Reader
from agent_identity.cli.documents import Document, Documents
from agent_identity.cli.graph import Graph
from agent_identity.cli.graph_build import graph
from agent_identity.cli.graph_cluster import of_cluster
from agent_identity.cli.manifests import manifests
from agent_identity.cli.render import PSEUDO, render
from agent_identity.core.facts import Cluster
from agent_identity.core.grants import main_ref
from agent_identity.core.identity import parse_grant
from agent_identity.core.ownership import owned_metadata

CLUSTER = Cluster("prod", "example.org", "istio-system")
PLACES = {
    "AgentIdentity": ("/apis/agentidentity.dev/v1alpha1", "agentidentities"),
    "AgentIdentityClass": ("/apis/agentidentity.dev/v1alpha1", "agentidentityclasses"),
    "AgentAccessGrant": ("/apis/agentidentity.dev/v1alpha1", "agentaccessgrants"),
    "Namespace": ("/api/v1", "namespaces"),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "Pod": ("/api/v1", "pods"),
    "Service": ("/api/v1", "services"),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "PeerAuthentication": ("/apis/security.istio.io/v1", "peerauthentications"),
    "AuthorizationPolicy": ("/apis/security.istio.io/v1", "authorizationpolicies"),
}
KINDS = {plural: kind for kind, (_, plural) in PLACES.items()}


def live(manifest: Manifest) -> Manifest:
    name = manifest["metadata"]["name"]
    given = {"uid": f"uid-of-{name}", "resourceVersion": "1", "generation": 1}
    return manifest | {"metadata": given | manifest["metadata"]}


def with_status(manifest: Manifest, **conditions: str) -> Manifest:
    rows = [
        {"type": kind, "status": status, "reason": "X", "message": "as told"}
        for kind, status in ({"InboundReady": "True"} | conditions).items()
    ]
    account = manifest["metadata"]["name"]
    return manifest | {"status": {"serviceAccount": account, "conditions": rows}}


class FakeCluster:
    """Objects as the operator would have them. refused: ends of paths that are answered 403;
    gone: 404."""

    def __init__(self, *agents: Manifest, ambient: Manifest | None = None) -> None:
        """ambient: how the mesh is run, if it has no sidecars."""
        mesh = {"mesh": {"type": "Istio", "istio": ambient}} if ambient else {}
        known = agents or (full(), identity("planner"))
        self.objects: list[Manifest] = [
            *(with_status(live(agent)) for agent in known),
            *(
                live(agent_class(n, **mesh))
                for n in {a["spec"].get("className", "default") for a in known}
            ),
            *(live(namespace(n)) for n in {a["metadata"]["namespace"] for a in known}),
        ]
        self.refused: tuple[str, ...] = ()
        self.gone: tuple[str, ...] = ()
        self._bring_about()

    def _bring_about(self) -> None:
        """By the program's own rendering."""
        read = Documents(tuple(Document("x", body, None) for body in self.objects))  # type: ignore[arg-type]
        for written in render(manifests(read, CLUSTER, namespace="default"), None).objects:
            if written.body["apiVersion"] != PSEUDO:
                self.objects.append(live(dict(written.body)))

    def without(self, kind: str) -> None:
        self.objects = [body for body in self.objects if body["kind"] != kind]

    def __call__(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        if path.endswith(self.refused):
            return 403, {"message": "forbidden"}
        if path.endswith(self.gone):
            return 404, {"message": "not found"}
        *above, last = path.split("/")
        if last not in KINDS:
            return 200, next(self._of(KINDS[above[-1]], "", last))
        place = above[-1] if above[-2] == "namespaces" else ""
        return 200, {"items": list(self._of(KINDS[last], place, ""))}

    def _of(self, kind: str, place: str, name: str) -> Any:
        for body in self.objects:
            metadata = body["metadata"]
            here = not place or metadata.get("namespace") == place
            if body["kind"] == kind and here and name in ("", metadata["name"]):
                yield body


def policy_of(grant: Manifest) -> Manifest:
    """A grant's AuthorizationPolicy, as far as the graph looks at it."""
    known = parse_grant(live(grant))
    metadata = owned_metadata(known, main_ref(known.key))
    spec = {"action": "ALLOW", "selector": grant["spec"].get("selector")}
    return live({"kind": "AuthorizationPolicy", "metadata": metadata, "spec": spec})


def seen(cluster: FakeCluster, place: str = "") -> Graph:
    return graph(of_cluster(Reader(cluster), CLUSTER, place))


def edges(drawn: Graph) -> list[tuple[str, str, str]]:
    return [(e.source, e.target, e.state.value) for e in drawn.edges]
