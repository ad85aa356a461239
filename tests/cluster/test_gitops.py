"""What Flux, Argo CD, Helm and kubectl make of our objects: how they judge them, whether a second
apply changes anything, and whether all of it can be taken away in any order.

kstatus is the library that Flux and Helm judge by; Argo CD's health check is the one in examples/.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime
from test_deletion import stopped

from testbed.bed import Bed
from testbed.operator_process import OperatorProcess
from testbed.tenant import Tenant, class_manifest, full_spec, identity_manifest
from testbed.toolchain import find_binaries
from testbed.waiting import wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
CRDS = Path(__file__).parents[2] / "crds"
GITOPS = EXAMPLES / "gitops"
ARGO_SETTINGS = GITOPS / "argocd" / "argocd-cm.yaml"
EXAMPLE_ADDRESS = "https://vault.example:8200"
CLASS, IDENTITY = "AgentIdentityClass", "AgentIdentity"
FOREIGN_FINALIZER = "example.com/holds-it"
END_SECONDS = 60
READY_SECONDS = 30
READY = "condition=Ready"
READY_BY_PATH = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}=True'

# What kstatus says, and what Argo CD is to say of the same object.
CURRENT = ("Current", "Healthy")
IN_PROGRESS = ("InProgress", "Progressing")
FAILED = ("Failed", "Degraded")
TERMINATING = ("Terminating", "Progressing")


# --- the judges


def judged(bed: Bed, *which: str) -> tuple[str, str]:
    """What kstatus and Argo CD say of an object as the API server gives it."""
    text = kubectl(bed, "get", *which, "--output=json")
    return kstatus(text), argo_health(json.loads(text))


def kstatus(text: str) -> str:
    done = subprocess.run(
        [find_binaries().kstatus], input=text, capture_output=True, text=True, check=True
    )
    return done.stdout.split()[0]


def argo_health(body: dict[str, Any]) -> str:
    settings = yaml.safe_load(ARGO_SETTINGS.read_text())["data"]
    script = settings[f"resource.customizations.health.agentidentity.dev_{body['kind']}"]
    lua = LuaRuntime()
    # Argo CD gives a script no more than Lua's base and table libraries.
    for library in ("string", "math", "io", "debug", "os", "package", "require", "python"):
        lua.globals()[library] = None
    health = lua.execute(f"return function(obj) {script} end")
    return str(health(lua.table_from(body, recursive=True))["status"])


def kubectl(bed: Bed, *args: str) -> str:
    return bed.control_plane.kubectl(*args).stdout


def waits(bed: Bed, *which: str, seconds: int = READY_SECONDS, what: str = READY) -> bool:
    """Whether `kubectl wait` sees it in time."""
    command = ("wait", *which, f"--for={what}", f"--timeout={seconds}s")
    return bed.control_plane.kubectl(*command, check=False).returncode == 0


def agent_of(tenant: Tenant) -> tuple[str, ...]:
    """The identity `agent`, for kubectl."""
    return (IDENTITY, "agent", f"--namespace={tenant.namespace}")


def class_of(tenant: Tenant) -> tuple[str, ...]:
    return (CLASS, tenant.class_name)


@contextmanager
def away(operator: OperatorProcess) -> Iterator[None]:
    """Nobody looks at anything."""
    operator.stop()
    try:
        yield
    finally:
        operator.start()
        operator.wait_ready()


@contextmanager
def held(tenant: Tenant, kind: str, name: str) -> Iterator[None]:
    """Somebody else's finalizer is on it, beside ours."""
    ours = (tenant.get(kind, name) or {})["metadata"].get("finalizers", [])
    tenant.patch(kind, name, {"metadata": {"finalizers": [*ours, FOREIGN_FINALIZER]}})
    try:
        yield
    finally:
        left = (tenant.get(kind, name) or {})["metadata"].get("finalizers", [])
        rest = [f for f in left if f != FOREIGN_FINALIZER]
        tenant.patch(kind, name, {"metadata": {"finalizers": rest}})


# --- how our objects are judged


