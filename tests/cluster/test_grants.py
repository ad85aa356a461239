"""Who may call a service that is no agent: what its owner grants and the agent itself asks for."""

from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient

from testbed.bed import Bed
from testbed.operator_process import OperatorProcess
from testbed.tenant import Manifest, Tenant, grant_manifest, refused, rule
from testbed.waiting import wait_until

GRANT = "AgentAccessGrant"
POLICY = "AuthorizationPolicy"
Spaces = Callable[[str], Tenant]


def agent(tenant: Tenant, name: str) -> Manifest:
    return {"kind": "AgentIdentity", "namespace": tenant.namespace, "name": name}


def principal(tenant: Tenant, account: str) -> str:
    return f"cluster.local/ns/{tenant.namespace}/sa/{account}"


def asks(tenant: Tenant, grant: str, *rules: str) -> dict[str, Any]:
    """A spec that asks for these rules of a grant of this namespace."""
    return {"outbound": [{"namespace": tenant.namespace, "grant": grant, "rules": list(rules)}]}


def policy(tenant: Tenant, grant: str) -> Manifest | None:
    return tenant.get(POLICY, f"agentaccessgrant-{grant}")


def let_in(tenant: Tenant, grant: str) -> list[str] | None:
    """Principals that a grant's policy lets in; None without a policy, which lets in everybody."""
    found = policy(tenant, grant)
    if found is None:
        return None
    sources = [s["source"] for r in found["spec"].get("rules", ()) for s in r["from"]]
    return sorted({p for source in sources for p in source["principals"]})


def wait_let_in(tenant: Tenant, grant: str, *who: str) -> None:
    expected = sorted(who)
    what = f"grant {grant} lets in {expected}"
    wait_until(lambda: let_in(tenant, grant) == expected, timeout=20, what=what)


def status(tenant: Tenant, grant: str) -> Manifest:
    body = tenant.get(GRANT, grant)
    assert body is not None
    found: Manifest = body["status"]
    return found


@pytest.fixture
def shop(tenant: Tenant) -> Tenant:
    """A namespace with a Ready agent `billing` that asks for rule `read` of grant `orders`."""
    tenant.identity("billing", **asks(tenant, "orders", "read"))
    tenant.wait_ready("billing")
    return tenant


def test_an_agent_gets_what_the_grant_gives_and_it_asks_for(shop: Tenant) -> None:
    shop.identity("silent")
    shop.wait_ready("silent")
    both = [agent(shop, "billing"), agent(shop, "silent")]
    shop.grant("orders", rule("read", *both), rule("write", *both, ports=[9090]))
    shop.wait_ready("orders", of=GRANT)
    found = policy(shop, "orders")
    assert found is not None
    assert found["spec"] == {
        "selector": {"matchLabels": {"app": "orders"}},
        "action": "ALLOW",
        "rules": [
            {
                "from": [{"source": {"principals": [principal(shop, "billing")]}}],
                "to": [
                    {"operation": {"ports": ["8080"], "methods": ["GET"], "paths": ["/v1/orders"]}}
                ],
            }
        ],
    }
    told = status(shop, "orders")
    assert told["callers"] == [
        {
            "kind": "AgentIdentity",
            "namespace": shop.namespace,
            "name": "billing",
            "spiffeID": f"spiffe://{principal(shop, 'billing')}",
            "rules": ["read"],
        }
    ]
    assert (told["callerCount"], told["missingCount"]) == (1, 1)
    shop.wait_reason("billing", "InPlace", "OutboundReady")


def test_without_a_grant_an_entry_is_not_granted_and_holds_nothing_back(shop: Tenant) -> None:
    condition = shop.wait_reason("billing", "NotGranted", "OutboundReady")
    assert condition["status"] == "False"
    assert condition["message"] == f"not granted: {shop.namespace}/orders rule read"
    assert shop.condition("billing")["status"] == "True"


