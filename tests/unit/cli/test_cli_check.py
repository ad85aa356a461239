"""`check` on one set: each misspelt field is found, each stall is foretold, each exit code."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from sets import OURS, ROOT, RULE, Program, agent_class, full, identity, namespace, whole

from agent_identity.cli.documents import read_documents
from agent_identity.cli.shape import shape_findings

GOLDEN = ROOT / "tests" / "golden" / "cli"


def with_everything() -> list[dict[str, Any]]:
    grpc = {"services": ["a.B"], "methods": ["Get"]}
    called = RULE | {"name": "rpc", "protocol": "GRPC", "grpc": grpc}
    called.pop("http")
    agent = full(
        className="default",
        serviceAccount={
            "name": "agent",
            "annotations": {"eks.amazonaws.com/role-arn": "x"},
            "imagePullSecrets": [{"name": "regcred"}],
        },
        inbound={"enforcement": "Enforce", "rules": [RULE, called]},
    )
    inbound = {"minimumEnforcement": "Enforce", "rules": [RULE]}
    return [agent, agent_class(inbound=inbound)]


def fields(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every field of a manifest but those of free maps."""
    if isinstance(value, dict):
        for name, item in value.items():
            if path and path[-1] in ("annotations", "labels", "matchLabels"):
                continue
            yield (*path, name)
            yield from fields(item, (*path, name))
    if isinstance(value, list):
        for at, item in enumerate(value):
            yield from fields(item, (*path, at))


def misspelt(manifest: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    copied = copy.deepcopy(manifest)
    holder: Any = copied
    for step in path[:-1]:
        holder = holder[step]
    holder[f"{path[-1]}x"] = holder.pop(path[-1])
    return copied


EVERY = [
    (manifest, path)
    for manifest in with_everything()
    for path in fields(manifest)
    # A misspelt `kind` or `apiVersion` makes it another object.
    if path not in (("kind",), ("apiVersion",))
]


@pytest.mark.parametrize(("manifest", "path"), EVERY, ids=lambda p: ".".join(map(str, p)))
def test_each_misspelt_field_is_found(manifest: dict[str, Any], path: tuple[Any, ...]) -> None:
    text = yaml.safe_dump(misspelt(manifest, path))
    told = shape_findings(read_documents(text, "x").items[0])
    found = next(f for f in told if f.path.endswith(f"{path[-1]}x"))
    assert "there is no such field" in found.message
    line = int(found.where.removeprefix("x:"))
    assert f"{path[-1]}x:" in text.splitlines()[line - 1]


def test_what_is_in_order_has_no_findings() -> None:
    for manifest in with_everything():
        (document,) = read_documents(yaml.safe_dump(manifest), "x").items
        assert shape_findings(document) == []


def of_kind(**more: Any) -> dict[str, Any]:
    return identity() | more


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another version": (of_kind(apiVersion="agentidentity.dev/v1"), f"is of {OURS}"),
    "another group": (of_kind(apiVersion="agentidentiy.dev/v1alpha1"), f"is of {OURS}"),
    "another kind": (of_kind(kind="AgentIdentiy"), "Did you mean AgentIdentity?"),
    "no metadata": (of_kind(metadata=[]), "metadata"),
    "a name with dots": (identity("a.b"), "must be a DNS label"),
    "no name": (of_kind(metadata={"generateName": "a-", "namespace": "b"}), "must be a DNS label"),
    "no spec": (of_kind(spec=None), "is required, and is an object"),
    "a rule twice": (
        identity(inbound={"enforcement": "Enforce", "rules": [RULE, RULE]}),
        "is there twice",
    ),
    "a role twice": (identity(rbac={"clusterRoles": ["a", "a"]}), "is there twice"),
    "a law": (
        identity(inbound={"enforcement": "Enforce", "rules": [RULE | {"protocol": "TCP"}]}),
        "http (methods and paths) is required with protocol HTTP",
    ),
    "a key that decides": (
        agent_class(serviceAccounts={"annotationKeys": ["vault.hashicorp.com/x"]}),
        "can't be handed out",
    ),
}


@pytest.mark.parametrize(("manifest", "told"), WRONG.values(), ids=WRONG)
def test_what_would_be_refused_is_an_error(
    program: Program, manifest: dict[str, Any], told: str
) -> None:
    code, out, _ = program.check(manifest)
    assert code == 1
    assert told in out


def moved(**spec: Any) -> list[dict[str, Any]]:
    return [agent_class(), namespace(), identity("planner"), full(**spec)]


