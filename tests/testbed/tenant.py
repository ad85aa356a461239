"""What teams do with a bed: apply identities and classes, and look at what comes of them.

Talks to the API server through the Kubernetes client, so that tests share no code with the
operator.
"""

import copy
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import NotFoundError

from testbed.bed import Bed
from testbed.waiting import wait_until

Manifest = dict[str, Any]
OURS = "agentidentity.dev/v1alpha1"
MESH = "security.istio.io/v1"
RBAC = "rbac.authorization.k8s.io/v1"
VERSIONS = {
    "AgentIdentity": OURS,
    "AgentIdentityClass": OURS,
    "AgentAccessGrant": OURS,
    "PeerAuthentication": MESH,
    "AuthorizationPolicy": MESH,
    "RoleBinding": RBAC,
    "ClusterRole": RBAC,
}
READY_SECONDS = 30
RESYNC_SECONDS = 4
# Nobody takes over from an operator that was killed before this is over, not even itself; and an
# API server that is started anew must be back before two thirds of it are.
LEASE_SECONDS = 8
# What takes minutes in production takes seconds in tests.
SHORT_PERIODS = {
    "AGENT_IDENTITY_RESYNC_SECONDS": str(RESYNC_SECONDS),
    "AGENT_IDENTITY_DELETION_DEADLINE_SECONDS": "5",
    "AGENT_IDENTITY_LEASE_SECONDS": str(LEASE_SECONDS),
    "AGENT_IDENTITY_LOG_LEVEL": "DEBUG",
}


def class_manifest(name: str, bed: Bed | None, **spec: Any) -> Manifest:
    """A class for namespaces labelled agents=allowed. With a bed, secrets come from its OpenBao."""
    vault = (
        {
            "address": bed.openbao.address,
            "caBundle": bed.openbao.ca_pem,
            "login": {"mount": "kubernetes", "role": "agent-identity-operator"},
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
        }
        if bed
        else None
    )
    return {
        "apiVersion": OURS,
        "kind": "AgentIdentityClass",
        "metadata": {"name": name},
        "spec": {
            "namespaceSelector": {"matchLabels": {"agents": "allowed"}},
            "serviceAccounts": {"annotationKeys": ["eks.amazonaws.com/role-arn"]},
            "mesh": {"type": "Istio", "istio": {"dataPlane": "Sidecar"}},
            "rbac": {"clusterRoles": ["ticket-reader"]},
            **({"vault": vault} if vault else {}),
            **spec,
        },
    }


def client_with_a_role(bed: Bed) -> DynamicClient:
    """The administrator's client, once there is the ClusterRole that `class_manifest` lists."""
    client = bed.control_plane.client()
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    client.resources.get(api_version=RBAC, kind="ClusterRole").create(
        body={"metadata": {"name": "ticket-reader"}, "rules": rules}
    )
    return client


