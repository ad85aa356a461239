"""Nobody has rights by choosing the name of an account that somebody bound long ago."""

from typing import Any

import pytest

from testbed.tenant import RBAC, Tenant, full_spec

SUBJECTS = {
    "account": lambda namespace: {
        "kind": "ServiceAccount",
        "namespace": namespace,
        "name": "agent",
    },
    "user": lambda namespace: {
        "kind": "User",
        "apiGroup": "rbac.authorization.k8s.io",
        "name": f"system:serviceaccount:{namespace}:agent",
    },
}


def bind(tenant: Tenant, kind: str, subject: dict[str, Any]) -> str:
    """A binding to a role that is of no agent's; its name."""
    name = f"dangling-in-{tenant.namespace}"
    body = {
        "metadata": {"name": name},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [subject],
    }
    where = {"namespace": tenant.namespace} if kind == "RoleBinding" else {}
    tenant.client.resources.get(api_version=RBAC, kind=kind).create(body=body, **where)
    return name


def unbind(tenant: Tenant, kind: str, name: str) -> None:
    where = {"namespace": tenant.namespace} if kind == "RoleBinding" else {}
    tenant.client.resources.get(api_version=RBAC, kind=kind).delete(name=name, **where)


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding"])
@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_bound_name_is_no_agents_name(tenant: Tenant, kind: str, subject: str) -> None:
    name = bind(tenant, kind, SUBJECTS[subject](tenant.namespace))
    tenant.identity("agent", **full_spec())
    condition = tenant.wait_reason("agent", "AccountInBinding")
    assert (name in condition["message"]) == (kind == "RoleBinding")
    assert tenant.owned("agent") == {}
    assert tenant.get("ServiceAccount", "agent") is None
    assert tenant.vault_role("agent") is None
    unbind(tenant, kind, name)
    tenant.wait_ready("agent")


def test_who_binds_an_agent_means_it(tenant: Tenant) -> None:
    tenant.identity("agent", **full_spec())
    tenant.wait_ready("agent")
    bind(tenant, "RoleBinding", SUBJECTS["account"](tenant.namespace))
    tenant.patch("AgentIdentity", "agent", {"spec": {"vault": {"tokenTTLSeconds": 700}}})
    tenant.wait_ready("agent")
