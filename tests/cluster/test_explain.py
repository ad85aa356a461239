"""`agent-identity explain` as a process against a real API server, as an admin and as a viewer."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.dynamic import DynamicClient

from testbed.bed import Bed
from testbed.operator_process import REPOSITORY
from testbed.tenant import RBAC, Tenant, full_spec, rule
from testbed.waiting import wait_until

PROGRAM = [str(REPOSITORY / ".venv" / "bin" / "python"), "-m", "agent_identity.cli"]


def run(*args: str, kubeconfig: Path, home: Path) -> "subprocess.CompletedProcess[str]":
    """Of the environment it has a home of its own and nothing else."""
    return subprocess.run(
        [*PROGRAM, *args, "--kubeconfig", str(kubeconfig)],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class Explained:
    """What was told about one identity, as text and as values. The exit code says whether it is
    Ready."""

    def __init__(self, kubeconfig: Path, home: Path, key: str) -> None:
        told = run("explain", key, kubeconfig=kubeconfig, home=home)
        assert told.stderr == ""
        self.code = told.returncode
        self.text = told.stdout
        as_json = run("explain", key, "-o", "json", kubeconfig=kubeconfig, home=home)
        assert as_json.returncode == self.code
        self.values: dict[str, Any] = json.loads(as_json.stdout)

    @property
    def states(self) -> dict[str, str]:
        return {thing["what"]: thing["state"] for thing in self.values["things"]}


@pytest.fixture
def explain(tenant: Tenant, tmp_path: Path) -> Any:
    kubeconfig = tenant.bed.control_plane.kubeconfig

    def call(name: str, *, kubeconfig: Path = kubeconfig) -> Explained:
        return Explained(kubeconfig, tmp_path, f"{tenant.namespace}/{name}")

    return call


def pod_of(tenant: Tenant, name: str, *, account: str) -> None:
    tenant.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": tenant.namespace,
                "labels": {"agentidentity.dev/identity": "agent"},
            },
            "spec": {
                "serviceAccountName": account,
                "automountServiceAccountToken": False,
                "containers": [{"name": "main", "image": "example.com/agent"}],
            },
        }
    )


def binding(tenant: Tenant, name: str, *, role: str, account: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": tenant.namespace},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": tenant.namespace}],
    }


def test_one_that_is_ready(tenant: Tenant, explain: Any) -> None:
    tenant.identity("planner", **full_spec())
    tenant.wait_ready("planner")
    tenant.identity("agent", **full_spec(callers=("planner",)))
    tenant.wait_ready("agent")
    pod_of(tenant, "right", account="agent")
    pod_of(tenant, "wrong", account="planner")

    told = explain("agent")
    assert told.code == 0
    assert told.states == {
        "ServiceAccount agent": "in place",
        "PeerAuthentication agentidentity-agent": "in place",
        "AuthorizationPolicy agentidentity-agent": "in place",
        "RoleBinding agentidentity:agent:ticket-reader": "in place",
        f"VaultRole {tenant.role_name('agent')}": "in place, as the operator says",
    }
    spiffe_id = f"spiffe://cluster.local/ns/{tenant.namespace}/sa/agent"
    assert told.values["spiffe_id"] == spiffe_id
    assert told.values["troubles"] == []
    assert told.values["unread"] == []
    for text in (
        spiffe_id,
        "yes: namespace carries agents=allowed",
        f"AgentIdentity {tenant.namespace}/planner: POST /v1/tasks on port 8080 [rule tasks]",
        "Nobody else.",
        f"read kv/data/{tenant.namespace}/agent/*",
        "wrong (runs as planner, not as agent)",
        "Set serviceAccountName: agent in pod wrong.",
    ):
        assert text in told.text, told.text


def test_one_that_asks_for_what_its_class_does_not_list(tenant: Tenant, explain: Any) -> None:
    tenant.identity("agent", rbac={"clusterRoles": ["cluster-admin"]})
    tenant.wait_reason("agent", "NotInClass")
    told = explain("agent")
    assert told.code == 1
    assert "no (NotInClass): spec.rbac.clusterRoles asks for cluster-admin" in told.text
    assert "NotInClass: Ask only for what the class lists" in told.text
    assert told.values["things"] == []
    assert "Anybody, until its policies stand." in told.text
    assert told.values["rights"] == []


def test_one_without_a_class(tenant: Tenant, explain: Any) -> None:
    tenant.identity("agent", className="nowhere")
    tenant.wait_reason("agent", "ClassNotFound")
    told = explain("agent")
    assert told.code == 1
    assert "no (ClassNotFound): there is no AgentIdentityClass nowhere" in told.text
    assert "Create the class, or mend spec.className." in told.text


def test_one_whose_caller_is_not_there(tenant: Tenant, explain: Any) -> None:
    tenant.identity("agent", **full_spec(callers=("planner",)))
    tenant.wait_ready("agent")
    told = explain("agent")
    assert told.code == 0
    (caller,) = told.values["callers"]
    assert caller["state"] == "not there, or stalled: not let in"
    assert [t["reason"] for t in told.values["troubles"]] == ["CallersMissing"]
    assert told.states["AuthorizationPolicy agentidentity-agent"] == "in place"


def test_one_whose_name_somebody_else_has(tenant: Tenant, explain: Any) -> None:
    account = {"name": "agent", "namespace": tenant.namespace}
    tenant.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    tenant.identity("agent", **full_spec())
    tenant.wait_reason("agent", "ForeignObject")
    told = explain("agent")
    assert "no (ForeignObject): ServiceAccount agent" in told.text
    assert "Delete or rename the object" in told.text


def test_bindings_and_policies_of_others_are_named(tenant: Tenant, explain: Any) -> None:
    tenant.identity("agent", **full_spec())
    tenant.wait_ready("agent")
    tenant.create(binding(tenant, "more", role="edit", account="agent"))
    tenant.create(
        {
            "apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": {"name": "open", "namespace": tenant.namespace},
            "spec": {"action": "ALLOW", "rules": [{}]},
        }
    )
    tenant.wait_reason("agent", "ForeignPolicy", "InboundReady")
    told = explain("agent")
    assert f"RoleBinding more: ClusterRole edit in {tenant.namespace}" in told.text
    assert f"AuthorizationPolicy {tenant.namespace}/open: weakens it" in told.text
    assert "Besides, whom the policies of others let in" in told.text
    assert "Look whether the bindings of others are meant" in told.text


def test_what_it_asks_for_is_told_with_what_has_become_of_it(
    tenant: Tenant, bed: Bed, explain: Any, tmp_path: Path
) -> None:
    agent = {"kind": "AgentIdentity", "name": "agent"}
    tenant.grant("orders", rule("read", agent), rule("write", agent | {"name": "other"}))
    tenant.grant("stock", rule("read", agent), enforcement="Shadow")
    entries = [
        {"namespace": tenant.namespace, "grant": name, "rules": rules}
        for name, rules in (("orders", ["read", "write"]), ("stock", ["read"]), ("x", ["read"]))
    ]
    tenant.identity("agent", outbound=entries)
    tenant.wait_reason("agent", "NotGranted", "OutboundReady")
    in_force = f"in force: {tenant.namespace}/orders rule read"

    def is_in_force() -> bool:
        return in_force in tenant.condition("agent", "OutboundReady").get("message", "")

    wait_until(is_in_force, timeout=20, what=in_force)
    told = explain("agent")
    assert told.code == 0
    assert [(a["rule"], a["state"].partition(",")[0]) for a in told.values["outbound"]] == [
        ("read", "in force"),
        ("write", "not granted"),
        ("read", "granted"),
        ("read", "not granted"),
    ]
    assert "GET /v1/orders on port 8080, of pods labelled app=orders" in told.text
    kubeconfig = viewer(tenant, bed, tmp_path / "viewer", "agentidentity-view")
    unseen = explain("agent", kubeconfig=kubeconfig)
    assert unseen.values["outbound"][0]["state"] == "in force, as the operator says"
    assert unseen.values["outbound"][1]["state"] == "not granted"


def test_one_that_is_not_there(tenant: Tenant, tmp_path: Path) -> None:
    kubeconfig = tenant.bed.control_plane.kubeconfig
    told = run("explain", f"{tenant.namespace}/x", kubeconfig=kubeconfig, home=tmp_path)
    assert told.returncode == 1
    assert f"there is no AgentIdentity {tenant.namespace}/x" in told.stderr


def viewer(tenant: Tenant, bed: Bed, path: Path, *roles: str) -> Path:
    """A kubeconfig of an account that has these roles in the namespace."""
    account = {"name": "viewer", "namespace": tenant.namespace}
    tenant.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    for role in roles:
        tenant.create(binding(tenant, f"viewer-{role}", role=role, account="viewer"))
    config = yaml.safe_load(bed.control_plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": bed.control_plane.token(tenant.namespace, "viewer")}
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_viewer_is_told_what_may_not_be_read(
    tenant: Tenant, client: DynamicClient, bed: Bed, explain: Any, tmp_path: Path
) -> None:
    tenant.identity("planner", **full_spec())
    tenant.identity("agent", **full_spec(callers=("planner",)))
    tenant.wait_ready("planner")
    tenant.wait_ready("agent")
    role = f"see-identities-{tenant.namespace}"
    client.resources.get(api_version=RBAC, kind="ClusterRole").create(
        body={
            "metadata": {"name": role},
            "rules": [
                {
                    "apiGroups": ["agentidentity.dev"],
                    "resources": ["agentidentities"],
                    "verbs": ["get", "list"],
                }
            ],
        }
    )
    kubeconfig = viewer(tenant, bed, tmp_path / "viewer", "view", role)
    told = explain("agent", kubeconfig=kubeconfig)
    assert told.values["ready"].startswith("True (InPlace)")
    assert f"not to be said: not allowed to read class {tenant.class_name}" in told.text
    assert told.states["ServiceAccount agent"] == "there"
    binding_of_it = "RoleBinding agentidentity:agent:ticket-reader"
    assert told.states[binding_of_it] == "in place, as the operator says"
    assert "Nobody else, as the operator says." in told.text
    unread = told.values["unread"]
    assert "not allowed to read ClusterRoleBindings" in unread
    assert f"not allowed to read RoleBindings in {tenant.namespace}" in unread
    assert f"not allowed to read AuthorizationPolicies in {tenant.namespace}" in unread
    assert told.values["callers"][0]["who"] == f"AgentIdentity {tenant.namespace}/planner"


def test_who_may_not_read_the_identity_is_told_so(tenant: Tenant, bed: Bed, tmp_path: Path) -> None:
    kubeconfig = viewer(tenant, bed, tmp_path / "nobody")
    told = run("explain", f"{tenant.namespace}/agent", kubeconfig=kubeconfig, home=tmp_path)
    assert told.returncode == 2
    assert "not allowed to read AgentIdentity" in told.stderr


def test_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "secret-of-mine"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    told = run("explain", "a/b", kubeconfig=tmp_path / "config", home=tmp_path)
    assert told.returncode == 2
    assert "can't reach https://127.0.0.1:1" in told.stderr
    assert "secret-of-mine" not in told.stderr
    assert "Traceback" not in told.stderr
    missing = run("explain", "a/b", kubeconfig=tmp_path / "none", home=tmp_path)
    assert missing.returncode == 2
    assert "can't use the kubeconfig" in missing.stderr
