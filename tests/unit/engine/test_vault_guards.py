"""Vault: a whole role for an exact account; and only what is ours there is changed or deleted."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest
from test_memory_guards import DELETED, Json, MemoryVault, told
from test_rest_guards import Idle, engine_of
from test_wiring_guards import CLASS, CLEANUP, FULL, HOME, Operator

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import ApiError
from agent_identity.clients.vault import Vault
from agent_identity.core.errors import Failed, Problem
from agent_identity.core.resource import Key, Kind
from agent_identity.providers.contract import Claim, Debt

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
    shut, entity, role = op.at(
        f"WRITE {op.role_of('agent')}",
        "DELETE identity/entity",
        f"DELETE {op.role_of('agent')}",
    )
    assert shut < entity < role


NARROWED = {"fewer policies": {**FULL, "vault": {"policies": ["team"]}}, "none": {}}


@pytest.mark.parametrize("anew", [False, True], ids=["tried again", "by a new process"])
@pytest.mark.parametrize("spec", NARROWED.values(), ids=NARROWED)
@told
async def test_tokens_that_could_not_be_ended_are_not_forgotten(
    spec: dict[str, Any], *, anew: bool
) -> None:
    """Nor is the identity Ready meanwhile, whatever its class has looked at in between."""
    op = Operator()
    await op.ready()
    op.log_in()
    op.identity(**spec)
    op.vault.broken["DELETE identity"] = DOWN
    for _ in range(2):
        assert isinstance(await op.turn(), Failed)
        assert op.condition("VaultReady")["reason"] == "Unreachable"
        assert op.condition()["status"] == "False"
        if anew:
            op.start_anew()
        await op.serve()
    op.vault.broken.clear()
    assert await op.turn() is None
    assert op.vault.entities == {}
    role = op.vault.stored.get(op.role_of("agent"))
    assert (role or {}).get("token_policies", []) == (["team-x"] if spec else [])
    op.quiet()
    assert await op.turn() is None
    assert not op.touched("WRITE", "DELETE")


@told
async def test_while_old_tokens_end_the_agent_can_log_in_with_what_it_has_now() -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    op.identity(**NARROWED["fewer policies"])
    op.vault.broken["DELETE identity"] = DOWN
    await op.turn()
    role = op.vault.stored[op.role_of("agent")]
    assert role["token_policies"] == ["team-x"]
    assert "agent" in role["bound_service_account_names"]
    assert role["bound_service_account_namespaces"] == ["agents"]


@told
async def test_nobody_can_log_in_by_a_role_that_is_on_its_way_out() -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    op.identity(rbac=FULL["rbac"])
    op.vault.broken["DELETE identity"] = DOWN
    await op.turn()
    role = op.vault.stored[op.role_of("agent")]
    assert "agents" not in role["bound_service_account_namespaces"]
    assert "agent" not in role["bound_service_account_names"]
    assert role["token_policies"] == []


async def _withdrawn_while_nobody_knows_of_the_role(**how: Any) -> Operator:
    """Started anew while Vault does not answer; meanwhile the identity asks for no secrets."""
    op = Operator(**how)
    await op.ready()
    op.log_in()
    op.identity(rbac=FULL["rbac"])
    op.vault.broken["GET sys/auth"] = DOWN
    op.start_anew()
    await op.serve()
    return op


@told
async def test_a_role_that_may_be_at_a_vault_not_listed_yet_is_not_called_gone() -> None:
    op = await _withdrawn_while_nobody_knows_of_the_role()
    for _ in range(2):
        await op.turn()
        assert op.condition("VaultReady")["reason"] == "Unreachable"
        assert op.condition()["status"] == "False"
    op.vault.broken.clear()
    await op.serve()
    assert await op.turn() is None
    assert (op.role_of("agent") in op.vault.stored, op.vault.entities) == (False, {})
    assert op.condition("VaultReady") == {}
    assert op.condition()["status"] == "True"


@told
async def test_what_may_be_at_a_vault_not_listed_yet_is_owed() -> None:
    op = await _withdrawn_while_nobody_knows_of_the_role(deadline=-1)
    await op.turn()
    op.delete()
    await op.turn()
    assert op.there() == {"VaultRole"}
    op.vault.broken.clear()
    await op.serve()
    assert (op.there(), op.vault.entities) == (set(), {})


@told
async def test_who_never_had_a_role_waits_for_no_vault() -> None:
    op = Operator()
    op.vault.broken["GET sys/auth"] = DOWN
    await op.serve()
    op.identity(rbac=FULL["rbac"])
    assert await op.turn() is None
    assert op.condition()["status"] == "True"


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
    assert marker["bound_service_account_namespaces"] == ["_nobody_"]
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


@told
async def test_a_role_that_went_while_the_list_was_on_its_way_is_not_taken_again() -> None:
    op = Operator()
    await op.ready()
    plain = op.vault.keys

    async def slow(path: str) -> list[str]:
        listed = await plain(path)
        if path.endswith("role"):
            op.delete()
            await op.turn()
        return listed

    op.vault.keys = slow  # type: ignore[method-assign]
    await op.serve()
    assert op.touched("DELETE auth") == [f"DELETE {op.role_of('agent')}"]


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


@told
async def test_a_class_takes_the_roles_of_its_identities_with_it() -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    op.delete_class()
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
    op.delete_class()
    await op.serve()
    assert CLASS in op.api.objects
    op.vault.broken.clear()
    await op.serve()
    assert CLASS not in op.api.objects
    assert op.vault.entities == {}


@told
async def test_a_finalizer_that_came_while_the_class_was_left_stays() -> None:
    op = Operator()
    await op.ready()
    op.delete_class()
    plain = op.vault.keys

    async def meanwhile(path: str) -> list[str]:
        op.api.objects[CLASS]["metadata"]["finalizers"] = [CLEANUP, "example.com/x"]
        op.world.see_class(op.api.put(CLASS, op.api.objects[CLASS]))
        return await plain(path)

    op.vault.keys = meanwhile  # type: ignore[method-assign]
    await op.serve()
    assert op.api.objects[CLASS]["metadata"]["finalizers"] == ["example.com/x"]


# --- a class that nobody can be served by


@told
async def test_while_a_debt_keeps_a_class_from_being_left_its_identities_are_told() -> None:
    op = Operator()
    await op.ready()
    await op.ledger.record([Debt("uid-of-gone", HOME, "agents", "gone")])
    op.delete_class()
    op.restart()
    await op.ledger.load()
    op.vault.broken[""] = DOWN
    await op.serve()
    assert await op.turn() is DOWN
    assert op.condition("VaultReady")["reason"] == "Unreachable"


@told
async def test_what_keeps_a_class_from_being_held_is_told_to_its_identities() -> None:
    op = Operator()
    plain = op.api.patch

    async def refused(path: str, body: Json) -> Json:
        if path == CLASS:
            raise ApiError(403, Reason.FORBIDDEN, "somebody's webhook")
        return await plain(path, body)

    op.api.patch = refused  # type: ignore[method-assign, assignment]
    await op.serve()
    op.identity(**FULL)
    problem = await op.turn()
    assert problem is not None
    assert problem.reason is Reason.FORBIDDEN
    told_of = "the class can't be given its finalizer: somebody's webhook"
    assert op.condition("VaultReady")["message"] == told_of
    op.api.patch = plain  # type: ignore[method-assign]
    await op.serve()
    assert await op.turn() is None


# --- one role that can't be taken away

GHOSTS = [f"auth/kubernetes/role/prod_agents_{name}" for name in ("a", "b", "c")]


async def _with_one_ghost_that_stays() -> Operator:
    """The agent is ready, and of three roles that nobody wants the first can't be taken away."""
    op = Operator()
    await op.ready()
    op.vault.stored |= {ghost: {} for ghost in GHOSTS}
    op.vault.broken[f"DELETE {GHOSTS[0]}"] = Failed(Reason.SEALED, "no")
    return op


