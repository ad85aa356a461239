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
MAY = "AgentIdentity agents/alice may call GET /v1/orders on port 8080"


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


def test_who_is_named_and_not_let_in_is_a_note(program: Program) -> None:
    code, ((severity, subject, message),) = found(program, fleet(grant(), asks=False))
    assert (code, severity, subject) == (0, "note", "AgentAccessGrant shop/orders")
    assert message.startswith("1 of those who are named are not let in")


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
    assert ("risk", "AgentAccessGrant shop/orders", f"gains: {MAY}") in told


def test_whoever_asks_no_more_loses(program: Program) -> None:
    code, told = found(program, fleet(grant(), asks=False), fleet(grant()))
    assert code == 0
    assert ("note", "AgentAccessGrant shop/orders", f"loses: {MAY}") in told


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
    flags = ("--cluster-name", "prod", "--trust-domain", "cluster.local")
    _, out, _ = program("render", "0.yaml", *flags)
    policies = {
        o["metadata"]["name"]: o["spec"]
        for o in yaml.safe_load_all(out)
        if o["kind"] == "AuthorizationPolicy"
    }
    (said,) = policies["agentaccessgrant-orders"]["rules"]
    principals = said["from"][0]["source"]["principals"]
    assert principals == ["cluster.local/ns/agents/sa/alice"]
