"""What somebody with the operator's own token would try, as data. Nothing of it may work."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attack_people import MERGE, Manifest, path_of
from attack_town import AGENT, CLASS, MANAGED, OTHER, OWNED, TEAM, pod, token_secret

from testbed.operator_process import NAMESPACE, SERVICE_ACCOUNT
from testbed.tenant import MESH, OURS, RBAC, grant_manifest, identity_manifest

ADMISSION = "admissionregistration.k8s.io/v1"
SYSTEM = "kube-system"
ROOT = "istio-system"
CANNOT = " cannot "
"""In every refusal of RBAC, and in none of ours."""
NOT_ITS_OWN = "the operator touches nothing that is not labelled as its own"
NO_OWNER = (
    "the operator makes nothing without an AgentIdentity or AgentAccessGrant that alone owns it"
)
HOLDS_NOTHING = "the operator holds nothing but its accounts"
SAME_NAMESPACE = "to accounts of the binding's own namespace"
ONE_AGENT = "mesh policies are for the pods of one agent"
SAME_WORKLOAD = "a grant's policies guard what the grant guards"
NOT_IN_THE_ROOT = "lets nobody in by a policy of the mesh's root namespace"
LEADS_THERE = "at a waypoint are for Services that select the agent by its label"
SAME_NAME = "a grant's policies have the grant's name"
NEVER_OFF = "the operator switches mTLS on and never off"
NO_SPEC = "the operator changes no spec"
NO_METADATA = "the operator changes no owners, labels or annotations"
OWN_FINALIZER = "the operator sets no finalizer but its own"
NOT_HELD = "is attempting to grant RBAC permissions not currently held"
MYSELF = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": NAMESPACE}


@dataclass(frozen=True)
class Attempt:
    """says: part of the refusal. fresh: an object to read first, and send with these changes."""

    id: str
    method: str
    path: str
    body: Manifest | None = None
    says: str = CANNOT
    headers: Mapping[str, str] = field(default_factory=dict)
    fresh: Manifest | None = None


def marked(name: str, identity: str = AGENT, /, **owner: Any) -> Manifest:
    """Metadata that looks like ours, so that RBAC alone is asked. owner: fields of its owner,
    unless they are true."""
    of = {"apiVersion": OURS, "kind": "AgentIdentity", "name": identity, "uid": "forged"}
    labels = {**MANAGED, "agentidentity.dev/identity": identity}
    owners = [{**of, "controller": True, **owner}]
    return {"name": name, "labels": labels, "ownerReferences": owners}


def binding(role: str, *subjects: Manifest, kind: str = "ClusterRole", **more: Any) -> Manifest:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": marked(f"agentidentity:{AGENT}:{role}"),
        "roleRef": {"apiGroup": group, "kind": kind, "name": role},
        "subjects": list(subjects),
        **more,
    }


def mesh(kind: str, spec: Manifest, **metadata: Any) -> Manifest:
    return {
        "apiVersion": MESH,
        "kind": kind,
        "metadata": metadata or marked("agentidentity-agent-2"),
        "spec": spec,
    }


def _rbac(kind: str, name: str = "") -> str:
    return path_of(kind, NAMESPACE, name, version=RBAC)


def _post(name: str, path: str, body: Manifest, says: str = CANNOT) -> Attempt:
    return Attempt(f"create-{name}", "POST", path, body, says)


_LEFT: Manifest = {
    "name": "agentidentity-x",
    "labels": {**MANAGED, "agentidentity.dev/identity": "x", "agentidentity.dev/retired": "true"},
}


def _leave(name: str, kind: str, spec: Manifest, says: str) -> Attempt:
    """Something of an agent's that says that it outlives the agent, and so has no owner."""
    guarded = {"selector": {"matchLabels": {"agentidentity.dev/identity": "x"}}, **spec}
    return _post(f"{name}-left-by-nobody", path_of(kind, TEAM), mesh(kind, guarded, **_LEFT), says)


def _patch(name: str, path: str, body: Manifest, says: str = CANNOT) -> Attempt:
    return Attempt(f"patch-{name}", "PATCH", path, body, says, {"Content-Type": MERGE})


