"""`explain` on answers that are made up: what may not be read is told, and nothing is invented."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from answers import policy_of
from sets import OURS, RULE, Manifest, Program, agent_class, full, identity, namespace

from agent_identity.cli import commands
from agent_identity.cli.asked import AskTold
from agent_identity.cli.cluster import Absent, Reader
from agent_identity.cli.documents import Unreadable
from agent_identity.cli.explain import Explanation, explain
from agent_identity.cli.manifests import manifests
from agent_identity.cli.render import PSEUDO, render
from agent_identity.cli.seen import look_at
from agent_identity.cli.words import in_words
from agent_identity.core.facts import Cluster
from agent_identity.core.resource import Key

KEY = Key("agents", "agent")
CLUSTER = Cluster("prod", "example.org", "istio-system")
LISTS = {
    "AgentIdentity": "/apis/agentidentity.dev/v1alpha1/agentidentities",
    "AgentIdentityClass": "/apis/agentidentity.dev/v1alpha1/agentidentityclasses",
    "Namespace": "/api/v1/namespaces",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "ServiceAccount": "/api/v1/namespaces/agents/serviceaccounts",
    "Pod": "/api/v1/namespaces/agents/pods",
    "Service": "/api/v1/namespaces/agents/services",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/agents/rolebindings",
    "PeerAuthentication": "/apis/security.istio.io/v1/namespaces/agents/peerauthentications",
    "AuthorizationPolicy": "/apis/security.istio.io/v1/namespaces/agents/authorizationpolicies",
    "WaypointPolicy": "/apis/security.istio.io/v1/namespaces/gateways/authorizationpolicies",
    "AgentAccessGrant": "/apis/agentidentity.dev/v1alpha1/namespaces/shop/agentaccessgrants",
    "GrantPolicy": "/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies",
}
GRANT = f"{LISTS['AgentAccessGrant']}/orders"
ONE = "/apis/agentidentity.dev/v1alpha1/namespaces/agents/agentidentities/agent"
ROOT_NAMESPACE = "/apis/security.istio.io/v1/namespaces/istio-system/"


def condition(kind: str, status: str = "True", reason: str = "InPlace", message: str = "") -> Any:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def live(manifest: Manifest, **metadata: Any) -> Manifest:
    given = {"uid": f"uid-of-{manifest['metadata']['name']}", "resourceVersion": "1"}
    return manifest | {"metadata": given | {"generation": 1} | manifest["metadata"] | metadata}


def status_of(name: str, **more: Any) -> Manifest:
    kinds = ("Ready", "ServiceAccountReady", "InboundReady", "RBACReady", "VaultReady")
    return {
        "observedGeneration": 1,
        "spiffeID": f"spiffe://example.org/ns/agents/sa/{name}",
        "serviceAccount": name,
        "vaultRole": f"prod_agents_{name}",
        "conditions": [condition(kind) for kind in kinds],
        **more,
    }


def _is_among(path: str, paths: tuple[str, ...]) -> bool:
    return any(path == p or (p.endswith("/") and path.startswith(p)) for p in paths)


class FakeCluster:
    """Objects by kind; refused and gone: paths that are answered 403 and 404, with all below
    those that end in /."""

    def __init__(self, agent: Manifest | None = None) -> None:
        known = live(agent or full())
        agents = [known, live(identity("planner"))]
        for one in agents:
            one.setdefault("status", status_of(one["metadata"]["name"]))
        self.objects: dict[str, list[Manifest]] = {
            **{kind: [] for kind in LISTS},
            "AgentIdentity": agents,
            "AgentIdentityClass": [live(agent_class())],
            "Namespace": [live(namespace())],
        }
        self.refused: tuple[str, ...] = ()
        self.gone: tuple[str, ...] = ()
        self.asked: list[str] = []

    def bring_about(self) -> None:
        """As the operator would have it, by the program's own rendering."""
        from agent_identity.cli.documents import Document, Documents  # noqa: PLC0415

        kinds = ("AgentIdentity", "AgentIdentityClass", "Namespace")
        bodies = [body for kind in kinds for body in self.objects[kind]]
        read = Documents(tuple(Document("x", body, None) for body in bodies))  # type: ignore[arg-type]
        for written in render(manifests(read, CLUSTER, namespace="default"), None).objects:
            body = dict(written.body)
            if body["apiVersion"] != PSEUDO and not written.owner.startswith("AgentIdentityClass"):
                self.objects[body["kind"]].append(live(body, uid="1"))

    def __call__(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        self.asked.append(path)
        if _is_among(path, self.refused):
            return 403, {"message": "forbidden"}
        if _is_among(path, self.gone):
            return 404, {"message": "not found"}
        if path == ONE:
            return 200, self.objects["AgentIdentity"][0]
        if path == f"{LISTS['Namespace']}/agents":
            return 200, self.objects["Namespace"][0]
        if path == GRANT:
            grants = self.objects["AgentAccessGrant"]
            return (200, grants[0]) if grants else (404, {"message": "not found"})
        kind = next((k for k, p in LISTS.items() if p == path), None)
        return 200, {"items": self.objects[kind] if kind else []}


def told(cluster: FakeCluster) -> Explanation:
    return explain(look_at(Reader(cluster), KEY, {}, "istio-system"))


@pytest.fixture
def cluster() -> FakeCluster:
    fake = FakeCluster()
    fake.bring_about()
    return fake


def test_all_in_place(cluster: FakeCluster) -> None:
    answer = told(cluster)
    assert {t.state for t in answer.things} == {"in place", "in place, as the operator says"}
    assert len(answer.things) == 5
    assert answer.troubles == ()
    assert answer.unread == ()
    assert answer.others == "Nobody else."
    assert [(c.who, c.state) for c in answer.callers] == [("AgentIdentity agents/planner", "")]
    assert "Vault read kv/data/agents/agent/*" in answer.rights


def test_what_differs_is_missing_or_too_much(cluster: FakeCluster) -> None:
    policy = cluster.objects["AuthorizationPolicy"][0]
    policy["spec"] = policy["spec"] | {"rules": [{}]}
    binding = cluster.objects["RoleBinding"].pop()
    extra = live(binding, name="agentidentity:agent:edit")
    cluster.objects["RoleBinding"].append(extra)
    states = {t.what: t.state for t in told(cluster).things}
    assert states["AuthorizationPolicy agentidentity-agent"].startswith("differs")
    assert states["RoleBinding agentidentity:agent:ticket-reader"] == "missing"
    assert states["RoleBinding agentidentity:agent:edit"].startswith("is not granted")


def test_without_its_policies_anybody_may_call(cluster: FakeCluster) -> None:
    cluster.objects["AuthorizationPolicy"] = []
    assert told(cluster).others == "Anybody, until its policies stand."


REFUSED = {
    "all other agents": LISTS["AgentIdentity"],
    "the class": LISTS["AgentIdentityClass"] + "/default",
    "namespaces": LISTS["Namespace"],
    "the namespace": LISTS["Namespace"] + "/agents",
    "accounts": LISTS["ServiceAccount"],
    "pods": LISTS["Pod"],
    "bindings": LISTS["RoleBinding"],
    "the cluster's bindings": LISTS["ClusterRoleBinding"],
    "policies": LISTS["AuthorizationPolicy"],
    "policies of the root": ROOT_NAMESPACE,
}


@pytest.mark.parametrize("path", REFUSED.values(), ids=REFUSED)
def test_one_part_that_may_not_be_read_keeps_none_from_being_told(
    cluster: FakeCluster, path: str
) -> None:
    above = path.rpartition("/")[0]
    # What is read by itself is read because its list may not be.
    lists = (above,) if above in LISTS.values() else ()
    cluster.refused = (path, *lists)
    answer = told(cluster)
    assert answer.ready == "True (InPlace)"
    assert not any("missing" in t.state or "is not granted" in t.state for t in answer.things)
    assert all(c.state == "" for c in answer.callers)
    assert path in cluster.asked or path == ROOT_NAMESPACE
    assert answer.unread
    assert in_words(answer)


def test_with_the_identity_alone_the_operators_word_is_told(cluster: FakeCluster) -> None:

    def only_one(path: str, _: Mapping[str, str]) -> tuple[int, Any]:
        return (200, cluster.objects["AgentIdentity"][0]) if path == ONE else (403, {})

    answer = explain(look_at(Reader(only_one), KEY, {}, "istio-system"))
    assert answer.verdict.startswith("not to be said")
    assert len(answer.things) == 5
    assert {t.state for t in answer.things} == {"in place, as the operator says"}
    assert answer.pods is None
    assert answer.others == "Nobody else, as the operator says."
    assert len(answer.unread) > 5


def test_an_identity_that_may_not_be_read_or_is_not_there(cluster: FakeCluster) -> None:
    cluster.refused = ("/",)
    with pytest.raises(Unreadable, match="not allowed to read AgentIdentity agents/agent"):
        told(cluster)
    cluster.refused, cluster.gone = (), ("/",)
    with pytest.raises(Absent, match="there is no AgentIdentity agents/agent"):
        told(cluster)


def test_a_mesh_that_is_not_installed(cluster: FakeCluster) -> None:
    cluster.gone = ("/apis/security.istio.io/",)
    cluster.objects["PeerAuthentication"] = cluster.objects["AuthorizationPolicy"] = []
    answer = told(cluster)
    assert answer.others == "Anybody, until its policies stand."
    assert not any("Policy" in what for what in answer.unread)


def test_long_lists_are_read_to_their_end() -> None:
    pages = {"": ({"metadata": {"continue": "2"}, "items": [{"a": 1}]}), "2": {"items": [{"a": 2}]}}
    reader = Reader(lambda _, query: (200, pages[query.get("continue", "")]))
    assert reader.many("x", "/x") == [{"a": 1}, {"a": 2}]


def test_an_api_server_in_trouble_is_told() -> None:
    reader = Reader(lambda *_: (503, {"message": "etcd is away"}))
    with pytest.raises(Unreadable, match="503 about x: etcd is away"):
        reader.one("x", "/x")


STATUSES = {
    "nobody has looked": ({}, "the operator has not looked at it yet"),
    "an old look": (status_of("agent", observedGeneration=0), "the latest change"),
}


@pytest.mark.parametrize(("status", "said"), STATUSES.values(), ids=STATUSES)
def test_what_the_operator_has_not_seen_is_told(status: Manifest, said: str) -> None:
    answer = told(FakeCluster(full() | {"status": status}))
    assert said in answer.operator
    assert said in in_words(answer)


NAME_UNKNOWN = "the cluster's name is not known yet: give --cluster-name"


def test_a_clusters_name_that_nothing_tells_is_not_passed_off_as_known() -> None:
    """It is in the name of the Vault role, and in nothing else."""
    unseen = FakeCluster(full() | {"status": {}})
    unseen.objects["AgentIdentity"] = unseen.objects["AgentIdentity"][:1]
    assert NAME_UNKNOWN in told(unseen).unread
    given = explain(look_at(Reader(unseen), KEY, {"cluster_name": "prod"}, "istio-system"))
    assert NAME_UNKNOWN not in given.unread
    del unseen.objects["AgentIdentity"][0]["spec"]["vault"]
    assert NAME_UNKNOWN not in told(unseen).unread


def test_conditions_that_say_the_same_are_told_once_with_what_to_do() -> None:
    rows = [condition(k, "False", "Sealed", "Vault is sealed") for k in ("Ready", "VaultReady")]
    rows.append(condition("RBACReady", "False", "OfTomorrow", "new"))
    answer = told(FakeCluster(full() | {"status": status_of("agent", conditions=rows)}))
    assert [(t.condition, t.action) for t in answer.troubles] == [
        ("Ready, VaultReady", "Unseal Vault."),
        ("RBACReady", ""),
    ]
    assert "Sealed: Unseal Vault." in answer.next


def test_shadow_and_no_mesh_let_anybody_in() -> None:
    shadow = FakeCluster(full(inbound={"enforcement": "Shadow"}))
    assert told(shadow).others.startswith("Anybody: enforcement is Shadow")
    meshless = FakeCluster(identity("agent"))
    meshless.objects["AgentIdentityClass"] = [live(agent_class(mesh={"type": "None"}))]
    assert told(meshless).others.startswith("Anybody: class default has no mesh")


def test_a_binding_of_others_is_told_with_its_role(cluster: FakeCluster) -> None:
    subject = {"kind": "ServiceAccount", "namespace": "agents", "name": "agent"}
    role = {"kind": "ClusterRole", "name": "cluster-admin"}
    body = {"metadata": {"name": "oops"}, "roleRef": role, "subjects": [subject]}
    cluster.objects["ClusterRoleBinding"] = [body]
    expected = "ClusterRoleBinding oops: ClusterRole cluster-admin in the whole cluster"
    assert expected in told(cluster).foreign


def test_pods_that_run_as_another_account_are_told(cluster: FakeCluster) -> None:
    labels = {"agentidentity.dev/identity": "agent"}
    for name, account in (("a", "agent"), ("b", "planner")):
        pod = {
            "metadata": {"name": name, "labels": labels},
            "spec": {"serviceAccountName": account},
        }
        cluster.objects["Pod"].append(pod)
    answer = told(cluster)
    assert answer.pods == ("a", "b (runs as planner, not as agent)")
    assert "Set serviceAccountName: agent in pod b." in answer.next


def test_one_that_is_being_deleted(cluster: FakeCluster) -> None:
    cluster.objects["AgentIdentity"][0]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert told(cluster).operator == "is being deleted"


# --- what it asks to call

ASKS = {"namespace": "shop", "grant": "orders", "rules": ["read"]}
ME = {"kind": "AgentIdentity", "namespace": "agents", "name": "agent"}
ANOTHER = {"kind": "AgentIdentity", "namespace": "agents", "name": "planner"}
PRINCIPAL = "example.org/ns/agents/sa/agent"
MAY = "POST /v1/tasks on port 8080"
PODS = "pods labelled app=orders"
WRITTEN = {
    "from": [{"source": {"principals": [PRINCIPAL]}}],
    "to": [{"operation": {"ports": ["8080"], "methods": ["POST"], "paths": ["/v1/tasks"]}}],
}


def asking(**spec: Any) -> FakeCluster:
    """An agent that asks, and a grant that names it and whose policy lets it in."""
    fake = FakeCluster(full(outbound=[ASKS]))
    fake.bring_about()
    rule = RULE | {"name": "read", "from": [ME]}
    given = {"selector": {"matchLabels": {"app": "orders"}}, "enforcement": "Enforce"}
    grant = {
        "apiVersion": OURS,
        "kind": "AgentAccessGrant",
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": given | {"rules": [rule]} | spec,
    }
    policy = policy_of(grant)
    policy["spec"] |= {"rules": [WRITTEN]}
    fake.objects |= {"AgentAccessGrant": [live(grant)], "GrantPolicy": [policy]}
    return fake


def says(fake: FakeCluster, message: str, status: str = "False") -> None:
    """What the operator says of the agent's spec.outbound."""
    rows = fake.objects["AgentIdentity"][0]["status"]["conditions"]
    rows.append(condition("OutboundReady", status, message=message))


def test_what_it_asks_for_and_is_let_in_to_is_in_force() -> None:
    answer = told(asking())
    assert answer.outbound == (AskTold("shop/orders", "read", "in force", MAY, PODS),)
    words = " ".join(in_words(answer).split())
    assert f"What it asks to call shop/orders rule read in force {MAY}, of {PODS} Pods" in words
    assert answer.unread == ()


def test_without_an_entry_nothing_is_told_of_grants(cluster: FakeCluster) -> None:
    assert told(cluster).outbound == ()
    assert "What it asks to call" not in in_words(told(cluster))
    assert GRANT not in cluster.asked


def test_one_that_is_not_granted_looks_the_same_whatever_the_reason() -> None:
    """But for readers who may read the grant anyhow, nothing else of it is told either."""
    answers = []
    for rules in (None, [RULE | {"name": "read", "from": [ANOTHER]}], [RULE | {"from": [ME]}]):
        fake = asking(**({"rules": rules} if rules else {}))
        if rules is None:
            fake.objects["AgentAccessGrant"] = []
        answers.append((told(fake).outbound, told(fake).unread))
    assert answers == [((AskTold("shop/orders", "read", "not granted"),), ())] * 3
    assert "shop/orders rule read  not granted\n\n" in in_words(told(fake))


NOT_ENFORCED: dict[str, tuple[dict[str, Any], str]] = {
    "shadow": ({"enforcement": "Shadow"}, "granted, but the grant's enforcement is Shadow"),
    "not in the policy": ({}, "granted, but the grant's policy is not in place"),
}


@pytest.mark.parametrize(("spec", "state"), NOT_ENFORCED.values(), ids=NOT_ENFORCED)
def test_one_that_is_granted_and_not_in_force(spec: dict[str, Any], state: str) -> None:
    fake = asking(**spec)
    fake.objects["GrantPolicy"][0]["spec"].pop("rules")
    (ask,) = told(fake).outbound
    assert ask.state.startswith(state)
    assert (ask.calls, ask.where) == (MAY, PODS)


LETS_IN_OTHERS: dict[str, dict[str, Any]] = {
    "another agent": {"from": [{"source": {"principals": [f"{PRINCIPAL}2"]}}]},
    "to something else": {"to": [{"operation": {"ports": ["8080"]}}]},
    "whatever somebody wrote there": {"from": [{}]},
}


@pytest.mark.parametrize("change", LETS_IN_OTHERS.values(), ids=LETS_IN_OTHERS)
def test_a_policy_that_does_not_say_it_is_not_in_force(change: dict[str, Any]) -> None:
    fake = asking()
    fake.objects["GrantPolicy"][0]["spec"]["rules"] = [WRITTEN | change]
    assert told(fake).outbound[0].state.startswith("granted, but")


def test_a_policy_that_is_not_the_grants_lets_nobody_in_for_it() -> None:
    fake = asking()
    fake.objects["GrantPolicy"][0]["metadata"]["ownerReferences"] = []
    assert told(fake).outbound[0].state.startswith("granted, but")


SAID = {
    "in force": ("in force: shop/orders rule read", "in force, as the operator says"),
    "not granted": (
        "in force: a/b rule c; not granted: shop/orders rule read and 3 more",
        "not granted, as the operator says",
    ),
    "of others only": ("not granted: shop/orders rule ready", "the operator has not said it"),
    "nothing": ("", "the operator has not said it"),
}


@pytest.mark.parametrize(("message", "state"), SAID.values(), ids=SAID)
@pytest.mark.parametrize("refused", [GRANT, LISTS["GrantPolicy"]], ids=["grant", "policies"])
def test_where_it_may_not_be_read_the_operators_word_counts(
    message: str, state: str, refused: str
) -> None:
    fake = asking()
    fake.refused = (refused,)
    says(fake, message)
    (ask,) = told(fake).outbound
    assert ask.state == state
    assert ask.calls == ("" if refused == GRANT else MAY)
    (unread,) = told(fake).unread
    assert "shop" in unread


# --- the command


@pytest.fixture
def run_on(program: Program, monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(fake: FakeCluster, *flags: str) -> tuple[int, str, str]:
        monkeypatch.setattr(commands, "connect", lambda *_: fake)
        return program("explain", "agents/agent", *flags)

    return run


def test_json_has_what_it_asks_for(run_on: Any) -> None:
    code, out, _ = run_on(asking(), "-o", "json")
    assert code == 0
    assert json.loads(out)["outbound"] == [
        {"grant": "shop/orders", "rule": "read", "state": "in force", "calls": MAY, "where": PODS}
    ]


UNREADY: dict[str, Manifest] = {
    "not ready": status_of("agent", conditions=[condition("Ready", "False", "Sealed")]),
    "not known": status_of("agent", conditions=[condition("Ready", "Unknown")]),
    "nothing said": {},
    "ready as it was before the last change": status_of("agent", observedGeneration=0),
}


@pytest.mark.parametrize("status", UNREADY.values(), ids=UNREADY)
def test_the_exit_code_is_1_unless_it_is_ready(run_on: Any, status: Manifest) -> None:
    assert run_on(FakeCluster())[0] == 0
    code, out, err = run_on(FakeCluster(full() | {"status": status}))
    assert (code, err) == (1, "")
    assert "Ready" in out


def behind_a_waypoint() -> FakeCluster:
    """One that lets everybody in; a Service leads to the agent."""
    fake = FakeCluster()
    waypoint = {"serviceAccount": "waypoint", "namespace": "gateways"}
    istio = {"dataPlane": "Ambient", "waypoint": waypoint}
    fake.objects["AgentIdentityClass"] = [live(agent_class(mesh={"type": "Istio", "istio": istio}))]
    leads = {"selector": {"agentidentity.dev/identity": "agent"}, "ports": [{"port": 80}]}
    fake.objects["Service"] = [
        live({"metadata": {"name": "agent", "namespace": "agents"}, "spec": leads})
    ]
    fake.bring_about()
    return fake


@pytest.mark.parametrize(
    ("where", "namespace", "target"),
    [
        ("AuthorizationPolicy", "agents", ("Service", "agent")),
        ("WaypointPolicy", "gateways", ("Gateway", "waypoint")),
    ],
)
def test_what_others_bind_to_what_leads_to_an_agent_is_told(
    where: str, namespace: str, target: tuple[str, str]
) -> None:
    cluster = behind_a_waypoint()
    assert not told(cluster).foreign
    refs = [dict(zip(("kind", "name"), target, strict=True))]
    theirs = {"metadata": {"name": "theirs", "namespace": namespace}}
    cluster.objects[where].append(live(theirs | {"spec": {"targetRefs": refs, "rules": [{}]}}))
    assert any("theirs" in line for line in told(cluster).foreign)
