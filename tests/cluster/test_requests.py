"""How many requests change something: what one identity costs, and that rest costs nothing."""

from collections import Counter
from typing import Any

from testbed.bed import Bed
from testbed.operator_process import OperatorProcess
from testbed.tenant import RESYNC_SECONDS, Tenant, full_spec
from testbed.waiting import wait_until

OPERATOR = "system:serviceaccount:agent-identity-system:agent-identity-operator"
CHANGES = {"create", "update", "patch", "delete", "deletecollection"}
AT_REST = 50


def kube_changes(bed: Bed, tenant: Tenant) -> list[dict[str, Any]]:
    """Mutating requests of the operator for a tenant and its class, Events left out."""
    return [
        e["objectRef"] | {"verb": e["verb"]}
        for e in bed.control_plane.audit_events()
        if e["stage"] == "ResponseComplete"
        and e["verb"] in CHANGES
        and e["user"]["username"] == OPERATOR
        and e["objectRef"]["resource"] != "events"
        and (
            e["objectRef"].get("namespace") == tenant.namespace
            or e["objectRef"].get("name") == tenant.class_name
        )
    ]


def vault_changes(bed: Bed, named: str) -> list[str]:
    """Writes and deletions at OpenBao but for logins and look-ups, which change nothing."""
    reading = ("auth/kubernetes/login", "identity/lookup", "auth/token/renew-self")
    return [
        f"{e['operation']} {e['path']}"
        for e in bed.openbao.audit_requests()
        if e["operation"] in ("create", "update", "delete")
        and "agent-identity-operator" in str(e["display_name"])
        and not e["path"].startswith(reading)
        and named in e["path"]
    ]


def looks(bed: Bed, tenant: Tenant) -> Counter[str]:
    """How often the operator has read each role of a tenant's accounts: once with each reconcile
    of its identity, which no metric tells from those of others."""
    prefix = f"auth/kubernetes/role/{tenant.role_name('')}"
    return Counter(
        e["path"].removeprefix(prefix)
        for e in bed.openbao.audit_requests()
        if e["operation"] == "read"
        and "agent-identity-operator" in str(e["display_name"])
        and e["path"].startswith(prefix)
    )


def wait_looks(bed: Bed, tenant: Tenant, names: list[str], times: int, timeout: float) -> None:
    """Until every one of these identities was looked at so many times more."""
    before = looks(bed, tenant)

    def looked_at() -> bool:
        now = looks(bed, tenant)
        return all(now[name] >= before[name] + times for name in names)

    what = f"every identity was looked at {times} times"
    wait_until(looked_at, timeout=timeout, what=what, interval=0.5)


def test_one_new_identity_costs_one_request_per_object(bed: Bed, tenant: Tenant) -> None:
    tenant.identity("planner", **full_spec())
    tenant.wait_ready("planner")

    tenant.identity("agent", **full_spec(callers=("planner",)))
    tenant.wait_ready("agent")

    ours = [
        c
        for c in kube_changes(bed, tenant)
        if c["name"] != tenant.class_name and "planner" not in c["name"]
    ]
    found = Counter((c["verb"], c["resource"], c.get("subresource", "")) for c in ours)
    assert found == {
        ("patch", "agentidentities", ""): 1,
        ("create", "serviceaccounts", ""): 1,
        ("create", "peerauthentications", ""): 1,
        ("create", "authorizationpolicies", ""): 1,
        ("create", "rolebindings", ""): 1,
        ("patch", "agentidentities", "status"): 1,
    }
    role = tenant.role_name("agent")
    assert vault_changes(bed, role) == [f"create auth/kubernetes/role/{role}"]
    assert tenant.events("agent") == []


def test_rest_and_restart_cost_nothing(bed: Bed, tenant: Tenant, operator: OperatorProcess) -> None:
    names = [f"agent-{n}" for n in range(AT_REST)]
    for name in names:
        tenant.identity(name, **full_spec())
    for name in names:
        tenant.wait_ready(name)
    kube, vault = len(kube_changes(bed, tenant)), len(vault_changes(bed, tenant.namespace))

    wait_looks(bed, tenant, names, times=2, timeout=10 * RESYNC_SECONDS)
    operator.restart()
    operator.wait_ready()
    # With the second look the first one has come to its end.
    wait_looks(bed, tenant, names, times=2, timeout=10 * RESYNC_SECONDS)

    assert kube_changes(bed, tenant)[kube:] == []
    assert vault_changes(bed, tenant.namespace)[vault:] == []
