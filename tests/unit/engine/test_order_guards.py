"""Taking away comes first and giving last; before giving everything is read again; and withdrawal
waits for nobody."""

from http import HTTPStatus
from typing import Any

import pytest
from test_memory_guards import DELETED, Json, told
from test_wiring_guards import FULL, NAMES, Operator

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import ApiError
from agent_identity.core.errors import Failed
from agent_identity.core.resource import Kind

DOWN = Failed(Reason.UNREACHABLE, "no answer")
RIGHTS = {"RoleBinding", "VaultRole"}
GUARDS = ("ServiceAccount", "PeerAuthentication", "AuthorizationPolicy")
OPEN: dict[str, Any] = {
    "enforcement": "Enforce",
    "rules": [
        {
            "name": "web",
            "from": [{"kind": "ServiceAccount", "namespace": "web", "name": "front"}],
            "ports": [8080],
            "protocol": "TCP",
        }
    ],
}
TWO_ROLES = {"clusterRoles": ["a-reader", "b-reader"]}


@told
async def test_the_first_rights_come_after_account_mtls_and_deny() -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    await op.turn()
    guards = op.at(*(f"POST {NAMES[kind].format('agent')}" for kind in GUARDS))
    rights = op.at(f"POST {NAMES['RoleBinding'].format('agent')}", f"WRITE {op.role_of('agent')}")
    assert max(guards) < min(rights)


@pytest.mark.parametrize("missing", GUARDS)
@told
async def test_while_one_of_them_is_missing_no_right_is_given(missing: str) -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    op.api.broken[f"POST {NAMES[missing].format('agent')}"] = DOWN
    await op.turn()
    assert not RIGHTS & op.there()
    op.api.broken.clear()
    await op.turn()
    assert op.there() >= RIGHTS


@pytest.mark.parametrize("guard", GUARDS[1:])
@told
async def test_while_one_that_others_changed_cant_be_put_right_no_right_is_given(
    guard: str,
) -> None:
    op = Operator()
    await op.serve()
    await op.ready(**FULL)
    op.tamper(guard, spec={"mtls": {"mode": "DISABLE"}, "rules": [{}]})
    op.lose("RoleBinding")
    op.api.broken[f"PUT {NAMES[guard].format('agent')}"] = DOWN
    await op.turn()
    assert "RoleBinding" not in op.there()
    op.api.broken.clear()
    await op.turn()
    assert op.there() >= RIGHTS


@told
async def test_without_the_meshs_kinds_no_right_is_given() -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    op.informers.owned[Kind.PEER_AUTHENTICATION].installed = False
    await op.turn()
    assert op.there() == {"ServiceAccount"}


@told
async def test_a_guard_that_was_changed_on_its_way_guards_nothing() -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    plain = op.api.create

    async def changing(path: str, body: Json) -> Json:
        """An admission controller that opens every policy."""
        spec = body.get("spec", {})
        return await plain(path, {**body, "spec": {**spec, "rules": [{}]}} if spec else body)

    op.api.create = changing  # type: ignore[method-assign,assignment]
    await op.turn()
    assert op.get("AuthorizationPolicy") is not None
    assert not RIGHTS & op.there()


@told
async def test_an_old_right_goes_before_a_new_one_comes() -> None:
    op = Operator()
    op.agent_class(rbac=TWO_ROLES)
    await op.ready(rbac={"clusterRoles": ["b-reader"]})
    op.identity(rbac={"clusterRoles": ["a-reader"]})
    await op.turn()
    bindings = NAMES["RoleBinding"].rpartition("/")[0]
    taken, given = op.at(f"DELETE {bindings}", f"POST {bindings}")
    assert taken < given


# --- before giving, everything is read again


@told
async def test_an_identity_that_was_changed_meanwhile_gets_nothing() -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    await op.turn()
    op.identity(seen=False)
    op.quiet()
    op.lose("RoleBinding")
    await op.turn()
    assert not op.touched("POST", "PUT")


@told
async def test_a_class_that_was_narrowed_meanwhile_gives_nothing_more() -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    op.agent_class(seen=False, rbac=None)
    await op.turn()
    assert op.there() == set()


@told
async def test_a_class_that_went_meanwhile_gives_nothing_more() -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    op.api.objects.clear()
    await op.turn()
    assert op.there() == set()


@told
async def test_a_namespace_that_lost_its_label_meanwhile_is_given_nothing() -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    op.namespace(seen=False)
    await op.turn()
    assert op.there() == set()


