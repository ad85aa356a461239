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
    ("agentidentity.dev", "agentaccessgrants", (*READ, "patch"), ()),
    ("agentidentity.dev", "agentaccessgrants/status", ("patch",), ()),
    ("agentidentity.dev", "agentaccessgrants/finalizers", ("update",), ()),
    ("agentidentity.dev", "agentidentities/status", ("patch",), ()),
    ("agentidentity.dev", "agentidentityclasses/status", ("patch",), ()),
    ("agentidentity.dev", "agentidentities/finalizers", ("update",), ()),
    ("", "namespaces", READ, ()),
    ("", "pods", ("list", "watch"), ()),
    ("", "services", ("list", "watch"), ()),
    ("", "serviceaccounts", OWN, ()),
    ("rbac.authorization.k8s.io", "rolebindings", OWN, ()),
    ("rbac.authorization.k8s.io", "clusterrolebindings", ("list", "watch"), ()),
    ("security.istio.io", "peerauthentications", OWN, ()),
    ("security.istio.io", "authorizationpolicies", OWN, ()),
    ("events.k8s.io", "events", ("create",), ()),
    ("rbac.authorization.k8s.io", "clusterroles", ("bind",), ("ticket-reader",)),
    ("", "configmaps", ("create",), ()),
    ("", "configmaps", ("get", "patch"), ("agent-identity-debts",)),
    ("coordination.k8s.io", "leases", ("create",), ()),
    ("coordination.k8s.io", "leases", ("get", "update"), ("agent-identity-operator",)),
}


Right = tuple[str, str, tuple[str, ...], tuple[str, ...]]
OURS = "agent-identity-operator"
LOOK = {
    ("agentidentity.dev", resource, READ, ())
    for kind in ("agentidentities", "agentidentityclasses", "agentaccessgrants")
    for resource in (kind, f"{kind}/status")
}
WRITE = (*OWN[3:5], "patch", "delete", "deletecollection")
# For people. None may use a class: that is given on the class by name.
PEOPLE = {
    "agentidentity-view": LOOK,
    "agentidentity-edit": {
        ("agentidentity.dev", "agentidentities", WRITE, ()),
        ("agentidentity.dev", "agentaccessgrants", WRITE, ()),
    },
    "agentidentity-admin": {
        ("agentidentity.dev", "agentidentities", (*READ, *WRITE), ()),
        ("agentidentity.dev", "agentidentityclasses", (*READ, *WRITE), ()),
        ("agentidentity.dev", "agentaccessgrants", (*READ, *WRITE), ()),
        *(right for right in LOOK if right[1].endswith("/status")),
    },
}
AGGREGATED = {
    "agentidentity-view": {"view", "edit", "admin"},
    "agentidentity-edit": {"edit", "admin"},
    "agentidentity-admin": set(),
}
AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


def shipped_roles() -> dict[str, list[dict[str, Any]]]:
    """Name → rules, of ClusterRoles and Roles of one name together."""
    roles: dict[str, list[dict[str, Any]]] = {}
    for o in shipped("ClusterRole", "Role"):
        roles.setdefault(o["metadata"]["name"], []).extend(o["rules"])
    return roles


def shipped(*kinds: str) -> list[dict[str, Any]]:
    return [o for o in yaml.safe_load_all(INSTALL.read_text()) if o and o["kind"] in kinds]


def shipped_rules() -> list[dict[str, Any]]:
    return [rule for rules in shipped_roles().values() for rule in rules]


def rights(rules: list[dict[str, Any]]) -> set[Right]:
    return {
        (group, resource, tuple(rule["verbs"]), tuple(rule.get("resourceNames", ())))
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_the_shipped_rights_are_these_and_no_others() -> None:
    ours = [r for name, rules in shipped_roles().items() if name.startswith(OURS) for r in rules]
    assert rights(ours) == SNAPSHOT


def test_people_get_these_rights_and_no_others() -> None:
    found = {n: rights(rules) for n, rules in shipped_roles().items() if not n.startswith(OURS)}
    assert found == PEOPLE
    assert not any("use" in rule["verbs"] for rule in shipped_rules())


def test_only_roles_about_identities_are_added_to_those_of_kubernetes() -> None:
    for role in shipped("ClusterRole"):
        labels = role["metadata"].get("labels", {})
        added = {name.removeprefix(AGGREGATE) for name in labels if name.startswith(AGGREGATE)}
        assert added == AGGREGATED.get(role["metadata"]["name"], set())


def test_the_operators_roles_are_bound_to_the_operator_only() -> None:
    bound = shipped("ClusterRoleBinding", "RoleBinding")
    assert {b["roleRef"]["name"] for b in bound} == {n for n in shipped_roles() if OURS in n}
    for binding in bound:
        [subject] = binding["subjects"]
        assert (subject["kind"], subject["name"]) == ("ServiceAccount", OURS)


def test_nothing_that_would_give_more_than_was_granted() -> None:
    for rule in shipped_rules():
        assert not set(rule["verbs"]) & {"*", "escalate", "impersonate"}
        assert not set(rule["resources"]) & {"*", "secrets", "serviceaccounts/token"}
        assert "bind" not in rule["verbs"] or rule.get("resourceNames")
