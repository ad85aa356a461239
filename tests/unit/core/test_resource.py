"""What counts as a difference between what is there and what is to be."""

import copy
from typing import Any

import pytest

from agent_identity.core.resource import Kind, digest_of

POLICY: dict[str, Any] = {
    "apiVersion": "security.istio.io/v1",
    "kind": "AuthorizationPolicy",
    "metadata": {
        "name": "agentidentity-agent",
        "namespace": "agents",
        "labels": {"agentidentity.dev/identity": "agent"},
        "ownerReferences": [{"uid": "1"}],
    },
    "spec": {"action": "ALLOW", "selector": {"matchLabels": {"a": "b"}}},
}


def changed(path: str, value: object) -> dict[str, Any]:
    body = copy.deepcopy(POLICY)
    *parents, last = path.split("/")
    at = body
    for name in parents:
        at = at.setdefault(name, {})
    at[last] = value
    return body


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec/rules", [{}]),
        ("spec/action", "DENY"),
        ("spec/portLevelMtls", {"8080": {"mode": "DISABLE"}}),
        ("metadata/annotations", {"istio.io/dry-run": "true"}),
        ("metadata/ownerReferences", [{"uid": "1"}, {"uid": "2"}]),
        ("metadata/finalizers", ["example.com/held"]),
        ("metadata/labels", {"agentidentity.dev/identity": "another"}),
        ("metadata/labels", {"agentidentity.dev/identity": "agent", "agentidentity.dev/x": "y"}),
    ],
)
def test_what_somebody_added_makes_a_difference(path: str, value: object) -> None:
    kind = Kind.AUTHORIZATION_POLICY
    assert digest_of(kind, changed(path, value)) != digest_of(kind, POLICY)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata/resourceVersion", "7"),
        ("metadata/uid", "u"),
        ("metadata/managedFields", [{}]),
        ("status", {"conditions": []}),
        ("metadata/labels", {"agentidentity.dev/identity": "agent", "example.com/team": "x"}),
    ],
)
def test_what_the_server_and_others_labels_say_makes_none(path: str, value: object) -> None:
    kind = Kind.AUTHORIZATION_POLICY
    assert digest_of(kind, changed(path, value)) == digest_of(kind, POLICY)


def test_annotations_of_bindings_decide_nothing() -> None:
    noted = changed("metadata/annotations", {"example.com/note": "x"})
    assert digest_of(Kind.ROLE_BINDING, noted) == digest_of(Kind.ROLE_BINDING, POLICY)
