"""Manifests in which every state of an edge occurs, through the program itself."""

from pathlib import Path
from typing import Any

import yaml

from agent_identity.cli.main import run

OURS = "agentidentity.dev/v1alpha1"
Manifest = dict[str, Any]


def rule(name: str, *callers: Manifest, **more: Any) -> Manifest:
    http = {"methods": ["GET", "POST"], "paths": ["/v1/tasks", "/v1/tasks/{*}"]}
    return {
        "name": name,
        "from": list(callers),
        "ports": [8080],
        "protocol": "HTTP",
        "http": http,
    } | more


def agent(name: str, namespace: str = "agents") -> Manifest:
    return {"kind": "AgentIdentity", "namespace": namespace, "name": name}


def workload(name: str, namespace: str) -> Manifest:
    return {"kind": "ServiceAccount", "namespace": namespace, "name": name}


def every_agent(namespace: str) -> Manifest:
    return {"kind": "AllAgentIdentities", "namespace": namespace}


def identity(name: str, *rules: Manifest, namespace: str = "agents", **spec: Any) -> Manifest:
    inbound = {"inbound": {"enforcement": "Enforce", "rules": list(rules)}} if rules else {}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": OURS, "kind": "AgentIdentity", "metadata": metadata} | {
        "spec": inbound | spec
    }


def agent_class(name: str, **spec: Any) -> Manifest:
    open_to_all = {"namespaceSelector": {"matchLabels": {}}}
    metadata = {"name": name}
    return {"apiVersion": OURS, "kind": "AgentIdentityClass", "metadata": metadata} | {
        "spec": open_to_all | spec
    }


ISTIO = {"type": "Istio", "istio": {"dataPlane": "Sidecar"}}
SCRAPE = rule(
    "scrape",
    workload("prometheus", "monitoring"),
    http={"methods": ["GET"], "paths": ["/metrics"]},
)
RPC = rule("rpc", agent("planner"), protocol="GRPC", ports=[9000]) | {
    "grpc": {"services": ["shop.v1.Orders"], "methods": ["Get", "List"]}
}
RPC.pop("http")
BILLING_RULES = (
    rule(
        "tasks",
        agent("planner"),
        agent("ghost"),
        workload("gateway", "web"),
        every_agent("research"),
    ),
    RPC,
)
TOWN: list[Manifest] = [
    agent_class("default", mesh=ISTIO, inbound={"minimumEnforcement": "Shadow", "rules": [SCRAPE]}),
    agent_class("meshless", mesh={"type": "None"}),
    identity("planner"),
    identity("billing-agent", *BILLING_RULES),
    identity(
        "shady", inbound={"enforcement": "Shadow", "rules": [rule("tasks", agent("planner"))]}
    ),
    identity("reporter", rule("reports", agent("planner")), rbac={"clusterRoles": ["root"]}),
    identity("reader", namespace="research"),
    identity("writer", rule("drafts", agent("reporter")), namespace="research"),
    identity("legacy", namespace="web", className="meshless"),
]


def written(manifests: list[Manifest], directory: Path, form: str = "html") -> Path:
    """What the program writes for manifests, as a file."""
    source, target = directory / "manifests.yaml", directory / f"graph.{form}"
    source.write_text(yaml.safe_dump_all(manifests))
    run(["graph", str(source), "--output", form, "--file", str(target)])
    return target