@told
async def test_an_identity_that_is_going_is_given_nothing() -> None:
    op = Operator()
    await op.ready()
    op.lose("RoleBinding")
    body = op.api.objects[op.path_of("agent")]
    body["metadata"]["deletionTimestamp"] = DELETED
    op.api.put(op.path_of("agent"), body)
    await op.turn()
    assert op.get("RoleBinding") is None


@told
async def test_our_finalizer_stands_before_anything_is_given() -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    await op.turn()
    finalizer, first = op.at(f"PATCH {op.path_of('agent')}", "POST")
    assert finalizer < first
    assert op.api.objects[op.path_of("agent")]["metadata"]["finalizers"]


# --- withdrawal


@told
async def test_a_stalled_identity_keeps_mtls_and_deny_and_nothing_else() -> None:
    op = Operator()
    annotations = {"annotations": {"eks.amazonaws.com/role-arn": "arn"}}
    await op.ready(inbound=OPEN, serviceAccount=annotations, **FULL)
    asked = {**FULL, "rbac": {"clusterRoles": ["ticket-reader", "cluster-admin"]}}
    op.identity(inbound=OPEN, serviceAccount=annotations, **asked)
    await op.turn()
    assert op.there() == set(GUARDS)
    policy, account = op.get("AuthorizationPolicy"), op.get("ServiceAccount")
    assert policy is not None
    assert account is not None
    assert policy["spec"]["action"] == "ALLOW"
    assert "rules" not in policy["spec"]
    assert "annotations" not in account["metadata"]


@told
async def test_an_identity_that_cannot_be_read_any_more_loses_its_rights() -> None:
    op = Operator()
    await op.ready()
    op.identity(rbac={"x": 1})
    await op.turn()
    assert op.there() == set(GUARDS)


@told
async def test_a_silent_vault_keeps_no_binding() -> None:
    op = Operator()
    await op.ready()
    op.identity(vault=FULL["vault"])
    op.vault.broken["GET auth/kubernetes/role"] = DOWN
    await op.turn()
    assert op.get("RoleBinding") is None
    assert op.condition("RBACReady") == {}
    assert op.condition("VaultReady")["reason"] == "Unreachable"


@told
async def test_a_role_that_could_not_be_read_is_not_written() -> None:
    op = Operator()
    await op.ready()
    op.vault.broken["GET auth/kubernetes/role"] = DOWN
    await op.turn()
    assert not op.touched("WRITE")


@told
async def test_one_that_cannot_be_taken_away_keeps_no_other() -> None:
    op = Operator()
    op.agent_class(rbac=TWO_ROLES)
    await op.ready(rbac=TWO_ROLES)
    bindings = NAMES["RoleBinding"].rpartition("/")[0]
    op.api.broken[f"DELETE {bindings}/agentidentity:agent:a-reader"] = DOWN
    op.identity()
    await op.turn()
    assert f"{bindings}/agentidentity:agent:b-reader" not in op.api.objects


@told
async def test_who_could_not_be_rid_of_a_right_is_not_called_ready() -> None:
    op = Operator()
    await op.ready()
    op.api.broken[f"DELETE {NAMES['RoleBinding'].format('agent')}"] = DOWN
    op.identity()
    await op.turn()
    assert op.condition("RBACReady")["reason"] == "Unreachable"
    assert op.condition("Ready")["status"] == "False"
    op.api.broken.clear()
    await op.turn()
    assert op.condition("RBACReady") == {}
    assert op.condition("Ready")["status"] == "True"


@told
async def test_a_withdrawal_that_failed_is_tried_again_though_the_identity_is_stalled() -> None:
    op = Operator()
    await op.ready()
    op.api.broken[f"DELETE {NAMES['RoleBinding'].format('agent')}"] = DOWN
    op.identity(rbac={"clusterRoles": ["cluster-admin"]})
    problem = await op.turn()
    assert isinstance(problem, Failed)
    assert op.condition("Stalled")["status"] == "True"


@told
async def test_one_that_cannot_be_given_keeps_no_other() -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    op.api.broken[f"POST {NAMES['RoleBinding'].format('agent')}"] = DOWN
    await op.turn()
    assert "VaultRole" in op.there()
    assert op.condition("VaultReady")["status"] == "True"
    assert op.condition("RBACReady")["reason"] == "Unreachable"


@told
async def test_a_status_that_was_refused_is_tried_again() -> None:
    """No event follows a conflict that the API server met by itself."""
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    conflict = ApiError(HTTPStatus.CONFLICT, Reason.REJECTED, "try again")
    op.api.broken[f"PATCH {op.path_of('agent')}/status"] = conflict
    assert isinstance(await op.turn(), Failed)
