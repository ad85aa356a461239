"""What is looked for once a scene is over, in the words of the operator that left it."""

import json
from dataclasses import asdict

import pytest

from agent_identity.core.ownership import retired_metadata
from agent_identity.core.resource import Key, Kind, Ref, Subject
from agent_identity.providers.contract import Debt
from agent_identity.reconcile.debts import NAME
from faults import scene
from faults.recorder import Body, Name
from faults.scene import left_over, retired

SCENE, SHOP = "w00007", "w00007-shop"
DEAD = {"token of the agent": '"does not work"'}


def owed(namespace: str) -> dict[str, str]:
    debt = Debt("8d3f", "https://127.0.0.1:8200|kubernetes", namespace, "agent")
    return {"0a": json.dumps(asdict(debt), sort_keys=True)}


@pytest.mark.parametrize("debts", [{}, owed("w00008"), owed("w000071")])
def test_an_operator_that_has_cleared_up_leaves_nothing(debts: dict[str, str]) -> None:
    assert left_over(DEAD, debts, SCENE) == []
    assert left_over({}, debts, SCENE) == []


@pytest.mark.parametrize(
    ("vault", "debts", "told"),
    [
        ({"token of the agent": '"works"'}, {}, "token of the agent, which works"),
        ({"role test_SCENE_agent": "{}", **DEAD}, {}, "role test_SCENE_agent"),
        (DEAD, owed(SCENE), f"owed: {owed(SCENE)['0a']}"),
        (DEAD, owed(SHOP), f"owed: {owed(SHOP)['0a']}"),
        (DEAD, {"0a": f"of {SCENE}, and not to be read"}, f"owed: of {SCENE}, and not to be read"),
    ],
)
def test_a_token_that_works_a_role_and_a_debt_are_left_over(
    vault: dict[str, str], debts: dict[str, str], told: str
) -> None:
    assert left_over(vault, debts, SCENE) == [told]


def test_debts_are_looked_for_where_the_operator_writes_them() -> None:
    assert scene._LEDGER.endswith(f"/configmaps/{NAME}")  # noqa: SLF001


def policy(namespace: str, *, kind: str = "AuthorizationPolicy", **metadata: object) -> Body:
    key = Key(namespace, "orders", Subject.GRANT)
    ref = Ref(Kind.AUTHORIZATION_POLICY, namespace, "agentaccessgrant-orders")
    return {"kind": kind, "metadata": {**retired_metadata(key, ref), **metadata}}


def test_only_what_a_grant_has_left_shut_is_its_owners_to_take_away() -> None:
    owner = {"kind": "AgentAccessGrant", "name": "orders", "uid": "8d3f"}
    mark = {"agentidentity.dev/grant": "orders"}
    shut = Name("AuthorizationPolicy", SHOP, "shut")
    there = {
        shut: policy(SHOP),
        Name("AuthorizationPolicy", SHOP, "forgotten"): policy(SHOP, labels=mark),
        Name("AuthorizationPolicy", SHOP, "owned"): policy(SHOP, ownerReferences=[owner]),
        Name("AuthorizationPolicy", SHOP, "unlabelled"): policy(SHOP, labels=None),
        Name("AuthorizationPolicy", SCENE, "elsewhere"): policy(SCENE),
        Name("PeerAuthentication", SHOP, "mtls"): policy(SHOP, kind="PeerAuthentication"),
    }
    assert retired(there, SHOP) == [shut]