def test_what_nobody_has_seen_yet_is_in_progress(
    tenant: Tenant, bed: Bed, operator: OperatorProcess
) -> None:
    late = f"late-{tenant.namespace}"
    with away(operator):
        tenant.create(class_manifest(late, None))
        tenant.identity("agent")
        assert judged(bed, CLASS, late) == IN_PROGRESS
        assert judged(bed, *agent_of(tenant)) == IN_PROGRESS
        assert not waits(bed, *agent_of(tenant), seconds=1)
    tenant.wait_ready("agent")
    tenant.wait_ready(late, of=CLASS)


def test_what_is_in_place_is_current(tenant: Tenant, bed: Bed) -> None:
    tenant.identity("agent", **full_spec())
    for what in (READY, READY_BY_PATH):
        assert waits(bed, *agent_of(tenant), what=what)
        assert waits(bed, *class_of(tenant), what=what)
    assert judged(bed, *agent_of(tenant)) == CURRENT
    assert judged(bed, *class_of(tenant)) == CURRENT


def test_callers_that_are_missing_hold_no_wave_back(tenant: Tenant, bed: Bed) -> None:
    tenant.identity("agent", **full_spec(callers=("planner",)))
    assert waits(bed, *agent_of(tenant))
    assert tenant.condition("agent", "InboundReady")["reason"] == "CallersMissing"
    assert judged(bed, *agent_of(tenant)) == CURRENT


def test_what_is_tried_in_shadow_is_current(tenant: Tenant, bed: Bed) -> None:
    name = f"shadow-{tenant.namespace}"
    tenant.create(class_manifest(name, None, inbound={"minimumEnforcement": "Shadow"}))
    tenant.identity("agent", className=name, inbound={"enforcement": "Shadow"})
    tenant.wait_ready("agent")
    assert judged(bed, *agent_of(tenant)) == CURRENT


def test_a_change_is_in_progress_until_the_operator_has_seen_it(
    tenant: Tenant, bed: Bed, operator: OperatorProcess
) -> None:
    tenant.identity("agent", **full_spec())
    tenant.wait_ready("agent")
    with away(operator):
        tenant.patch(IDENTITY, "agent", {"spec": {"vault": None}})
        wider = {"spec": {"rbac": {"clusterRoles": ["ticket-reader", "view"]}}}
        tenant.patch(CLASS, tenant.class_name, wider)
        assert judged(bed, *agent_of(tenant)) == IN_PROGRESS
        assert judged(bed, *class_of(tenant)) == IN_PROGRESS
        assert not waits(bed, *agent_of(tenant), seconds=1)
    assert waits(bed, *agent_of(tenant))
    tenant.wait_ready(tenant.class_name, of=CLASS)
    assert judged(bed, *agent_of(tenant)) == CURRENT
    assert judged(bed, *class_of(tenant)) == CURRENT


def test_what_waits_for_its_class_is_in_progress(tenant: Tenant, bed: Bed) -> None:
    tenant.identity("agent", className=f"missing-{tenant.namespace}")
    tenant.wait_reason("agent", "ClassNotFound")
    assert judged(bed, *agent_of(tenant)) == IN_PROGRESS


def test_a_mistake_is_a_failure_at_once(tenant: Tenant, bed: Bed) -> None:
    """A pipeline need not wait for its timeout to learn of it."""
    tenant.identity("agent", rbac={"clusterRoles": ["cluster-admin"]})
    tenant.wait_reason("agent", "NotInClass")
    assert judged(bed, *agent_of(tenant)) == FAILED
    garbled = f"garbled-{tenant.namespace}"
    manifest = class_manifest(garbled, bed)
    manifest["spec"]["vault"]["caBundle"] = (
        "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n"
    )
    tenant.create(manifest)
    tenant.wait_reason(garbled, "InvalidSpec", of=CLASS)
    assert judged(bed, CLASS, garbled) == FAILED


def test_a_backend_that_is_down_is_waited_for(tenant: Tenant, bed: Bed) -> None:
    with stopped(bed):
        tenant.identity("agent", **full_spec())
        tenant.wait_reason("agent", "Unreachable")
        tenant.wait_reason(tenant.class_name, "Unreachable", of=CLASS)
        assert judged(bed, *agent_of(tenant)) == IN_PROGRESS
        assert judged(bed, *class_of(tenant)) == IN_PROGRESS
    assert waits(bed, *agent_of(tenant), seconds=END_SECONDS)
    assert waits(bed, *class_of(tenant), seconds=END_SECONDS)


