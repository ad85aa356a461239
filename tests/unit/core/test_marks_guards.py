"""Our marks on objects, and names that two owners never share."""

import pytest

from agent_identity.core import names
from agent_identity.core.observed import observe_object
from agent_identity.core.resource import STAGES, Kind, Observed, Ref, Stage
from agent_identity.providers.account.desired import AccountRoom
from agent_identity.reconcile.decide import decide
from samples import facts_of, identity_of, metadata

OWNER = {
    "apiVersion": "agentidentity.dev/v1alpha1",
    "kind": "AgentIdentity",
    "uid": "ours",
    "controller": True,
}
LABELS = {"app.kubernetes.io/managed-by": "agent-identity-operator"}


def owned_by(**changes: object) -> str:
    meta = metadata("agent", "agents", labels=LABELS, ownerReferences=[OWNER | changes])
    return observe_object(Kind.SERVICE_ACCOUNT, {"metadata": meta}).owner_uid


def test_our_controller_is_known() -> None:
    assert owned_by() == "ours"


@pytest.mark.parametrize(
    "changes", [{"controller": False}, {"kind": "ReplicaSet"}, {"apiVersion": "apps/v1"}]
)
def test_another_owner_is_no_controller_of_ours(changes: dict[str, object]) -> None:
    assert owned_by(**changes) == ""


def test_what_nobody_owns_is_not_of_an_identity_without_uid() -> None:
    ref = Ref(Kind.SERVICE_ACCOUNT, "agents", "agent")
    nobodys = Observed(ref=ref, uid="u", resource_version="1", digest=b"", labelled=True)
    assert not nobodys.is_owned_by("")


def test_names_that_could_be_read_in_two_ways_differ() -> None:
    assert names.binding_name("a-b", "c") != names.binding_name("a", "b-c")
    assert names.vault_role("a-b", "c", "d") != names.vault_role("a", "b-c", "d")
    assert names.vault_role("p", "a-b", "c") != names.vault_role("p", "a", "b-c")
    assert names.vault_policy("p", "a-b", "c") != names.vault_policy("p", "a", "b-c")


def test_guards_come_before_rights_and_the_account_before_all() -> None:
    order = sorted(STAGES, key=lambda kind: STAGES[kind])
    assert order[0] is Kind.SERVICE_ACCOUNT
    assert {k for k, stage in STAGES.items() if stage is Stage.GRANT} == {
        Kind.ROLE_BINDING,
        Kind.VAULT_ROLE,
    }


def test_the_account_is_held_by_our_finalizer_and_mounts_no_token() -> None:
    (account,) = decide(facts_of(identity_of()), [AccountRoom()]).desired
    assert account.body["metadata"]["finalizers"] == ["agentidentity.dev/cleanup"]
    assert account.body["automountServiceAccountToken"] is False
