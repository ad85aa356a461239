"""What `check`, `check --against` and `render` say of grants."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from sets import OURS, Manifest, Program, agent_class, identity, namespace

ALICE = {"kind": "AgentIdentity", "namespace": "agents", "name": "alice"}
FRONTEND = {"kind": "ServiceAccount", "namespace": "web", "name": "frontend"}
READ = {
    "name": "read",
    "from": [ALICE],
    "ports": [8080],
    "protocol": "HTTP",
    "http": {"methods": ["GET"], "paths": ["/v1/orders"]},
}
ASKS = {"namespace": "shop", "grant": "orders", "rules": ["read"]}
CALLER, GRANT = "AgentIdentity agents/alice", "AgentAccessGrant shop/orders"
MAY = f"{CALLER} may call GET /v1/orders on port 8080"
RENDER = ("render", "0.yaml", "--cluster-name", "prod", "--trust-domain", "cluster.local")


def grant(**spec: Any) -> Manifest:
    body = {
        "selector": {"matchLabels": {"app": "orders"}},
        "enforcement": "Enforce",
        "rules": [copy.deepcopy(READ)],
    }
    return {
        "apiVersion": OURS,
        "kind": "AgentAccessGrant",
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": body | spec,
    }


def fleet(*grants: Manifest, asks: bool = True) -> list[Manifest]:
    outbound = {"outbound": [ASKS]} if asks else {}
    return [agent_class(), namespace(), identity("alice", **outbound), *grants]


def found(program: Program, *runs: list[Manifest]) -> tuple[int, list[tuple[str, str, str]]]:
    """The exit code, and severity, object and text of each finding; a second set is in force."""
    for number, manifests in enumerate(runs):
        Path(f"{number}.yaml").write_text(yaml.safe_dump_all(manifests))
    against = ["--against", "1.yaml"] if len(runs) > 1 else []
    code, out, _ = program("check", "0.yaml", *against, "-o", "json")
    told = json.loads(out)["findings"]
    return code, [(f["severity"], f["subject"], f["message"]) for f in told]


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_fleet_in_order_has_nothing_to_be_said(program: Program) -> None:
    assert found(program, fleet(grant())) == (0, [])


def test_what_is_not_granted_is_a_note(program: Program) -> None:
    code, ((severity, subject, message),) = found(program, fleet())
    assert (code, severity, subject) == (0, "note", "AgentIdentity agents/alice")
    assert message.startswith("no grant among the files gives shop/orders rule read")


GHOST = ALICE | {"name": "ghost"}
ACCOUNT = {"kind": "ServiceAccount", "namespace": "agents", "name": "alice"}
NOT_ASKED = "AgentIdentity agents/alice does not ask for it in spec.outbound"
IN_VAIN: dict[str, tuple[list[Manifest], str]] = {
    "does not ask": (fleet(grant(), asks=False), NOT_ASKED),
    "is not there": (
        fleet(grant(rules=[READ | {"from": [ALICE, GHOST]}])),
        "AgentIdentity agents/ghost is not among the files",
    ),
    "is an agent's own account": (
        fleet(grant(rules=[READ | {"from": [ALICE, ACCOUNT]}])),
        "ServiceAccount agents/alice is an agent's own account",
    ),
}


@pytest.mark.parametrize(("manifests", "text"), IN_VAIN.values(), ids=IN_VAIN)
def test_who_is_named_in_vain_is_a_note_and_strictly_an_error(
    program: Program, manifests: list[Manifest], text: str
) -> None:
    code, ((severity, subject, message),) = found(program, manifests)
    assert (code, severity, subject) == (0, "note", "AgentAccessGrant shop/orders")
    assert message.startswith(text)
    assert program("check", "0.yaml", "--strict")[0] == 1


def test_who_asks_for_another_rule_than_it_is_named_in_is_told_on_both_sides(
    program: Program,
) -> None:
    _, told = found(program, fleet(grant(rules=[READ | {"name": "write"}])))
    assert sorted((subject, message.partition(":")[0]) for _, subject, message in told) == [
        (GRANT, NOT_ASKED),
        (CALLER, "no grant among the files gives shop/orders rule read"),
    ]


def test_who_asks_for_less_than_is_given_is_not_named_in_vain(program: Program) -> None:
    assert found(program, fleet(grant(rules=[READ, READ | {"name": "write"}]))) == (0, [])


def test_who_stalls_is_named_in_vain(program: Program) -> None:
    asking = identity("alice", outbound=[ASKS], rbac={"clusterRoles": ["root"]})
    _, told = found(program, [agent_class(), namespace(), asking, grant()])
    assert any(t[2].startswith("AgentIdentity agents/alice stalls") for t in told)


def test_whoever_may_be_let_in_once_its_class_is_known_is_not_named_in_vain(
    program: Program,
) -> None:
    _, told = found(program, fleet(grant())[1:])
    assert {subject for _, subject, _ in told} == {CALLER}


def placed(program: Program) -> list[tuple[str, str]]:
    """The field of each finding, and what is written in its line."""
    lines = Path("0.yaml").read_text().splitlines()
    _, out, _ = program("check", "0.yaml", "-o", "json")
    rows = json.loads(out)["findings"]
    return [(r["path"], lines[int(r["where"].rpartition(":")[2]) - 1].strip()) for r in rows]


def test_who_calls_in_vain_is_told_with_the_line(program: Program) -> None:
    more = READ | {"name": "more", "from": [FRONTEND, GHOST]}
    asks = [ASKS | {"grant": "stock"}, ASKS | {"rules": ["read", "sell"]}]
    Path("0.yaml").write_text(
        yaml.safe_dump_all(
            [
                *(agent_class(), namespace(), identity("alice", outbound=asks)),
                grant(rules=[READ, more]),
            ],
            sort_keys=False,
        )
    )
    assert placed(program) == [
        ("spec.outbound[0].rules[0]", "- read"),
        ("spec.outbound[1].rules[1]", "- sell"),
        ("spec.rules[1].from[1]", "- kind: AgentIdentity"),
    ]


def test_a_grant_at_an_agents_waypoint_is_an_error(program: Program) -> None:
    waypoint = {"serviceAccount": "waypoint", "namespace": "shop"}
    mesh = {"type": "Istio", "istio": {"dataPlane": "Ambient", "waypoint": waypoint}}
    there = [d for d in fleet() if d["kind"] not in {"AgentIdentityClass", "AgentAccessGrant"}]
    astray = grant(targetRefs=[{"kind": "Gateway", "name": "waypoint"}])
    del astray["spec"]["selector"]
    code, told = found(program, [*there, agent_class(mesh=mesh), astray])
    assert code == 1
    assert ("error", "AgentAccessGrant shop/orders") in {t[:2] for t in told}


def test_shadow_is_a_note(program: Program) -> None:
    _, told = found(program, fleet(grant(enforcement="Shadow")))
    text = "enforcement is Shadow: nothing is written, and the grant keeps nobody out"
    assert ("note", "AgentAccessGrant shop/orders", text) in told


def test_a_grant_in_the_meshs_root_namespace_is_an_error(program: Program) -> None:
    astray = grant()
    astray["metadata"]["namespace"] = "istio-system"
    code, told = found(program, fleet(astray))
    assert code == 1
    assert ("error", "AgentAccessGrant istio-system/orders") in {t[:2] for t in told}


@pytest.mark.parametrize("side", ["the grant", "the agent"])
def test_whoever_comes_second_makes_somebody_gain(program: Program, side: str) -> None:
    """An agent gains what both say, once both do."""
    nobody = grant(rules=[READ | {"from": [FRONTEND]}])
    before = fleet(nobody) if side == "the grant" else fleet(grant(), asks=False)
    code, told = found(program, fleet(grant()), before)
    assert code == 3
    assert ("risk", CALLER, f"gains: {MAY} ({GRANT})") in told


def test_whoever_asks_no_more_loses(program: Program) -> None:
    code, told = found(program, fleet(grant(), asks=False), fleet(grant()))
    assert code == 0
    assert ("note", CALLER, f"loses: {MAY} ({GRANT})") in told


def compared(program: Program) -> dict[str, Any]:
    """0.yaml with 1.yaml, as values."""
    values: dict[str, Any] = json.loads(
        program("check", "0.yaml", "--against", "1.yaml", "-o", "json")[1]
    )
    return values


def test_rows_say_who_gains_and_by_which_grant(program: Program) -> None:
    both = grant(rules=[READ | {"from": [ALICE, FRONTEND]}])
    found(program, fleet(both), fleet(grant(rules=[])))
    rows = compared(program)["gained"]
    assert [(r["holder"], r["grant"]) for r in rows] == [
        (CALLER, "shop/orders"),
        ("ServiceAccount web/frontend", "shop/orders"),
    ]
    assert {r["field"] for r in rows} == {"spec.rules.read"}
    found(program, [*fleet(), identity("bob", rbac={"clusterRoles": ["ticket-reader"]})], fleet())
    assert [r["grant"] for r in compared(program)["gained"]] == [""]


OPENS = "opens when it is deleted: anybody may call everything that no other policy guards"


def test_a_grant_that_opens_when_it_goes_is_a_risk_when_it_goes(program: Program) -> None:
    code, told = found(program, fleet(), fleet(grant(onDelete="Open")))
    assert code == 3
    assert ("risk", GRANT, OPENS) in told
    assert not any(text.startswith("loses") for _, _, text in told)
    (row,) = compared(program)["gained"]
    assert (row["holder"], row["grant"], row["field"]) == (GRANT, "shop/orders", "spec.onDelete")
    file, _, line = row["where"].rpartition(":")
    assert "onDelete" in Path(file).read_text().splitlines()[int(line) - 1]
    assert compared(program)["lost"] == []


STAYS_SHUT: dict[str, tuple[list[Manifest], list[Manifest]]] = {
    "Close": (fleet(), fleet(grant(onDelete="Close"))),
    "by default": (fleet(), fleet(grant())),
    "Shadow, which guards nothing": (
        fleet(),
        fleet(grant(onDelete="Open", enforcement="Shadow")),
    ),
    "it stays": (fleet(grant(onDelete="Open")), fleet(grant(onDelete="Open"))),
    "it comes": (fleet(grant(onDelete="Open"), asks=False), fleet(asks=False)),
}


@pytest.mark.parametrize(("now", "before"), STAYS_SHUT.values(), ids=STAYS_SHUT)
def test_nothing_opens_otherwise(
    program: Program, now: list[Manifest], before: list[Manifest]
) -> None:
    code, told = found(program, now, before)
    assert code == 0
    assert not any(severity == "risk" for severity, _, _ in told)


def test_one_that_stalls_guards_nothing_that_could_open(program: Program) -> None:
    astray = grant(onDelete="Open")
    astray["metadata"]["namespace"] = "istio-system"
    assert found(program, fleet(), fleet(astray))[0] == 0


@pytest.mark.parametrize(
    "change", [{"selector": {"matchLabels": {"app": "other"}}}, {"enforcement": "Shadow"}]
)
def test_what_would_open_what_it_guards_is_an_error(
    program: Program, change: dict[str, Any]
) -> None:
    code, told = found(program, fleet(grant(**change)), fleet(grant()))
    assert code == 1
    text = "can't be changed: that would open what it guards"
    assert ("error", "AgentAccessGrant shop/orders", text) in told


def test_a_grants_policy_is_rendered(program: Program) -> None:
    Path("0.yaml").write_text(yaml.safe_dump_all(fleet(grant())))
    code, out, err = program(*RENDER)
    assert (code, err) == (0, "")
    policies = {
        o["metadata"]["name"]: o["spec"]
        for o in yaml.safe_load_all(out)
        if o["kind"] == "AuthorizationPolicy"
    }
    (said,) = policies["agentaccessgrant-orders"]["rules"]
    principals = said["from"][0]["source"]["principals"]
    assert principals == ["cluster.local/ns/agents/sa/alice"]


def test_for_a_grant_that_stalls_nothing_is_written_and_the_code_is_1(program: Program) -> None:
    astray = grant()
    astray["metadata"]["namespace"] = "istio-system"
    Path("0.yaml").write_text(yaml.safe_dump_all(fleet(astray)))
    code, out, err = program(*RENDER)
    assert code == 1
    assert "AgentAccessGrant istio-system/orders: MeshRootNamespace" in err
    assert err.endswith("; nothing is written\n")
    assert "agentaccessgrant-orders" not in out
    assert program(*RENDER, "--identity", "agents/alice")[0] == 0


def test_a_grant_in_shadow_is_told_to_be_that(program: Program) -> None:
    Path("0.yaml").write_text(yaml.safe_dump_all(fleet(grant(enforcement="Shadow"))))
    code, out, err = program(*RENDER)
    assert code == 0
    assert err == f"{GRANT}: enforcement is Shadow: nothing is written\n"
    assert "agentaccessgrant-orders" not in out
