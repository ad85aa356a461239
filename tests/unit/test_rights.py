"""What the operator may do, as it ships: every change of it must be meant."""

from pathlib import Path
from typing import Any

import yaml

INSTALL = Path(__file__).parents[2] / "examples" / "install" / "operator.yaml"
READ = ("get", "list", "watch")
OWN = (*READ, "create", "update", "delete")
SNAPSHOT = {
    ("agentidentity.dev", "agentidentities", (*READ, "patch"), ()),
    ("agentidentity.dev", "agentidentityclasses", (*READ, "patch"), ()),
    ("agentidentity.dev", "agentidentities/status", ("patch",), ()),
    ("agentidentity.dev", "agentidentityclasses/status", ("patch",), ()),
    ("agentidentity.dev", "agentidentities/finalizers", ("update",), ()),
    ("", "namespaces", READ, ()),
    ("", "pods", ("list", "watch"), ()),
    ("", "serviceaccounts", OWN, ()),
    ("rbac.authorization.k8s.io", "rolebindings", OWN, ()),
    ("rbac.authorization.k8s.io", "clusterrolebindings", ("list", "watch"), ()),
    ("security.istio.io", "peerauthentications", OWN, ()),
    ("security.istio.io", "authorizationpolicies", OWN, ()),
    ("events.k8s.io", "events", ("create",), ()),
    ("rbac.authorization.k8s.io", "clusterroles", ("bind",), ("ticket-reader",)),
    ("", "configmaps", ("create",), ()),
    ("", "configmaps", ("get", "patch"), ("agent-identity-debts",)),
}


def shipped_rules() -> list[dict[str, Any]]:
    objects = yaml.safe_load_all(INSTALL.read_text())
    return [r for o in objects if o["kind"] in ("ClusterRole", "Role") for r in o["rules"]]


def test_the_shipped_rights_are_these_and_no_others() -> None:
    found = {
        (group, resource, tuple(rule["verbs"]), tuple(rule.get("resourceNames", ())))
        for rule in shipped_rules()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert found == SNAPSHOT


def test_nothing_that_would_give_more_than_was_granted() -> None:
    for rule in shipped_rules():
        assert not set(rule["verbs"]) & {"*", "escalate", "impersonate"}
        assert not set(rule["resources"]) & {"*", "secrets", "serviceaccounts/token"}
        assert "bind" not in rule["verbs"] or rule.get("resourceNames")
