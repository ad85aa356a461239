"""What the previous version stored, met by this one: it changes nothing that is right already.

The previous operator is a wheel in `data/`, run from there. Whether a change of ours changes what
stands in clusters shows here; one that is meant to belongs into EXPECTED, with its reason.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_requests import OPERATOR, vault_changes

from testbed.bed import Bed
from testbed.operator_process import CHANGES, OperatorProcess
from testbed.tenant import (
    SHORT_PERIODS,
    Tenant,
    class_manifest,
    client_with_a_role,
    full_spec,
    identity_manifest,
)
from testbed.waiting import wait_until

PREVIOUS = Path(__file__).with_name("data") / "agent_identity_operator-0.1.0-py3-none-any.whl"
NAMESPACE = "stored"
# (verb, resource, name) of each write that the upgrade from the previous version is meant to make.
EXPECTED: list[tuple[str, str, str]] = []
RULES = [
    {
        "name": "tasks",
        "from": [
            {"kind": "AgentIdentity", "name": "planner"},
            {"kind": "ServiceAccount", "namespace": "web", "name": "gateway"},
            {"kind": "AllAgentIdentities", "namespace": "stored"},
        ],
        "ports": [8080, 8443],
        "protocol": "HTTP",
        "http": {"methods": ["POST", "GET"], "paths": ["/v1/tasks", "/v1/tasks/{*}"]},
    },
    {
        "name": "calls",
        "from": [{"kind": "AgentIdentity", "name": "planner"}],
        "ports": [9090],
        "protocol": "GRPC",
        "grpc": {"services": ["shop.v1.Orders"], "methods": ["Get", "List"]},
    },
    {
        "name": "stream",
        "from": [{"kind": "AgentIdentity", "name": "planner"}],
        "ports": [7000],
        "protocol": "TCP",
    },
]
MISSING = [{"kind": "AgentIdentity", "name": "nobody"}]
ACCOUNT = {
    "name": "another-name",
    "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/a"},
    "imagePullSecrets": [{"name": "regcred"}],
}
# Name → the class's suffix, the spec, and the reason that Ready has in the end.
SHAPES: dict[str, tuple[str, dict[str, Any], str]] = {
    "bare": ("", {}, "InPlace"),
    "planner": ("", full_spec(), "InPlace"),
    "everything": (
        "",
        full_spec() | {"inbound": {"enforcement": "Enforce", "rules": RULES}},
        "InPlace",
    ),
    "other-account": ("", full_spec() | {"serviceAccount": ACCOUNT}, "InPlace"),
    "short-tokens": (
        "",
        {"vault": {"policies": ["own-secrets", "team"], "tokenTTLSeconds": 300}},
        "InPlace",
    ),
    "callers-missing": (
        "",
        {"inbound": {"enforcement": "Enforce", "rules": [RULES[2] | {"from": MISSING}]}},
        "InPlace",
    ),
    "shadow": ("-shadow", {"inbound": {"enforcement": "Shadow", "rules": [RULES[2]]}}, "InPlace"),
    "without-mesh": ("-meshless", {"rbac": {"clusterRoles": ["ticket-reader"]}}, "InPlace"),
    "not-listed": ("", {"rbac": {"clusterRoles": ["cluster-admin"]}}, "NotInClass"),
    "below": ("", {"inbound": {"enforcement": "Shadow"}}, "EnforcementBelowClass"),
    "no-class": ("-nowhere", {}, "ClassNotFound"),
    "closed-out": ("-elsewhere", full_spec(), "NamespaceNotAllowed"),
}

IN_PLACE = sum(reason == "InPlace" for _, _, reason in SHAPES.values())


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with Bed(tmp_path_factory.mktemp("upgrade")) as running:
        yield running


@pytest.fixture(scope="module")
def stored(bed: Bed) -> Tenant:
    """Identities of every shape, as the previous operator left them."""
    client = client_with_a_role(bed)
    team = Tenant(bed, client, NAMESPACE, "stored")
    labels = {"agents": "allowed"}
    team.create(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": labels},
        }
    )
    team.create(class_manifest("stored", bed))
    team.create(class_manifest("stored-shadow", bed, inbound={"minimumEnforcement": "Shadow"}))
    team.create(class_manifest("stored-meshless", bed, mesh={"type": "None"}))
    elsewhere = {"matchLabels": {"agents": "elsewhere"}}
    team.create(class_manifest("stored-elsewhere", bed, namespaceSelector=elsewhere))
    for name, (suffix, spec, _) in SHAPES.items():
        team.create(identity_manifest(NAMESPACE, name, className=f"stored{suffix}", **spec))
    with bed.operator(settings=SHORT_PERIODS | {"PYTHONPATH": str(PREVIOUS)}) as previous:
        previous.wait_ready()
        assert "agent_identity_leader" not in previous.metrics(), "this is not the previous one"
        for name, (_, _, reason) in SHAPES.items():
            team.wait_reason(name, reason)
        wait_at_rest(bed, previous)
    return team


def kube_changes(bed: Bed) -> list[tuple[str, str, str]]:
    """Everything that an operator wrote, Events too, but not its Lease."""
    return [
        (
            e["verb"],
            "/".join(filter(None, (e["objectRef"]["resource"], e["objectRef"].get("subresource")))),
            e["objectRef"].get("name", ""),
        )
        for e in bed.control_plane.audit_events()
        if e["stage"] == "ResponseComplete"
        and e["verb"] in CHANGES
        and e["user"]["username"] == OPERATOR
        and e["objectRef"]["resource"] != "leases"
    ]


def reconciles(operator: OperatorProcess) -> float:
    """Of identities, so far, and only those that came to their end: what fails or waits is tried
    between resyncs too, and classes are looked at for reasons of their own."""
    name = 'agent_identity_reconciles_total{kind="identity",result="done"}'
    lines = [x for x in operator.metrics().splitlines() if x.startswith(name)]
    return sum(float(line.split()[-1]) for line in lines)


def wait_at_rest(bed: Bed, operator: OperatorProcess, *, in_place: int = IN_PLACE) -> None:
    """Until three periods are over without a write: in each, every identity has its turn once.
    in_place: how many come to their end in it."""
    seen = (kube_changes(bed), reconciles(operator))

    def at_rest() -> bool:
        nonlocal seen
        changes = kube_changes(bed)
        if changes != seen[0]:
            seen = (changes, reconciles(operator))
        return reconciles(operator) >= seen[1] + 3 * in_place

    wait_until(at_rest, timeout=90, what="nothing is left to write")


def test_what_the_previous_version_stored_is_left_as_it_is(bed: Bed, stored: Tenant) -> None:
    kube, vault = len(kube_changes(bed)), len(vault_changes(bed, ""))
    versions = {name: version_of(stored, name) for name in SHAPES}
    with bed.operator(settings=SHORT_PERIODS) as current:
        current.wait_ready()
        wait_until(
            lambda: reconciles(current) >= 4 * IN_PLACE,
            timeout=60,
            what="everything was looked at, at the start, for its class, and in two resyncs",
        )
    assert sorted(kube_changes(bed)[kube:]) == sorted(EXPECTED)
    assert vault_changes(bed, "")[vault:] == []
    changed = {name for _, resource, name in EXPECTED if resource.startswith("agentidentities")}
    assert {n for n in SHAPES if versions[n] != version_of(stored, n)} == changed
    for name, (_, _, reason) in SHAPES.items():
        assert stored.condition(name)["reason"] == reason


def version_of(tenant: Tenant, name: str) -> str:
    found = tenant.get("AgentIdentity", name)
    assert found is not None
    return str(found["metadata"]["resourceVersion"])


def test_the_previous_version_goes_on_with_what_this_one_stored(bed: Bed, stored: Tenant) -> None:
    """A rollback, which may come after identities were made."""
    with bed.operator(settings=SHORT_PERIODS) as current:
        current.wait_ready()
        stored.create(identity_manifest(NAMESPACE, "newer", className="stored", **full_spec()))
        stored.wait_ready("newer")
        wait_at_rest(bed, current)
    kube, vault = len(kube_changes(bed)), len(vault_changes(bed, ""))
    with bed.operator(settings=SHORT_PERIODS | {"PYTHONPATH": str(PREVIOUS)}) as previous:
        previous.wait_ready()
        wait_until(
            lambda: reconciles(previous) >= 4 * (IN_PLACE + 1), timeout=60, what="all looked at"
        )
        assert kube_changes(bed)[kube:] == []
        assert vault_changes(bed, "")[vault:] == []
        stored.delete("AgentIdentity", "newer")
        stored.wait_gone("AgentIdentity", "newer")
        assert stored.vault_role("newer") is None