def _put(name: str, path: str, changes: Manifest, says: str = CANNOT) -> Attempt:
    return Attempt(f"replace-{name}", "PUT", path, None, says, fresh=changes)


def _delete(name: str, path: str, says: str = CANNOT) -> Attempt:
    return Attempt(f"delete-{name}", "DELETE", path, None, says)


def _get(name: str, path: str) -> Attempt:
    return Attempt(name, "GET", path)


def _as(name: str, header: str, value: str) -> Attempt:
    # A group needs a user beside it.
    user = {} if header == "Impersonate-User" else {"Impersonate-User": "anybody"}
    headers = {**user, f"{header}": value}
    says = "cannot impersonate"
    return Attempt(f"impersonate-{name}", "GET", path_of("Namespace"), says=says, headers=headers)


_WIDE = {"apiVersion": RBAC, "metadata": {"name": "wide"}}
_EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
_ADMIN_ROLE = {
    "apiGroup": "rbac.authorization.k8s.io",
    "kind": "ClusterRole",
    "name": "cluster-admin",
}
_BINDINGS = f"/apis/{RBAC}/namespaces/{TEAM}/rolebindings"
_ROLES = ("cluster-admin", "admin", "edit", "view", "system:node", "agentidentity-admin")

MORE_RIGHTS = [
    _post(
        "cluster-role-binding",
        _rbac("ClusterRoleBinding"),
        {**_WIDE, "roleRef": _ADMIN_ROLE, "subjects": [MYSELF]},
    ),
    *(_post(f"binding-to-{r}", _BINDINGS, binding(r, MYSELF), NOT_HELD) for r in _ROLES),
    _post("binding-to-unlisted", _BINDINGS, binding("unlisted", MYSELF), NOT_HELD),
    _post("binding-to-role", _BINDINGS, binding("local", MYSELF, kind="Role"), NOT_HELD),
    _post(
        "binding-in-kube-system",
        f"/apis/{RBAC}/namespaces/{SYSTEM}/rolebindings",
        binding("admin", MYSELF),
        NOT_HELD,
    ),
    _post("role", _rbac("Role"), {**_WIDE, "rules": _EVERYTHING}),
    _post("cluster-role", _rbac("ClusterRole"), {**_WIDE, "rules": _EVERYTHING}),
    _patch("own-role", _rbac("Role", SERVICE_ACCOUNT), {"rules": _EVERYTHING}),
    _patch("own-cluster-role", _rbac("ClusterRole", SERVICE_ACCOUNT), {"rules": _EVERYTHING}),
    _patch("ceiling", _rbac("ClusterRole", f"{SERVICE_ACCOUNT}-bind"), {"rules": _EVERYTHING}),
    _patch("listed-role", _rbac("ClusterRole", "ticket-reader"), {"rules": _EVERYTHING}),
    _patch("own-binding", _rbac("ClusterRoleBinding", SERVICE_ACCOUNT), {"subjects": [MYSELF]}),
    _as("user", "Impersonate-User", "admin"),
    _as("masters", "Impersonate-Group", "system:masters"),
    _as("account", "Impersonate-User", f"system:serviceaccount:{SYSTEM}:namespace-controller"),
    _as("uid", "Impersonate-Uid", "0"),
]

SECRETS_AND_TOKENS = [
    *(_get(f"list-secrets-in-{n}", path_of("Secret", n)) for n in (SYSTEM, NAMESPACE, TEAM)),
    _get("list-all-secrets", "/api/v1/secrets"),
    _get("watch-all-secrets", "/api/v1/secrets?watch=1"),
    _get("get-a-secret", path_of("Secret", TEAM, "any")),
    _post("secret", path_of("Secret", TEAM), token_secret("stolen", AGENT)),
    _post(
        "own-secret",
        path_of("Secret", NAMESPACE),
        token_secret("stolen", SERVICE_ACCOUNT, namespace=NAMESPACE),
    ),
    *(
        _post(f"token-of-{n}-{a}", path_of("ServiceAccount", n, f"{a}/token"), {"spec": {}})
        for n, a in ((TEAM, AGENT), (SYSTEM, "namespace-controller"), (NAMESPACE, SERVICE_ACCOUNT))
    ),
]

_APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
_CSR = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
_HOOKS = f"/apis/{ADMISSION}/validatingwebhookconfigurations"
_POLICIES = f"/apis/{ADMISSION}/validatingadmissionpolicies"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_NAMED = {"metadata": {"name": "mine"}}
_NOTE = {"metadata": {"annotations": {"example.com/note": "x"}}}

THE_CLUSTER = [
    _post("pod", path_of("Pod", TEAM), pod("mine", AGENT, AGENT)),
    _post("deployment", f"{_APPS}/deployments", {**_NAMED, "spec": {}}),
    _post("daemonset", f"{_APPS}/daemonsets", {**_NAMED, "spec": {}}),
    _post("job", f"/apis/batch/v1/namespaces/{TEAM}/jobs", {**_NAMED, "spec": {}}),
    _patch("own-deployment", f"{_APPS}/deployments/{SERVICE_ACCOUNT}", {"spec": {"replicas": 9}}),
    _post("exec", path_of("Pod", TEAM, "any/exec?command=sh"), {}),
    _patch("ephemeral-container", path_of("Pod", TEAM, "any/ephemeralcontainers"), {}),
    _get("log-of-a-pod", path_of("Pod", TEAM, "any/log")),
    _post("node", path_of("Node"), _NAMED),
    _patch("node", path_of("Node", "", "worker-1"), _NOTE),
    _get("proxy-to-a-node", path_of("Node", "", "worker-1/proxy/pods")),
    _post("webhook", _HOOKS, _NAMED),
    _post("policy", _POLICIES, {**_NAMED, "spec": {}}),
    _delete("policy", f"{_POLICIES}/agentidentity.dev-operator-objects"),
    _patch("policy", f"{_POLICIES}/agentidentity.dev-operator-objects", _NOTE),
    _delete("policy-binding", f"{_POLICIES[:-8]}policybindings/agentidentity.dev-operator-objects"),
    _post("crd", _CRDS, _NAMED),
    _patch("crd", f"{_CRDS}/agentidentities.agentidentity.dev", _NOTE),
    _post("namespace", path_of("Namespace"), _NAMED),
    _patch("namespace", path_of("Namespace", "", TEAM), {"metadata": {"labels": {"a": "b"}}}),
    _delete("namespace", path_of("Namespace", "", TEAM)),
    _post("csr", _CSR, _NAMED),
    _patch("csr-approval", f"{_CSR}/mine/approval", {}),
    _post("config-map-elsewhere", path_of("ConfigMap", SYSTEM), _NAMED),
    _get("read-a-config-map", path_of("ConfigMap", SYSTEM, "any")),
    _patch("config-map-beside", path_of("ConfigMap", NAMESPACE, "kube-root-ca.crt"), _NOTE),
    _patch(
        "lease-of-others",
        f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/kube-controller-manager",
        _NOTE,
    ),
    _delete(
        "own-lease", f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{SERVICE_ACCOUNT}"
    ),
]

GRANT, GATE = "orders", "gate"
GATES = (GATE, "back-gate")
_GRANTS = path_of("AgentAccessGrant", TEAM)
_CLASSES = path_of("AgentIdentityClass")
_OPEN = {"namespaceSelector": {"matchLabels": {}}, "mesh": {"type": "None"}}

_OURS_THERE = {
    "identity": path_of("AgentIdentity", TEAM, AGENT),
    "grant": f"{_GRANTS}/{GRANT}",
    "class": f"{_CLASSES}/{CLASS}",
}
_GONE = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "forged"}
_GONE_NAMESPACE = {**_GONE, "kind": "Namespace"}


def _mark(what: str, name: str, says: str, **metadata: Any) -> Attempt:
    path = f"{_OURS_THERE[what]}?dryRun=All"
    return _patch(f"{what}-{name}", path, {"metadata": metadata}, says)


