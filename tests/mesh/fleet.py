"""The objects of the matrix: agents that call and are called, and workloads that are none."""

from typing import Any

from testbed.tenant import Manifest, class_manifest, identity_manifest
from testbed.workload import GRPC_PORT, HTTP_PORT, SECOND_HTTP_PORT, TCP_PORT

AGENTS, RESEARCH, WEB, WATCH = "agents", "research", "web", "watch"
FLEET, BARE, MIGRATING = "fleet", "bare", "migrating"
ALIVE = {
    HTTP_PORT: ("GET", "/alive"),
    SECOND_HTTP_PORT: ("GET", "/alive"),
    GRPC_PORT: ("POST", "/probe.v1.Alive/Check"),
    TCP_PORT: ("", ""),
}


def agent(name: str, namespace: str = "") -> Manifest:
    """As a caller in a rule."""
    return {"kind": "AgentIdentity", "name": name} | ({"namespace": namespace} if namespace else {})


def agents_of(namespace: str) -> Manifest:
    return {"kind": "AllAgentIdentities", "namespace": namespace}


def account(namespace: str, name: str) -> Manifest:
    return {"kind": "ServiceAccount", "namespace": namespace, "name": name}


def http_rule(
    name: str, callers: list[Manifest], ports: list[int], methods: list[str], paths: list[str]
) -> Manifest:
    allowed = {"methods": methods, "paths": paths}
    return _rule(name, callers, ports, "HTTP") | {"http": allowed}


def grpc_rule(
    name: str, callers: list[Manifest], ports: list[int], services: list[str], methods: list[str]
) -> Manifest:
    allowed = {"services": services, "methods": methods}
    return _rule(name, callers, ports, "GRPC") | {"grpc": allowed}


def tcp_rule(name: str, callers: list[Manifest], ports: list[int]) -> Manifest:
    return _rule(name, callers, ports, "TCP")


def _rule(name: str, callers: list[Manifest], ports: list[int], protocol: str) -> dict[str, Any]:
    return {"name": name, "from": callers, "ports": ports, "protocol": protocol}


def namespace(name: str, **labels: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def service_account(place: str, name: str) -> Manifest:
    metadata = {"name": name, "namespace": place}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def inbound(*rules: Manifest, enforcement: str = "Enforce") -> dict[str, Any]:
    return {"enforcement": enforcement, "rules": list(rules)}


def baseline() -> list[Manifest]:
    """Lets a prober in at every agent of the class, at every port."""
    prober = [account(WATCH, "prober")]
    return [
        http_rule("alive", prober, [HTTP_PORT, SECOND_HTTP_PORT], ["GET"], ["/alive"]),
        grpc_rule("alive-grpc", prober, [GRPC_PORT], ["probe.v1.Alive"], ["Check"]),
        tcp_rule("alive-tcp", prober, [TCP_PORT]),
    ]


NAMESPACES = [
    namespace(AGENTS, agents="allowed"),
    namespace(RESEARCH, agents="allowed"),
    namespace(WEB),
    namespace(WATCH),
]
ACCOUNTS = [
    service_account(WEB, "gateway"),
    service_account(WEB, "batch"),
    service_account(WEB, "site"),
    # Of the same name as an agent, and none.
    service_account(WEB, "planner"),
    service_account(AGENTS, "stray"),
    service_account(WATCH, "prober"),
]
CLASSES = [
    class_manifest(FLEET, None, inbound={"rules": baseline()}),
    class_manifest(BARE, None),
    class_manifest(MIGRATING, None, inbound={"minimumEnforcement": "Shadow"}),
]
BILLING = inbound(
    http_rule(
        "tasks",
        [agent("planner"), account(WEB, "gateway")],
        [HTTP_PORT],
        ["POST"],
        ["/v1/tasks", "/v1/tasks/{*}"],
    ),
    http_rule(
        "docs",
        [agents_of(RESEARCH)],
        [HTTP_PORT, SECOND_HTTP_PORT],
        ["GET", "HEAD"],
        ["/docs/*", "/v1.0/info", "/files/{*}/parts/{**}"],
    ),
    http_rule("drafts", [agent("writer")], [HTTP_PORT], ["PUT"], ["/drafts"]),
    grpc_rule("orders", [agent("planner")], [GRPC_PORT], ["shop.v1.Orders"], ["Get", "List"]),
    grpc_rule("admin", [account(WEB, "gateway")], [GRPC_PORT], ["shop.v1.Admin"], ["*"]),
    tcp_rule("stream", [agent("planner")], [TCP_PORT]),
    tcp_rule("raw", [account(WEB, "batch")], [SECOND_HTTP_PORT]),
)
IDENTITIES = [
    identity_manifest(AGENTS, "billing", className=FLEET, inbound=BILLING),
    # Whoever may call is not there.
    identity_manifest(
        AGENTS,
        "ledger",
        className=BARE,
        inbound=inbound(tcp_rule("ghosts", [agent("ghost")], [HTTP_PORT, TCP_PORT])),
    ),
    identity_manifest(AGENTS, "silent", className=FLEET),
    identity_manifest(AGENTS, "open", className=MIGRATING, inbound=inbound(enforcement="Shadow")),
    identity_manifest(AGENTS, "planner", className=BARE),
    identity_manifest(AGENTS, "writer", className=BARE, serviceAccount={"name": "writer-account"}),
    identity_manifest(RESEARCH, "reader", className=BARE),
    identity_manifest(RESEARCH, "indexer", className=BARE),
]
# Namespace and account of everybody with a certificate of the mesh.
CALLERS = [
    (AGENTS, "planner"),
    (AGENTS, "writer-account"),
    (AGENTS, "stray"),
    (AGENTS, "billing"),
    (RESEARCH, "reader"),
    (RESEARCH, "indexer"),
    (WEB, "gateway"),
    (WEB, "batch"),
    (WEB, "planner"),
    (WATCH, "prober"),
]
