"""Which accounts a binding names."""

from typing import Any

import pytest

from agent_identity.core.bindings import bound_accounts
from agent_identity.core.observed import observe_object
from agent_identity.core.ownership import owned_metadata
from agent_identity.core.resource import Key, Kind, Ref
from samples import identity_of, metadata

PLANNER = Key("agents", "planner")
SUBJECTS = {
    "an account": (
        {"kind": "ServiceAccount", "namespace": "agents", "name": "planner"},
        {PLANNER},
    ),
    "an account of the binding's own namespace": (
        {"kind": "ServiceAccount", "name": "planner"},
        {PLANNER},
    ),
    "an account as a user": (
        {"kind": "User", "name": "system:serviceaccount:agents:planner"},
        {PLANNER},
    ),
    "a user": ({"kind": "User", "name": "planner"}, set()),
    "a group": ({"kind": "Group", "name": "system:serviceaccounts:agents"}, set()),
    "a group that poses as an account": (
        {"kind": "Group", "name": "system:serviceaccount:agents:planner"},
        set(),
    ),
}


@pytest.mark.parametrize(("subject", "named"), SUBJECTS.values(), ids=SUBJECTS)
def test_who_is_named(subject: dict[str, Any], named: set[Key]) -> None:
    assert bound_accounts({"metadata": {"namespace": "agents"}, "subjects": [subject]}) == named


def test_a_binding_of_nobody_names_nobody() -> None:
    assert bound_accounts({}) == bound_accounts({"subjects": None}) == frozenset()


def test_what_an_identity_controls_is_not_remembered() -> None:
    ref = Ref(Kind.ROLE_BINDING, "agents", "agentidentity:agent:ticket-reader")
    body = {
        "metadata": metadata(ref.name, "agents") | owned_metadata(identity_of(), ref),
        "subjects": [SUBJECTS["an account"][0]],
    }
    assert observe_object(ref.kind, body).names == frozenset()
    del body["metadata"]["labels"]
    assert observe_object(ref.kind, body).names == {PLANNER}
