"""What is measured: one namespace, one class that uses everything, and identities that ask for
something in every room."""

from typing import Any

from testbed.bed import Bed
from testbed.tenant import RBAC, Tenant, class_manifest, identity_manifest

NAMESPACE = "bench"
CLASS = "bench"
CALLER = "caller"
# Long enough never to be part of another word in what the operator writes.
SAMPLE = "sample-of-the-bench"
ROLE = "ticket-reader"
IDENTITIES_PATH = f"/apis/agentidentity.dev/v1alpha1/namespaces/{NAMESPACE}/agentidentities"
CLASS_PATH = f"/apis/agentidentity.dev/v1alpha1/agentidentityclasses/{CLASS}"
POLICIES_PATH = f"/apis/security.istio.io/v1/namespaces/{NAMESPACE}/authorizationpolicies"
BINDINGS_PATH = f"/apis/{RBAC}/namespaces/{NAMESPACE}/rolebindings"


def settle(bed: Bed) -> Tenant:
    """A namespace with everything that identities refer to; the operator makes its class Ready."""
    client = bed.control_plane.client()
    team = Tenant(bed, client, NAMESPACE, CLASS)
    namespace = {"metadata": {"name": NAMESPACE, "labels": {"agents": "allowed"}}}
    client.resources.get(api_version="v1", kind="Namespace").create(body=namespace)
    client.resources.get(api_version=RBAC, kind="ClusterRole").create(body=_ticket_reader())
    team.create(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": CALLER, "namespace": NAMESPACE},
        }
    )
    team.create(class_manifest(CLASS, bed))
    return team


def names(count: int) -> list[str]:
    return [f"agent-{number:05d}" for number in range(count)]


def manifest(name: str) -> dict[str, Any]:
    """An identity with callers, a ClusterRole and a policy for secrets."""
    return identity_manifest(
        NAMESPACE,
        name,
        className=CLASS,
        inbound={"enforcement": "Enforce", "rules": [_rule("tasks", "/v1/tasks")]},
        rbac={"clusterRoles": [ROLE]},
        vault={"policies": ["own-secrets"]},
    )


def other_spec(turn: int) -> dict[str, Any]:
    """A merge patch after which an agent takes calls at another path, and its tokens live for
    another while: what the mesh and Vault have of it changes."""
    rules = [_rule("tasks", f"/v{turn + 2}/tasks")]
    asked = {"inbound": {"rules": rules}, "vault": {"tokenTTLSeconds": 1000 + turn}}
    return {"spec": asked}


def with_baseline() -> dict[str, Any]:
    """A merge patch after which every agent of the class is open to a scraper."""
    return {"spec": {"inbound": {"rules": [_rule("metrics", "/metrics")]}}}


def with_roles(*roles: str) -> dict[str, Any]:
    """A merge patch after which the class lists these ClusterRoles."""
    return {"spec": {"rbac": {"clusterRoles": list(roles)}}}


def _rule(name: str, path: str) -> dict[str, Any]:
    return {
        "name": name,
        "from": [{"kind": "ServiceAccount", "namespace": NAMESPACE, "name": CALLER}],
        "ports": [8080],
        "protocol": "HTTP",
        "http": {"methods": ["POST"], "paths": [path]},
    }


def _ticket_reader() -> dict[str, Any]:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    return {"metadata": {"name": ROLE}, "rules": rules}
