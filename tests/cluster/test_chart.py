"""The chart with the real helm on a real control plane: what it refuses, makes, changes and leaves.

Beds of its own: a release is upgraded, rolled back and uninstalled here.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_upgrade import PREVIOUS as PREVIOUS_OPERATOR
from test_upgrade import reconciles, wait_at_rest

from testbed.bed import CHART, RELEASE, Bed
from testbed.operator_process import (
    NAMESPACE,
    REPOSITORY,
    SERVICE_ACCOUNT,
    DeployedOperator,
    OperatorProcess,
)
from testbed.tenant import SHORT_PERIODS, grant_manifest, rule
from testbed.toolchain import find_binaries
from testbed.waiting import wait_until

DATA = Path(__file__).with_name("data")
PREVIOUS_CHART = DATA / "agent-identity-0.1.0.tgz"
QUICKSTART = REPOSITORY / "examples" / "quickstart"
EXAMPLE_VALUES = CHART / "values-prod.yaml"
EXAMPLE_ADDRESS = "https://vault.example:8200"
OURS = "agentidentity.dev/v1alpha1/AgentIdentityClass"
CRDS = (
    "agentaccessgrants.agentidentity.dev",
    "agentidentities.agentidentity.dev",
    "agentidentityclasses.agentidentity.dev",
)
USER = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
WRITES = {"create", "update", "patch", "delete", "deletecollection"}
# What a chart's upgrade must not touch: everything that identities are and have.
OF_IDENTITIES = {
    "agentidentities",
    "agentidentityclasses",
    "serviceaccounts",
    "rolebindings",
    "peerauthentications",
    "authorizationpolicies",
}
EVERYTHING: dict[str, Any] = {
    "image": {"digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "regcred"}],
    "resources": {"requests": {"cpu": 1}, "limits": {"memory": "1Gi"}},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {}},
    "podLabels": {"team": "platform"},
    "podAnnotations": {"example.com/a": "b"},
    "requestsPerSecond": 2000000,
    "kubeServer": "https://kubernetes.default.svc",
    "classes": [
        {
            "name": "from-values",
            "spec": {
                "namespaceSelector": {"matchLabels": {"agents": "allowed"}},
                "mesh": {"type": "None"},
            },
        }
    ],
    "admission": {
        "classUse": {"mode": "Audit"},
        "ownedObjects": {"exemptUsers": ["anna"], "exemptGroups": ["on-call"]},
        "agentPods": {
            "namespaceSelector": {"matchLabels": {"agents": "allowed"}},
            "breakGlassGroups": ["on-call"],
        },
    },
    "networkPolicy": {
        "ingressFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "apiServerTo": [{"ipBlock": {"cidr": "10.0.0.1/32"}}],
        "vaultTo": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "vault"}}}],
    },
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": True, "annotations": {"grafana_folder": "Agents"}},
    },
}
CLASSES = {"classes": EVERYTHING["classes"]}
GIVES = rule("read", {"kind": "AgentIdentity", "namespace": "agents", "name": "planner"})
LEFT = [
    "authorizationpolicy.security.istio.io/agentaccessgrant-orders",
    "authorizationpolicy.security.istio.io/agentidentity-billing-agent",
    "peerauthentication.security.istio.io/agentidentity-billing-agent",
]
"""In the mesh, after everything of ours is deleted."""
# The quickstart's.
IDENTITIES = 2


def helm(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Without any cluster."""
    command = [find_binaries().helm, *arguments]
    environment = {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def template(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return helm("template", RELEASE, CHART, "--namespace", NAMESPACE, *arguments)


def rendered(values: dict[str, Any], folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """Every object of a release with these values."""
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    done = template("--values", file, *arguments)
    assert done.returncode == 0, done.stderr
    return [o for o in yaml.safe_load_all(done.stdout) if o]


def of_kind(objects: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    return [o for o in objects if o["kind"] in kinds]


# --- what it is written as


def test_helm_finds_nothing_to_complain_of() -> None:
    for values in ((), ("--values", EXAMPLE_VALUES)):
        done = helm("lint", "--strict", CHART, *values)
        assert done.returncode == 0, done.stdout


BAD_VALUES = {
    "clusterName": ["Prod", "a_b", "-a", "", "a" * 64],
    "trustDomain": ["Cluster.local", "spiffe://x", ""],
    "meshRootNamespace": ["istio.system"],
    "boundClusterRoles": [["*"], "ticket-reader", ["a", "a"]],
    "replicas": [-1, "2", 1.5],
    "image/digest": ["sha256:abc", "latest"],
    "image/tag": ["a b"],
    "image/pullPolicy": ["Sometimes"],
    "runAsUser": [0, "root"],
    "workers": [3],
    "requestsPerSecond": [0],
    "resyncSeconds": [0, 0.5, "10m"],
    "deletionDeadlineSeconds": [0],
    "leaderElection": ["yes"],
    "leaseSeconds": [0],
    "graceSeconds": [-1],
    "logLevel": ["info", "TRACE"],
    "httpHost": ["localhost"],
    "httpPort": [0, 65536],
    "kubeServer": ["http://x"],
    "vaultToken/audience": ["", "a b"],
    "vaultToken/expirationSeconds": [599],
    "podLabels/agentidentity.dev~1identity": ["billing-agent"],
    "podLabels/app.kubernetes.io~1name": ["another"],
    "networkPolicy/vaultPorts": [["https"], [8200, 8200]],
    "networkPolicy/dnsPorts": [[]],
    "metrics/serviceMonitor/interval": ["often"],
    "admission/classUse/mode": ["Warn", False],
    "admission/ownedObjects/exemptUsers": [[""]],
    "admission/agentPods/namespaceSelector/labels": [{}],
    "clasess": [[]],
    "networkPolicy/egres": [[]],
}


@pytest.mark.parametrize(
    ("field", "value"), [(f, v) for f, values in BAD_VALUES.items() for v in values]
)
def test_a_wrong_value_is_refused_by_its_name(field: str, value: Any, tmp_path: Path) -> None:
    values: Any = value
    for part in reversed(field.split("/")):
        values = {part.replace("~1", "/"): values}
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))
    done = template("--values", file)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
    assert field in done.stderr or f"'{field.rpartition('/')[2]}'" in done.stderr


@pytest.mark.parametrize("missing", ["spec", "name"])
def test_a_class_without_a_part_is_refused(missing: str, tmp_path: Path) -> None:
    [whole] = EVERYTHING["classes"]
    file = tmp_path / "values.json"
    file.write_text(json.dumps({"classes": [{k: v for k, v in whole.items() if k != missing}]}))
    assert f"'/classes/0': missing property '{missing}'" in template("--values", file).stderr


def test_two_replicas_without_leader_election_are_refused() -> None:
    assert (
        "'/leaderElection': value must be true" in template("--set", "leaderElection=false").stderr
    )
    alone = template("--set", "leaderElection=false,replicas=1")
    assert "type: Recreate" in alone.stdout


def test_without_names_there_is_no_right_to_bind_at_all(tmp_path: Path) -> None:
    for none in ([], None):
        roles = of_kind(rendered({"boundClusterRoles": none}, tmp_path), "ClusterRole", "Role")
        assert roles
        assert not any("bind" in rule["verbs"] for role in roles for rule in role["rules"])


def test_the_pod_has_longer_to_end_than_the_operator_takes(tmp_path: Path) -> None:
    values = {"graceSeconds": 100, "leaseSeconds": 30}
    [deployment] = of_kind(rendered(values, tmp_path), "Deployment")
    # The work, then at most: last words, what was sent at the last moment, giving the Lease back.
    longest = 100 + 2 + 30 / 3 + 30 / 3
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > longest


def test_large_numbers_stay_whole(tmp_path: Path) -> None:
    [deployment] = of_kind(rendered(EVERYTHING, tmp_path), "Deployment")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    env = {e["name"]: e.get("value") for e in container["env"]}
    assert env["AGENT_IDENTITY_REQUESTS_PER_SECOND"] == "2000000"
    assert container["image"].endswith(f"@sha256:{'0' * 64}")


def test_a_class_is_not_made_where_its_kind_is_not_known(tmp_path: Path) -> None:
    assert of_kind(rendered(CLASSES, tmp_path), "AgentIdentityClass") == []
    [made] = of_kind(rendered(CLASSES, tmp_path, "--api-versions", OURS), "AgentIdentityClass")
    assert made["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_nothing_is_a_hook(tmp_path: Path) -> None:
    for o in rendered(EVERYTHING, tmp_path, "--api-versions", OURS):
        assert "helm.sh/hook" not in o["metadata"].get("annotations", {})


# --- what the API server makes of it


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """With the values that the chart has by default, and no exemption for tests."""
    directory = tmp_path_factory.mktemp("chart")
    with Bed(directory, cluster_name="cluster", values={"admission": {}}) as running:
        assert json.loads((directory / "values.json").read_text()) == {
            "clusterName": "cluster",
            "admission": {},
        }
        yield running


def kubectl(bed: Bed, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
    done = bed.control_plane.kubectl(*arguments, stdin=stdin, check=check)
    return done.stdout + done.stderr


def apply_quickstart(bed: Bed, *flags: str) -> None:
    """Class and identities as they are, but for the address and the CA of this OpenBao."""
    certificate = "\n".join(f"      {line}" for line in bed.openbao.ca_pem.strip().splitlines())
    address = f"{bed.openbao.address}\n    caBundle: |\n{certificate}"
    for name in ("1-platform.yaml", "2-class.yaml", "3-identities.yaml"):
        text = (QUICKSTART / name).read_text().replace(EXAMPLE_ADDRESS, address)
        kubectl(bed, "apply", *flags, "-f", "-", stdin=text)


def wait_ready(bed: Bed) -> None:
    kubectl(
        bed,
        *("wait", "--for=condition=Ready", "agentidentity", "--all", "-A", "--timeout=60s"),
    )


def allowed(bed: Bed, who: str, verb: str, what: str, *more: str) -> bool:
    asked = ("auth", "can-i", verb, what, f"--as={who}", *more)
    return bed.control_plane.kubectl(*asked, check=False).stdout == "yes\n"


def test_the_operator_runs_as_its_deployment_says(bed: Bed) -> None:
    first = DeployedOperator(bed.directory / "one", bed.control_plane)
    second = DeployedOperator(bed.directory / "two", bed.control_plane)
    with first:
        first.wait_ready()
        second.start()
        second.wait_standby()
        apply_quickstart(bed)
        wait_ready(bed)
        for replica in (first, second):
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert replica.probe(replica.container[probe]["httpGet"]["path"])[0] == 200
        # A rollout: the one that works is told to end, and the other goes on.
        started = time.monotonic()
        first.terminate()
        assert first.wait_ended() == 0
        assert time.monotonic() - started < first.pod["terminationGracePeriodSeconds"]
        second.wait_ready()
        wait_ready(bed)
    second.stop()


NOBODY = """
import pwd, runpy, sys
def unnamed(number):
    raise KeyError(f"getpwuid(): uid not found: {number}")
pwd.getpwuid = unnamed
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Numbered(DeployedOperator):
    """Where no user has a name, as in a container that runs as a number."""

    def _command(self) -> list[str | Path]:
        return [self._python, "-c", NOBODY, *super()._command()]

    def _environment(self) -> dict[str, str]:
        named = {"LOGNAME", "USER", "LNAME", "USERNAME"}
        return {k: v for k, v in super()._environment().items() if k not in named}


def test_it_needs_no_user_that_has_a_name(bed: Bed) -> None:
    with Numbered(bed.directory / "numbered", bed.control_plane) as operator:
        operator.wait_ready()


def test_a_namespace_that_restricts_pods_lets_it_in(bed: Bed, tmp_path: Path) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    kubectl(bed, "label", "namespace", NAMESPACE, label, "--overwrite")
    for values in ({}, EVERYTHING, {"runAsUser": None}):
        [deployment] = of_kind(rendered(values, tmp_path), "Deployment")
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "x", "namespace": NAMESPACE},
            "spec": deployment["spec"]["template"]["spec"],
        }
        create = ("create", "--dry-run=server", "--validate=strict", "-f", "-")
        assert "pod/x created" in kubectl(bed, *create, stdin=json.dumps(pod))
        del pod["spec"]["containers"][0]["securityContext"]["capabilities"]
        refused = kubectl(bed, *create, stdin=json.dumps(pod), check=False)
        assert "violates PodSecurity" in refused


def test_everything_turned_on_is_understood_by_the_api_server(bed: Bed, tmp_path: Path) -> None:
    kubectl(bed, "apply", "-f", str(DATA / "monitoring-crds.yaml"))
    kubectl(
        bed,
        *("wait", "--for=condition=Established", "--timeout=30s"),
        *("crd/servicemonitors.monitoring.coreos.com", "crd/prometheusrules.monitoring.coreos.com"),
    )
    objects = rendered(EVERYTHING, tmp_path, "--api-versions", OURS)
    told = kubectl(
        bed,
        *("apply", "--server-side", "--force-conflicts", "--field-manager=helm"),
        *("--dry-run=server", "--validate=strict", "-f", "-"),
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}),
    )
    assert "Warning" not in told
    assert told.count("(server dry run)") == len(objects)
    kinds = {o["kind"] for o in objects}
    assert kinds >= {"PrometheusRule", "ServiceMonitor", "AgentIdentityClass", "NetworkPolicy"}


def test_who_edits_a_namespace_writes_identities_and_uses_no_class(bed: Bed) -> None:
    kubectl(bed, "create", "namespace", "team")
    for role in ("view", "edit", "admin"):
        binding = ("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}")
        kubectl(bed, *binding, "-n", "team")
    wait_until(
        lambda: allowed(bed, "view", "list", "agentidentities", "-n", "team"),
        timeout=20,
        what="the roles are aggregated",
    )
    for who, may in (("view", False), ("edit", True), ("admin", True)):
        for verb in ("create", "update", "patch", "delete", "deletecollection"):
            assert allowed(bed, who, verb, "agentidentities", "-n", "team") == may
        assert allowed(bed, who, "get", "agentidentities", "--subresource=status", "-n", "team")
        assert not allowed(
            bed, who, "patch", "agentidentities", "--subresource=status", "-n", "team"
        )
        assert not allowed(bed, who, "use", "agentidentityclasses/default", "-n", "team")
        assert not allowed(bed, who, "create", "agentidentityclasses")
        assert not allowed(bed, who, "list", "agentidentities", "-n", "default")


def test_a_class_is_used_by_whom_the_readme_gives_it_to(bed: Bed) -> None:
    readme = (CHART / "README.md").read_text()
    example = readme.partition("```yaml\n")[2].partition("```")[0]
    kubectl(bed, "create", "namespace", "agents", check=False)
    kubectl(bed, "apply", "-f", "-", stdin=example)
    group = ("--as-group=agent-team", "-n", "agents")
    assert allowed(bed, "anna", "use", "agentidentityclasses/default", *group)
    assert not allowed(bed, "anna", "use", "agentidentityclasses/another", *group)
    elsewhere = ("--as-group=agent-team", "-n", "default")
    assert not allowed(bed, "anna", "use", "agentidentityclasses/default", *elsewhere)


# --- a release's life: chapters of one story, which need each other in this order


class Life:
    """A release that began with the previous chart, and an operator that follows its rights."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self._seen = 0
        settings = SHORT_PERIODS | {"PYTHONPATH": str(PREVIOUS_OPERATOR)}
        self.before = bed.operator(settings=settings)
        self.now = DeployedOperator(bed.directory / "deployed", bed.control_plane)

    def release(self, *arguments: str | Path, values: dict[str, Any] | None = None) -> str:
        file = self.bed.directory / "more-values.json"
        file.write_text(json.dumps({"clusterName": self.bed.cluster_name, **(values or {})}))
        with_values = arguments[0] in ("install", "upgrade")
        more = ("--values", file) if with_values else ()
        return self.bed.helm(*arguments, *more).stdout

    def settled(self, operator: OperatorProcess) -> None:
        """The identities were looked at by an operator that has just started."""
        operator.start()
        operator.wait_ready()
        wait_until(
            lambda: reconciles(operator) >= IDENTITIES, timeout=60, what="both were looked at"
        )
        wait_ready(self.bed)

    def writes(self) -> list[str]:
        """Who wrote what of the identities since this was last asked."""
        events = self.bed.control_plane.audit_events()
        new, self._seen = events[self._seen :], len(events)
        return [
            f"{e['user']['username']} {e['verb']} {e['objectRef']['resource']}"
            for e in new
            if e["stage"] == "ResponseComplete"
            and e["verb"] in WRITES
            and (e.get("objectRef") or {}).get("resource") in OF_IDENTITIES
            and e["objectRef"].get("namespace") in (None, "agents")
            and e["responseStatus"]["code"] < 400
        ]

    def names(self, kind: str) -> list[str]:
        out = kubectl(self.bed, "get", kind, "-A", "-o", "name", check=False)
        return [line for line in out.splitlines() if "/" in line and " " not in line]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with Bed(tmp_path_factory.mktemp("life"), chart=PREVIOUS_CHART) as running:
        found = Life(running)
        try:
            yield found
        finally:
            found.before.stop()
            found.now.stop()


def later_chart(folder: Path) -> Path:
    """This chart, as a later one whose CRDs have changed."""
    later = folder / "agent-identity"
    shutil.copytree(CHART, later)
    for file in (later / "files" / "crds").glob("*.yaml"):
        crd = yaml.safe_load(file.read_text())
        columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
        columns.append({"name": "Later", "type": "string", "jsonPath": ".metadata.name"})
        file.write_text(yaml.safe_dump(crd))
    chart = later / "Chart.yaml"
    chart.write_text(chart.read_text().replace("version: 0.2.0", "version: 0.3.0", 1))
    return later


def has_later_column(life: Life) -> bool:
    columns = (kubectl(life.bed, "get", "crd", name, "-o", "json") for name in CRDS)
    found = {'"Later"' in text for text in columns}
    assert len(found) == 1
    return found.pop()


def test_a_release_is_upgraded_and_rolled_back(life: Life, tmp_path: Path) -> None:
    life.before.start()
    life.before.wait_ready()
    # What the previous kinds do not know they drop.
    apply_quickstart(life.bed, "--validate=warn")
    wait_ready(life.bed)
    # Being Ready is not the end of it.
    wait_at_rest(life.bed, life.before, in_place=IDENTITIES)
    life.before.stop()
    life.writes()

    # From the previous chart and operator to this one.
    life.release("upgrade", RELEASE, CHART)
    life.settled(life.now)
    assert life.writes() == []

    # To a later chart: CRDs and the classes of its values.
    notes = life.release("upgrade", RELEASE, later_chart(tmp_path), values=CLASSES)
    assert "THE CLASSES ARE NOT MADE YET" not in notes
    assert has_later_column(life)
    assert "agentidentityclass.agentidentity.dev/from-values" in life.names("agentidentityclass")
    life.writes()
    life.now.restart()
    life.settled(life.now)
    assert life.writes() == []

    # And back.
    life.release("rollback", RELEASE, "2")
    assert not has_later_column(life)
    assert "agentidentityclass.agentidentity.dev/from-values" in life.names("agentidentityclass")
    life.now.restart()
    life.settled(life.now)
    assert life.writes() == []
    life.now.stop()
    life.release("rollback", RELEASE, "1")
    assert life.names("deployment") == []
    life.settled(life.before)
    assert life.writes() == []
    life.before.stop()


def test_an_uninstall_that_came_too_early_is_mended_by_an_install(life: Life) -> None:
    life.release("upgrade", RELEASE, CHART)
    life.settled(life.now)
    kept = {kind: life.names(kind) for kind in ("agentidentity", "agentidentityclass", "crd")}
    assert len(kept["agentidentity"]) == 2

    life.release("uninstall", RELEASE)
    life.now.stop()
    assert {kind: life.names(kind) for kind in kept} == kept
    assert not allowed(life.bed, USER, "patch", "agentidentities", "-A")
    everything = kubectl(life.bed, "get", "clusterrole,clusterrolebinding", "-o", "name")
    assert "agent-identity" not in everything
    assert "agentidentity-" not in everything

    # Nobody is there to take the finalizer off.
    kubectl(life.bed, "delete", "agentidentity", "planner", "-n", "agents", "--wait=false")
    assert life.names("agentidentity") == kept["agentidentity"]
    life.release("install", RELEASE, CHART)
    with life.now:
        life.now.wait_ready()
        kubectl(
            life.bed,
            *("wait", "--for=delete", "agentidentity/planner", "-n", "agents", "--timeout=60s"),
        )
        wait_ready(life.bed)


def leave_a_pod_and_a_grant(bed: Bed) -> None:
    """As somebody does who did not read on: both leave something shut in the mesh."""
    pod = {
        "metadata": {"name": "runs-on", "labels": {"agentidentity.dev/identity": "billing-agent"}},
        "spec": {
            "serviceAccountName": "billing-agent",
            "containers": [{"name": "agent", "image": "registry.example/agent"}],
        },
    }
    objects = [{"apiVersion": "v1", "kind": "Pod"} | pod, grant_manifest("agents", "orders", GIVES)]
    for manifest in objects:
        kubectl(bed, "apply", "-n", "agents", "-f", "-", stdin=json.dumps(manifest))
    ready = ("--for=condition=Ready", "agentaccessgrant/orders", "-n", "agents", "--timeout=60s")
    kubectl(bed, "wait", *ready)


def take_away_what_is_left(life: Life, chapter: str) -> None:
    """Nobody guards it any more, so the command of the text does it."""
    (command,) = re.findall(r"`kubectl (delete\s+authorization[^`]*)`", chapter)
    kubectl(life.bed, *command.replace("NAMESPACE", "agents").split())
    assert life.names("authorizationpolicies,peerauthentications") == []


def test_the_documented_order_of_an_uninstall_never_hangs(life: Life) -> None:
    readme = (CHART / "README.md").read_text()
    chapter = readme.partition("## Uninstall")[2].partition("\n## ")[0]
    commands = [
        line.partition("#")[0].split() for line in chapter.splitlines() if line.startswith("    ")
    ]
    assert len(commands) == 9
    life.now.start()
    life.now.wait_ready()
    leave_a_pod_and_a_grant(life.bed)
    listed = ""
    for program, *arguments in commands:
        if program == "helm":
            life.bed.helm(*arguments)
            life.now.stop()
        elif arguments[0] == "get":
            listed += kubectl(life.bed, *arguments)
        else:
            # Without the controllers of a namespace's whole content its end may take a while.
            kubectl(life.bed, *arguments, "--timeout=60s")
    assert sorted(line.split()[1] for line in listed.splitlines() if "agent" in line) == LEFT
    assert not [name for name in life.names("crd") if "agentidentity.dev" in name]
    take_away_what_is_left(life, chapter)
    roles = life.bed.openbao.list("auth/kubernetes/role")
    assert not [role for role in roles if role.startswith(f"{life.bed.cluster_name}_agents")]


def test_the_first_install_says_that_its_classes_come_with_an_upgrade(life: Life) -> None:
    assert not [name for name in life.names("crd") if "agentidentity.dev" in name]
    notes = life.release("install", RELEASE, CHART, "--create-namespace", values=CLASSES)
    assert "THE CLASSES ARE NOT MADE YET" in notes
    assert life.names("agentidentityclass") == []
    life.release("upgrade", RELEASE, CHART, values=CLASSES)
    made = ["agentidentityclass.agentidentity.dev/from-values"]
    assert life.names("agentidentityclass") == made
    life.release("upgrade", RELEASE, CHART)
    assert life.names("agentidentityclass") == made
    life.release("uninstall", RELEASE)
    assert life.names("agentidentityclass") == made
