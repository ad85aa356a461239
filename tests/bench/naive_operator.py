"""The same function as it is mostly written: kopf's handlers, the official client, and hvac.

By the book of all three: creating is idempotent, what raises is tried again by kopf, its threads
run the handlers, small kinds are indexed, status goes through `patch`, and objects go with their
owner. Run by `kopf run`, with the operator's account and settings.
"""

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import hvac
import kopf
import kubernetes.client
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError

GROUP, VERSION = "agentidentity.dev", "v1alpha1"
LABEL = f"{GROUP}/identity"
MESH, RBAC = "security.istio.io/v1", "rbac.authorization.k8s.io"
SET = {k.removeprefix("AGENT_IDENTITY_"): v for k, v in os.environ.items()}
THREADS = 16
LOGIN_SECONDS = 600
Json = dict[str, Any]
_of_thread = threading.local()


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.execution.max_workers = THREADS
    settings.persistence.finalizer = f"{GROUP}/cleanup"
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = 600


@kopf.on.login()
def log_in(**_: Any) -> kopf.ConnectionInfo:
    token, server = Path(SET["KUBE_TOKEN_FILE"]).read_text(), SET["KUBE_SERVER"]
    return kopf.ConnectionInfo(
        server=server, ca_path=SET["KUBE_CA_FILE"], scheme="Bearer", token=token
    )


@kopf.index(GROUP, VERSION, "agentidentityclasses")
def classes(name: str, spec: kopf.Spec, **_: Any) -> Json:
    return {name: dict(spec)}


@kopf.index("", "v1", "namespaces")
def labels_of(name: str, labels: kopf.Labels, **_: Any) -> Json:
    return {name: dict(labels)}


@kopf.on.resume(GROUP, VERSION, "agentidentityclasses")
@kopf.on.create(GROUP, VERSION, "agentidentityclasses")
@kopf.on.update(GROUP, VERSION, "agentidentityclasses", field="spec")
def serve_class(name: str, spec: kopf.Spec, meta: kopf.Meta, patch: kopf.Patch, **_: Any) -> None:
    client = vault(spec["vault"])
    for policy in spec["vault"].get("policies", ()):
        if "rules" in policy:
            path = f"sys/policies/acl/{_policy_name(name, policy)}"
            client.write_data(path, data={"policy": _policy_text(policy, _accessor(client))})
    patch.status.update(_status(meta))


@kopf.on.create(GROUP, VERSION, "agentidentities")
@kopf.on.update(GROUP, VERSION, "agentidentities", field="spec")
def bring_about(body: kopf.Body, meta: kopf.Meta, patch: kopf.Patch, **kwargs: Any) -> None:
    name, namespace = str(meta.name), str(meta.namespace)
    ceiling = _first(kwargs["classes"].get(body.spec["className"], ()))
    labels = _first(kwargs["labels_of"].get(namespace, ()))
    if wrong := _what_is_wrong(body.spec, ceiling, labels):
        patch.status.update(_status(meta, wrong))
        raise kopf.PermanentError(wrong)
    for manifest in _manifests(body.spec, ceiling, name, namespace):
        kopf.adopt(manifest, owner=body)
        _ensure(manifest, namespace, new=kwargs["reason"] == "create")
    if kwargs["reason"] != "create":
        _prune_bindings(body.spec, name, namespace)
    account, role = _account(body.spec, name), _role_name(body.spec, name, namespace)
    data = _role(body.spec, ceiling["vault"], account, namespace)
    vault(ceiling["vault"]).write_data(f"auth/kubernetes/role/{role}", data=data)
    spiffe = f"spiffe://{SET['TRUST_DOMAIN']}/ns/{namespace}/sa/{account}"
    had = {"serviceAccount": account, "spiffeID": spiffe, "vaultRole": role}
    patch.status.update(_status(meta) | had)