@told
async def test_a_role_that_cannot_be_swept_keeps_no_other_there() -> None:
    op = await _with_one_ghost_that_stays()
    problem = await op.serve()
    assert [ghost for ghost in GHOSTS if ghost in op.vault.stored] == GHOSTS[:1]
    assert isinstance(problem, Failed)
    rows = op.api.objects[CLASS]["status"]["conditions"]
    assert next(c for c in rows if c["type"] == "VaultReady")["reason"] == "Sealed"
    op.vault.broken.clear()
    assert await op.serve() is None
    assert GHOSTS[0] not in op.vault.stored


@told
async def test_what_could_not_be_swept_comes_last_the_next_time() -> None:
    """A Vault that fails is left alone for a moment: what comes after may not even be tried."""
    op = await _with_one_ghost_that_stays()
    await op.serve()
    op.vault.stored |= {ghost: {} for ghost in GHOSTS}
    op.quiet()
    await op.serve()
    assert op.touched("DELETE auth") == [f"DELETE {g}" for g in (*GHOSTS[1:], GHOSTS[0])]


@told
async def test_a_role_that_cannot_be_swept_holds_no_identity_back() -> None:
    op = await _with_one_ghost_that_stays()
    await op.serve()
    op.identity("another", **FULL)
    assert await op.turn("another") is None
    assert await op.turn() is None
    assert op.condition("VaultReady", "another")["status"] == "True"