OUR_KINDS = [
    # What has an owner, and none that is there, is deleted by the garbage collector.
    _mark("identity", "to-be-collected", NO_METADATA, ownerReferences=[_GONE]),
    _mark("grant", "to-be-collected", NO_METADATA, ownerReferences=[_GONE]),
    _mark("class", "to-be-collected", NO_METADATA, ownerReferences=[_GONE_NAMESPACE]),
    _mark("identity", "labels", NO_METADATA, labels={"example.com/of": "x"}),
    _mark("grant", "annotations", NO_METADATA, annotations={"example.com/note": "x"}),
    _mark("identity", "to-be-orphaned", OWN_FINALIZER, finalizers=["orphan"]),
    _mark("class", "to-be-held", OWN_FINALIZER, finalizers=["example.com/held"]),
    _post("identity", path_of("AgentIdentity", TEAM), identity_manifest(TEAM, "mine")),
    _delete("identity", path_of("AgentIdentity", TEAM, AGENT)),
    _delete("all-identities", path_of("AgentIdentity", TEAM)),
    _patch("identity", path_of("AgentIdentity", TEAM, AGENT), {"spec": {"rbac": None}}, "denied"),
    _post("grant", _GRANTS, grant_manifest(TEAM, "mine")),
    _delete("grant", f"{_GRANTS}/{GRANT}"),
    _delete("all-grants", _GRANTS),
    _patch("grant", f"{_GRANTS}/{GRANT}", {"spec": {"rules": None}}, NO_SPEC),
    _patch("grant-to-open", f"{_GRANTS}/{GRANT}", {"spec": {"onDelete": "Open"}}, NO_SPEC),
    _post("class", _CLASSES, {"apiVersion": OURS, **_NAMED, "spec": _OPEN}),
    _delete("class", f"{_CLASSES}/{CLASS}"),
    _patch("class", f"{_CLASSES}/{CLASS}", {"spec": {"rbac": {"clusterRoles": []}}}, NO_SPEC),
    _patch(
        "class-for-all",
        f"{_CLASSES}/{CLASS}",
        {"spec": {"namespaceSelector": {"matchLabels": None}}},
        # The schema looks first: the labels are required.
        "matchLabels",
    ),
]

STRANGER = "stranger"
_PERMISSIVE = {"mtls": {"mode": "PERMISSIVE"}}
_LABELLED = {"selector": {"matchLabels": {"agentidentity.dev/identity": AGENT}}}
_ELSEWHERE = {"kind": "ServiceAccount", "name": "mallory", "namespace": OTHER}
_USER = {"kind": "User", "name": "mallory", "apiGroup": "rbac.authorization.k8s.io"}
_HERE = {"kind": "ServiceAccount", "name": AGENT, "namespace": TEAM}