@kopf.on.delete(GROUP, VERSION, "agentidentities")
def revoke(spec: kopf.Spec, meta: kopf.Meta, **kwargs: Any) -> None:
    name, namespace = str(meta.name), str(meta.namespace)
    ceiling = _first(kwargs["classes"][spec["className"]])
    client = vault(ceiling["vault"])
    client.delete(f"auth/kubernetes/role/{_role_name(spec, name, namespace)}")
    accounts = _kind("v1", "ServiceAccount")
    try:
        uid = accounts.get(name=_account(spec, name), namespace=namespace).metadata.uid
    except NotFoundError:
        return
    # A token outlives the account that it was issued to, but not its entity.
    identity = client.secrets.identity
    found = identity.lookup_entity(alias_name=uid, alias_mount_accessor=_accessor(client))
    if isinstance(found, dict):
        identity.delete_entity(found["data"]["id"])


# --- what is to be


def _first(found: Iterable[Json]) -> Json:
    return next(iter(found), {})


def _what_is_wrong(spec: kopf.Spec, ceiling: Json, labels: Json) -> str:
    if not ceiling:
        return "there is no such class"
    if not ceiling["namespaceSelector"]["matchLabels"].items() <= labels.items():
        return "the class is not for this namespace"
    listed = {*ceiling["rbac"]["clusterRoles"], *(p["name"] for p in ceiling["vault"]["policies"])}
    asked = {*spec["rbac"]["clusterRoles"], *spec["vault"]["policies"]}
    return ", ".join(f"{one} is not in the class" for one in sorted(asked - listed))


def _manifests(spec: kopf.Spec, ceiling: Json, name: str, namespace: str) -> Iterator[Json]:
    account, policy = _account(spec, name), f"agentidentity-{name}"
    yield _object("v1", "ServiceAccount", account, name, automountServiceAccountToken=False)
    guarded = {"selector": {"matchLabels": {LABEL: name}}}
    mtls = guarded | {"mtls": {"mode": "STRICT"}}
    yield _object(MESH, "PeerAuthentication", policy, name, spec=mtls)
    asked = [*(ceiling.get("inbound") or {}).get("rules", ()), *spec["inbound"].get("rules", ())]
    let_in = guarded | {"action": "ALLOW", "rules": [_rule(rule, namespace) for rule in asked]}
    yield _object(MESH, "AuthorizationPolicy", policy, name, spec=let_in)
    subjects = [{"kind": "ServiceAccount", "name": account, "namespace": namespace}]
    for role in spec["rbac"]["clusterRoles"]:
        ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
        bound = {"roleRef": ref, "subjects": subjects}
        yield _object(f"{RBAC}/v1", "RoleBinding", f"agentidentity:{name}:{role}", name, **bound)


def _object(api_version: str, kind: str, name: str, identity: str, **more: Any) -> Json:
    labels = {LABEL: identity, "app.kubernetes.io/managed-by": "agent-identity-operator"}
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def _rule(rule: Json, namespace: str) -> Json:
    places = [f"{c.get('namespace', namespace)}/sa/{c['name']}" for c in rule["from"]]
    principals = [f"{SET['TRUST_DOMAIN']}/ns/{place}" for place in places]
    operation = {"ports": [str(port) for port in rule["ports"]], **rule.get("http", {})}
    return {"from": [{"source": {"principals": principals}}], "to": [{"operation": operation}]}


def _account(spec: kopf.Spec, name: str) -> str:
    return str((spec.get("serviceAccount") or {}).get("name", name))


def _role_name(spec: kopf.Spec, name: str, namespace: str) -> str:
    return f"{SET['CLUSTER_NAME']}_{namespace}_{_account(spec, name)}"


def _role(spec: kopf.Spec, limits: Json, account: str, namespace: str) -> Json:
    named = {p["name"]: _policy_name(spec["className"], p) for p in limits["policies"]}
    return {
        "bound_service_account_names": [account],
        "bound_service_account_namespaces": [namespace],
        "audience": limits["agentAuth"]["audience"],
        "alias_name_source": "serviceaccount_uid",
        "token_policies": [named[name] for name in spec["vault"]["policies"]],
        "token_no_default_policy": True,
        "token_ttl": spec["vault"].get("tokenTTLSeconds", limits["defaultTokenTTLSeconds"]),
        "token_max_ttl": limits["maxTokenTTLSeconds"],
    }


