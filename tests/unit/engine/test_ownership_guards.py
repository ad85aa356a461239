"""What others made under our names is never taken over, changed or deleted."""

import pytest
from test_memory_guards import told
from test_wiring_guards import FULL, NAMES, Operator

from agent_identity.api.conditions import Reason

LABELS = {
    "app.kubernetes.io/managed-by": "agent-identity-operator",
    "agentidentity.dev/identity": "agent",
}
BINDING = NAMES["RoleBinding"].format("agent")
POLICY = NAMES["AuthorizationPolicy"].format("agent")
WRITES = ("POST", "PUT", "DELETE")


@told
async def test_an_object_that_came_first_is_not_taken_over() -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    op.tamper("ServiceAccount", seen=False, automountServiceAccountToken=True)
    await op.turn()
    account = op.get("ServiceAccount")
    assert account is not None
    assert account["automountServiceAccountToken"] is True
    assert not op.touched("PUT")


@told
async def test_what_changed_since_it_was_seen_is_not_overwritten() -> None:
    op = Operator()
    await op.ready()
    op.tamper("RoleBinding", subjects=[])
    op.tamper("RoleBinding", seen=False, metadata={"labels": {}, "ownerReferences": []})
    await op.turn()
    binding = op.get("RoleBinding")
    assert binding is not None
    assert binding["metadata"]["labels"] == {}


@told
async def test_a_namesake_is_not_deleted_in_place_of_ours() -> None:
    op = Operator()
    await op.ready()
    op.tamper("RoleBinding", seen=False, metadata={"uid": "somebody-elses", "labels": {}})
    op.identity(vault=FULL["vault"])
    await op.turn()
    assert op.get("RoleBinding") is not None


@told
async def test_a_namesakes_finalizers_are_not_taken_off() -> None:
    op = Operator()
    await op.ready()
    op.tamper("RoleBinding", metadata={"finalizers": ["example.com/x"]})
    op.tamper("RoleBinding", seen=False, metadata={"uid": "somebody-elses", "labels": {}})
    op.identity(vault=FULL["vault"])
    await op.turn()
    binding = op.get("RoleBinding")
    assert binding is not None
    assert binding["metadata"]["finalizers"] == ["example.com/x"]
    assert binding["subjects"]


@pytest.mark.parametrize("marks", [{}, {"labels": LABELS}], ids=["unmarked", "our label"])
@told
async def test_a_foreign_object_stalls_and_nothing_is_done_to_it(marks: dict[str, object]) -> None:
    op = Operator()
    await op.serve()
    op.tamper("RoleBinding", metadata=marks, subjects=[{"name": "x"}])
    op.identity(**FULL)
    for _ in range(2):
        problem = await op.turn()
        assert problem is not None
        assert problem.reason is Reason.FOREIGN_OBJECT
    assert not op.touched(*(f"{verb} {BINDING}" for verb in WRITES))


@told
async def test_a_closed_identity_writes_no_foreign_policy() -> None:
    """Its mTLS is its own, its policy is not: the one stays, the other is left alone."""
    op = Operator()
    await op.ready()
    op.tamper("AuthorizationPolicy", metadata={"uid": "somebody-elses", "labels": {}})
    problem = await op.turn()
    assert problem is not None
    assert problem.reason is Reason.FOREIGN_OBJECT
    assert not op.touched(*(f"{verb} {POLICY}" for verb in WRITES))
    assert op.get("PeerAuthentication") is not None


@told
async def test_who_has_not_the_account_leaves_its_role_alone() -> None:
    op = Operator()
    await op.ready()
    op.identity("second", serviceAccount={"name": "agent"}, vault=FULL["vault"])
    problem = await op.turn("second")
    assert problem is not None
    assert problem.reason is Reason.ACCOUNT_TAKEN
    assert op.role_of("agent") in op.vault.stored
