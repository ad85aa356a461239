"""At rest all stays as it is, and only what hangs on the shared Vault may be said of anybody."""

import json
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from prometheus_client import generate_latest

from agent_identity.telemetry import RECONCILES
from faults.exchange import Call, Exchange
from faults.oracles import End, Run
from faults.recorder import Body, Name
from faults.rest import changed_in_vault, for_nothing, looked_at, reconciles, sure_at
from faults.scene import ENDED, TOKEN

IDENTITY = "/apis/agentidentity.dev/v1alpha1/namespaces/a/agentidentities/agent/status"
CLASS = "/apis/agentidentity.dev/v1alpha1/agentidentityclasses/c/status"
ROLE = "/v1/auth/kubernetes/role/test_a_agent"
OTHERS_ROLE = "/v1/auth/kubernetes/role/test_a_other"
ENTITY = "/v1/identity/entity/id/1"
POLICY = "/v1/sys/policies/acl/test_c_own"
BINDING = "/apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings/b"
WELL = {"Ready": "True", "RBACReady": "True", "VaultReady": "True"}
ILL = WELL | {"Ready": "False", "VaultReady": "False"}


def status(rows: Mapping[str, str]) -> dict[str, object]:
    said = [{"type": t, "status": s, "reason": s} for t, s in rows.items()]
    return {"status": {"conditions": said}}


def write(
    method: str, path: str, rows: Mapping[str, str] = MappingProxyType({}), *, answer: int = 200
) -> Exchange:
    server = "kube" if path.startswith("/apis") else "vault"
    body = json.dumps(status(rows)).encode()
    return Exchange(0, 0.0, "a", Call(server, method, path), body, status=answer)


STATE = {"AgentIdentity/a/agent": json.dumps(status(WELL))}
# Of two accounts of the scene, called as all runs call it, one still has its role.
VAULT = {"role test_SCENE_other": "{}"}


def found(
    *,
    at_play: list[Exchange],
    late: list[Exchange],
    anew: list[Exchange],
    vault: Mapping[str, str] = MappingProxyType(VAULT),
) -> list[Exchange]:
    writes = [*at_play, *late, *anew]
    for number, exchange in enumerate(writes):
        exchange.number = number
    end = End(STATE, dict(vault))
    run = Run({"_a_": "_SCENE_"}, 0, 0, len(at_play), end, end, (), (), {})
    return list(for_nothing(writes, run, restarted=len(at_play) + len(late)))


@pytest.mark.parametrize(
    ("allowed", "exchange"),
    [
        (True, write("PATCH", IDENTITY, ILL)),
        (True, write("PATCH", IDENTITY, WELL)),
        (False, write("PATCH", IDENTITY, WELL | {"RBACReady": "False"})),
        (True, write("DELETE", ROLE)),
        (False, write("DELETE", OTHERS_ROLE)),
        (False, write("DELETE", ENTITY)),
        (False, write("DELETE", POLICY)),
        (False, write("POST", ROLE)),
        (False, write("PUT", BINDING)),
    ],
)
def test_while_others_play_only_vault_is_told_of(*, allowed: bool, exchange: Exchange) -> None:
    assert found(at_play=[], late=[exchange], anew=[]) == ([] if allowed else [exchange])


@pytest.mark.parametrize("words", ["works", ENDED])
def test_an_entity_goes_once_more_only_where_the_token_has_ended(words: str) -> None:
    late = [write("DELETE", ENTITY)]
    vault = VAULT | {TOKEN: json.dumps(words)}
    assert found(at_play=[], late=late, anew=[], vault=vault) == ([] if words == ENDED else late)


@pytest.mark.parametrize(
    ("allowed", "exchange"),
    [
        (True, write("PATCH", CLASS, WELL)),
        (False, write("PATCH", CLASS, ILL)),
        (False, write("PATCH", IDENTITY, WELL)),
        (False, write("DELETE", ROLE)),
    ],
)
def test_after_a_restart_only_a_class_says_that_it_is_well(
    *, allowed: bool, exchange: Exchange
) -> None:
    before = [write("PATCH", CLASS, ILL), write("PATCH", IDENTITY, ILL)]
    assert found(at_play=before, late=[], anew=[exchange]) == ([] if allowed else [exchange])