def test_what_is_being_deleted_is_terminating(tenant: Tenant, bed: Bed) -> None:
    tenant.identity("agent", **full_spec())
    tenant.wait_ready("agent")
    for which in (agent_of(tenant), class_of(tenant)):
        with held(tenant, *which[:2]):
            tenant.delete(*which[:2])
            assert judged(bed, *which) == TERMINATING
        assert waits(bed, *which, what="delete")


# --- what examples/gitops/ has besides


FOLDERS = ("fleet", "fleet/platform", "fleet/classes", "fleet/identities", "flux", "flux/operator")


@pytest.mark.parametrize("folder", FOLDERS)
def test_kustomize_renders_it(folder: str) -> None:
    command = [find_binaries().kubectl, "kustomize", GITOPS / folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert list(yaml.safe_load_all(done.stdout))


def test_argo_cd_can_be_given_the_health_check(bed: Bed) -> None:
    """As its first lines tell; beside the settings that are there."""
    namespace = "--namespace=argocd"
    kubectl(bed, "create", "namespace", "argocd")
    kubectl(bed, "create", "configmap", "argocd-cm", namespace, "--from-literal=url=https://it")
    kubectl(bed, "patch", "configmap", "argocd-cm", namespace, f"--patch-file={ARGO_SETTINGS}")
    text = kubectl(bed, "get", "configmap", "argocd-cm", namespace, "--output=json")
    expected = yaml.safe_load(ARGO_SETTINGS.read_text())["data"]
    assert json.loads(text)["data"] == expected | {"url": "https://it"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A team's repository of plain manifests, on a branch."""
    return checked_out(EXAMPLES / "quickstart", tmp_path)


@pytest.fixture
def kustomized(tmp_path: Path) -> Path:
    """A team's repository of kustomizations, on a branch."""
    return checked_out(GITOPS / "fleet", tmp_path)


def checked_out(fleet: Path, directory: Path) -> Path:
    shutil.copytree(fleet, directory / "fleet")
    git(directory, "init", "--quiet", "--initial-branch=main")
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "--message=Start")
    git(directory, "checkout", "--quiet", "-b", "change")
    return directory


def git(checkout: Path, *args: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *args], cwd=checkout, check=True)


def checked(checkout: Path) -> tuple[int, str]:
    """Exit code of the pipeline's script, and what it says."""
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message=Change")
    programs = (Path(sys.executable).parent, find_binaries().kubectl.parent, os.environ["PATH"])
    settings = {
        "AGENT_IDENTITY_CLUSTER_NAME": "prod",
        "AGENT_IDENTITY_TRUST_DOMAIN": "cluster.local",
        "PATH": ":".join(map(str, programs)),
    }
    done = subprocess.run(
        [GITOPS / "pipeline" / "check.sh", "fleet", "main"],
        cwd=checkout,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("tokenTTLSeconds: 900", "tokenTTLSeconds: 600", 0),
        ("policies: [own-secrets]", "policies: [root-of-everything]", 1),
        ("kind: AgentIdentity\n", "kind: [AgentIdentity\n", 2),
        ("paths: [/v1/tasks]", 'paths: [/v1/tasks, "/v1/{*}"]', 3),
    ],
    ids=["nothing wrong", "a mistake", "unreadable", "somebody gets more"],
)
def test_the_pipelines_check(checkout: Path, before: str, after: str, code: int) -> None:
    replaced(checkout / "fleet" / "3-identities.yaml", before, after)
    found, told = checked(checkout)
    assert found == code, told
    assert (code == 0) or "new/fleet/3-identities.yaml:" in told


