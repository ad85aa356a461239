"""At rest only what hangs on the shared Vault may still be said of anybody."""

import json

import pytest

from faults.exchange import Call, Exchange
from faults.rest import may_be_anew, may_be_late

IDENTITY = "/apis/agentidentity.dev/v1alpha1/namespaces/a/agentidentities/agent/status"
CLASS = "/apis/agentidentity.dev/v1alpha1/agentidentityclasses/c/status"
WELL = {"Ready": "True", "RBACReady": "True", "VaultReady": "True"}


def status(**rows: str) -> dict[str, object]:
    said = [{"type": t, "status": s, "reason": s} for t, s in rows.items()]
    return {"status": {"conditions": said}}


def write(method: str, path: str, **rows: str) -> Exchange:
    server = "kube" if path.startswith("/apis") else "vault"
    return Exchange(1, 0.0, "a", Call(server, method, path), json.dumps(status(**rows)).encode())


END = {"AgentIdentity/a/agent": json.dumps(status(**WELL))}


@pytest.mark.parametrize(
    ("late", "exchange"),
    [
        (True, write("PATCH", IDENTITY, **(WELL | {"VaultReady": "False", "Ready": "False"}))),
        (True, write("PATCH", IDENTITY, **WELL)),
        (False, write("PATCH", IDENTITY, **(WELL | {"RBACReady": "False"}))),
        (True, write("DELETE", "/v1/auth/kubernetes/role/test_a_agent")),
        (False, write("POST", "/v1/auth/kubernetes/role/test_a_agent")),
        (False, write("PUT", "/apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings/b")),
    ],
)
def test_while_others_play_only_vault_is_told_of(*, late: bool, exchange: Exchange) -> None:
    assert may_be_late(exchange, END) is late


@pytest.mark.parametrize(
    ("allowed", "exchange"),
    [
        (True, write("PATCH", CLASS, Ready="True")),
        (False, write("PATCH", CLASS, Ready="False")),
        (False, write("PATCH", IDENTITY, **WELL)),
        (False, write("DELETE", "/v1/auth/kubernetes/role/test_a_agent")),
    ],
)
def test_after_a_restart_only_a_class_says_that_it_is_well(
    *, allowed: bool, exchange: Exchange
) -> None:
    assert may_be_anew(exchange) is allowed
