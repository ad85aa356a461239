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
IDENTITIES_PATH = f"/apis/agentidentity.dev/v1alpha1/namespaces/{NAMESPACE}/agentidentities"


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
    rule = {
        "name": "tasks",
        "from": [{"kind": "ServiceAccount", "namespace": NAMESPACE, "name": CALLER}],
        "ports": [8080],
        "protocol": "HTTP",
        "http": {"methods": ["POST"], "paths": ["/v1/tasks"]},
    }
    return identity_manifest(
        NAMESPACE,
        name,
        className=CLASS,
        inbound={"enforcement": "Enforce", "rules": [rule]},
        rbac={"clusterRoles": ["ticket-reader"]},
        vault={"policies": ["own-secrets"]},
    )


def _ticket_reader() -> dict[str, Any]:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    return {"metadata": {"name": "ticket-reader"}, "rules": rules}
