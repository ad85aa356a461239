"""Specs that the cases start from: together they have a value at every place of every kind.

SCENE stands for the name of the place where a case is played, which is also its namespace and its
class; VAULT and VAULT_CA for the bed's OpenBao.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from testbed.tenant import OURS

Body = dict[str, Any]
SCENE, VAULT, VAULT_CA = "SCENE", "VAULT_ADDRESS", "VAULT_CA"
SHOP = f"{SCENE}-shop"
OPEN, TWIN, STRICT, AMBIENT = "fields-open", "fields-twin", "fields-strict", "fields-ambient"
READER, OTHER_READER = "ticket-reader", "event-reader"
VAULT_NAMESPACE = "team"
ROLE_ARN = "eks.amazonaws.com/role-arn"
AGENT, PLANNER, TESTER, ORDERS = "agent", "planner", "tester", "orders"
LABEL = "agentidentity.dev/identity"


@dataclass(frozen=True, slots=True)
class Seed:
    """before: what stands around it, over many cases. after: what is made once the subject is
    there, and goes before it. again: paths that are also tried from this seed though an earlier one
    has them."""

    kind: str
    name: str
    subject: Body
    before: tuple[Body, ...] = ()
    after: tuple[Body, ...] = ()
    again: tuple[str, ...] = ()

    @property
    def spec(self) -> Body:
        return {"spec": self.subject["spec"]}


def body(kind: str, name: str, spec: Mapping[str, Any], namespace: str = "") -> Body:
    where = {"namespace": namespace} if namespace else {}
    metadata = {"name": name, **where}
    return {"apiVersion": OURS, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def namespace(name: str) -> Body:
    metadata = {"name": name, "labels": {"agents": "allowed"}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


# --- rules

_AGENT = {"kind": "AgentIdentity", "namespace": SCENE, "name": AGENT}
_PLANNER = {"kind": "AgentIdentity", "name": PLANNER}
_FRONT = {"kind": "ServiceAccount", "namespace": "web", "name": "front"}
_SHOPPERS = {"kind": "AllAgentIdentities", "namespace": SHOP}


def _rules(*first: Body) -> list[Body]:
    """One of each protocol."""
    return [
        {
            "name": "read",
            "from": [*first, _FRONT],
            "ports": [8080, 8081],
            "protocol": "HTTP",
            "http": {"methods": ["GET", "POST"], "paths": ["/v1/orders", "/v1/orders/{*}"]},
        },
        {
            "name": "stream",
            "from": [*first, _SHOPPERS],
            "ports": [9090],
            "protocol": "GRPC",
            "grpc": {"services": ["shop.v1.Orders", "shop.v1.Stock"], "methods": ["Get", "List"]},
        },
        {"name": "raw", "from": [_FRONT, *first], "ports": [9000, 9001], "protocol": "TCP"},
    ]


# --- identities


def _identity(name: str, class_name: str, where: str = SCENE, **spec: Any) -> Body:
    return body("AgentIdentity", name, {"className": class_name, **spec}, where)


def _outbound(*rules: str) -> Body:
    return {"namespace": SHOP, "grant": ORDERS, "rules": list(rules)}


def _full(class_name: str, **more: Any) -> Body:
    """Asks for something in every room."""
    return {
        "className": class_name,
        "serviceAccount": {
            "name": "agent-account",
            "annotations": {ROLE_ARN: "arn:one", "team.example/k": "v"},
            "imagePullSecrets": [{"name": "regcred"}, {"name": "spare"}],
        },
        "inbound": {"enforcement": "Enforce", "rules": _rules(_PLANNER)},
        "outbound": [_outbound("read", "raw"), {**_outbound("all"), "grant": "stock"}],
        "rbac": {"clusterRoles": [READER, OTHER_READER]},
        "vault": {"policies": ["own-secrets", "team"], "tokenTTLSeconds": 600},
        **more,
    }


def _names_agent(name: str, caller: Body) -> Body:
    """A grant that shows what the agent is to those it calls."""
    rules = [
        {**_rules(caller)[2], "name": rule, "from": [caller]} for rule in ("raw", "read", "all")
    ]
    spec = {"selector": {"matchLabels": {"app": name}}, "enforcement": "Enforce", "rules": rules}
    return body("AgentAccessGrant", name, spec, SHOP)


def _service() -> Body:
    """Leads to the agent, where a waypoint needs one."""
    ports = [{"name": f"p{port}", "port": port} for port in (8080, 8081, 9090)]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": AGENT, "namespace": SCENE},
        # Headless, since a bed has no more than 254 addresses.
        "spec": {"clusterIP": "None", "selector": {LABEL: AGENT}, "ports": ports},
    }


_AROUND_IDENTITIES = (
    namespace(SCENE),
    namespace(SHOP),
    _service(),
    _identity(PLANNER, OPEN, inbound={"enforcement": "Enforce", "rules": _rules(_AGENT)[:1]}),
    _identity(TESTER, OPEN, SHOP),
    _names_agent(ORDERS, _AGENT),
    _names_agent("stock", {"kind": "AllAgentIdentities", "namespace": SCENE}),
)


def _of_identity(name: str, spec: Body, *again: str) -> Seed:
    subject = body("AgentIdentity", AGENT, spec, SCENE)
    return Seed("AgentIdentity", name, subject, _AROUND_IDENTITIES, again=again)


# One rule: what would be written is told in 1,024 characters.
_SHADOW = {"inbound": {"enforcement": "Shadow", "rules": _rules(_PLANNER)[:1]}}
_IDENTITIES = (
    _of_identity("sidecar", _full(OPEN)),
    _of_identity("ambient", _full(AMBIENT), "spec.className", "spec.inbound"),
    _of_identity("shadow", _full(OPEN, **_SHADOW), "spec.className", "spec.inbound"),
)

# --- classes


def vault(*policies: Body, **more: Any) -> Body:
    return {
        "address": VAULT,
        "caBundle": VAULT_CA,
        "login": {"mount": "kubernetes", "role": "agent-identity-operator"},
        "agentAuth": {"mount": "kubernetes", "audience": "vault"},
        "defaultTokenTTLSeconds": 900,
        "maxTokenTTLSeconds": 3600,
        "policies": list(policies),
        **more,
    }


def _own_secrets(*capabilities: str) -> Body:
    path = "kv/data/{namespace}/{serviceAccount}/*"
    meta = {"path": "kv/metadata/{cluster}/{namespace}", "capabilities": ["list", "read"]}
    rules = [{"path": path, "capabilities": list(capabilities)}, meta]
    return {"name": "own-secrets", "rules": rules}


_TEAM = {"name": "team", "policyName": "team-x"}
_BASE_RULES = [{**r, "name": f"base-{r['name']}"} for r in _rules({**_PLANNER, "namespace": SCENE})]


def _class_spec(**more: Any) -> Body:
    return {
        "namespaceSelector": {"matchLabels": {"agents": "allowed"}},
        "serviceAccounts": {"annotationKeys": [ROLE_ARN, "team.example/k"]},
        "inbound": {"minimumEnforcement": "Shadow", "rules": _BASE_RULES},
        "mesh": {"type": "Istio", "istio": {"dataPlane": "Sidecar"}},
        "rbac": {"clusterRoles": [READER, OTHER_READER]},
        "vault": vault(_own_secrets("read", "list"), _TEAM),
        **more,
    }


def _ambient(**waypoint: str) -> Body:
    return {
        "type": "Istio",
        "istio": {"dataPlane": "Ambient", "waypoint": {"serviceAccount": "waypoint", **waypoint}},
    }


def shared_classes() -> list[Body]:
    """Of all cases whose subject is no class."""
    none = {"inbound": {"minimumEnforcement": "Shadow"}}
    narrow = {
        "inbound": {"minimumEnforcement": "Enforce"},
        "rbac": {"clusterRoles": [READER]},
        "vault": vault(_own_secrets("read")),
    }
    specs = {
        OPEN: _class_spec(**none),
        TWIN: _class_spec(**none),
        STRICT: _class_spec(**narrow),
        AMBIENT: _class_spec(mesh=_ambient(), **none),
    }
    return [body("AgentIdentityClass", name, spec) for name, spec in specs.items()]


_BY_CLASS = (
    _identity(AGENT, SCENE, **{k: v for k, v in _full("").items() if k != "className"}),
    # Asks for what is left to the class, and for less than the agent.
    _identity(PLANNER, SCENE, vault={"policies": ["own-secrets"]}, inbound=_SHADOW["inbound"]),
)
_AROUND_CLASSES = (
    namespace(SCENE),
    namespace(SHOP),
    _service(),
    _identity(TESTER, OPEN, SHOP),
    _names_agent(ORDERS, _AGENT),
)
_BARE = (_identity(AGENT, SCENE, rbac={"clusterRoles": [READER]}),)
_NO_MESH = {
    "namespaceSelector": {"matchLabels": {}},
    "mesh": {"type": "None"},
    "rbac": {"clusterRoles": [READER]},
}


def _of_class(name: str, spec: Body, after: tuple[Body, ...], *again: str) -> Seed:
    subject = body("AgentIdentityClass", SCENE, spec)
    return Seed("AgentIdentityClass", name, subject, _AROUND_CLASSES, after, again)


_CLASSES = (
    _of_class("sidecar", _class_spec(), _BY_CLASS),
    _of_class(
        "ambient",
        _class_spec(
            mesh=_ambient(namespace=SHOP),
            vault=vault(_own_secrets("read"), _TEAM, namespace=VAULT_NAMESPACE),
        ),
        _BY_CLASS,
        "spec.mesh",
        "spec.inbound",
        "spec.vault",
    ),
    _of_class(
        "bare",
        _NO_MESH,
        _BARE,
        "spec",
        "spec.mesh",
    ),
)

# --- grants

_AROUND_GRANTS = (
    namespace(SCENE),
    namespace(SHOP),
    _identity(AGENT, OPEN, outbound=[_outbound("read", "stream", "raw")]),
    _identity(PLANNER, OPEN, outbound=[_outbound("read", "stream")]),
    _identity(TESTER, OPEN, SHOP, outbound=[_outbound("stream")]),
)
_SELECTOR = {"selector": {"matchLabels": {"app": ORDERS, "tier": "web"}}}
_TARGETS = {
    "targetRefs": [{"kind": "Service", "name": ORDERS}, {"kind": "Gateway", "name": "door"}],
    "onDelete": "Open",
}


def _of_grant(name: str, enforcement: str, target: Body, *again: str) -> Seed:
    spec = {"enforcement": enforcement, "onDelete": "Close", "rules": _rules(_AGENT), **target}
    subject = body("AgentAccessGrant", ORDERS, spec, SHOP)
    return Seed("AgentAccessGrant", name, subject, _AROUND_GRANTS, again=again)


_GRANTS = (
    _of_grant("workload", "Enforce", _SELECTOR),
    _of_grant("waypoint", "Enforce", _TARGETS, "spec.targetRefs", "spec.onDelete"),
    _of_grant("shadow", "Shadow", {**_SELECTOR, "rules": _rules(_AGENT)[:1]}, "spec"),
)

SEEDS = (*_IDENTITIES, *_CLASSES, *_GRANTS)


def seed_of(kind: str, name: str) -> Seed:
    return next(s for s in SEEDS if (s.kind, s.name) == (kind, name))


def filled(template: Any, words: Mapping[str, str]) -> Any:
    """A copy with the words replaced, in keys too."""
    if isinstance(template, dict):
        return {filled(k, words): filled(v, words) for k, v in template.items()}
    if isinstance(template, list):
        return [filled(item, words) for item in template]
    if isinstance(template, str):
        for word in sorted(words, key=len, reverse=True):
            template = template.replace(word, words[word])
    return template
