"""Objects as the API server would give them, for unit tests."""

from typing import Any

from agent_identity.core.facts import Cluster, Facts
from agent_identity.core.identity import (
    AgentClass,
    Identity,
    Namespace,
    parse_class,
    parse_identity,
)

CLUSTER = Cluster(name="prod", trust_domain="cluster.local", mesh_root_namespace="istio-system")


def metadata(name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "uid": f"uid-of-{name}",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        **({"namespace": namespace} if namespace else {}),
        **more,
    }


def identity_of(name: str = "agent", namespace: str = "agents", **spec: Any) -> Identity:
    return parse_identity({"metadata": metadata(name, namespace), "spec": spec})


def class_of(**spec: Any) -> AgentClass:
    body = {
        "namespaceSelector": {"matchLabels": {"agents": "allowed"}},
        "mesh": {"type": "Istio", "istio": {"dataPlane": "Sidecar"}},
        "serviceAccounts": {"annotationKeys": ["eks.amazonaws.com/role-arn"]},
        "rbac": {"clusterRoles": ["ticket-reader"]},
        "vault": {
            "address": "https://vault.example:8200",
            "login": {"mount": "kubernetes", "role": "operator"},
            "agentAuth": {"mount": "kubernetes", "audience": "vault"},
            "defaultTokenTTLSeconds": 900,
            "maxTokenTTLSeconds": 3600,
            "policies": [
                {
                    "name": "own-secrets",
                    "rules": [
                        {
                            "path": "kv/data/{namespace}/{serviceAccount}/*",
                            "capabilities": ["read"],
                        }
                    ],
                },
                {"name": "team", "policyName": "team-x"},
            ],
        },
    }
    return parse_class({"metadata": metadata("default"), "spec": body | spec})


def namespace_of(name: str = "agents", **labels: str) -> Namespace:
    return Namespace(name, f"uid-of-{name}", labels or {"agents": "allowed"}, deleting=False)


def facts_of(identity: Identity, agent_class: AgentClass | None = None, **more: Any) -> Facts:
    defaults: dict[str, Any] = {
        "cluster": CLUSTER,
        "identity": identity,
        "agent_class": agent_class or class_of(),
        "namespace": namespace_of(identity.key.namespace),
        "observed": {},
    }
    return Facts(**(defaults | more))