def test_a_status_tells_nothing_of_a_grant_that_does_not_name_the_agent(shop: Tenant) -> None:
    before = shop.wait_reason("billing", "NotGranted", "OutboundReady")
    shop.identity("other", **asks(shop, "orders", "read"))
    shop.grant("orders", rule("read", agent(shop, "other")))
    shop.wait_reason("other", "InPlace", "OutboundReady")
    assert shop.condition("billing", "OutboundReady") == before


def test_a_caller_leaves_the_policy_when_it_may_not_be_one_any_more(shop: Tenant) -> None:
    shop.grant("orders", rule("read", agent(shop, "billing")))
    wait_let_in(shop, "orders", principal(shop, "billing"))
    shop.patch("AgentIdentity", "billing", {"spec": {"outbound": None}})
    wait_let_in(shop, "orders")
    shop.patch("AgentIdentity", "billing", {"spec": asks(shop, "orders", "read")})
    wait_let_in(shop, "orders", principal(shop, "billing"))
    shop.patch("AgentIdentity", "billing", {"spec": {"className": "no-such"}})
    wait_let_in(shop, "orders")
    shop.patch("AgentIdentity", "billing", {"spec": {"className": shop.class_name}})
    wait_let_in(shop, "orders", principal(shop, "billing"))
    shop.delete("AgentIdentity", "billing")
    wait_let_in(shop, "orders")


def test_a_namespace_that_loses_its_class_loses_its_calls(shop: Tenant) -> None:
    shop.grant("orders", rule("read", agent(shop, "billing")))
    wait_let_in(shop, "orders", principal(shop, "billing"))
    shop.patch("Namespace", shop.namespace, {"metadata": {"labels": {"agents": None}}})
    wait_let_in(shop, "orders")


def test_a_workload_that_is_no_agent_needs_no_entry_and_an_agent_is_none(shop: Tenant) -> None:
    """Named by its account an agent would have what it does not ask for, or may not have."""
    account = {"kind": "ServiceAccount", "namespace": shop.namespace}
    shop.identity("silent")
    shop.wait_ready("silent")
    named = [account | {"name": "frontend"}, account | {"name": "silent"}]
    shop.grant("orders", rule("read", *named))
    wait_let_in(shop, "orders", principal(shop, "frontend"))
    # It is said after the policy is written.
    wait_until(lambda: status(shop, "orders").get("missingCount") == 1, timeout=20, what="said")


def test_all_agents_of_a_namespace_are_those_that_ask(shop: Tenant) -> None:
    shop.identity("silent")
    everybody = {"kind": "AllAgentIdentities", "namespace": shop.namespace}
    shop.grant("orders", rule("read", everybody))
    wait_let_in(shop, "orders", principal(shop, "billing"))
    shop.identity("late", **asks(shop, "orders", "read"))
    wait_let_in(shop, "orders", principal(shop, "billing"), principal(shop, "late"))


def test_nobody_is_let_in_by_a_grant_without_callers(shop: Tenant) -> None:
    shop.grant("lonely", rule("read", agent(shop, "nobody")))
    shop.wait_reason("lonely", "CallersMissing", "PolicyReady", of=GRANT)
    found = policy(shop, "lonely")
    assert found is not None
    assert "rules" not in found["spec"]


# --- Shadow


def test_shadow_writes_nothing_and_tells_what_there_is(shop: Tenant) -> None:
    other = {
        "apiVersion": "security.istio.io/v1",
        "kind": POLICY,
        "metadata": {"name": "scraper", "namespace": shop.namespace},
        "spec": {"rules": [{"to": [{"operation": {"paths": ["/metrics"]}}]}]},
    }
    shop.create(other)
    shop.grant("orders", rule("read", agent(shop, "billing")), enforcement="Shadow")
    shop.wait_ready("orders", of=GRANT)
    assert let_in(shop, "orders") is None
    told = status(shop, "orders")
    assert len(told["wouldWrite"]) == 1
    assert principal(shop, "billing") in told["wouldWrite"][0]
    effect = "whom it lets in is let in beside the callers of this grant"
    told_of = f"ALLOW {shop.namespace}/scraper selects the same workload: {effect}"
    assert told["others"] == [told_of]
    assert shop.condition("orders", "SelectorReady", of=GRANT)["reason"] == "Overlap"
    assert shop.condition("billing", "OutboundReady")["reason"] == "GrantNotReady"
    shop.patch(GRANT, "orders", {"spec": {"enforcement": "Enforce"}})
    wait_let_in(shop, "orders", principal(shop, "billing"))
    with pytest.raises(ApiException, match="enforcement can't go back to Shadow"):
        shop.patch(GRANT, "orders", {"spec": {"enforcement": "Shadow"}})