OTHERS_OBJECTS = [
    _delete("account", path_of("ServiceAccount", TEAM, "default"), NOT_ITS_OWN),
    _delete("system-account", path_of("ServiceAccount", SYSTEM, "default"), NOT_ITS_OWN),
    _delete("own-account", path_of("ServiceAccount", NAMESPACE, SERVICE_ACCOUNT), NOT_ITS_OWN),
    _put("account", path_of("ServiceAccount", TEAM, "default"), {"secrets": []}, NOT_ITS_OWN),
    _delete("binding", f"{_BINDINGS}/{STRANGER}", NOT_ITS_OWN),
    _put("binding", f"{_BINDINGS}/{STRANGER}", {"subjects": [MYSELF]}, NOT_ITS_OWN),
    *(_delete(f"foreign-{k}", path_of(k, TEAM, STRANGER), NOT_ITS_OWN) for k in list(OWNED)[2:]),
    _put(
        "foreign-policy",
        path_of("AuthorizationPolicy", TEAM, STRANGER),
        {"spec": {"rules": [{}]}},
        NOT_ITS_OWN,
    ),
    _post(
        "unmarked-account", path_of("ServiceAccount", SYSTEM), {"metadata": {"name": "x"}}, "own"
    ),
    _post(
        "account-of-nobody",
        path_of("ServiceAccount", SYSTEM),
        {"metadata": {"name": "x", "labels": MANAGED}},
        NO_OWNER,
    ),
    _post(
        "binding-for-another-namespace",
        _BINDINGS,
        binding("ticket-reader", _ELSEWHERE),
        SAME_NAMESPACE,
    ),
    _post("binding-for-a-user", _BINDINGS, binding("ticket-reader", _USER), SAME_NAMESPACE),
    _put(
        "our-binding",
        f"{_BINDINGS}/{OWNED['RoleBinding']}",
        {"subjects": [_HERE, _ELSEWHERE]},
        SAME_NAMESPACE,
    ),
    _post(
        "mesh-wide-permissive",
        path_of("PeerAuthentication", ROOT),
        mesh("PeerAuthentication", _PERMISSIVE),
        ONE_AGENT,
    ),
    _post(
        "permissive-for-an-agent",
        path_of("PeerAuthentication", TEAM),
        mesh("PeerAuthentication", {**_LABELLED, **_PERMISSIVE}),
        NEVER_OFF,
    ),
    _post(
        "open-port",
        path_of("PeerAuthentication", TEAM),
        mesh(
            "PeerAuthentication",
            {
                **_LABELLED,
                "mtls": {"mode": "STRICT"},
                "portLevelMtls": {"8080": {"mode": "DISABLE"}},
            },
        ),
        NEVER_OFF,
    ),
    _post(
        "open-namespace",
        path_of("AuthorizationPolicy", TEAM),
        mesh("AuthorizationPolicy", {"rules": [{}]}),
        ONE_AGENT,
    ),
    _post(
        "open-workload",
        path_of("AuthorizationPolicy", TEAM),
        mesh("AuthorizationPolicy", {"selector": {"matchLabels": {"app": "bank"}}, "rules": [{}]}),
        ONE_AGENT,
    ),
    _put(
        "our-policy",
        path_of("AuthorizationPolicy", TEAM, OWNED["AuthorizationPolicy"]),
        {"spec": {"rules": [{}]}},
        ONE_AGENT,
    ),
    _leave("policy-that-opens", "AuthorizationPolicy", {"rules": [{}]}, NO_OWNER),
    _leave("policy-that-denies", "AuthorizationPolicy", {"action": "DENY"}, NO_OWNER),
    _leave("mtls-that-is-off", "PeerAuthentication", {"mtls": {"mode": "DISABLE"}}, NEVER_OFF),
    _post("account-left-by-nobody", path_of("ServiceAccount", TEAM), {"metadata": _LEFT}, NO_OWNER),
]

_ANYBODY: Manifest = {"rules": [{}]}
_BANK = {"selector": {"matchLabels": {"app": "bank"}}}
_ITS_OWN = {"selector": {"matchLabels": {"app": GRANT}}}
_POLICIES_HERE = path_of("AuthorizationPolicy", TEAM)
_OF_THE_GRANT = f"{_POLICIES_HERE}/agentaccessgrant-{GRANT}"
_OF_THE_GATE = f"{_POLICIES_HERE}/agentaccessgrant-{GATE}"


def of_grant(name: str, spec: Manifest, /, *, grant: str = GRANT, **owner: Any) -> Manifest:
    """A policy that says that it is a grant's. owner: fields of its owner, unless they are true."""
    metadata = marked(name, **({"kind": "AgentAccessGrant", "name": grant} | owner))
    labels = {**MANAGED, "agentidentity.dev/grant": grant}
    return mesh("AuthorizationPolicy", spec, **{**metadata, "labels": labels})


def _move(name: str, spec: Manifest, path: str = _OF_THE_GRANT) -> Attempt:
    return _put(f"grant-{name}", path, {"spec": spec}, SAME_WORKLOAD)


def services(*names: str) -> Manifest:
    """What a policy or a grant is for that waypoints enforce."""
    return {"targetRefs": [{"kind": "Service", "name": name} for name in names]}


def _forge(name: str, policy: Manifest, says: str) -> Attempt:
    return _post(f"policy-{name}", _POLICIES_HERE, policy, says)