def replaced(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


MORE = """
apiVersion: agentidentity.dev/v1alpha1
kind: AgentIdentity
metadata: {name: more, namespace: agents}
spec: {className: default, vault: {policies: [own-secrets]}}
"""
PATCH = """
patches:
- target: {kind: AgentIdentity, name: billing-agent}
  patch: '[{"op": "add", "path": "/spec/inbound/rules/0/http/paths/-", "value": "/v1/{*}"}]'
"""
IN_FORCE = "resources: [agents.yaml, orders.yaml]"


@pytest.mark.parametrize(
    ("after", "code"),
    [
        (IN_FORCE, 0),
        (IN_FORCE + PATCH, 3),
        ("resources: [agents.yaml, orders.yaml, more.txt]", 3),
        ("resources: [agents.yaml]", 3),
        ("resources: [agents.yaml, orders.yaml, ../../base]", 3),
        ("resources: [agents.yaml, orders.yaml, https://127.0.0.1:1/more.yaml]", 2),
        ("resources: [agents.yaml, orders.yaml, none.yaml]", 2),
    ],
    ids=[
        *("nothing wrong", "a patch", "another suffix", "a grant left out", "another folder"),
        *("an address", "not to be built"),
    ],
)
def test_the_pipeline_checks_what_kustomize_builds(kustomized: Path, after: str, code: int) -> None:
    """That is what Flux and Argo CD apply, and prune by."""
    fleet, base = kustomized / "fleet" / "identities", kustomized / "base"
    replaced(fleet / "orders.yaml", "spec:\n", "spec:\n  onDelete: Open\n")
    git(kustomized, "commit", "--quiet", "--all", "--message=Open")
    git(kustomized, "branch", "--force", "main")
    (fleet / "more.txt").write_text(MORE)
    base.mkdir()
    (base / "more.yaml").write_text(MORE)
    (base / "kustomization.yaml").write_text("resources: [more.yaml]\n")
    replaced(fleet / "kustomization.yaml", IN_FORCE, after)
    found, told = checked(kustomized)
    assert found == code, told


def test_the_pipeline_takes_no_kustomization_for_a_plain_file(checkout: Path) -> None:
    inner = checkout / "fleet" / "more"
    inner.mkdir()
    (inner / "more.txt").write_text(MORE)
    (inner / "kustomization.yaml").write_text("resources: [more.txt]\n")
    assert checked(checkout)[0] == 2
    inner.rename(checkout / "base")
    (checkout / "fleet" / "Kustomization").write_text("resources: [../base]\n")
    assert checked(checkout)[0] == 3


def test_the_pipeline_checks_a_folder_that_is_new(kustomized: Path) -> None:
    git(kustomized, "rm", "--quiet", "-r", "fleet")
    git(kustomized, "commit", "--quiet", "--message=Empty")
    git(kustomized, "branch", "--force", "main")
    git(kustomized, "checkout", "--quiet", "HEAD~1", "--", "fleet")
    found, told = checked(kustomized)
    assert found == 0, told
    assert "there is nothing to compare it with" in told


# --- applying


EVERYTHING = """
apiVersion: agentidentity.dev/v1alpha1
kind: AgentIdentityClass
metadata: {name: everything}
spec:
  namespaceSelector: {matchLabels: {agents: allowed}}
  serviceAccounts: {annotationKeys: [eks.amazonaws.com/role-arn]}
  inbound:
    minimumEnforcement: Shadow
    rules:
    - name: scrape
      from: [{kind: ServiceAccount, namespace: monitoring, name: prometheus}]
      ports: [9090]
      protocol: HTTP
      http: {methods: [GET], paths: [/metrics]}
  mesh: {type: Istio, istio: {dataPlane: Sidecar}}
  rbac: {clusterRoles: [ticket-reader, view]}
  vault:
    address: https://vault.example:8200
    login: {mount: kubernetes, role: agent-identity-operator}
    agentAuth: {mount: kubernetes, audience: vault}
    defaultTokenTTLSeconds: 900
    maxTokenTTLSeconds: 3600
    policies:
    - {name: team, policyName: team-x}
    - name: own-secrets
      rules:
      - {path: "kv/data/{namespace}/{serviceAccount}/*", capabilities: [read, create]}
---
apiVersion: agentidentity.dev/v1alpha1
kind: AgentIdentity
metadata:
  name: everything
  namespace: agents
  labels: {team: agents}
  annotations: {example.com/owner: the agents' team}
spec:
  className: everything
  serviceAccount:
    name: another-name
    annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::1:role/r"}
    imagePullSecrets: [{name: regcred}, {name: another}]
  inbound:
    enforcement: Enforce
    rules:
    - name: z-comes-first
      from:
      - {kind: AgentIdentity, name: planner}
      - {kind: AllAgentIdentities, namespace: research}
      ports: [8081, 8080]
      protocol: HTTP
      http: {methods: [POST, GET], paths: [/v1/tasks, "/v1/tasks/{*}"]}
    - name: calls
      from: [{kind: ServiceAccount, namespace: web, name: gateway}]
      ports: [9000]
      protocol: GRPC
      grpc: {services: [tasks.v1.Tasks], methods: [Submit]}
    - name: bytes
      from: [{kind: ServiceAccount, namespace: web, name: gateway}]
      ports: [9001]
      protocol: TCP
  rbac: {clusterRoles: [ticket-reader]}
  vault: {policies: [team, own-secrets], tokenTTLSeconds: 600}
"""


@pytest.fixture
def folder(bed: Bed, operator: OperatorProcess, client: object, tmp_path: Path) -> Iterator[Path]:
    """The quickstart, and both kinds with every field, for this bed's OpenBao; taken away again."""
    names = ("1-platform.yaml", "2-class.yaml", "3-identities.yaml")
    texts = {n: (EXAMPLES / "quickstart" / n).read_text() for n in names}
    # The bed has the ClusterRole, and other tests need it.
    texts["1-platform.yaml"] = texts["1-platform.yaml"].partition("\n---\n")[0]
    texts["4-everything.yaml"] = EVERYTHING
    yield written(bed, tmp_path / "manifests", texts)
    kubectl(bed, "delete", "agentidentities", "--all", "--namespace=agents")
    kubectl(bed, "delete", "agentidentityclass", "default", "everything", "--ignore-not-found")
    kubectl(bed, "delete", "namespace", "agents", "--ignore-not-found")


def written(bed: Bed, directory: Path, texts: dict[str, str]) -> Path:
    """Files with the address and the CA of the bed's OpenBao."""
    directory.mkdir(parents=True)
    certificate = "\n".join(f"      {line}" for line in bed.openbao.ca_pem.strip().splitlines())
    filled_in = f"{bed.openbao.address}\n    caBundle: |\n{certificate}"
    for name, text in texts.items():
        (directory / name).write_text(text.replace(EXAMPLE_ADDRESS, filled_in))
    return directory


def wait_all_ready(bed: Bed) -> None:
    ready = (f"--for={READY}", "--timeout=60s")
    kubectl(bed, "wait", "agentidentityclass", "default", "everything", *ready)
    kubectl(bed, "wait", "agentidentities", "--all", "--namespace=agents", *ready)


def versions(bed: Bed) -> dict[str, str]:
    """Objects as kubectl names them → resourceVersion, of all that was applied or came of it."""
    kinds = "agentidentities,serviceaccounts,rolebindings,authorizationpolicies,peerauthentications"
    ours = json.loads(kubectl(bed, "get", kinds, "--namespace=agents", "--output=json"))
    # By name: other tests of the same bed have classes too, whose status may change meanwhile.
    classes = json.loads(
        kubectl(bed, "get", "agentidentityclasses", "default", "everything", "--output=json")
    )
    return {
        f"{o['kind']}/{o['metadata']['name']}": o["metadata"]["resourceVersion"]
        for o in (*ours["items"], *classes["items"])
    }


def differences(bed: Bed, folder: Path, flags: tuple[str, ...]) -> str:
    """What `kubectl diff` shows; it exits 1 where there is any, and more on trouble."""
    done = bed.control_plane.kubectl("diff", *flags, "-f", str(folder), check=False)
    return f"{done.stdout}{done.stderr}" if done.returncode else ""


WAYS = {
    "client-side": (),
    "server-side": ("--server-side",),
    # Without --force-conflicts: the operator must own no field that Git has.
    "as Flux does": ("--server-side", "--field-manager=flux"),
}


@pytest.mark.parametrize("flags", WAYS.values(), ids=WAYS)
def test_a_second_apply_changes_nothing_and_there_is_no_difference(
    folder: Path, bed: Bed, flags: tuple[str, ...]
) -> None:
    kubectl(bed, "apply", *flags, "-f", str(folder))
    wait_all_ready(bed)
    assert differences(bed, folder, flags) == ""
    before = versions(bed)
    told = kubectl(bed, "apply", *flags, "-f", str(folder)).splitlines()
    assert versions(bed) == before
    same = "serverside-applied" if flags else "unchanged"
    assert [line for line in told if not line.endswith(same)] == []
    assert differences(bed, folder, flags) == ""


def test_what_git_changes_and_takes_back_leaves_no_difference(folder: Path, bed: Bed) -> None:
    """A field that is removed in Git is removed in the cluster, whoever else writes there."""
    flags = WAYS["as Flux does"]
    kubectl(bed, "apply", *flags, "-f", str(folder))
    wait_all_ready(bed)
    path = folder / "3-identities.yaml"
    path.write_text(path.read_text().replace("    tokenTTLSeconds: 900\n", ""))
    assert "tokenTTLSeconds" in differences(bed, folder, flags)
    kubectl(bed, "apply", *flags, "-f", str(folder))
    wait_all_ready(bed)
    assert differences(bed, folder, flags) == ""


def test_helm_waits_for_them_and_upgrades_without_a_change(
    folder: Path, bed: Bed, tmp_path: Path
) -> None:
    """Helm judges by kstatus too, and merges what it had applied, what is there and what is new."""
    chart = tmp_path / "chart"
    chart.mkdir()
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: fleet, version: 0.1.0}")
    folder.rename(chart / "templates")
    bed.helm("install", "fleet", chart, "--wait", "--timeout=60s")
    assert judged(bed, IDENTITY, "billing-agent", "--namespace=agents") == CURRENT
    assert judged(bed, CLASS, "default") == CURRENT
    before = versions(bed)
    bed.helm("upgrade", "fleet", chart, "--wait", "--timeout=60s")
    assert versions(bed) == before
    bed.helm("uninstall", "fleet", "--wait", "--timeout=60s")
    left = kubectl(bed, "get", "agentidentityclass", "default", "--ignore-not-found")
    assert left + kubectl(bed, "get", "agentidentities", "--namespace=agents") == ""