def test_grants_of_one_workload_tell_of_each_other(shop: Tenant) -> None:
    selector = {"matchLabels": {"app": "orders"}}
    shop.grant("orders", rule("read", agent(shop, "billing")))
    shop.wait_ready("orders", of=GRANT)
    account = {"kind": "ServiceAccount", "namespace": "web", "name": "frontend"}
    shop.grant("more", rule("read", account), selector=selector)
    shop.wait_reason("orders", "Overlap", "SelectorReady", of=GRANT)
    shop.wait_reason("more", "Overlap", "SelectorReady", of=GRANT)
    assert shop.condition("orders", of=GRANT)["status"] == "True"
    shop.delete(GRANT, "more")
    shop.wait_reason("orders", "InPlace", "SelectorReady", of=GRANT)


# --- what a grant may not guard


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"selector": None}, "exactly one of selector"),
        ({"targetRefs": [{"kind": "Service", "name": "x"}]}, "exactly one of selector"),
        ({"selector": {"matchLabels": {}}}, "should have at least 1 properties"),
        ({"selector": {"matchLabels": {"agentidentity.dev/identity": "billing"}}}, "are agents'"),
        ({"enforcement": None}, "Required value"),
    ],
)
def test_what_would_mean_more_is_refused(shop: Tenant, spec: Any, says: str) -> None:
    manifest = grant_manifest(shop.namespace, "orders")
    manifest["spec"] = {k: v for k, v in (manifest["spec"] | spec).items() if v is not None}
    if "targetRefs" in spec:
        manifest["spec"]["selector"] = {"matchLabels": {"app": "orders"}}
    with pytest.raises(ApiException) as error:
        shop.create(manifest)
    assert says in refused(error.value)


def test_what_a_grant_guards_is_not_changed(shop: Tenant) -> None:
    shop.grant("orders", rule("read", agent(shop, "billing")))
    for change in ({"selector": {"matchLabels": {"app": "other"}}},):
        with pytest.raises(ApiException, match="selector can't be changed"):
            shop.patch(GRANT, "orders", {"spec": change})


def test_a_grant_that_would_open_an_agent_shuts(shop: Tenant) -> None:
    shop.grant("orders", rule("read", agent(shop, "billing")))
    wait_let_in(shop, "orders", principal(shop, "billing"))
    labels = {"app": "orders", "agentidentity.dev/identity": "billing"}
    shop.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "billing-0", "namespace": shop.namespace, "labels": labels},
            "spec": {
                "serviceAccountName": "billing",
                "containers": [{"name": "agent", "image": "registry.example/agent"}],
            },
        }
    )
    condition = shop.wait_reason("orders", "AgentSelected", of=GRANT)
    assert "AgentIdentity billing" in condition["message"]
    wait_let_in(shop, "orders")
    shop.delete("Pod", "billing-0")
    wait_let_in(shop, "orders", principal(shop, "billing"))


def test_a_policy_of_others_is_not_adopted(shop: Tenant) -> None:
    theirs = {
        "apiVersion": "security.istio.io/v1",
        "kind": POLICY,
        "metadata": {"name": "agentaccessgrant-orders", "namespace": shop.namespace},
        "spec": {"rules": [{}]},
    }
    shop.create(theirs)
    shop.grant("orders", rule("read", agent(shop, "billing")))
    shop.wait_reason("orders", "ForeignObject", of=GRANT)
    found = policy(shop, "orders")
    assert found is not None
    assert found["spec"] == {"rules": [{}]}
    shop.delete(POLICY, "agentaccessgrant-orders")
    wait_let_in(shop, "orders", principal(shop, "billing"))