def test_a_class_says_once_that_it_is_well_again() -> None:
    again = [write("PATCH", CLASS, WELL), write("PATCH", CLASS, WELL)]
    assert found(at_play=[write("PATCH", CLASS, ILL)], late=[], anew=again) == again[1:]


def test_a_class_that_was_well_has_nothing_to_say() -> None:
    said = [write("PATCH", CLASS, ILL), write("PATCH", CLASS, WELL)]
    anew = write("PATCH", CLASS, WELL)
    assert found(at_play=said, late=[], anew=[anew]) == [anew]


def test_what_did_not_arrive_was_not_said() -> None:
    said = [write("PATCH", CLASS, ILL), write("PATCH", CLASS, WELL, answer=503)]
    assert found(at_play=said, late=[], anew=[write("PATCH", CLASS, WELL)]) == []


def labelled(kind: str, name: str, **labels: str) -> tuple[Name, Body]:
    said = {f"agentidentity.dev/{label}": text for label, text in labels.items()}
    return Name(kind, "a", name), {"metadata": {"name": name, "labels": said}}


def test_a_resync_looks_at_identities_and_grants_and_at_what_gone_ones_have_left() -> None:
    there = [
        labelled("AgentIdentity", "agent"),
        labelled("ServiceAccount", "agent", identity="agent"),
        labelled("ServiceAccount", "gone", identity="gone"),
        labelled("AgentAccessGrant", "orders"),
        labelled("AuthorizationPolicy", "shut", grant="closed", retired="true"),
        labelled("AgentIdentityClass", "c"),
        labelled("ServiceAccount", "strangers"),
    ]
    assert looked_at(dict(there)) == len(["agent", "gone", "orders", "closed"])


def test_looks_at_classes_and_those_that_failed_are_no_resyncs() -> None:
    before = reconciles(generate_latest().decode())
    for kind, result in (
        ("identity", "done"),
        ("identity", "invalid"),
        ("grant", "waiting"),
        ("class", "done"),
        ("identity", "failed"),
        ("grant", "apierror"),
        ("identity", "bug"),
    ):
        RECONCILES.labels(kind, result).inc()
    assert reconciles(generate_latest().decode()) - before == len(["done", "invalid", "waiting"])


def test_only_a_write_to_vault_that_was_given_up_is_looked_at_once_more() -> None:
    given_up, answered, late = (write(m, ROLE) for m in ("POST", "DELETE", "POST"))
    read, to_kube = write("GET", ROLE), write("PATCH", IDENTITY)
    for exchange in (given_up, read, to_kube):
        exchange.fault = "given-up"
    late.fault, given_up.at, late.at, read.at, to_kube.at = "late", 10.0, 50.0, 50.0, 50.0
    assert sure_at([answered, late, read, to_kube]) == 0
    # Carried out six seconds later; those for which it is in doubt are fifteen.
    assert sure_at([given_up, answered, late]) > 10 + 6 + 15


HELD = {"role test_a_agent": '{"token_policies": ["own"]}', "token of the agent": '"works"'}


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({**HELD}, None),
        ({**HELD, "role test_a_agent": '{"token_policies": ["own", "team"]}'}, "differs: role"),
        ({n: s for n, s in HELD.items() if "role" not in n}, "missing: role"),
        ({**HELD, "policy of a class": '"path"'}, "too much: policy"),
        ({**HELD, "token of the agent": '"does not work"'}, "differs: token"),
    ],
)
def test_nothing_changes_in_vault_at_rest(now: Mapping[str, str], told: str | None) -> None:
    lines = changed_in_vault(HELD, dict(now), ran_out=False)
    assert [line.startswith(f"Vault: {told}") for line in lines] == ([True] if told else [])


def test_a_token_may_end_by_its_own_time_and_never_comes_back() -> None:
    ended = {**HELD, "token of the agent": '"does not work"'}
    assert changed_in_vault(HELD, ended, ran_out=True) == []
    assert changed_in_vault(ended, HELD, ran_out=True) != []
