"""Every example can be read, what it names is there, and ours are what the API takes.

What Flux and Argo CD make of their own kinds is not known here: only their shape is looked at.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_identity.core.checks import Standing, judge
from agent_identity.core.identity import parse_class, parse_grant, parse_identity
from samples import facts_of, metadata

ROOT = Path(__file__).parents[2]
GITOPS = ROOT / "examples" / "gitops"
CHART = ROOT / "charts" / "agent-identity"
FILES = sorted(f for kind in ("*.yaml", "*.yml") for f in (ROOT / "examples").rglob(kind))
HEALTH = "resource.customizations.health.agentidentity.dev_"
FLUX = {
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
}
Object = dict[str, Any]


def objects_in(path: Path) -> list[Object]:
    return [o for o in yaml.safe_load_all(path.read_text()) if o]


def named(path: str, kind: str) -> dict[str, Object]:
    """Objects of a file by name."""
    found = [o for o in objects_in(GITOPS / path) if o["kind"] == kind]
    return {o["metadata"]["name"]: o for o in found}


STAGES = named("flux/stages.yaml", "Kustomization")
RELEASES = named("flux/operator/release.yaml", "HelmRelease")
APPLICATIONS = named("argocd/operator.yaml", "Application") | named(
    "argocd/fleet.yaml", "Application"
)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_it_can_be_read_and_ours_is_what_the_api_takes(path: Path) -> None:
    parse = {
        "AgentAccessGrant": parse_grant,
        "AgentIdentity": parse_identity,
        "AgentIdentityClass": parse_class,
    }
    for manifest in objects_in(path):
        if reader := parse.get(manifest.get("kind", "")):
            meta = manifest["metadata"]
            whole = metadata(meta["name"], meta.get("namespace", ""))
            assert reader(manifest | {"metadata": whole}).problem == ""


def in_quickstart(kind: str) -> dict[str, Object]:
    """Objects of the quickstart by name."""
    files = (ROOT / "examples" / "quickstart").glob("*.yaml")
    found = [o for file in files for o in objects_in(file) if o["kind"] == kind]
    return {o["metadata"]["name"]: o for o in found}


def test_the_readmes_identity_can_be_copied_beside_the_quickstart() -> None:
    """It is given all that it asks for there, and it is none of the agents that run already."""
    text = (ROOT / "README.md").read_text()
    (chapter,) = re.findall(
        r"^## Write an AgentIdentity\n(.*?)^## ", text, re.MULTILINE | re.DOTALL
    )
    manifest = yaml.safe_load(chapter.partition("```yaml\n")[2].partition("```")[0])
    meta = manifest["metadata"]
    asking = parse_identity(manifest | {"metadata": metadata(meta["name"], meta["namespace"])})
    assert asking.key.name not in in_quickstart("AgentIdentity")
    assert asking.key.namespace in in_quickstart("Namespace")
    agent_class = in_quickstart("AgentIdentityClass")[asking.class_name]
    ceilings = parse_class(agent_class | {"metadata": metadata(asking.class_name)})
    assert judge(facts_of(asking, ceilings)).standing is Standing.GRANTED
    for said in re.findall(r"serviceAccountName: (\S+)|/identity: ([-a-z]+)", chapter):
        assert asking.account in said


@pytest.mark.parametrize("path", sorted(GITOPS.rglob("kustomization.yaml")), ids=str)
def test_a_kustomization_names_what_is_there(path: Path) -> None:
    (kustomization,) = objects_in(path)
    assert kustomization["apiVersion"] == "kustomize.config.k8s.io/v1beta1"
    for resource in kustomization["resources"]:
        assert (path.parent / resource).exists()


@pytest.mark.parametrize(
    ("ours", "quickstarts"),
    [
        ("platform/platform.yaml", "1-platform.yaml"),
        ("classes/default.yaml", "2-class.yaml"),
        ("identities/agents.yaml", "3-identities.yaml"),
        ("identities/orders.yaml", "4-grant.yaml"),
    ],
)
def test_the_fleet_is_the_quickstart(ours: str, quickstarts: str) -> None:
    """kustomize takes no file from outside a folder, so they are there twice."""
    quickstart = ROOT / "examples" / "quickstart" / quickstarts
    assert (GITOPS / "fleet" / ours).read_text() == quickstart.read_text()


def test_flux_has_the_kinds_that_it_serves() -> None:
    for path in (GITOPS / "flux").rglob("*.yaml"):
        for manifest in objects_in(path):
            if path.name != "kustomization.yaml" and manifest["kind"] in FLUX:
                assert manifest["apiVersion"] == FLUX[manifest["kind"]]


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_stage_of_flux_waits_and_stands_on_what_is_there(stage: Object) -> None:
    spec = stage["spec"]
    assert spec["sourceRef"]["name"] in named("flux/source.yaml", "GitRepository")
    assert (ROOT / spec["path"] / "kustomization.yaml").is_file()
    assert {d["name"] for d in spec.get("dependsOn", ())} <= STAGES.keys()
    # Flux takes no notice of healthChecks beside wait.
    assert ("healthChecks" in spec) != spec.get("wait", False)
    for check in spec.get("healthChecks", ()):
        release = RELEASES[check["name"]]
        assert check["kind"] == "HelmRelease"
        assert check["namespace"] == release["metadata"]["namespace"]


def test_identities_come_after_classes_and_those_after_the_operator() -> None:
    stands_on = {n: {d["name"] for d in s["spec"].get("dependsOn", ())} for n, s in STAGES.items()}
    assert stands_on["agent-identities"] == {"agent-identity-classes"}
    assert "agent-identity-operator" in stands_on["agent-identity-classes"]


def test_flux_leaves_the_crds_to_the_charts_templates() -> None:
    assert not (CHART / "crds").exists()
    assert "files/crds/" in (CHART / "templates" / "crds.yaml").read_text()
    spec = RELEASES["agent-identity"]["spec"]
    assert spec["install"]["crds"] == spec["upgrade"]["crds"] == "Skip"


def chart_values() -> dict[str, Object]:
    flux = RELEASES["agent-identity"]["spec"]
    argo = APPLICATIONS["agent-identity"]["spec"]["source"]
    assert (ROOT / flux["chart"]["spec"]["chart"]) == ROOT / argo["path"] == CHART
    return {"flux": flux["values"], "argocd": argo["helm"]["valuesObject"]}


def test_the_chart_has_the_values_that_are_set() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for given in chart_values().values():
        assert given.keys() <= values.keys()


@pytest.mark.parametrize("application", APPLICATIONS.values(), ids=APPLICATIONS)
def test_an_application_of_argo_cd_names_what_is_there(application: Object) -> None:
    assert application["apiVersion"] == "argoproj.io/v1alpha1"
    assert (ROOT / application["spec"]["source"]["path"]).is_dir()
    assert "ignoreDifferences" not in application["spec"]


def test_the_operators_namespace_is_the_same_whoever_makes_it() -> None:
    """Its label holds the pods to the restricted Pod Security Standard."""
    (plain,) = objects_in(ROOT / "examples" / "install" / "namespace.yaml")
    metadata = plain["metadata"]
    assert named("flux/operator/release.yaml", "Namespace") == {metadata["name"]: plain}
    argo = APPLICATIONS["agent-identity"]["spec"]
    assert argo["destination"]["namespace"] == metadata["name"]
    assert "CreateNamespace=true" in argo["syncPolicy"]["syncOptions"]
    assert argo["syncPolicy"]["managedNamespaceMetadata"] == {"labels": metadata["labels"]}


def test_argo_cd_syncs_classes_in_an_earlier_wave_than_identities() -> None:
    def wave(folder: str) -> int:
        (kustomization,) = objects_in(GITOPS / "fleet" / folder / "kustomization.yaml")
        annotations = kustomization.get("commonAnnotations", {})
        return int(annotations.get("argocd.argoproj.io/sync-wave", "0"))

    assert wave("platform") < wave("classes") < wave("identities")


def test_argo_cd_judges_all_our_kinds_alike() -> None:
    (settings,) = objects_in(GITOPS / "argocd" / "argocd-cm.yaml")
    kinds = ("AgentIdentity", "AgentIdentityClass", "AgentAccessGrant")
    assert settings["data"].keys() == {f"{HEALTH}{kind}" for kind in kinds}
    assert len(set(settings["data"].values())) == 1


def test_the_pipeline_runs_the_script_that_is_there() -> None:
    (workflow,) = objects_in(GITOPS / "pipeline" / "github-actions.yml")
    commands = [step.get("run", "") for step in workflow["jobs"]["check"]["steps"]]
    assert any(c.startswith("./check.sh ") for c in commands)
    # A branch's name in a command would be run.
    assert not any("${{" in c for c in commands)
    script = GITOPS / "pipeline" / "check.sh"
    assert script.stat().st_mode & 0o111