def test_what_others_change_is_put_back(shop: Tenant) -> None:
    shop.grant("orders", rule("read", agent(shop, "billing")))
    shop.wait_ready("orders", of=GRANT)
    shop.patch(POLICY, "agentaccessgrant-orders", {"spec": {"rules": [{}]}})
    wait_until(
        lambda: (policy(shop, "orders") or {})["spec"]["rules"] != [{}], timeout=20, what="put back"
    )
    assert let_in(shop, "orders") == [principal(shop, "billing")]
    shop.delete(POLICY, "agentaccessgrant-orders")
    wait_let_in(shop, "orders", principal(shop, "billing"))
    wait_until(
        lambda: any(e["reason"] == "Repaired" for e in shop.events("orders")),
        timeout=20,
        what="an event tells of it",
    )


# --- its end


def test_a_grant_that_goes_leaves_its_workload_shut(shop: Tenant) -> None:
    shop.grant("orders", rule("read", agent(shop, "billing")))
    wait_let_in(shop, "orders", principal(shop, "billing"))
    shop.delete(GRANT, "orders")
    shop.wait_gone(GRANT, "orders")
    assert let_in(shop, "orders") == []
    found = policy(shop, "orders")
    assert found is not None
    assert found["spec"]["selector"] == {"matchLabels": {"app": "orders"}}
    assert not found["metadata"].get("ownerReferences")
    shop.wait_reason("billing", "NotGranted", "OutboundReady")
    # The next grant of the name takes it over.
    shop.grant("orders", rule("read", agent(shop, "billing")))
    wait_let_in(shop, "orders", principal(shop, "billing"))


def test_a_grant_that_says_so_opens_when_it_goes(shop: Tenant) -> None:
    shop.grant("orders", rule("read", agent(shop, "billing")), onDelete="Open")
    wait_let_in(shop, "orders", principal(shop, "billing"))
    shop.delete(GRANT, "orders")
    shop.wait_gone(GRANT, "orders")
    assert policy(shop, "orders") is None


def test_a_grant_that_goes_while_nobody_watches_still_shuts(
    shop: Tenant, operator: OperatorProcess
) -> None:
    shop.grant("orders", rule("read", agent(shop, "billing")))
    wait_let_in(shop, "orders", principal(shop, "billing"))
    operator.kill()
    shop.delete(GRANT, "orders")
    operator.start()
    operator.wait_ready()
    shop.wait_gone(GRANT, "orders")
    assert let_in(shop, "orders") == []


def test_a_policy_that_somebody_is_deleting_still_shuts(
    shop: Tenant, operator: OperatorProcess
) -> None:
    shop.grant("orders", rule("read", agent(shop, "billing")))
    wait_let_in(shop, "orders", principal(shop, "billing"))
    operator.kill()
    held = {"metadata": {"finalizers": ["example.com/held"]}}
    shop.patch(POLICY, "agentaccessgrant-orders", held)
    shop.delete(POLICY, "agentaccessgrant-orders")
    shop.delete(GRANT, "orders")
    operator.start()
    operator.wait_ready()
    shop.wait_gone(GRANT, "orders")
    assert let_in(shop, "orders") == []


# --- rest


def test_at_rest_and_after_a_restart_nothing_is_written(
    bed: Bed, client: DynamicClient, shop: Tenant, operator: OperatorProcess
) -> None:
    shop.grant("orders", rule("read", agent(shop, "billing")))
    shop.wait_ready("orders", of=GRANT)
    shop.wait_reason("billing", "InPlace", "OutboundReady")
    versions = _versions(shop)
    operator.stop()
    operator.start()
    operator.wait_ready()
    # A later grant is served, so the earlier one was looked at: one worker pool, one queue.
    shop.grant("later")
    shop.wait_ready("later", of=GRANT)
    assert _versions(shop) == versions


def _versions(tenant: Tenant) -> list[str]:
    objects = [
        tenant.get(GRANT, "orders"),
        tenant.get("AgentIdentity", "billing"),
        policy(tenant, "orders"),
    ]
    return [o["metadata"]["resourceVersion"] for o in objects if o]