STALLS: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "a role": (moved(rbac={"clusterRoles": ["x"]}), "spec.rbac.clusterRoles", "asks for x"),
    "a policy": (moved(vault={"policies": ["x"]}), "spec.vault.policies", "asks for x"),
    "a life": (
        moved(vault={"policies": ["team"], "tokenTTLSeconds": 7200}),
        "spec.vault.tokenTTLSeconds",
        "allows at most 3600",
    ),
    "an annotation": (
        moved(serviceAccount={"annotations": {"a": "b"}}),
        "spec.serviceAccount.annotations",
        "asks for a",
    ),
    "shadow": (
        moved(inbound={"enforcement": "Shadow"}),
        "spec.inbound.enforcement",
        "does not allow",
    ),
    "a namespace without the label": (
        [agent_class(), namespace(team="x"), identity()],
        "metadata.namespace",
        "is for namespaces labelled agents=allowed",
    ),
    "the mesh's root": (
        [agent_class(), namespace("istio-system"), identity(namespace="istio-system")],
        "metadata.namespace",
        "no agent can live there",
    ),
    "inbound without a mesh": (
        [agent_class(mesh={"type": "None"}), namespace(), full()],
        "spec.inbound",
        "nothing would enforce",
    ),
    "one account for two": (
        [
            *(agent_class(), namespace(), identity("a", serviceAccount={"name": "x"})),
            identity("b", serviceAccount={"name": "x"}),
        ],
        "spec.serviceAccount.name",
        "belongs to AgentIdentity a",
    ),
}


@pytest.mark.parametrize(("manifests", "path", "told"), STALLS.values(), ids=STALLS)
def test_what_would_stall_is_an_error(
    program: Program, manifests: list[dict[str, Any]], path: str, told: str
) -> None:
    code, out, _ = program.check(*manifests, flags=("-o", "json"))
    errors = [f for f in json.loads(out)["findings"] if f["severity"] == "error"]
    assert code == 1
    assert [f["path"] for f in errors] == [path]
    assert told in errors[0]["message"]
    assert errors[0]["advice"]


def test_all_that_is_wrong_is_told_at_once(program: Program) -> None:
    bad = full(rbac={"clusterRoles": ["x"]}, vault={"policies": ["y"]})
    _, out, _ = program.check(agent_class(), namespace(), bad)
    assert "asks for x" in out
    assert "asks for y" in out


UNKNOWN: dict[str, tuple[list[dict[str, Any]], str]] = {
    "the class": ([namespace(), identity()], "class default is not among the files"),
    "the namespace": ([agent_class(), identity()], "namespace agents is not among the files"),
    "a caller": ([agent_class(), namespace(), full()], "caller AgentIdentity agents/planner"),
}


@pytest.mark.parametrize(("manifests", "told"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_could_not_be_checked_is_noted_and_strictly_an_error(
    program: Program, manifests: list[dict[str, Any]], told: str
) -> None:
    code, out, _ = program.check(*manifests)
    assert code == 0
    assert told in out
    assert program.check(*manifests, flags=("--strict",))[0] == 1
    assert program.check(*whole(), flags=("--strict",))[0] == 0


def test_a_caller_of_a_class_that_is_not_known_is_not_called_missing(program: Program) -> None:
    _, out, _ = program.check(namespace(), identity("planner"), full())
    assert "caller AgentIdentity" not in out


def test_shadow_is_noted(program: Program) -> None:
    lax = agent_class(inbound={"minimumEnforcement": "Shadow"})
    code, out, _ = program.check(lax, namespace(), full(inbound={"enforcement": "Shadow"}))
    assert code == 0
    assert "anybody may call" in out


def test_the_same_object_twice_is_an_error(program: Program) -> None:
    code, out, _ = program.check(*whole(), identity("planner"))
    assert code == 1
    assert "is there twice, first in" in out


def test_the_same_namespace_twice_is_an_error(program: Program) -> None:
    """In the cluster the labels of the last one count, and with them which class may be used."""
    code, out, _ = program.check(*whole(), namespace(agents="barred"))
    assert code == 1
    assert "Namespace agents" in out
    assert "is there twice, first in" in out


def test_wrong_usage_is_code_2(program: Program) -> None:
    assert program("check")[0] == 2
    assert program("chek", "x")[0] == 2
    assert program("check", program.file("a.yaml", whole()), "--trust-domain", "A B")[0] == 2


def test_the_formats_tell_the_same(program: Program) -> None:
    bad = [*whole(), identity("planner")]
    as_json = json.loads(program.check(*bad, flags=("-o", "json"))[1])
    as_yaml = yaml.safe_load(program.check(*bad, flags=("-o", "yaml"))[1])
    assert as_json == as_yaml
    assert as_json["summary"]["errors"] == 1


def test_the_examples_are_told_as_agreed(
    program: Program, monkeypatch: pytest.MonkeyPatch, golden: Any
) -> None:
    monkeypatch.chdir(ROOT)
    code, out, _ = program("check", "examples/quickstart", "examples/mistakes/not-in-class.yaml")
    assert code == 1
    golden("check.txt", out)
    assert program("check", "examples/quickstart", "--strict")[0] == 0