def _policy_name(class_name: str, policy: Json) -> str:
    written = f"agentid_{SET['CLUSTER_NAME']}_{class_name}_{policy['name']}"
    return str(policy.get("policyName", written))


def _policy_text(policy: Json, accessor: str) -> str:
    known = f"{{{{identity.entity.aliases.{accessor}.metadata.service_account_"
    paths = {r["path"]: {"capabilities": r["capabilities"]} for r in policy["rules"]}
    text = json.dumps({"path": paths}).replace("{namespace}", f"{known}namespace}}}}")
    return text.replace("{serviceAccount}", f"{known}name}}}}")


def _status(meta: kopf.Meta, problem: str = "") -> Json:
    ready = {
        "type": "Ready",
        "status": "False" if problem else "True",
        "reason": "NotInClass" if problem else "InPlace",
        "message": problem,
        "observedGeneration": meta["generation"],
        "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {"observedGeneration": meta["generation"], "conditions": [ready]}


# --- Kubernetes and Vault


@cache
def _cluster() -> DynamicClient:
    configuration = kubernetes.client.Configuration(host=SET["KUBE_SERVER"])
    configuration.ssl_ca_cert, configuration.connection_pool_maxsize = SET["KUBE_CA_FILE"], THREADS
    configuration.refresh_api_key_hook = _present_token  # type: ignore[assignment]
    _present_token(configuration)
    return DynamicClient(kubernetes.client.ApiClient(configuration), cache_file="discovery.json")  # type: ignore[no-untyped-call]


def _present_token(configuration: kubernetes.client.Configuration) -> None:
    token = Path(SET["KUBE_TOKEN_FILE"]).read_text()
    configuration.api_key["authorization"] = f"Bearer {token}"


def _kind(api_version: str, kind: str) -> Any:
    return _cluster().resources.get(api_version=api_version, kind=kind)


def _ensure(manifest: Json, namespace: str, *, new: bool) -> None:
    """Created, or replaced where it differs."""
    resource, name = _kind(manifest["apiVersion"], manifest["kind"]), manifest["metadata"]["name"]
    if new:
        with suppress(ConflictError):
            resource.create(body=manifest, namespace=namespace)
            return
    try:
        there = resource.get(name=name, namespace=namespace).to_dict()
    except NotFoundError:
        resource.create(body=manifest, namespace=namespace)
        return
    if any(there.get(key) != value for key, value in manifest.items() if key != "metadata"):
        manifest["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
        resource.replace(body=manifest, namespace=namespace)


def _prune_bindings(spec: kopf.Spec, name: str, namespace: str) -> None:
    resource = _kind(f"{RBAC}/v1", "RoleBinding")
    for item in resource.get(namespace=namespace, label_selector=f"{LABEL}={name}").items:
        if item.roleRef.name not in spec["rbac"]["clusterRoles"]:
            resource.delete(name=item.metadata.name, namespace=namespace)


def vault(limits: Json) -> hvac.Client:
    """One client a thread: requests does not promise that a session can be shared."""
    if getattr(_of_thread, "until", 0) < time.monotonic():
        _of_thread.vault = hvac.Client(limits["address"], verify=_ca_file(limits["caBundle"]))
        token = Path(SET["VAULT_TOKEN_FILE"]).read_text()
        _of_thread.vault.auth.kubernetes.login(role=limits["login"]["role"], jwt=token)
        _of_thread.until = time.monotonic() + LOGIN_SECONDS
    return _of_thread.vault


@cache
def _ca_file(bundle: str) -> str:
    file = Path("vault-ca.crt")
    file.write_text(bundle)
    return str(file.resolve())


def _accessor(client: hvac.Client) -> str:
    return str(client.sys.list_auth_methods()["data"]["kubernetes/"]["accessor"])
