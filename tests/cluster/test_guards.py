"""What the API server itself refuses: a wall in front of the operator, and the only one where a
class is concerned that gives away more than agents may have."""

from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from testbed.tenant import Tenant, class_manifest, refused


def class_with(tenant: Tenant, path: str) -> dict[str, Any]:
    """A class that is right but for the path of its one policy."""
    manifest = class_manifest(f"guarded-{tenant.namespace}", tenant.bed)
    manifest["spec"]["vault"]["policies"][0]["rules"][0]["path"] = path
    return manifest


@pytest.mark.parametrize("path", ["sys/policies/acl/x", "auth/kubernetes/role/x", "identity/*"])
def test_agents_get_nothing_of_vaults_own(tenant: Tenant, path: str) -> None:
    with pytest.raises(ApiException) as refusal:
        tenant.create(class_with(tenant, path))
    assert "no paths under sys" in refused(refusal.value)


def test_an_account_is_named_within_its_namespace(tenant: Tenant) -> None:
    with pytest.raises(ApiException) as refusal:
        tenant.create(class_with(tenant, "kv/data/{serviceAccount}/*"))
    assert "needs an earlier {namespace}" in refused(refusal.value)
