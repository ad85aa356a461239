"""While pods of a deleted identity run on, its policy stays and allows nothing: without a policy
everybody would be let in."""

from test_ending_guards import CLOSED, DELETED, gone
from test_memory_guards import told
from test_order_guards import OPEN
from test_wiring_guards import FULL, Operator


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