GHOST = "ghost"
_GHOSTS = f"agentaccessgrant-{GHOST}"
MOVES = [
    _move("to-another-workload", {**_BANK, **_ANYBODY}),
    _move("to-the-namespace", _ANYBODY),
    _move("to-a-service", {**services("bank"), **_ANYBODY}),
    _move("to-another-service", {**services(GATE, "bank"), **_ANYBODY}, _OF_THE_GATE),
    _move("to-one-service-more", {**services(*GATES, "bank"), **_ANYBODY}, _OF_THE_GATE),
    _move("to-one-service-less", {**services(GATE), **_ANYBODY}, _OF_THE_GATE),
    _move("to-no-service", _ANYBODY, _OF_THE_GATE),
    _move("that-denies", {**_ITS_OWN, **_ANYBODY, "action": "DENY"}),
    _move(
        "that-asks-others",
        {**_ITS_OWN, **_ANYBODY, "action": "CUSTOM", "provider": {"name": "mine"}},
    ),
    _forge("of-another-name", of_grant("bank", {**_ITS_OWN, **_ANYBODY}), SAME_NAME),
    _forge(
        "for-another-workload",
        of_grant(f"agentaccessgrant-{GRANT}.1", {**_BANK, **_ANYBODY}),
        SAME_WORKLOAD,
    ),
    _forge(
        "of-an-identity",
        of_grant(f"agentaccessgrant-{GHOST}", _BANK, grant=GHOST, kind="AgentIdentity"),
        NO_OWNER,
    ),
    _forge("of-any-name", of_grant("x", {**_BANK, **_ANYBODY}, grant=GHOST), SAME_NAME),
    _forge("for-the-namespace", of_grant(_GHOSTS, _ANYBODY, grant=GHOST), SAME_WORKLOAD),
    _post(
        "policy-for-the-mesh",
        path_of("AuthorizationPolicy", ROOT),
        of_grant(_GHOSTS, {**_BANK, **_ANYBODY}, grant=GHOST),
        NOT_IN_THE_ROOT,
    ),
    _forge(
        "of-another-grant",
        of_grant(f"agentaccessgrant-{GHOST}", _BANK, grant=GHOST, name=GRANT),
        NO_OWNER,
    ),
]

_HELD = {"finalizers": ["example.com/held"]}
_THERE = {"apiVersion": "v1", "kind": "ServiceAccount", "name": "default", "uid": "forged"}
OUTLASTING: dict[str, tuple[Manifest, str]] = {
    "one-owner-more": ({"ownerReferences": [_THERE]}, NO_OWNER),
    "a-finalizer": (_HELD, HOLDS_NOTHING),
}
"""What keeps an object from the garbage collector, added to its metadata; and the refusal."""


def with_more(body: Manifest, lists: Manifest) -> Manifest:
    """The object with more in these lists of its metadata."""
    metadata = body["metadata"]
    more = {key: [*metadata.get(key, ()), *added] for key, added in lists.items()}
    return {**body, "metadata": {**metadata, **more}}


def ghosts(**owner: Any) -> dict[str, Manifest]:
    """Policies of a grant and of an identity that are not there. owner: as above."""
    label = {"agentidentity.dev/identity": GHOST}
    spec = {"selector": {"matchLabels": label}, **_ANYBODY}
    of_identity = marked(f"agentidentity-{GHOST}", GHOST, **owner)
    return {
        "grant": of_grant(_GHOSTS, {**_BANK, **_ANYBODY}, grant=GHOST, **owner),
        "identity": mesh("AuthorizationPolicy", spec, **of_identity),
    }


def _of_ghosts(
    name: str, says: str, lists: Manifest | None = None, /, **owner: Any
) -> list[Attempt]:
    made = ghosts(**owner).items()
    return [_forge(f"of-no-{w}-{name}", with_more(body, lists or {}), says) for w, body in made]


LASTING = [
    *(a for n, (more, says) in OUTLASTING.items() for a in _of_ghosts(f"with-{n}", says, more)),
    *_of_ghosts("of-a-version-to-come", NO_OWNER, apiVersion="agentidentity.dev/v9"),
    *_of_ghosts("that-nobody-controls", NO_OWNER, controller=False),
    *_of_ghosts("of-another", NO_OWNER, name=AGENT),
]
AT_A_WAYPOINT = _forge(
    "for-a-service-of-others",
    mesh(
        "AuthorizationPolicy",
        {**services(STRANGER), **_ANYBODY},
        **marked(f"agentidentity-{AGENT}.waypoint"),
    ),
    LEADS_THERE,
)

ATTEMPTS = [*MORE_RIGHTS, *SECRETS_AND_TOKENS, *THE_CLUSTER, *OUR_KINDS, *OTHERS_OBJECTS]
