"""What values mean to their neighbours: other values that name something which is there, items that
make sense in a list, and what must change together."""

from collections.abc import Mapping
from typing import Any

from faults.fields.schema import GONE, Field
from faults.fields.seeds import (
    AGENT,
    AMBIENT,
    OPEN,
    ORDERS,
    PLANNER,
    READER,
    ROLE_ARN,
    SCENE,
    SHOP,
    STRICT,
    TESTER,
    TWIN,
)

_WEB = {"kind": "ServiceAccount", "namespace": "web", "name": "gateway"}
_CALLER_NAMES = {"planner": PLANNER, "tester": TESTER, "agent": AGENT, "nobody": "nobody"}
_TEMPLATE_PATHS = {"below": "/v1/*", "segments": "/v1/{*}/x/{**}", "all": "/*", "root": "/"}
# Where a field stands twice, its end is enough.
_OTHERS: Mapping[str, Mapping[str, Any]] = {
    "AgentIdentity spec.className": {
        "twin": TWIN,
        "strict": STRICT,
        "ambient": AMBIENT,
        "open": OPEN,
    },
    "AgentIdentity spec.serviceAccount.name": {"default": "default", "planner": PLANNER},
    "spec.serviceAccount.annotations": {
        "not-listed": {"agentidentity.dev/x": "v"},
        "one": {ROLE_ARN: "arn:two"},
    },
    "rules[].from[].namespace": {"home": SCENE, "shop": SHOP},
    "rules[].from[].name": _CALLER_NAMES,
    "rules[].from": {"twice": [_WEB, _WEB], "nobody": [{**_WEB, "kind": "AgentIdentity"}]},
    "http.methods[]": {"put": "PUT"},
    "http.paths[]": _TEMPLATE_PATHS,
    "grpc.methods[]": {"every": "*"},
    "spec.outbound[].namespace": {"home": SCENE},
    "spec.outbound[].grant": {"other": "stock-of-others", "taken": "stock"},
    "spec.outbound[].rules[]": {"stream": "stream", "none": "none"},
    "AgentIdentity spec.rbac.clusterRoles": {"one": [READER]},
    "spec.rbac.clusterRoles[]": {"admin": "cluster-admin"},
    "AgentIdentity spec.vault.policies[]": {"root": "root"},
    "AgentIdentity spec.vault.tokenTTLSeconds": {"at-limit": 3600, "over-limit": 3601},
    "spec.namespaceSelector.matchLabels": {
        "elsewhere": {"agents": "elsewhere"},
        "bad-key": {"bad key": "x"},
    },
    "spec.serviceAccounts.annotationKeys[]": {"ours": "agentidentity.dev/x"},
    "AgentIdentityClass spec.vault.namespace": {"other": "other"},
    "AgentIdentityClass spec.vault.caBundle": {
        "strangers": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    },
    "AgentIdentityClass spec.vault.policies": {
        "one": [{"name": "own-secrets", "policyName": "team-x"}]
    },
    "AgentIdentityClass spec.vault.policies[].rules[].path": {
        "system": "sys/policies/acl/x",
        "account-alone": "kv/data/{serviceAccount}/*",
        "other": "kv/data/{namespace}/*",
    },
    "AgentIdentityClass spec.vault.policies[].policyName": {
        "root": "root",
        "ours": "agentid_test_x_y",
    },
    "AgentIdentityClass spec.vault.defaultTokenTTLSeconds": {"at-limit": 3600, "over-limit": 3601},
    "AgentIdentityClass spec.vault.maxTokenTTLSeconds": {
        "at-default": 900,
        "below-default": 899,
        "at-asked": 600,
    },
    "spec.selector.matchLabels": {"ours": {"agentidentity.dev/identity": AGENT}},
    "spec.targetRefs[].name": {"shop": ORDERS},
}
_PUSHED: Mapping[str, Any] = {
    "AgentIdentityClass spec.vault.policies[].rules": {
        "path": "kv/data/shared/*",
        "capabilities": ["read"],
    },
    "AgentIdentityClass spec.vault.policies": {"name": "more", "policyName": "team-y"},
    "spec.targetRefs": {"kind": "ServiceEntry", "name": ORDERS},
}
_CALLS: Mapping[str, Any] = {
    "http": {"methods": ["GET"], "paths": ["/fitting"]},
    "grpc": {"services": ["shop.v1.Fitting"], "methods": ["*"]},
}
# Enum value → what else must be so: fields of the same object, GONE where there may be none.
_FITTING: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "rules[].protocol": {
        "HTTP": {"http": _CALLS["http"], "grpc": GONE},
        "GRPC": {"grpc": _CALLS["grpc"], "http": GONE},
        "TCP": {"http": GONE, "grpc": GONE},
    },
    "rules[].from[].kind": {
        "AllAgentIdentities": {"name": GONE, "namespace": SCENE},
        "AgentIdentity": {"name": TESTER, "namespace": SHOP},
        "ServiceAccount": {"name": "front", "namespace": "web"},
    },
    "spec.mesh.type": {"None": {"istio": GONE}, "Istio": {"istio": {"dataPlane": "Sidecar"}}},
    "spec.mesh.istio.dataPlane": {"Sidecar": {"waypoint": GONE}},
}


def others_of(field: Field) -> Mapping[str, Any]:
    return _found(_OTHERS, field) or {}


def pushed_of(field: Field) -> Any:
    return _found(_PUSHED, field)


def fitting(field: Field, choice: str, around: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The object around an enum with another choice, and all that goes with it; None where nothing
    does."""
    also = (_found(_FITTING, field) or {}).get(choice)
    if also is None:
        return None
    whole = {**around, field.path[-1]: choice, **also}
    return {key: value for key, value in whole.items() if value is not GONE}


def _found(table: Mapping[str, Any], field: Field) -> Any:
    """Under the whole path, or an end of it."""
    where = f" {field.kind} {field}"
    return next((v for k, v in table.items() if where.endswith((f" {k}", f".{k}"))), None)
