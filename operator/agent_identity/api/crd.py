"""CRDs from the types. Pure: types in, manifests out; `generate.py` writes them into `crds/`.

The API server demands a *structural* schema (Kubernetes, CustomResourceDefinitions, "Specifying a
structural schema"): no $ref, no anyOf for optional fields, no additionalProperties beside
properties. Pydantic's JSON schema has all three, so they are rewritten here.
"""

from typing import Any

from pydantic import BaseModel

from agent_identity.api import grants as g
from agent_identity.api import v1alpha1 as v
from agent_identity.api.fields import rule

Schema = dict[str, Any]

_NAME_RULES = [
    rule(
        "!format.dns1123Label().validate(self.metadata.name).hasValue()",
        "metadata.name must be a DNS label: lower-case letters, digits and -, at most 63, no dots",
    ),
]
_ACCOUNT_RULES = [
    rule(
        f"{v.EFFECTIVE_ACCOUNT.format('self')} == {v.EFFECTIVE_ACCOUNT.format('oldSelf')}",
        "the account's name can't be changed: make a new identity and delete this one",
    ),
]
_READY = '.status.conditions[?(@.type=="Ready")]'


def _column(name: str, kind: str, path: str, description: str, priority: int = 0) -> Schema:
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": priority} if priority else {})


_CLASS_COLUMNS = [
    _column("Ready", "string", f"{_READY}.status", "Whether all that the class stands on is there"),
    _column("Reason", "string", f"{_READY}.reason", "Why"),
    _column("Age", "date", ".metadata.creationTimestamp", "Since when it exists"),
    _column("Message", "string", f"{_READY}.message", "Why, in words", priority=1),
]
_IDENTITY_COLUMNS = [
    _column("Ready", "string", f"{_READY}.status", "Whether all that was asked for is in place"),
    _column("Reason", "string", f"{_READY}.reason", "Why"),
    _column("SPIFFE ID", "string", ".status.spiffeID", "Who the agent is"),
    _column("Class", "string", ".spec.className", "Whose ceilings apply"),
    _column("Age", "date", ".metadata.creationTimestamp", "Since when it exists"),
    _column("Message", "string", f"{_READY}.message", "Why, in words", priority=1),
]
_GRANT_COLUMNS = [
    _column("Ready", "string", f"{_READY}.status", "Whether the policy is in place"),
    _column("Reason", "string", f"{_READY}.reason", "Why"),
    _column("Enforcement", "string", ".spec.enforcement", "Enforce, or Shadow"),
    _column("Callers", "integer", ".status.callerCount", "How many are let in"),
    _column("Missing", "integer", ".status.missingCount", "How many agents are named, and not in"),
    _column("Age", "date", ".metadata.creationTimestamp", "Since when it exists"),
    _column("Message", "string", f"{_READY}.message", "Why, in words", priority=1),
]


def structural(schema: Schema, definitions: dict[str, Schema] | None = None) -> Schema:
    """A JSON schema of pydantic's as a structural schema.

    Optional fields lose their null branch, references are inlined, titles go, and of the defaults
    only scalars stay: those are promises, an empty list is not.
    """
    definitions = definitions if definitions is not None else schema.get("$defs", {})
    if "$ref" in schema:
        referred = definitions[schema["$ref"].rsplit("/", 1)[1]]
        return structural(referred | {k: s for k, s in schema.items() if k != "$ref"}, definitions)
    if "anyOf" in schema:
        (branch,) = (b for b in schema["anyOf"] if b != {"type": "null"})
        return structural(branch | {k: s for k, s in schema.items() if k != "anyOf"}, definitions)
    if "patternProperties" in schema:
        # A structural schema can't restrict keys: what is in the map is checked against the class.
        (values,) = schema["patternProperties"].values()
        rest = {k: s for k, s in schema.items() if k != "patternProperties"}
        schema = rest | {"additionalProperties": values}
    if "const" in schema:
        schema = {"enum": [schema["const"]], **{k: s for k, s in schema.items() if k != "const"}}
    return {k: _keyword(k, s, definitions) for k, s in schema.items() if _kept(k, s)}


def _kept(keyword: str, value: Any) -> bool:
    if keyword == "default":
        return isinstance(value, str | int)
    return keyword not in ("$defs", "title", "propertyNames") and not (
        keyword == "additionalProperties" and not value
    )


def _keyword(keyword: str, value: Any, definitions: dict[str, Schema]) -> Any:
    if keyword == "properties":
        return {name: structural(item, definitions) for name, item in value.items()}
    if keyword in ("items", "additionalProperties"):
        return structural(value, definitions)
    if keyword == "description":
        return " ".join(value.split())
    return value


def _manifest(
    names: Schema, scope: str, models: tuple[type[BaseModel], type[BaseModel]], **version: Any
) -> Schema:
    """names: as in a CRD, categories and listKind left out. version: rules and columns."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{v.GROUP}"},
        "spec": {
            "group": v.GROUP,
            "scope": scope,
            "names": {**names, "listKind": f"{names['kind']}List", "categories": ["agents"]},
            "versions": [
                {
                    "name": v.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": version["columns"],
                    "schema": {"openAPIV3Schema": _root(models, version["rules"])},
                }
            ],
        },
    }


def _root(models: tuple[type[BaseModel], type[BaseModel]], rules: list[Schema]) -> Schema:
    spec, status = (structural(m.model_json_schema(by_alias=True)) for m in models)
    return {
        "type": "object",
        "description": spec["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            # No generation is 0: until the operator has seen an object, kstatus says InProgress of
            # it, and without a status it would say Current.
            "status": status | {"default": {"observedGeneration": 0}},
        },
        "x-kubernetes-validations": rules,
    }


def _names(kind: str, plural: str, *short: str) -> Schema:
    return {"kind": kind, "plural": plural, "singular": kind.lower(), "shortNames": list(short)}


def custom_resource_definitions() -> dict[str, Schema]:
    """File name → manifest of every kind that we serve."""
    identity = _manifest(
        _names("AgentIdentity", "agentidentities", "aid", "agentid"),
        "Namespaced",
        (v.AgentIdentitySpec, v.AgentIdentityStatus),
        rules=_NAME_RULES + _ACCOUNT_RULES,
        columns=_IDENTITY_COLUMNS,
    )
    agent_class = _manifest(
        _names("AgentIdentityClass", "agentidentityclasses", "aidclass"),
        "Cluster",
        (v.AgentIdentityClassSpec, v.AgentIdentityClassStatus),
        rules=_NAME_RULES,
        columns=_CLASS_COLUMNS,
    )
    grant = _manifest(
        _names("AgentAccessGrant", "agentaccessgrants", "aag", "agentgrant"),
        "Namespaced",
        (g.AgentAccessGrantSpec, g.AgentAccessGrantStatus),
        rules=_NAME_RULES,
        columns=_GRANT_COLUMNS,
    )
    return {f"{c['metadata']['name']}.yaml": c for c in (identity, agent_class, grant)}
