"""Specs that nobody should get through with, as data: each differs from a good one in one place.

Because all the rest is good, a refusal can only be about that place. `tests/cluster/
test_hostile_specs.py` posts them.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Manifest = dict[str, Any]
Edits = Mapping[str, object]
"""Where (keys and indices with slashes between them) → what stands there instead."""

GONE: Final = object()
MIB: Final = 1024 * 1024


@dataclass(frozen=True)
class Renamed:
    """The same value under a misspelt key."""

    key: str


def edited(manifest: Manifest, edits: Edits) -> Manifest:
    """A copy of a manifest that differs in these places."""
    body = copy.deepcopy(manifest)
    for where, value in edits.items():
        *path, last = where.split("/")
        at: Any = body
        for part in path:
            at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})
        _set(at, last, value)
    return body


def _set(at: Any, last: str, value: object) -> None:
    key: Any = int(last) if isinstance(at, list) else last
    if value is GONE:
        del at[key]
    elif isinstance(value, Renamed):
        at[value.key] = at.pop(key)
    else:
        at[key] = value


def shown(where: str) -> str:
    """A place as the API server writes it."""
    path = ""
    for part in where.split("/"):
        path += f"[{part}]" if part.isdigit() else f".{part}"
    return path.removeprefix(".")


# --- what the cases differ from

CALLER = {"kind": "ServiceAccount", "namespace": "web", "name": "front"}
HTTP_RULE = {
    "name": "tasks",
    "from": [CALLER],
    "ports": [8080],
    "protocol": "HTTP",
    "http": {"methods": ["POST"], "paths": ["/v1/tasks"]},
}
GRPC_RULE = {
    "name": "orders",
    "from": [CALLER],
    "ports": [9090],
    "protocol": "GRPC",
    "grpc": {"services": ["shop.v1.Orders"], "methods": ["Get"]},
}
GOOD_SPEC: Manifest = {
    "serviceAccount": {
        "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/a"},
        "imagePullSecrets": [{"name": "registry"}],
    },
    "inbound": {"enforcement": "Enforce", "rules": [HTTP_RULE, GRPC_RULE]},
    "rbac": {"clusterRoles": ["ticket-reader"]},
    "vault": {"policies": ["own-secrets"], "tokenTTLSeconds": 600},
}
SCRAPER = {
    "name": "scraper",
    "from": [{"kind": "ServiceAccount", "namespace": "monitoring", "name": "prometheus"}],
    "ports": [9100],
    "protocol": "HTTP",
    "http": {"methods": ["GET"], "paths": ["/metrics"]},
}
WIDE_KEYS = [f"team.example/k{i:02}" for i in range(16)]
WIDE_POLICIES = [f"p{i:02}" for i in range(16)]


def numbered(count: int, base: Manifest, **fields: Any) -> list[Manifest]:
    """Copies of one item, each with a name of its own."""
    return [{**base, "name": f"{base['name']}-{i}", **fields} for i in range(count)]


# --- refused by the API server


@dataclass(frozen=True)
class Refused:
    """says: all that the refusal must tell."""

    id: str
    edits: Edits
    says: tuple[str, ...]
    of: str = "AgentIdentity"


def _refused(name: str, edits: Edits, *says: str) -> Refused:
    return Refused(name, edits, says)


def _class(name: str, edits: Edits, *says: str) -> Refused:
    return Refused(f"class-{name}", edits, says, "AgentIdentityClass")


_RULE = "spec/inbound/rules/0"
_GRPC = "spec/inbound/rules/1/grpc"
_CLASS_POLICY = "spec/vault/policies/0"
_VAULT_RULE = f"{_CLASS_POLICY}/rules/0"
_BYTES = "Too long: may not be more than {} bytes"
_ITEMS = "must have at most {} items"


def _long(name: str, where: str, limit: int, value: object = None) -> Refused:
    return _refused(
        f"{name}-{limit + 1}-long", {where: value or "a" * (limit + 1)}, _BYTES.format(limit)
    )


def _many(name: str, where: str, limit: int, value: object) -> Refused:
    return _refused(f"{limit + 1}-{name}", {where: value}, shown(where), _ITEMS.format(limit))


def _many_in_class(name: str, where: str, limit: int, value: object) -> Refused:
    return _class(f"{limit + 1}-{name}", {where: value}, shown(where), _ITEMS.format(limit))


def names(count: int, prefix: str = "n") -> list[str]:
    """That many different names."""
    return [f"{prefix}{i:03}" for i in range(count)]


_LOOKS = "should match"
OVER_THE_LIMIT = [
    _refused("name-64-long", {"metadata/name": "a" * 64}, "metadata.name must be a DNS label"),
    _refused("name-254-long", {"metadata/name": "a" * 254}, "metadata.name", "253"),
    _long("account-name", "spec/serviceAccount/name", 63),
    _long("class-name", "spec/className", 63),
    _long("rule-name", f"{_RULE}/name", 63),
    _long("caller-name", f"{_RULE}/from/0/name", 63),
    _long("caller-namespace", f"{_RULE}/from/0/namespace", 63),
    _long("path", f"{_RULE}/http/paths", 256, ["/" + "a" * 256]),
    _long("service", f"{_GRPC}/services", 256, ["a" * 257]),
    _long("grpc-method", f"{_GRPC}/methods", 128, ["a" * 129]),
    _long("cluster-role", "spec/rbac/clusterRoles", 128, ["a" * 129]),
    _long("policy", "spec/vault/policies", 63, ["a" * 64]),
    _long("pull-secret", "spec/serviceAccount/imagePullSecrets/0/name", 253),
    _long("annotation", "spec/serviceAccount/annotations", 2048, {WIDE_KEYS[0]: "a" * 2049}),
    _many("rules", "spec/inbound/rules", 32, numbered(33, HTTP_RULE)),
    _many("callers", f"{_RULE}/from", 64, numbered(65, CALLER)),
    _many("ports", f"{_RULE}/ports", 16, list(range(1, 18))),
    _many("paths", f"{_RULE}/http/paths", 32, [f"/{n}" for n in names(33)]),
    _many("services", f"{_GRPC}/services", 16, names(17)),
    _many("grpc-methods", f"{_GRPC}/methods", 32, names(33)),
    _many("cluster-roles", "spec/rbac/clusterRoles", 16, names(17)),
    _many("policies", "spec/vault/policies", 16, names(17)),
    _many("pull-secrets", "spec/serviceAccount/imagePullSecrets", 8, numbered(9, {"name": "s"})),
    _refused(
        "17-annotations",
        {"spec/serviceAccount/annotations": dict.fromkeys([*WIDE_KEYS, "k"], "v")},
        "spec.serviceAccount.annotations",
        "must have at most 16 items",
    ),
    _refused("ttl-59", {"spec/vault/tokenTTLSeconds": 59}, "greater than or equal to 60"),
    _refused("ttl-86401", {"spec/vault/tokenTTLSeconds": 86401}, "less than or equal to 86400"),
    _refused("ttl-minus", {"spec/vault/tokenTTLSeconds": -900}, "greater than or equal to 60"),
    _refused("port-0", {f"{_RULE}/ports": [0]}, "greater than or equal to 1"),
    _refused("port-65536", {f"{_RULE}/ports": [65536]}, "less than or equal to 65535"),
    _refused("port-minus", {f"{_RULE}/ports": [-1]}, "greater than or equal to 1"),
    _refused("port-2-to-64", {f"{_RULE}/ports": [2**64 + 80]}, "ports[0]"),
    _class("name-64-long", {"metadata/name": "a" * 64}, "metadata.name must be a DNS label"),
    _many_in_class("rules", "spec/inbound/rules", 8, numbered(9, SCRAPER)),
    _many_in_class("annotation-keys", "spec/serviceAccounts/annotationKeys", 32, names(33)),
    _many_in_class("cluster-roles", "spec/rbac/clusterRoles", 64, names(65)),
    _many_in_class(
        "policies", "spec/vault/policies", 32, numbered(33, {"name": "p", "policyName": "x"})
    ),
    _many_in_class(
        "vault-rules",
        f"{_CLASS_POLICY}/rules",
        16,
        [{"path": n, "capabilities": ["read"]} for n in names(17)],
    ),
    _class(
        "17-labels",
        {"spec/namespaceSelector/matchLabels": dict.fromkeys(names(17), "v")},
        "must have at most 16 items",
    ),
    _class("vault-path-257-long", {f"{_VAULT_RULE}/path": "a" * 257}, _BYTES.format(256)),
    _class("address-254-long", {"spec/vault/address": f"https://{'a' * 246}"}, _BYTES.format(253)),
    _class("ca-bundle-too-long", {"spec/vault/caBundle": "a" * 65537}, _BYTES.format(65536)),
    _class("label-value-64-long", {"spec/namespaceSelector/matchLabels/a": "a" * 64}, "63"),
    _class("ca-bundle-no-pem", {"spec/vault/caBundle": "not a certificate"}, "caBundle", _LOOKS),
    _class("ca-bundle-cyrillic", {"spec/vault/caBundle": "\u0441\u0430"}, "caBundle", _LOOKS),
    _class("ttl-over-a-day", {"spec/vault/maxTokenTTLSeconds": 86401}, "less than or equal to"),
]

# --- characters

_EMPTY = "at least 1 chars long"
NO_LABELS = {
    "dot": "a.b",
    "dots": "..",
    "upper": "Agent",
    "underscore": "a_b",
    "dash-first": "-a",
    "dash-last": "a-",
    "space-last": "agent ",
    "newline-last": "agent\n",
    "newline-between": "agent\nother",
    "nul": "agent\0",
    "cyrillic": "\u0430gent",
    "fullwidth": "\uff41gent",
    "zero-width": "a\u200bgent",
    "right-to-left": "\u202eagent",
    "slash": "../agent",
    "percent": "a%2fb",
    "star": "*",
    "plus": "+",
    "template": "{namespace}",
    "empty": "",
}
_LABEL_PLACES = {
    "account": "spec/serviceAccount/name",
    "class-name": "spec/className",
    "rule-name": f"{_RULE}/name",
    "caller-name": f"{_RULE}/from/0/name",
    "caller-namespace": f"{_RULE}/from/0/namespace",
    "policy": "spec/vault/policies/0",
}
NO_PATHS = {
    "dots": "/a/../b",
    "dots-last": "/a/..",
    "dots-only": "/..",
    "three-dots": "/...",
    "dot": "/./a",
    "doubled-slash": "/a//b",
    "slashes-only": "//",
    "percent": "/a%2fb",
    "percent-dots": "/%2e%2e/a",
    "star": "*",
    "star-in-segment": "/a*",
    "star-in-the-middle": "/a/*/b",
    "two-stars": "/a/**",
    "plus": "/a+b",
    "no-slash": "a",
    "space-last": "/a ",
    "newline-last": "/a\n",
    "cyrillic": "/\u0430",
    "fullwidth": "/\uff0e\uff0e/a",
    "query": "/a?b",
    "fragment": "/a#b",
    "parameter": "/a;b",
    "backslash": "/a\\..\\b",
    "text-after-template": "/{*}a",
    "segment-after-rest": "/{**}/a",
    "template-and-star": "/{*}/*",
    "named-template": "/{name}",
    "empty": "",
}
NO_SERVICES = {
    "dots": "shop..Orders",
    "dot-last": "shop.",
    "slash": "shop/Orders",
    "star": "*",
    "star-last": "shop.*",
    "digit-first": "1shop",
    "cyrillic": "sh\u043ep",
    "newline-last": "shop\n",
    "empty": "",
}
NO_GRPC_METHODS = {
    "star-last": "Get*",
    "two-stars": "**",
    "slash": "../Get",
    "template": "{*}",
    "newline-last": "Get\n",
    "empty": "",
}
NO_CLUSTER_ROLES = {
    "star": "*",
    "star-last": "ticket-*",
    "space": "ticket reader",
    "newline-last": "ticket-reader\n",
    "slash": "a/../b",
    "dash-first": "-a",
    "cyrillic": "ticket-re\u0430der",
    "empty": "",
}
NO_VAULT_PATHS = {
    "slash-first": "/kv",
    "doubled-slash": "kv//a",
    "dots": "kv/../sys",
    "dot-first": ".kv/a",
    "star": "*",
    "star-in-segment": "kv/a*",
    "star-in-the-middle": "kv/*/a",
    "plus": "kv/+/a",
    "plus-first": "+/a",
    "unknown-placeholder": "kv/{name}",
    "vault-template": "kv/{{identity.entity.id}}",
    "placeholder-in-segment": "kv/x{namespace}",
    "newline-last": "kv/a\n",
    "quote": 'kv/"a',
    "cyrillic": "kv/\u0430",
    "percent": "kv/%2e%2e/sys",
    "empty": "",
}
NO_ADDRESSES = {
    "http": "http://vault",
    "other-scheme": "file://vault",
    "upper-scheme": "HTTPS://vault",
    "no-scheme": "vault:8200",
    "no-host": "https://",
    "empty-label": "https://a..b",
    "label-64-long": f"https://{'a' * 64}.x",
    "dash-first": "https://a.-b",
    "path": "https://vault/v1",
    "slash-last": "https://vault/",
    "userinfo": "https://me:pass@vault",
    "query": "https://vault?a",
    "fragment": "https://vault#a",
    "long-port": "https://vault:123456",
    "no-port": "https://vault:",
    "newline-last": "https://vault\n",
    "space": "https://va ult",
    "cyrillic": "https://v\u0430ult",
    "empty": "",
}
NO_MOUNTS = {
    "dots": "../sys",
    "doubled-slash": "a//b",
    "slash-last": "kubernetes/",
    "slash-first": "/kubernetes",
    "star": "*",
    "newline-last": "kubernetes\n",
    "empty": "",
}
NO_ANNOTATION_KEYS = {
    "space": "bad key",
    "newline-last": "a\n",
    "star": "*",
    "two-slashes": "a/b/c",
    "dots-in-prefix": "a..b/c",
    "name-64-long": "team.example/" + "k" * 64,
    "cyrillic": "\u0430rn",
    "empty": "",
}


def _characters(field_name: str, where: str, values: Mapping[str, str]) -> list[Refused]:
    return [
        _refused(f"{field_name}-{what}", {where: value}, shown(where), _LOOKS if value else _EMPTY)
        for what, value in values.items()
    ]


def _characters_of_class(field_name: str, where: str, values: Mapping[str, str]) -> list[Refused]:
    cases = _characters(field_name, where, values)
    return [_class(c.id, c.edits, *c.says) for c in cases]


WRONG_CHARACTERS = [
    *(
        _refused(f"name-{what}", {"metadata/name": value}, "metadata.name" if value else "name")
        for what, value in NO_LABELS.items()
    ),
    _refused("name-null", {"metadata/name": None}, "name or generateName is required"),
    _refused(
        "generated-name-with-dot",
        {"metadata/name": GONE, "metadata/generateName": "a."},
        "metadata.name must be a DNS label",
    ),
    *(c for name, where in _LABEL_PLACES.items() for c in _characters(name, where, NO_LABELS)),
    *_characters("path", f"{_RULE}/http/paths/0", NO_PATHS),
    *_characters("service", f"{_GRPC}/services/0", NO_SERVICES),
    *_characters("grpc-method", f"{_GRPC}/methods/0", NO_GRPC_METHODS),
    *_characters("cluster-role", "spec/rbac/clusterRoles/0", NO_CLUSTER_ROLES),
    *_characters(
        "pull-secret",
        "spec/serviceAccount/imagePullSecrets/0/name",
        {"upper": "A", "slash": "a/b", "dot-first": ".a", "newline-last": "a\n", "empty": ""},
    ),
    _class("name-dot", {"metadata/name": "a.b"}, "metadata.name must be a DNS label"),
    *_characters_of_class("vault-path", f"{_VAULT_RULE}/path", NO_VAULT_PATHS),
    *_characters_of_class("policy-name", f"{_CLASS_POLICY}/name", NO_LABELS),
    *_characters_of_class("login-mount", "spec/vault/login/mount", NO_MOUNTS),
    *_characters_of_class("agent-mount", "spec/vault/agentAuth/mount", NO_MOUNTS),
    *_characters_of_class("vault-namespace", "spec/vault/namespace", NO_MOUNTS),
    *_characters_of_class(
        "audience", "spec/vault/agentAuth/audience", {"space": "a b", "star": "*", "empty": ""}
    ),
    *_characters_of_class(
        "annotation-key", "spec/serviceAccounts/annotationKeys/0", NO_ANNOTATION_KEYS
    ),
    *_characters_of_class("cluster-role", "spec/rbac/clusterRoles/0", NO_CLUSTER_ROLES),
    *(
        _class(f"address-{what}", {"spec/vault/address": value}, "spec.vault.address", _LOOKS)
        for what, value in NO_ADDRESSES.items()
    ),
]

# --- types


def _type(name: str, where: str, value: object, wanted: str) -> Refused:
    return _refused(f"{name}", {where: value}, shown(where), f"must be of type {wanted}")


def _type_in_class(name: str, where: str, value: object, wanted: str) -> Refused:
    return _class(name, {where: value}, shown(where), f"must be of type {wanted}")


WRONG_TYPES = [
    _type("spec-list", "spec", [], "object"),
    _type("spec-text", "spec", "all", "object"),
    _refused("spec-gone", {"spec": GONE}, "spec: Required value"),
    _refused("spec-null", {"spec": None}, "spec: Required value"),
    _type("class-name-int", "spec/className", 7, "string"),
    _type("class-name-list", "spec/className", ["default"], "string"),
    _type("class-name-bool", "spec/className", True, "string"),
    _type("account-text", "spec/serviceAccount", "agent", "object"),
    _type("account-list", "spec/serviceAccount", [], "object"),
    _type("account-name-object", "spec/serviceAccount/name", {}, "string"),
    _type("annotations-list", "spec/serviceAccount/annotations", ["a"], "object"),
    _refused("annotation-int", {"spec/serviceAccount/annotations/k": 1}, "must be of type string"),
    _type("inbound-bool", "spec/inbound", False, "object"),
    _type("enforcement-bool", "spec/inbound/enforcement", False, "string"),
    _refused("enforcement-other", {"spec/inbound/enforcement": "Off"}, 'supported values: "Enf'),
    _refused("enforcement-lower", {"spec/inbound/enforcement": "enforce"}, "supported values"),
    _refused("enforcement-null", {"spec/inbound/enforcement": None}, "enforcement: Required"),
    _type("rules-object", "spec/inbound/rules", {}, "array"),
    _type("rule-text", _RULE, "all", "object"),
    _refused("rule-null", {_RULE: None}, "spec.inbound.rules[0]"),
    _type("from-object", f"{_RULE}/from", CALLER, "array"),
    _refused("from-empty", {f"{_RULE}/from": []}, "from", "should have at least 1 items"),
    _refused("from-null", {f"{_RULE}/from": None}, "from: Required value"),
    _refused("caller-null", {f"{_RULE}/from/0": None}, "from[0]"),
    _refused("caller-empty", {f"{_RULE}/from/0": {}}, "from[0].kind: Required value"),
    _refused("caller-kind-other", {f"{_RULE}/from/0/kind": "Pod"}, "from[0].kind: Unsupported"),
    _type("port-text", f"{_RULE}/ports/0", "8080", "integer"),
    _type("port-bool", f"{_RULE}/ports/0", True, "integer"),
    _type("port-fraction", f"{_RULE}/ports/0", 80.5, "integer"),
    _refused("port-null", {f"{_RULE}/ports/0": None}, "ports[0]"),
    _refused("ports-empty", {f"{_RULE}/ports": []}, "ports", "should have at least 1 items"),
    _refused("ports-null", {f"{_RULE}/ports": None}, "ports: Required value"),
    _refused("ports-twice", {f"{_RULE}/ports": [1, 1]}, "ports[1]: Duplicate value"),
    _refused("methods-empty", {f"{_RULE}/http/methods": []}, "methods", "at least 1 items"),
    _refused("method-other", {f"{_RULE}/http/methods/0": "TRACE"}, "methods[0]: Unsupported"),
    _refused("method-lower", {f"{_RULE}/http/methods/0": "get"}, "methods[0]: Unsupported"),
    _refused("method-star", {f"{_RULE}/http/methods/0": "*"}, "methods[0]: Unsupported"),
    _refused("paths-empty", {f"{_RULE}/http/paths": []}, "paths", "at least 1 items"),
    _refused("paths-null", {f"{_RULE}/http/paths": None}, "paths: Required value"),
    _refused("services-empty", {f"{_GRPC}/services": []}, "services", "at least 1 items"),
    _refused("grpc-methods-empty", {f"{_GRPC}/methods": []}, "methods", "at least 1 items"),
    _refused("protocol-null", {f"{_RULE}/protocol": None}, "protocol: Required value"),
    _refused("rule-name-null", {f"{_RULE}/name": None}, "rules[0].name: Required value"),
    _refused("rules-twice", {"spec/inbound/rules": [HTTP_RULE] * 2}, "rules[1]: Duplicate value"),
    _type("rbac-list", "spec/rbac", ["ticket-reader"], "object"),
    _type("cluster-roles-text", "spec/rbac/clusterRoles", "ticket-reader", "array"),
    _refused("cluster-roles-empty", {"spec/rbac/clusterRoles": []}, "at least 1 items"),
    _refused("cluster-roles-null", {"spec/rbac/clusterRoles": None}, "clusterRoles: Required"),
    _refused("cluster-role-null", {"spec/rbac/clusterRoles/0": None}, "clusterRoles[0]"),
    _refused("rbac-empty", {"spec/rbac": {}}, "spec.rbac.clusterRoles: Required value"),
    _type("vault-text", "spec/vault", "own-secrets", "object"),
    _refused("vault-empty", {"spec/vault": {}}, "spec.vault.policies: Required value"),
    _refused("policies-empty", {"spec/vault/policies": []}, "at least 1 items"),
    _refused("policy-null", {"spec/vault/policies/0": None}, "policies[0]"),
    _type("ttl-text", "spec/vault/tokenTTLSeconds", "900", "integer"),
    _type("ttl-unit", "spec/vault/tokenTTLSeconds", "15m", "integer"),
    _type("ttl-fraction", "spec/vault/tokenTTLSeconds", 900.5, "integer"),
    _refused("thousand-rules", {"spec/inbound/rules": numbered(1000, HTTP_RULE)}, "at most 32"),
    _refused("thousand-roles", {"spec/rbac/clusterRoles": names(1000)}, "at most 16 items"),
    _refused("thousand-ports", {f"{_RULE}/ports": list(range(1, 1001))}, "at most 16 items"),
    _refused("mebibyte-class", {"spec/className": "a" * MIB}, "spec.className", "Too long"),
    _refused("mebibyte-path", {f"{_RULE}/http/paths/0": "/" + "a" * MIB}, "paths[0]", "Too long"),
    _refused("four-mebibytes", {"spec/className": "a" * 4 * MIB}, "Request entity too large"),
    _type_in_class("selector-list", "spec/namespaceSelector", [], "object"),
    _type_in_class("labels-list", "spec/namespaceSelector/matchLabels", ["a"], "object"),
    _class("labels-null", {"spec/namespaceSelector/matchLabels": None}, "matchLabels: Required"),
    _class("selector-empty", {"spec/namespaceSelector": {}}, "matchLabels: Required value"),
    _type_in_class("mesh-text", "spec/mesh", "None", "object"),
    _class("mesh-empty", {"spec/mesh": {}}, "spec.mesh.type: Required value"),
    _class("mesh-other", {"spec/mesh/type": "Linkerd"}, "spec.mesh.type: Unsupported value"),
    _class(
        "data-plane-other", {"spec/mesh/istio/dataPlane": "Proxyless"}, "dataPlane: Unsupported"
    ),
    _class("minimum-other", {"spec/inbound": {"minimumEnforcement": "None"}}, "Unsupported value"),
    _class("capabilities-empty", {f"{_VAULT_RULE}/capabilities": []}, "at least 1 items"),
    _class("vault-rules-empty", {f"{_CLASS_POLICY}/rules": []}, "at least 1 items"),
    _class("spec-gone", {"spec": GONE}, "spec: Required value"),
]

# --- misspelt


def _misspelt(key: str, where: str, *says: str) -> Refused:
    required = shown(where).replace("spec.", "", 1)
    return _refused(f"{key}", {where: Renamed(key)}, *(says or (f"{required}: Required value",)))


def _misspelt_in_class(key: str, where: str, *says: str) -> Refused:
    case = _misspelt(key, where, *says)
    return _class(case.id, case.edits, *case.says)


_NEEDS_HTTP = "http (methods and paths) is required with protocol HTTP, refused with others"
_NEEDS_GRPC = "grpc (services and methods) is required with protocol GRPC, refused with others"
_NEEDS_NAME = "name is required, but for kind AllAgentIdentities, which takes none"
_NEEDS_NAMESPACE = "namespace is required, but for kind AgentIdentity"
_NEEDS_ISTIO = "istio is required with type Istio and refused with None"
_ONE_OF = "exactly one of rules (written by the operator) and policyName (written by others)"

MISSPELT = [
    _misspelt("nmae", "metadata/name", "name or generateName is required"),
    _misspelt("method", f"{_RULE}/http/methods"),
    _misspelt("path", f"{_RULE}/http/paths"),
    _misspelt("port", f"{_RULE}/ports"),
    _misspelt("protocl", f"{_RULE}/protocol"),
    _misspelt("form", f"{_RULE}/from"),
    _misspelt("htp", f"{_RULE}/http", _NEEDS_HTTP),
    _misspelt("gprc", _GRPC, _NEEDS_GRPC),
    _misspelt("kidn", f"{_RULE}/from/0/kind"),
    _misspelt("namspace", f"{_RULE}/from/0/namespace", _NEEDS_NAMESPACE),
    _misspelt("caller-nmae", f"{_RULE}/from/0/name", _NEEDS_NAME),
    _misspelt("rule-nmae", f"{_RULE}/name"),
    _misspelt("servces", f"{_GRPC}/services"),
    _misspelt("grpc-method", f"{_GRPC}/methods"),
    _misspelt("enforcment", "spec/inbound/enforcement"),
    _misspelt("polices", "spec/vault/policies"),
    _misspelt("clusterRole", "spec/rbac/clusterRoles"),
    _misspelt("sepc", "spec", "spec: Required value"),
    _misspelt_in_class("matchLabel", "spec/namespaceSelector/matchLabels"),
    _misspelt_in_class("namespaceSelecter", "spec/namespaceSelector"),
    _misspelt_in_class("annotationKey", "spec/serviceAccounts/annotationKeys"),
    _misspelt_in_class("clusterRole", "spec/rbac/clusterRoles"),
    _misspelt_in_class("mech", "spec/mesh"),
    _misspelt_in_class("tpye", "spec/mesh/type"),
    _misspelt_in_class("itsio", "spec/mesh/istio", _NEEDS_ISTIO),
    _misspelt_in_class("dataplane", "spec/mesh/istio/dataPlane"),
    _misspelt_in_class("adress", "spec/vault/address"),
    _misspelt_in_class("logn", "spec/vault/login"),
    _misspelt_in_class("agentAuht", "spec/vault/agentAuth"),
    _misspelt_in_class("audiense", "spec/vault/agentAuth/audience"),
    _misspelt_in_class("maxTokenTTLSecond", "spec/vault/maxTokenTTLSeconds"),
    _misspelt_in_class("defaultTokenTTL", "spec/vault/defaultTokenTTLSeconds"),
    _misspelt_in_class("capabilites", f"{_VAULT_RULE}/capabilities"),
    _misspelt_in_class("paht", f"{_VAULT_RULE}/path"),
    _misspelt_in_class("rulez", f"{_CLASS_POLICY}/rules", _ONE_OF),
    _misspelt_in_class("polcyName", "spec/vault/policies/1/policyName", _ONE_OF),
]

# --- what does not go together

_GRPC_ONLY = {"services": ["a"], "methods": ["*"]}
_NO_OWN_POLICY = "policyName can't be root, default, or one that the operator writes"
_NO_SYSTEM_PATH = "agents get no paths under sys, auth, identity or cubbyhole"
_NEEDS_NAMESPACE_FIRST = "{serviceAccount} needs an earlier {namespace}: account names repeat"
_NO_DECIDING_KEY = "annotations that the operator or Vault decides by can't be handed out"
_ALL_AGENTS = {"kind": "AllAgentIdentities", "namespace": "web"}


def _path(name: str, path: str, says: str) -> Refused:
    return _class(f"vault-path-{name}", {f"{_VAULT_RULE}/path": path}, says)


def _policy_name(name: str) -> Refused:
    return _class(f"policy-name-{name}", {"spec/vault/policies/1/policyName": name}, _NO_OWN_POLICY)


MISMATCHED = [
    _refused("http-with-tcp", {f"{_RULE}/protocol": "TCP"}, _NEEDS_HTTP),
    _refused("http-with-grpc", {f"{_RULE}/protocol": "GRPC"}, _NEEDS_HTTP, _NEEDS_GRPC),
    _refused("grpc-with-http", {f"{_RULE}/grpc": _GRPC_ONLY}, _NEEDS_GRPC),
    _refused("http-without", {f"{_RULE}/http": GONE}, _NEEDS_HTTP),
    _refused("http-null", {f"{_RULE}/http": None}, _NEEDS_HTTP),
    _refused("grpc-without", {_GRPC: GONE}, _NEEDS_GRPC),
    _refused("all-with-name", {f"{_RULE}/from/0/kind": "AllAgentIdentities"}, _NEEDS_NAME),
    _refused(
        "all-without-namespace",
        {f"{_RULE}/from/0": {"kind": "AllAgentIdentities"}},
        _NEEDS_NAMESPACE,
    ),
    _refused("account-without-namespace", {f"{_RULE}/from/0/namespace": GONE}, _NEEDS_NAMESPACE),
    _refused("account-without-name", {f"{_RULE}/from/0/name": GONE}, _NEEDS_NAME),
    _refused("agent-without-name", {f"{_RULE}/from/0": {"kind": "AgentIdentity"}}, _NEEDS_NAME),
    _class("istio-with-none", {"spec/mesh/type": "None"}, _NEEDS_ISTIO),
    _class("istio-without", {"spec/mesh/istio": GONE}, _NEEDS_ISTIO),
    _class("rules-and-policy-name", {f"{_CLASS_POLICY}/policyName": "team-x"}, _ONE_OF),
    _class("neither-rules-nor-policy-name", {f"{_CLASS_POLICY}/rules": GONE}, _ONE_OF),
    _class(
        "class-rule-http-with-tcp",
        {"spec/inbound": {"rules": [SCRAPER | {"protocol": "TCP"}]}},
        _NEEDS_HTTP,
    ),
    _class(
        "class-rule-caller-without-namespace",
        {
            "spec/inbound": {
                "rules": [SCRAPER | {"from": [{"kind": "ServiceAccount", "name": "a"}]}]
            }
        },
        _NEEDS_NAMESPACE,
    ),
    _policy_name("root"),
    _policy_name("default"),
    _policy_name("agentid_x"),
    _policy_name("agentid_test_other_own-secrets"),
    _class("policy-name-upper-root", {"spec/vault/policies/1/policyName": "Root"}, _LOOKS),
    _class("policy-name-slash", {"spec/vault/policies/1/policyName": "a/b"}, _LOOKS),
    _path("sys", "sys/policies/acl/x", _NO_SYSTEM_PATH),
    _path("sys-alone", "sys", _NO_SYSTEM_PATH),
    _path("sys-star", "sys/*", _NO_SYSTEM_PATH),
    _path("auth", "auth/token/create", _NO_SYSTEM_PATH),
    _path("identity", "identity/entity/id/x", _NO_SYSTEM_PATH),
    _path("cubbyhole", "cubbyhole/x", _NO_SYSTEM_PATH),
    _path("account-first", "kv/data/{serviceAccount}/*", _NEEDS_NAMESPACE_FIRST),
    _path("account-before-namespace", "kv/{serviceAccount}/{namespace}", _NEEDS_NAMESPACE_FIRST),
    # A namespace may be called sys, auth or identity.
    _path("placeholder-first", "{namespace}/*", _LOOKS),
    _path("placeholders-only", "{namespace}/{serviceAccount}/*", _LOOKS),
    _path("cluster-first", "{cluster}/a", _LOOKS),
    _class("sudo", {f"{_VAULT_RULE}/capabilities": ["sudo"]}, "capabilities[0]: Unsupported"),
    _class("deny", {f"{_VAULT_RULE}/capabilities": ["deny"]}, "capabilities[0]: Unsupported"),
    _class("root-capability", {f"{_VAULT_RULE}/capabilities": ["root"]}, "Unsupported value"),
    _class(
        "default-over-max",
        {"spec/vault/defaultTokenTTLSeconds": 3601},
        "defaultTokenTTLSeconds is over maxTokenTTLSeconds",
    ),
    _class(
        "our-annotation-key",
        {"spec/serviceAccounts/annotationKeys/0": "agentidentity.dev/x"},
        _NO_DECIDING_KEY,
    ),
    _class(
        "vaults-annotation-key",
        {"spec/serviceAccounts/annotationKeys/0": "vault.hashicorp.com/alias-metadata-x"},
        _NO_DECIDING_KEY,
    ),
]

REFUSED = [*OVER_THE_LIMIT, *WRONG_CHARACTERS, *WRONG_TYPES, *MISSPELT, *MISMATCHED]