def identity_manifest(namespace: str, name: str, **spec: Any) -> Manifest:
    """An identity; spec fields in camelCase as keyword arguments."""
    return {
        "apiVersion": OURS,
        "kind": "AgentIdentity",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def full_spec(*, callers: tuple[str, ...] = ()) -> dict[str, Any]:
    """A spec that asks for something in every room."""
    rules = [
        {
            "name": "tasks",
            "from": [{"kind": "AgentIdentity", "name": c} for c in callers],
            "ports": [8080],
            "protocol": "HTTP",
            "http": {"methods": ["POST"], "paths": ["/v1/tasks"]},
        }
    ]
    return {
        "inbound": {"enforcement": "Enforce", **({"rules": rules} if callers else {})},
        "rbac": {"clusterRoles": ["ticket-reader"]},
        "vault": {"policies": ["own-secrets"]},
    }


def grant_manifest(namespace: str, name: str, *rules: Manifest, **spec: Any) -> Manifest:
    """A grant for pods labelled app=<name>; spec fields in camelCase as keyword arguments."""
    given = {"enforcement": "Enforce", "rules": list(rules)} | spec
    if "targetRefs" not in given:
        given = {"selector": {"matchLabels": {"app": name}}} | given
    return {
        "apiVersion": OURS,
        "kind": "AgentAccessGrant",
        "metadata": {"name": name, "namespace": namespace},
        "spec": given,
    }


def rule(name: str, *callers: Manifest, **more: Any) -> Manifest:
    """A rule that lets these callers GET /v1/orders on port 8080."""
    http = {"methods": ["GET"], "paths": ["/v1/orders"]}
    said = {"ports": [8080], "protocol": "HTTP", "http": http} | more
    return {"name": name, "from": list(callers), **said}


class Tenant:
    """One namespace, and whoever works in it."""

    def __init__(self, bed: Bed, client: DynamicClient, namespace: str, class_name: str) -> None:
        self.bed = bed
        self.client = client
        self.namespace = namespace
        self.class_name = class_name

    # --- writing

    def grant(self, name: str, *rules: Manifest, **spec: Any) -> Manifest:
        """Create a grant for pods labelled app=<name>, enforced unless spec says otherwise."""
        return self.create(grant_manifest(self.namespace, name, *rules, **spec))

    def create(self, manifest: Manifest) -> Manifest:
        """POST as it is, unknown fields dropped by the server as any client may have it."""
        resource = self._resource(manifest["kind"])
        namespace = manifest["metadata"].get("namespace")
        made: Manifest = resource.create(body=manifest, namespace=namespace).to_dict()
        return made

    def identity(self, name: str, **spec: Any) -> Manifest:
        """Create an identity of this tenant's class."""
        return self.create(
            identity_manifest(self.namespace, name, **({"className": self.class_name} | spec))
        )

    def patch(self, kind: str, name: str, body: Any, **more: Any) -> Manifest:
        """A merge patch; body null deletes a field."""
        resource = self._resource(kind)
        kwargs = {"content_type": "application/merge-patch+json"} | more
        got: Manifest = resource.patch(
            name=name, namespace=self._namespace_of(kind), body=body, **kwargs
        ).to_dict()
        return got

    def delete(self, kind: str, name: str) -> None:
        """Not waited for; nothing where there is nothing."""
        try:
            self._resource(kind).delete(name=name, namespace=self._namespace_of(kind))
        except NotFoundError:
            return

    def delete_all(self, kind: str) -> None:
        """All of a kind that are in the namespace; not waited for."""
        everywhere = f"metadata.namespace={self.namespace}"
        self._resource(kind).delete(namespace=self.namespace, field_selector=everywhere)

    # --- looking

    def get(self, kind: str, name: str) -> Manifest | None:
        """The object as it is, or None."""
        try:
            resource = self._resource(kind)
            got: Manifest = resource.get(name=name, namespace=self._namespace_of(kind)).to_dict()
        except NotFoundError:
            return None
        return got

    def condition(self, name: str, kind: str = "Ready", *, of: str = "AgentIdentity") -> Manifest:
        """One condition of an identity or class; empty while there is none, or none yet for the
        generation that the object has."""
        body = self.get(of, name) or {}
        status = body.get("status") or {}
        if status.get("observedGeneration") != body.get("metadata", {}).get("generation"):
            return {}
        rows = (c for c in status.get("conditions") or () if c["type"] == kind)
        return next(rows, {})

    def wait_ready(
        self, name: str, *, of: str = "AgentIdentity", timeout: float = READY_SECONDS
    ) -> Manifest:
        """Until Ready is True for the current generation; the object."""

        def ready() -> bool:
            return self.condition(name, of=of).get("status") == "True"

        wait_until(ready, timeout=timeout, what=f"{of} {name} is Ready")
        return self.get(of, name) or {}

    def wait_reason(
        self,
        name: str,
        reason: str,
        kind: str = "Ready",
        *,
        of: str = "AgentIdentity",
        timeout: float = READY_SECONDS,
    ) -> Manifest:
        """Until a condition has this reason; the condition."""

        def found() -> Manifest:
            condition = self.condition(name, kind, of=of)
            return condition if condition.get("reason") == reason else {}

        return wait_until(found, timeout=timeout, what=f"{kind} of {of} {name} has reason {reason}")

    def wait_gone(self, kind: str, name: str, *, timeout: float = READY_SECONDS) -> None:
        wait_until(
            lambda: self.get(kind, name) is None, timeout=timeout, what=f"{kind} {name} gone"
        )

    def owned(self, name: str) -> dict[str, list[str]]:
        """Kind → names of everything that carries the label of an identity."""
        selector = f"agentidentity.dev/identity={name}"
        kinds = ("ServiceAccount", "RoleBinding", "PeerAuthentication", "AuthorizationPolicy")
        found: dict[str, list[str]] = {}
        for kind in kinds:
            items = self._resource(kind).get(namespace=self.namespace, label_selector=selector)
            names = sorted(item.metadata.name for item in items.items)
            found |= {kind: names} if names else {}
        return found

    def events(self, name: str) -> list[Manifest]:
        """Events about an identity."""
        items = self.client.resources.get(api_version="events.k8s.io/v1", kind="Event").get(
            namespace=self.namespace
        )
        return [e.to_dict() for e in items.items if e.regarding and e.regarding.name == name]

    def role_name(self, account: str) -> str:
        return f"{self.bed.cluster_name}_{self.namespace}_{account}"

    def vault_role(self, account: str) -> Mapping[str, Any] | None:
        """The Vault role of an account of this namespace, or None."""
        return self.bed.openbao.read(f"auth/kubernetes/role/{self.role_name(account)}")

    def vault_login(
        self, account: str, *, audience: str = "vault", role: str = ""
    ) -> tuple[int, str]:
        """Log in as this namespace's account: HTTP status, and the token or what was told."""
        jwt = self.bed.control_plane.token(self.namespace, account, audience=audience)
        status, answer = self.bed.openbao.login(
            mount="kubernetes", role=role or self.role_name(account), jwt=jwt
        )
        return status, (answer.get("auth") or {}).get("client_token") or str(answer.get("errors"))

    def vault_token(self, account: str) -> str:
        """One that gives the account what is its own: what can't be read later could be read."""
        status, token = self.vault_login(account)
        if status != HTTPStatus.OK:
            raise AssertionError(f"{account} can't log in: {token}")
        path = f"kv/data/{self.namespace}/{account}/anything"
        read, _ = self.bed.openbao.request("GET", path, token=token)
        # Of what is not there, only who may read is told so.
        if read not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            raise AssertionError(f"the token of {account} gives nothing: {read}")
        return token

    def _resource(self, kind: str) -> Any:
        return self.client.resources.get(api_version=VERSIONS.get(kind, "v1"), kind=kind)

    def _namespace_of(self, kind: str) -> str | None:
        cluster_wide = kind in ("AgentIdentityClass", "Namespace", "ClusterRole")
        return None if cluster_wide else self.namespace


def refused(error: ApiException) -> str:
    """What the API server said when it refused."""
    return str(error.body)


def changed(manifest: Manifest, **fields: Any) -> Manifest:
    """A copy with other top-level spec fields."""
    copied = copy.deepcopy(manifest)
    copied["spec"] |= fields
    return copied
