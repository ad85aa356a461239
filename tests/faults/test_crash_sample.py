"""Some of the crash campaign, and each plan that has ever found something; `make faults` runs all
of it."""

import asyncio

import pytest

from faults.crash import sample_campaign, told

COUNT = 90
# What was found is in `README.md`, under "How it is tested".
_AGENT = "/apis/agentidentity.dev/v1alpha1/namespaces/SCENE/agentidentities/agent"
_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/SCENE/rolebindings"
_MTLS = "/apis/security.istio.io/v1/namespaces/SCENE/peerauthentications"
_POLICIES = "/v1/sys/policies/acl"
FOUND = (
    f"create: kube PATCH {_AGENT}/status#2!status-409",
    f"narrow: kube DELETE {_BINDINGS}/agentidentity:agent:ticket-reader#1!status-403",
    f"drift: kube PUT {_MTLS}/agentidentity-agent#1!status-503",
    f"class-gone: vault DELETE {_POLICIES}/agentid_test_SCENE_own-secrets#1!kill-after-apply",
)


@pytest.mark.timeout(600)
def test_some_plans_of_every_workload() -> None:
    results = asyncio.run(sample_campaign(print, COUNT, FOUND))
    lines = told(results)
    print("\n".join(lines))
    assert not results.failed, "\n".join(lines)
    # Some requests come only now and then, and with them their faults.
    assert sum(results.ran.values()) > COUNT * 3 / 4