# --- taking away


@pytest.fixture
def team(tenant: Tenant) -> Tenant:
    """Two agents that have everything; one may call the other."""
    tenant.identity("planner", **full_spec())
    tenant.identity("agent", **full_spec(callers=("planner",)))
    for name in ("planner", "agent"):
        tenant.wait_ready(name)
    return tenant


def delete(bed: Bed, *what: str, seconds: int = END_SECONDS) -> None:
    """Waits, as a pipeline does, and fails where it takes too long."""
    kubectl(bed, "delete", *what, "--wait", f"--timeout={seconds}s")


def wait_no_roles(team: Tenant) -> None:
    wait_until(
        lambda: not any(team.vault_role(a) for a in ("planner", "agent")),
        timeout=END_SECONDS,
        what="the Vault roles are gone",
    )


def worst_order(team: Tenant, directory: Path) -> Path:
    """A folder that kubectl deletes in the order of its file names: the ground first."""
    directory.mkdir()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team.namespace}}
    for name, manifest in {
        "1-namespace": namespace,
        "2-class": class_manifest(team.class_name, team.bed),
        "3-callee": identity_manifest(team.namespace, "agent"),
        "4-caller": identity_manifest(team.namespace, "planner"),
    }.items():
        (directory / f"{name}.json").write_text(json.dumps(manifest))
    return directory


