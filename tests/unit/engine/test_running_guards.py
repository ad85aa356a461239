"""While pods of a deleted identity run on, its policy stays and allows nothing: without a policy
everybody would be let in."""

from http import HTTPStatus
from typing import Any

import pytest
from test_ending_guards import CLOSED, DELETED, gone
from test_memory_guards import told
from test_order_guards import OPEN
from test_wiring_guards import CLASS, FULL, NAMES, Operator

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import ApiError
from agent_identity.core.resource import MESH_KINDS, Kind

SHADOW: dict[str, Any] = {"inbound": {"minimumEnforcement": "Shadow"}}
NO_MESH: dict[str, Any] = {"mesh": {"type": "None"}}


@told
async def test_while_pods_run_on_its_policy_stays_and_allows_nothing() -> None:
    op = Operator()
    await op.ready(inbound=OPEN, **FULL)
    op.pod()
    op.delete()
    await op.turn()
    assert gone(op)
    assert op.there() == CLOSED
    for kind in CLOSED:
        assert "ownerReferences" not in (op.get(kind) or {})["metadata"]
    policy = op.get("AuthorizationPolicy")
    assert policy is not None
    assert policy["spec"]["action"] == "ALLOW"
    assert "rules" not in policy["spec"]
    await op.turn()
    assert op.there() == CLOSED
    op.pod(runs=False)
    await op.turn()
    assert op.there() == set()


@told
async def test_a_policy_that_somebody_is_deleting_stays_too() -> None:
    op = Operator()
    await op.ready(inbound=OPEN, **FULL)
    op.pod()
    held = {"finalizers": ["example.com/x"], "deletionTimestamp": DELETED}
    op.tamper("AuthorizationPolicy", metadata=held)
    op.delete()
    await op.turn()
    assert not gone(op)
    await op.turn()
    assert gone(op)
    assert op.there() == CLOSED


@told
async def test_an_identity_made_anew_keeps_its_policy() -> None:
    op = Operator()
    await op.ready()
    op.pod()
    op.delete()
    await op.turn()
    op.pod(runs=False)
    op.api.put(op.path_of("agent"), {"metadata": {"name": "agent", "namespace": "agents"}})
    await op.turn()
    assert op.there() >= CLOSED


def uninstall(op: Operator, *kinds: Kind) -> None:
    """The API server serves these no more, and with them go their objects."""
    for kind in kinds:
        op.informers.owned[kind].installed = False
        op.api.broken[f"POST {NAMES[kind].format('agent')}"] = ApiError(
            HTTPStatus.NOT_FOUND, Reason.REJECTED, "there is no such kind"
        )
        if op.get(kind):
            op.lose(kind)


@pytest.mark.parametrize(
    ("ceiling", "asked"),
    [(SHADOW, {"inbound": {"enforcement": "Shadow"}}), (NO_MESH, {})],
    ids=["Shadow", "no mesh"],
)
@told
async def test_nothing_is_left_of_one_that_nothing_guarded(ceiling: Any, asked: Any) -> None:
    op = Operator()
    op.agent_class(**ceiling)
    await op.ready(**FULL, **asked)
    assert not CLOSED & op.there()
    op.pod()
    op.delete()
    await op.turn()
    assert gone(op)
    assert op.there() == set()
    assert not op.touched("POST")


@told
async def test_a_policy_that_somebody_deleted_is_made_anew_while_pods_run_on() -> None:
    op = Operator()
    await op.ready()
    op.pod()
    for kind in CLOSED:
        op.lose(kind)
    op.delete()
    await op.turn()
    assert gone(op)
    assert op.there() == CLOSED


@pytest.mark.parametrize("changed", ["class gone", "Shadow", "no mesh"])
@told
async def test_what_stands_stays_whatever_is_asked_for_by_now(changed: str) -> None:
    op = Operator()
    op.agent_class(**SHADOW)
    await op.ready(inbound=OPEN, **FULL)
    op.pod()
    if changed == "class gone":
        op.world.lose_class("default", op.api.objects[CLASS]["metadata"]["uid"])
    elif changed == "Shadow":
        op.identity(**FULL, inbound={"enforcement": "Shadow"})
    else:
        op.agent_class(**NO_MESH)
    op.lose("PeerAuthentication")
    op.delete()
    await op.turn()
    assert gone(op)
    assert op.there() >= CLOSED


@pytest.mark.parametrize("ceiling", [{}, NO_MESH], ids=["guarded", "never guarded"])
@told
async def test_without_the_meshs_kinds_nothing_is_kept_and_it_goes(ceiling: Any) -> None:
    op = Operator()
    op.agent_class(**ceiling)
    await op.ready()
    op.pod()
    uninstall(op, *MESH_KINDS)
    op.delete()
    await op.turn()
    assert gone(op)
    assert op.there() == set()


@told
async def test_with_one_of_the_meshs_kinds_what_stands_of_it_stays_and_it_goes() -> None:
    op = Operator()
    await op.ready()
    op.pod()
    uninstall(op, Kind.AUTHORIZATION_POLICY)
    op.delete()
    await op.turn()
    assert gone(op)
    assert op.there() == {"PeerAuthentication"}


@told
async def test_what_others_put_in_a_policys_place_holds_no_deletion_up() -> None:
    op = Operator()
    await op.ready(inbound=OPEN, **FULL)
    op.pod()
    op.lose("AuthorizationPolicy")
    op.tamper("AuthorizationPolicy", spec={"rules": [{}]})
    op.delete()
    await op.turn()
    assert gone(op)
    policy = op.get("AuthorizationPolicy")
    assert policy is not None
    assert policy["spec"] == {"rules": [{}]}
    assert "PeerAuthentication" in op.there()
