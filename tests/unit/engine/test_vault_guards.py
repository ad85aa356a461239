"""Vault: a whole role for an exact account; and only what is ours there is changed or deleted."""

from typing import Any

import pytest
from test_memory_guards import DELETED, Json, told
from test_wiring_guards import CLASS, CLEANUP, FULL, HOME, Operator

from agent_identity.api.conditions import Reason
from agent_identity.core.errors import Failed
from agent_identity.providers.contract import Debt

DOWN = Failed(Reason.UNREACHABLE, "no answer")
MARKER = "auth/kubernetes/role/prod__marker"
POLICY = "sys/policies/acl/agentid_prod_default_own-secrets"
TAMPERED: dict[str, object] = {
    "bound_service_account_names": ["agent", "another"],
    "bound_service_account_namespaces": ["*"],
    "bound_service_account_namespace_selector": "{}",
    "audience": "",
    "alias_name_source": "serviceaccount_name",
    "token_policies": ["root-like"],
    "token_no_default_policy": False,
    "token_type": "batch",
    "token_ttl": 1,
    "token_max_ttl": 0,
    "token_explicit_max_ttl": 1,
    "token_period": 60,
    "token_num_uses": 1,
    "token_bound_cidrs": ["10.0.0.0/8"],
}


@pytest.mark.parametrize("field", TAMPERED)
@told
async def test_whatever_is_changed_in_a_role_is_put_back(field: str) -> None:
    op = Operator()
    await op.ready()
    role = op.vault.stored[op.role_of("agent")]
    before = dict(role)
    role[field] = TAMPERED[field]
    await op.turn()
    assert op.vault.stored[op.role_of("agent")] == before
    assert op.events.told == ["Repaired"]


# --- tokens that were issued


@told
async def test_narrower_policies_end_the_tokens_after_the_role_is_narrow() -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    op.identity(**{**FULL, "vault": {"policies": ["team"]}})
    await op.turn()
    assert op.vault.entities == {}
    role, entity = op.at(f"WRITE {op.role_of('agent')}", "DELETE identity/entity")
    assert role < entity


@told
async def test_wider_policies_end_no_token() -> None:
    op = Operator()
    await op.ready(rbac=FULL["rbac"], vault={"policies": ["team"]})
    op.log_in()
    op.identity(**FULL)
    await op.turn()
    assert op.vault.entities


@told
async def test_a_role_that_is_not_asked_for_any_more_takes_its_tokens_with_it() -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    op.identity(rbac=FULL["rbac"])
    await op.turn()
    assert op.vault.entities == {}
    role, entity = op.at(f"DELETE {op.role_of('agent')}", "DELETE identity/entity")
    assert role < entity


def _another_alias(entity: Json) -> None:
    entity["aliases"].append({"mount_accessor": "userpass", "name": "admin"})


def _another_mount(entity: Json) -> None:
    entity["aliases"][0]["mount_accessor"] = "another"


def _another_account(entity: Json) -> None:
    entity["aliases"][0]["metadata"]["service_account_name"] = "another"


def _another_namespace(entity: Json) -> None:
    entity["aliases"][0]["metadata"]["service_account_namespace"] = "another"


FOREIGN = [_another_alias, _another_mount, _another_account, _another_namespace]


@pytest.mark.parametrize("change", FOREIGN, ids=lambda change: change.__name__)
@told
async def test_an_entity_that_is_not_only_ours_stays(change: Any) -> None:
    op = Operator()
    await op.ready()
    change(op.log_in())
    op.delete()
    await op.turn()
    assert op.vault.entities
    assert op.there() == set()


# --- what is under our prefix


@told
async def test_a_prefix_that_another_cluster_has_is_left_alone() -> None:
    op = Operator()
    op.vault.stored[MARKER] = {"bound_service_account_names": ["another-clusters-uid"]}
    theirs = "auth/kubernetes/role/prod_agents_theirs"
    op.vault.stored[theirs] = {"bound_service_account_names": ["theirs"]}
    problem = await op.serve()
    assert problem is not None
    assert problem.reason is Reason.CLUSTER_NAME_TAKEN
    op.identity(**FULL)
    await op.turn()
    assert op.role_of("agent") not in op.vault.stored
    assert theirs in op.vault.stored
    assert not op.touched("WRITE", "DELETE")