def test_the_class_may_go_before_its_identities(team: Tenant, bed: Bed) -> None:
    delete(bed, "agentidentityclass", team.class_name)
    delete(bed, "agentidentities", "--all", f"--namespace={team.namespace}")
    wait_no_roles(team)


def test_the_namespace_may_go_with_everything_in_it(team: Tenant, bed: Bed) -> None:
    delete(bed, "namespace", team.namespace)
    wait_no_roles(team)
    delete(bed, "agentidentityclass", team.class_name)


def test_all_of_it_may_go_at_once_in_the_worst_order(
    team: Tenant, bed: Bed, tmp_path: Path
) -> None:
    delete(bed, "-f", str(worst_order(team, tmp_path / "all")))
    wait_no_roles(team)


def test_without_vault_only_the_class_waits_for_it(team: Tenant, bed: Bed, tmp_path: Path) -> None:
    """It holds what is owed to Vault. Whoever prunes need not wait for it."""
    everything = str(worst_order(team, tmp_path / "all"))
    with stopped(bed):
        kubectl(bed, "delete", "-f", everything, "--wait=false")
        gone = ("--for=delete", f"--timeout={END_SECONDS}s")
        kubectl(bed, "wait", f"namespace/{team.namespace}", *gone)
        assert judged(bed, *class_of(team)) == TERMINATING
    delete(bed, "agentidentityclass", team.class_name, "--ignore-not-found")
    wait_no_roles(team)


