"""One thing is broken: its room says so, the others go on, and it heals by itself."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from kubernetes.dynamic import DynamicClient
from test_deletion import OUTAGES, forbidden, paused, sealed, stopped

from testbed.bed import Bed
from testbed.mute_server import MuteServer
from testbed.operator_process import OperatorProcess
from testbed.tenant import SHORT_PERIODS, Tenant, class_manifest, full_spec
from testbed.waiting import wait_until

HEAL_SECONDS = 30
# As the operator under test is told; it leaves half of them to all but classes.
WORKERS = 16
REASONS = {
    stopped: "Unreachable",
    paused: "Unreachable",
    sealed: "Sealed",
    forbidden: "Forbidden",
}


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda o: o.__name__)
def test_a_broken_vault_is_its_own_rooms_trouble_and_heals(
    tenant: Tenant, bed: Bed, outage
) -> None:
    with outage(bed):
        tenant.identity("agent", **full_spec())
        tenant.wait_reason("agent", REASONS[outage], "VaultReady")
        for kind in ("ServiceAccountReady", "InboundReady", "RBACReady"):
            assert tenant.condition("agent", kind)["status"] == "True"
        assert tenant.condition("agent")["status"] == "False"
        assert tenant.condition("agent", "Reconciling")["status"] == "True"
        tenant.wait_reason(
            tenant.class_name, REASONS[outage], "VaultReady", of="AgentIdentityClass"
        )
        other = f"bare-{tenant.namespace}"
        tenant.create(class_manifest(other, None))
        tenant.identity("bystander", className=other, rbac={"clusterRoles": ["ticket-reader"]})
        tenant.wait_ready("bystander", timeout=10)
    tenant.wait_ready("agent", timeout=HEAL_SECONDS)
    tenant.wait_ready(tenant.class_name, of="AgentIdentityClass", timeout=HEAL_SECONDS)
    wait_until(
        lambda: "Recovered" in [event["reason"] for event in tenant.events("agent")],
        timeout=HEAL_SECONDS,
        what="that it is well again is told",
    )


def test_withdrawal_does_not_wait_for_a_broken_vault(tenant: Tenant, bed: Bed) -> None:
    tenant.identity("agent", **full_spec())
    tenant.wait_ready("agent")
    with stopped(bed):
        tenant.patch("AgentIdentity", "agent", {"spec": {"rbac": None}})
        tenant.wait_gone("RoleBinding", "agentidentity:agent:ticket-reader")
    tenant.wait_ready("agent", timeout=HEAL_SECONDS)


def test_vaults_that_never_answer_leave_workers_to_all_others(tenant: Tenant, bed: Bed) -> None:
    names = [f"mute-{n}-{tenant.namespace}" for n in range(WORKERS)]
    at_once = 0

    def all_given_up() -> bool:
        nonlocal at_once
        at_once = max(at_once, sum(vault.waiting for vault in vaults))
        told = (tenant.condition(name, "VaultReady", of="AgentIdentityClass") for name in names)
        return all(condition.get("reason") == "Unreachable" for condition in told)

    with ExitStack() as stack:
        # Of one Vault only so many calls are under way at a time anyway.
        vaults = [stack.enter_context(MuteServer()) for _ in names]
        for name, vault in zip(names, vaults, strict=True):
            manifest = class_manifest(name, bed)
            manifest["spec"]["vault"]["address"] = vault.address
            tenant.create(manifest)
        wait_until(all_given_up, timeout=HEAL_SECONDS, what="every class was given up")
        for name in names:
            tenant.delete("AgentIdentityClass", name)
    assert 1 < at_once <= WORKERS // 2


def test_a_wrong_certificate_is_refused(tenant: Tenant, bed: Bed) -> None:
    name = f"untrusted-{tenant.namespace}"
    manifest = class_manifest(name, bed)
    del manifest["spec"]["vault"]["caBundle"]
    tenant.create(manifest)
    told = tenant.wait_reason(name, "Unreachable", "VaultReady", of="AgentIdentityClass")
    assert "certificate can't be verified; set vault.caBundle" in told["message"]


def test_a_ca_bundle_that_is_none_says_so(tenant: Tenant, bed: Bed) -> None:
    name = f"garbled-{tenant.namespace}"
    manifest = class_manifest(name, bed)
    manifest["spec"]["vault"]["caBundle"] = (
        "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n"
    )
    tenant.create(manifest)
    told = tenant.wait_reason(name, "InvalidSpec", "VaultReady", of="AgentIdentityClass")
    assert "caBundle" in told["message"]


def test_two_clusters_of_one_name_are_told_apart(
    tenant: Tenant, bed: Bed, operator: OperatorProcess
) -> None:
    path = "auth/kubernetes/role/test__marker"
    before = bed.openbao.read(path) or {}
    bed.openbao.write(path, before | {"bound_service_account_names": ["another-clusters-uid"]})
    name = f"taken-{tenant.namespace}"
    tenant.create(class_manifest(name, bed))
    tenant.wait_reason(name, "ClusterNameTaken", "VaultReady", of="AgentIdentityClass")
    tenant.identity("agent", **(full_spec() | {"className": name}))
    tenant.wait_reason("agent", "ClusterNameTaken", "VaultReady")
    assert tenant.vault_role("agent") is None
    bed.openbao.write(path, before)
    tenant.wait_ready("agent", timeout=HEAL_SECONDS)


@pytest.fixture
def without_mesh(bed: Bed, operator: OperatorProcess) -> Iterator[None]:
    """The mesh's CRDs are taken away, and come back."""
    crds = (
        "authorizationpolicies.security.istio.io",
        "peerauthentications.security.istio.io",
    )
    bed.control_plane.kubectl("delete", "crd", *crds)
    yield
    bed.control_plane.install_istio_crds()