@told
async def test_nobody_can_log_in_as_the_marker() -> None:
    op = Operator()
    await op.serve()
    marker = op.vault.stored[MARKER]
    assert marker["bound_service_account_namespaces"] == ["_cluster_"]
    assert marker["audience"] == "agentidentity.dev/nobody"
    assert marker["token_policies"] == []
    assert marker["token_no_default_policy"] is True


@told
async def test_only_what_nobody_wants_and_is_ours_is_swept() -> None:
    op = Operator()
    await op.ready()
    ghost, theirs = "auth/kubernetes/role/prod_agents_ghost", "auth/kubernetes/role/dev_agents_x"
    op.vault.stored |= {ghost: {}, theirs: {}}
    await op.serve()
    assert ghost not in op.vault.stored
    assert theirs in op.vault.stored
    assert op.role_of("agent") in op.vault.stored
    assert MARKER in op.vault.stored


@told
async def test_a_role_of_one_that_is_stalled_is_swept() -> None:
    op = Operator()
    await op.ready()
    op.identity(rbac={"clusterRoles": ["cluster-admin"]}, vault=FULL["vault"])
    await op.serve()
    assert op.role_of("agent") not in op.vault.stored


@told
async def test_a_role_made_while_the_list_was_on_its_way_is_not_forgotten() -> None:
    op = Operator()
    await op.serve()
    plain = op.vault.keys

    async def slow(path: str) -> list[str]:
        listed = await plain(path)
        if path.endswith("role"):
            op.identity(**FULL)
            await op.turn()
        return listed

    op.vault.keys = slow  # type: ignore[method-assign]
    await op.serve()
    op.vault.keys = plain  # type: ignore[method-assign]
    op.delete()
    await op.turn()
    assert op.role_of("agent") not in op.vault.stored


# --- a class


@told
async def test_a_policy_is_put_back_and_one_that_the_class_drops_goes() -> None:
    op = Operator()
    await op.serve()
    text = op.vault.stored[POLICY]["policy"]
    op.vault.stored[POLICY] = {"policy": 'path "*" { capabilities = ["sudo"] }'}
    dropped = "sys/policies/acl/agentid_prod_default_dropped"
    others = "sys/policies/acl/agentid_prod_defaulted_x"
    op.vault.stored |= {dropped: {"policy": ""}, others: {"policy": ""}}
    await op.serve()
    assert op.vault.stored[POLICY] == {"policy": text}
    assert dropped not in op.vault.stored
    assert others in op.vault.stored


@told
async def test_a_class_is_held_before_its_vault_is_written_to() -> None:
    op = Operator()
    await op.serve()
    held, written = op.at(f"PATCH {CLASS}", "WRITE")
    assert held < written
    assert op.api.objects[CLASS]["metadata"]["finalizers"] == [CLEANUP]


def delete_class(op: Operator) -> None:
    body = op.api.objects[CLASS]
    body["metadata"]["deletionTimestamp"] = DELETED
    op.world.see_class(op.api.put(CLASS, body))


@told
async def test_a_class_takes_the_roles_of_its_identities_with_it() -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    delete_class(op)
    await op.serve()
    assert CLASS not in op.api.objects
    assert POLICY not in op.vault.stored
    assert op.role_of("agent") not in op.vault.stored
    assert op.vault.entities == {}


@told
async def test_a_class_stays_while_something_is_owed_to_its_vault() -> None:
    op = Operator()
    await op.ready()
    uid = op.log_in()["aliases"][0]["name"]
    await op.ledger.record([Debt(uid, HOME, "agents", "agent")])
    op.vault.stored.pop(op.role_of("agent"))
    op.vault.broken["DELETE identity"] = DOWN
    delete_class(op)
    await op.serve()
    assert CLASS in op.api.objects
    op.vault.broken.clear()
    await op.serve()
    assert CLASS not in op.api.objects
    assert op.vault.entities == {}