@told
async def test_a_role_that_cannot_be_swept_keeps_no_debt_from_being_paid() -> None:
    op = await _with_one_ghost_that_stays()
    op.vault.log_in("agents", "gone", "uid-of-gone")
    await op.ledger.record([Debt("uid-of-gone", HOME, "agents", "gone")])
    await op.serve()
    assert op.vault.entities == {}
    assert op.ledger.owed_to(HOME) == []


@told
async def test_a_debt_that_cannot_be_paid_keeps_no_other_from_being_paid() -> None:
    op = await _with_one_ghost_that_stays()
    op.vault.log_in("agents", "gone", "uid-of-gone")
    debts = [Debt("uid-of-a", HOME, "agents", "a"), Debt("uid-of-gone", HOME, "agents", "gone")]
    await op.ledger.record(debts)
    assert isinstance(await op.serve(), Failed)
    assert op.ledger.owed_to(HOME) == debts[:1]


@told
async def test_tokens_that_could_not_be_ended_by_the_sweep_end_later() -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    op.namespace()
    op.vault.broken["DELETE identity"] = DOWN
    await op.serve()
    op.vault.broken.clear()
    op.start_anew()
    await op.serve()
    assert op.vault.entities == {}
    assert op.role_of("agent") not in op.vault.stored


# --- a class that is not as it was seen

GONE = ApiError(404, Reason.REJECTED, "the API server answered 404")


@pytest.mark.parametrize("held", [False, True])
@told
async def test_for_a_class_that_is_gone_nothing_is_written(*, held: bool) -> None:
    op = Operator()
    if held:
        await op.serve()
        op.vault.stored.clear()
        op.quiet()
    del op.api.objects[CLASS]
    assert await op.serve() is None
    assert op.vault.stored == {}
    assert not op.touched("WRITE", "POST", "PATCH")
    assert op.world.classes == {}


@told
async def test_for_a_class_that_goes_before_it_is_held_nothing_is_written() -> None:
    op = Operator()
    op.api.broken[f"PATCH {CLASS}"] = GONE
    await op.serve()
    assert op.vault.stored == {}
    assert op.touched("PATCH") == [f"PATCH {CLASS}"]
    assert op.world.classes == {}


@told
async def test_from_a_class_that_was_made_anew_nothing_is_taken() -> None:
    op = Operator()
    await op.ready()
    now = op.api.objects[CLASS]
    before = {**now["metadata"], "deletionTimestamp": DELETED, "uid": "uid-of-before"}
    del op.world.classes["default"]
    op.world.see_class({**now, "metadata": {**before, "resourceVersion": "1"}})
    assert op.world.classes["default"].deleting
    await op.serve()
    assert op.role_of("agent") in op.vault.stored
    assert POLICY in op.vault.stored


# --- one Vault, two addresses

OTHER = CLASS.replace("/default", "/other")
ELSEWHERE = "https://vault:8200"
AGENT, HELPER = Operator.role_of("agent"), Operator.role_of("helper")