def test_without_the_meshs_crds_no_right_is_given_and_it_heals(
    tenant: Tenant, bed: Bed, without_mesh: None
) -> None:
    tenant.identity("agent", **full_spec())
    tenant.wait_reason("agent", "MeshNotInstalled", "InboundReady")
    assert tenant.condition("agent", "ServiceAccountReady")["status"] == "True"
    assert tenant.condition("agent", "RBACReady")["reason"] == "MTLSFirst"
    assert tenant.condition("agent", "VaultReady")["reason"] == "MTLSFirst"
    assert tenant.vault_role("agent") is None
    tenant.wait_reason(tenant.class_name, "MeshNotInstalled", "MeshReady", of="AgentIdentityClass")
    bed.control_plane.install_istio_crds()
    tenant.wait_ready("agent", timeout=HEAL_SECONDS)


def test_the_api_server_goes_away_and_comes_back(
    tenant: Tenant, bed: Bed, operator: OperatorProcess
) -> None:
    tenant.identity("agent", **full_spec())
    tenant.wait_ready("agent")
    pid = operator.pid
    bed.control_plane.stop_api_server()
    bed.control_plane.start_api_server()
    tenant.delete("RoleBinding", "agentidentity:agent:ticket-reader")
    wait_until(
        lambda: tenant.get("RoleBinding", "agentidentity:agent:ticket-reader"),
        timeout=HEAL_SECONDS,
        what="the binding is back",
    )
    assert operator.pid == pid, "an outage must not end the process"


def test_a_write_that_is_forbidden_says_so_and_heals(
    tenant: Tenant, bed: Bed, client: DynamicClient
) -> None:
    name = f"unbound-{tenant.namespace}"
    role = f"other-reader-{tenant.namespace}"
    tenant.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": role},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
        }
    )
    tenant.create(class_manifest(name, None, rbac={"clusterRoles": [role]}))
    tenant.identity("agent", className=name, rbac={"clusterRoles": [role]})
    told = tenant.wait_reason("agent", "Forbidden", "RBACReady")
    assert role in told["message"]
    assert "RoleBinding" not in tenant.owned("agent")


def test_what_changed_while_the_operator_was_away_is_put_right(
    tenant: Tenant, operator: OperatorProcess
) -> None:
    tenant.identity("agent", **full_spec())
    tenant.wait_ready("agent")
    operator.kill()
    tenant.patch("AuthorizationPolicy", "agentidentity-agent", {"spec": {"rules": [{}]}})
    tenant.delete("RoleBinding", "agentidentity:agent:ticket-reader")
    operator.start()
    operator.wait_ready()

    def put_right() -> bool:
        policy = tenant.get("AuthorizationPolicy", "agentidentity-agent") or {"spec": {"rules": 1}}
        binding = tenant.get("RoleBinding", "agentidentity:agent:ticket-reader")
        return binding is not None and "rules" not in policy["spec"]

    wait_until(put_right, timeout=HEAL_SECONDS, what="both are put right")


def test_metrics_count_conditions_by_kind(tenant: Tenant, operator: OperatorProcess) -> None:
    tenant.identity("agent", **full_spec())
    tenant.wait_ready("agent")

    def counted() -> set[str]:
        lines = operator.metrics().splitlines()
        said = [x for x in lines if x.startswith("agent_identity_conditions{")]
        ready = [x for x in said if 'condition="Ready"' in x and 'status="True"' in x]
        return {kind for kind in ("class", "identity") for x in ready if f'kind="{kind}"' in x}

    wait_until(lambda: counted() == {"class", "identity"}, timeout=20, what="both are counted")


def test_health_and_settings(bed: Bed, operator: OperatorProcess) -> None:
    assert "agent_identity_requests_total" in operator.metrics()
    wrong = bed.operator(settings=SHORT_PERIODS | {"AGENT_IDENTITY_TRUST_DOMAIN": "Not Lower"})
    wrong.start()
    deadline = time.monotonic() + 20
    while wrong.alive and time.monotonic() < deadline:
        wait_until(lambda: not wrong.alive, timeout=20, what="it ends")
    assert "AGENT_IDENTITY_TRUST_DOMAIN" in wrong.log_file.read_text()
    wrong.stop()
