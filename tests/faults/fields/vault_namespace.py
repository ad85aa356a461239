"""A namespace of OpenBao, set up as administrators set up the operator in the root namespace."""

from testbed.bed import POLICY_FILE, Bed
from testbed.openbao import (
    CLUSTER_PLACEHOLDER,
    OPERATOR_ACCOUNT,
    OPERATOR_NAME,
    REVIEWER,
    REVIEWER_SECONDS,
)

MOUNT = "kubernetes"


def set_up_vault_namespace(bed: Bed, name: str) -> None:
    """Nothing where there is one already."""
    if f"{name}/" in bed.openbao.list("sys/namespaces"):
        return
    bed.openbao.write(f"sys/namespaces/{name}", {})
    _enable_logins(bed, name)
    policy = POLICY_FILE.read_text().replace(CLUSTER_PLACEHOLDER, bed.cluster_name)
    bed.openbao.write(f"{name}/sys/policies/acl/{OPERATOR_NAME}", {"policy": policy})
    namespace, account = OPERATOR_ACCOUNT
    role = {
        "bound_service_account_namespaces": [namespace],
        "bound_service_account_names": [account],
        "audience": "vault",
        "token_policies": [OPERATOR_NAME],
    }
    bed.openbao.write(f"{name}/auth/{MOUNT}/role/{OPERATOR_NAME}", role)


def _enable_logins(bed: Bed, name: str) -> None:
    plane = bed.control_plane
    bed.openbao.write(f"{name}/sys/auth/{MOUNT}", {"type": MOUNT})
    config = {
        "kubernetes_host": plane.server,
        "kubernetes_ca_cert": plane.ca_file.read_text(),
        "token_reviewer_jwt": plane.token(REVIEWER, REVIEWER, seconds=REVIEWER_SECONDS),
        "disable_local_ca_jwt": True,
    }
    bed.openbao.write(f"{name}/auth/{MOUNT}/config", config)