class Reached(MemoryVault):
    """A server by one of its addresses."""

    def __init__(self, server: MemoryVault, spec: Any, down: set[str], accessor: str) -> None:
        self.__dict__ |= server.__dict__
        self.spec, self.down, self.accessor = spec, down, accessor

    def note(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        super().note(verb, path, body)
        if self.spec.address in self.down:
            raise DOWN

    async def read(self, path: str) -> Json | None:
        there = await super().read(path)
        return {"kubernetes/": {"accessor": self.accessor}} if path == "sys/auth" else there

    async def delete(self, path: str) -> None:
        await asyncio.sleep(0)
        await super().delete(path)


class TwoAddresses(Operator):
    """The class `other` reaches by another address: the same Vault, or another one."""

    def __init__(self, *, another: MemoryVault | None = None) -> None:
        super().__init__()
        self.down: set[str] = set()
        if another:
            another.calls = self.api.calls

        def connected(spec: Any) -> Vault:
            away = spec.address == ELSEWHERE
            server = another if another and away else self.vault
            accessor = "another" if another and away else "acc"
            return cast("Vault", Reached(server, spec, self.down, accessor))

        self.vault.connected = connected  # type: ignore[method-assign]
        self.restart()
        self.make_other_anew(ELSEWHERE)

    def make_other_anew(self, address: str) -> None:
        """Also where somebody took its finalizer off before."""
        body = self.api.objects[CLASS]
        vault = {**body["spec"]["vault"], "address": address}
        meta = {"name": "other", "uid": f"uid-of-other-at-{address}", "generation": 1}
        other = {**body, "metadata": meta, "spec": {**body["spec"], "vault": vault}}
        self.world.see_class(self.api.put(OTHER, other))

    async def serve_other(self) -> Problem | None:
        return await self.classes.reconcile(self.world.classes["other"])

    async def both_ready(self) -> None:
        """`agent` by the one address, `helper` by the other."""
        await self.serve_other()
        await self.ready()
        self.identity("helper", className="other", **FULL)
        assert await self.turn("helper") is None
        assert {AGENT, HELPER} <= set(self.vault.stored)
        self.log_in()
        self.quiet()


@told
async def test_of_a_vault_with_two_addresses_neither_class_takes_the_others_roles() -> None:
    op = TwoAddresses()
    await op.both_ready()
    for _ in range(2):
        assert [await op.serve(), await op.serve_other()] == [None, None]
        assert [await op.turn(), await op.turn("helper")] == [None, None]
    assert not op.touched("DELETE", "WRITE")


@told
async def test_what_nobody_wants_at_a_vault_with_two_addresses_is_swept_once() -> None:
    op = TwoAddresses()
    await op.both_ready()
    op.vault.stored |= {ghost: {} for ghost in GHOSTS}
    assert await asyncio.gather(op.serve(), op.serve_other()) == [None, None]
    assert sorted(op.touched("DELETE auth")) == [f"DELETE {ghost}" for ghost in GHOSTS]


@told
async def test_what_is_being_swept_its_identity_does_not_make_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    delete, sweeps, goes_on = op.vault.delete, asyncio.Event(), asyncio.Event()

    async def held(path: str) -> None:
        if not sweeps.is_set():
            sweeps.set()
            await goes_on.wait()
        await delete(path)

    monkeypatch.setattr(op.vault, "delete", held)
    op.quiet()
    op.identity()
    sweep = asyncio.create_task(op.serve())
    await sweeps.wait()
    problem = await op.turn()
    goes_on.set()
    assert [await sweep, await op.turn()] == [None, None]
    assert problem is not None
    assert problem.reason is Reason.BUSY
    taken = [f"WRITE {AGENT}", f"DELETE {AGENT}"]
    assert op.touched(*taken) == taken


@pytest.mark.parametrize(
    "then", [{"vault": None}, {"vault": {"policies": ["team"]}}], ids=["nothing", "less"]
)
@told
async def test_a_role_that_others_took_away_takes_its_tokens_with_it(then: Json) -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    del op.vault.stored[AGENT]
    await op.serve()
    op.identity(**then)
    await op.turn()
    assert not op.vault.entities


@told
async def test_a_role_that_others_took_away_is_made_anew_and_its_tokens_live_on() -> None:
    op = Operator()
    await op.ready()
    op.log_in()
    before = op.vault.stored.pop(AGENT)
    await op.serve()
    await op.turn()
    assert op.vault.stored[AGENT] == before
    assert op.vault.entities


@told
async def test_what_a_deleted_identity_has_is_left_to_its_own_end() -> None:
    op = Operator()
    await op.ready()
    op.delete()
    op.quiet()
    assert await op.serve() is None
    assert not op.touched("WRITE", "DELETE", f"GET {op.path_of('agent')}")
    assert await op.turn() is None
    assert AGENT not in op.vault.stored


@told
async def test_what_an_identity_has_that_somebody_else_holds_is_swept() -> None:
    op = Operator()
    await op.ready()
    op.api.objects[op.path_of("agent")]["metadata"]["finalizers"] = ["example.com/x"]
    op.delete()
    await op.serve()
    assert AGENT not in op.vault.stored


@told
async def test_what_a_deleted_identity_asked_for_whose_account_is_anothers_is_swept() -> None:
    """Its end takes nothing away of what hangs on the account."""
    op = Operator()
    await op.ready()
    op.identity("second", serviceAccount={"name": "agent"}, **FULL)
    op.api.objects[op.path_of("second")]["metadata"]["finalizers"] = [CLEANUP]
    op.delete("second")
    op.identity()
    await op.serve()
    assert AGENT not in op.vault.stored


@told
async def test_the_last_class_at_a_vault_stays_until_deleted_identities_are_gone() -> None:
    op = Operator()
    await op.ready()
    op.delete()
    op.delete_class()
    problem = await op.serve()
    assert problem is not None
    assert problem.reason is Reason.BUSY
    assert not op.touched("DELETE auth", "PUT", "PATCH")
    assert await op.turn() is None
    assert await op.serve() is None
    assert CLASS not in op.api.objects
    assert POLICY not in op.vault.stored


@told
async def test_where_another_class_is_at_its_vault_a_class_waits_for_no_identity() -> None:
    op = TwoAddresses()
    await op.both_ready()
    op.delete("helper")
    op.delete_class(OTHER)
    assert await op.serve_other() is None
    assert OTHER not in op.api.objects
    assert HELPER in op.vault.stored
    assert await op.turn("helper") is None
    assert HELPER not in op.vault.stored


@told
async def test_of_classes_that_go_at_the_same_time_the_last_one_waits() -> None:
    op = TwoAddresses()
    await op.both_ready()
    for name, path in (("agent", CLASS), ("helper", OTHER)):
        op.delete(name)
        op.delete_class(path)
    left = await asyncio.gather(op.serve(), op.serve_other())
    assert [problem.reason for problem in left if problem] == [Reason.BUSY]
    assert [await op.turn(), await op.turn("helper")] == [None, None]
    assert not {AGENT, HELPER} & set(op.vault.stored)


@told
async def test_a_class_that_goes_leaves_the_others_roles_at_the_same_vault() -> None:
    op = TwoAddresses()
    await op.both_ready()
    op.delete_class(OTHER)
    await op.serve_other()
    assert OTHER not in op.api.objects
    assert op.touched("DELETE auth") == [f"DELETE {HELPER}"]
    assert op.vault.entities
    await op.serve()
    assert await op.turn() is None
    assert AGENT in op.vault.stored


@told
async def test_while_one_address_was_never_reached_its_identities_keep_their_roles() -> None:
    op = TwoAddresses()
    await op.both_ready()
    op.restart()
    op.down.add(ELSEWHERE)
    await op.serve()
    assert isinstance(await op.serve_other(), Failed)
    problem = await op.turn("helper")
    assert problem is not None
    assert problem.reason is Reason.UNREACHABLE
    await op.serve()
    assert not op.touched("DELETE")
    op.down.clear()
    assert await op.serve_other() is None
    assert await op.turn("helper") is None


@told
async def test_while_one_address_was_never_reached_a_wider_role_goes() -> None:
    """It may be at another Vault, and gives what the identity may not have any more."""
    op = TwoAddresses()
    op.down.add(ELSEWHERE)
    await op.ready()
    await op.serve_other()
    op.identity(className="other", **FULL)
    await op.turn()
    assert AGENT not in op.vault.stored


@told
async def test_an_identity_goes_though_the_others_address_is_down() -> None:
    op = TwoAddresses()
    await op.both_ready()
    op.down.add(ELSEWHERE)
    op.delete()
    assert await op.turn() is None
    assert op.there() == set()
    assert op.vault.entities == {}


@pytest.mark.parametrize("before", ["nowhere", "elsewhere"])
@told
async def test_what_an_earlier_identity_left_waits_for_no_vault_that_was_never_reached(
    before: str,
) -> None:
    op = TwoAddresses()
    await op.ready()
    op.log_in()
    if before == "elsewhere":
        assert [await op.serve_other(), await op.serve_other()] == [None, None]
    op.make_other_anew("https://nowhere:8200")
    op.down.add("https://nowhere:8200")
    assert isinstance(await op.serve_other(), Failed)
    op.tamper("ServiceAccount", metadata={"deletionTimestamp": "2026-01-02T00:00:00Z"})
    del op.api.objects[op.path_of("agent")]
    op.identity(**FULL)
    await op.turn()
    assert op.vault.entities == {}
    assert not op.get("ServiceAccount")


@pytest.mark.parametrize("by", ["sweep", "turn"])
@told
async def test_at_another_vault_a_role_of_the_same_name_goes(by: str) -> None:
    another = MemoryVault()
    op = TwoAddresses(another=another)
    await op.ready()
    another.stored[AGENT] = dict(op.vault.stored[AGENT])
    if by == "turn":
        op.start_anew(unseen=op.path_of("agent"))
        op.vault.broken["DELETE"] = another.broken["DELETE"] = DOWN
        await op.serve_other()
        another.broken.clear()
        op.identity(**FULL)
        await op.serve()
        await op.turn()
    else:
        await op.serve_other()
    assert AGENT not in another.stored
    assert AGENT in op.vault.stored


# --- a class whose finalizer was taken off by hand


async def _freed_by_hand(op: Operator) -> None:
    """The class could not be left, and is gone."""
    op.delete_class()
    await op.serve()
    await _gone(op)


async def _gone(op: Operator) -> None:
    """The class is, and the engine has looked at it."""
    await op.drain()
    del op.api.objects[CLASS]
    op.world.lose_class("default", "uid-of-default")
    run = asyncio.create_task(engine_of(op, Idle()).run())
    for _ in range(100):
        await asyncio.sleep(0)
    assert op.queue.depth == 0
    run.cancel()


@told
async def test_a_vault_that_is_gone_for_good_holds_nobody_back() -> None:
    op = Operator()
    await op.ready()
    op.vault.broken[""] = DOWN
    await _freed_by_hand(op)
    problem = await op.turn()
    assert problem is not None
    assert problem.reason is Reason.CLASS_NOT_FOUND
    op.delete()
    assert await op.turn() is None
    assert op.path_of("agent") not in op.api.objects


@told
async def test_of_a_class_made_anew_at_another_vault_the_former_one_holds_nobody_back() -> None:
    another = MemoryVault()
    op = TwoAddresses(another=another)
    await op.ready()
    op.vault.broken[""] = DOWN
    op.delete_class()
    await op.serve()
    del op.api.objects[CLASS]
    op.agent_class(vault=op.api.objects[OTHER]["spec"]["vault"])
    assert await op.serve() is None
    assert await op.turn() is None
    assert AGENT in another.stored


@told
async def test_while_its_vault_answers_an_identity_loses_what_it_has_there() -> None:
    op = Operator()
    await op.ready()
    await _gone(op)
    await op.turn()
    assert AGENT not in op.vault.stored


@told
async def test_a_vault_that_another_class_has_is_not_forgotten() -> None:
    op = Operator()
    body = op.api.objects[CLASS]
    meta = {**body["metadata"], "name": "other", "uid": "uid-of-other"}
    op.world.see_class(op.api.put(OTHER, {**body, "metadata": meta}))
    await op.ready()
    await op.classes.reconcile(op.world.classes["other"])
    op.vault.broken[""] = DOWN
    await _freed_by_hand(op)
    op.vault.broken.clear()
    await op.turn()
    assert AGENT not in op.vault.stored


@told
async def test_a_vault_that_a_class_left_since_it_was_looked_at_is_no_bug() -> None:
    op = Operator()
    await op.ready()
    facts = op.world.facts(Key("agents", "agent"))
    assert facts is not None
    assert facts.agent_class is not None
    vault = op.executor.backend(Kind.VAULT_ROLE)
    (role,) = (await vault.observe(facts, granted=True)).found.values()

    async def nobody(_where: object, _owner: Key) -> Claim:
        return Claim.NOBODYS

    await cast("Any", vault).leave(facts.agent_class, nobody)
    with pytest.raises(Failed) as raised:
        await vault.delete(role)
    assert raised.value.reason is Reason.BUSY