def test_what_is_pruned_while_the_operator_is_away_goes_when_it_is_back(
    team: Tenant, bed: Bed, operator: OperatorProcess, tmp_path: Path
) -> None:
    everything = str(worst_order(team, tmp_path / "all"))
    with away(operator):
        kubectl(bed, "delete", "-f", everything, "--wait=false")
        assert judged(bed, *agent_of(team)) == TERMINATING
    delete(bed, "-f", everything, "--ignore-not-found")
    wait_no_roles(team)


def crd_of(plural: str) -> str:
    return f"{plural}.agentidentity.dev"


def asked_in_vain(bed: Bed, plural: str) -> bool:
    """Whether somebody has asked for these while there is no such kind."""
    return any(
        event["responseStatus"]["code"] == HTTPStatus.NOT_FOUND
        and event["requestURI"].partition("?")[0].endswith(f"/v1alpha1/{plural}")
        for event in bed.control_plane.audit_events()
        if "responseStatus" in event
    )


def bring_kinds_back(bed: Bed) -> None:
    kubectl(bed, "apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    names = [f"crd/{crd_of(plural)}" for plural in ("agentidentities", "agentidentityclasses")]
    kubectl(bed, "wait", *names, "--for=condition=Established", "--timeout=30s")


CRD_ORDERS = {
    "identities first": ("agentidentities", "agentidentityclasses"),
    "classes first": ("agentidentityclasses", "agentidentities"),
}


@pytest.mark.parametrize("order", CRD_ORDERS.values(), ids=CRD_ORDERS)
def test_the_kinds_may_go_one_after_the_other_and_come_back(
    team: Tenant, bed: Bed, operator: OperatorProcess, order: tuple[str, str]
) -> None:
    pid = operator.pid
    for plural in order:
        delete(bed, "crd", crd_of(plural))
    wait_no_roles(team)
    wait_until(lambda: team.owned("agent") == {}, timeout=30, what="nothing of it is left")
    for plural in order:
        wait_until(partial(asked_in_vain, bed, plural), timeout=30, what=f"{plural} are missed")

    bring_kinds_back(bed)
    team.create(class_manifest(team.class_name, team.bed))
    team.identity("agent", **full_spec())
    team.wait_ready("agent", timeout=END_SECONDS)
    assert operator.pid == pid, "nobody had to start it anew"


def test_an_operator_that_starts_without_one_kind_lets_the_other_go(
    team: Tenant, bed: Bed, operator: OperatorProcess
) -> None:
    delete(bed, "crd", crd_of("agentidentityclasses"))
    operator.restart()
    try:
        operator.wait_ready()
        delete(bed, "crd", crd_of("agentidentities"))
        wait_no_roles(team)
        assert operator.probe("/healthz") == (HTTPStatus.OK, "ok")
        assert operator.probe("/readyz") == (HTTPStatus.OK, "ok")
    finally:
        bring_kinds_back(bed)
        # It ends by itself, so that kopf finds the kind, and is started anew as by a kubelet.
        code = operator.wait_ended(timeout=30)
        operator.start()
        operator.wait_ready()
    assert code == 1
    team.create(class_manifest(team.class_name, team.bed))
    team.identity("agent", **full_spec())
    team.wait_ready("agent", timeout=END_SECONDS)


# --- the other provider of a cluster


@pytest.mark.parametrize(
    ("docker", "told"),
    [("echo it is not running >&2; exit 1", "it is not running"), (None, "No such file")],
    ids=["no daemon", "no program"],
)
def test_kind_without_docker_ends_before_anything_starts(
    tmp_path: Path, docker: str | None, told: str
) -> None:
    if docker:
        (tmp_path / "docker").write_text(f"#!/bin/sh\n{docker}\n")
        (tmp_path / "docker").chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", Path(__file__).parent, "-p", "no:cacheprovider"],
        env={"PATH": str(tmp_path), "CLUSTER": "kind", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    said = done.stdout + done.stderr
    assert "CLUSTER=kind needs Docker: `docker info` failed: " in said
    assert told in said
    assert "collected" not in said
