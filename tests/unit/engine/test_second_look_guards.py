"""An old view takes nothing from who is there now."""

import copy
from dataclasses import replace

from test_memory_guards import Json, told
from test_wiring_guards import FULL, NAMES, Operator

from agent_identity.api.conditions import Reason
from agent_identity.core.errors import Failed
from agent_identity.core.resource import Kind, Ref

DOWN = Failed(Reason.UNREACHABLE, "no answer")


def made_anew(op: Operator) -> None:
    """The identity is another one of its name by now, and no watch has told."""
    body: Json = copy.deepcopy(op.api.objects[op.path_of("agent")])
    body["metadata"] |= {"uid": "uid-of-another", "generation": 1}
    body["metadata"].pop("deletionTimestamp", None)
    op.api.put(op.path_of("agent"), body)


@told
async def test_a_deletion_that_is_over_takes_no_role_from_the_next_one() -> None:
    op = Operator()
    await op.ready()
    op.delete()
    made_anew(op)
    assert isinstance(await op.turn(), Failed)
    assert op.role_of("agent") in op.vault.stored


@told
async def test_an_old_spec_takes_no_role_from_the_next_one() -> None:
    op = Operator()
    await op.ready()
    op.identity(rbac=FULL["rbac"])
    made_anew(op)
    await op.turn()
    assert op.role_of("agent") in op.vault.stored


@told
async def test_an_old_view_takes_no_account_of_the_next_one() -> None:
    op = Operator()
    await op.ready(rbac=FULL["rbac"])
    made_anew(op)
    for kind in ("ServiceAccount", "RoleBinding"):
        owner = op.api.objects[NAMES[kind].format("agent")]["metadata"]["ownerReferences"][0]
        op.tamper(kind, metadata={"ownerReferences": [owner | {"uid": "uid-of-another"}]})
    op.quiet()
    assert isinstance(await op.turn(), Failed)
    assert not op.touched("DELETE", "PUT")


@told
async def test_objects_that_are_in_nobodys_way_any_more_take_nothing() -> None:
    op = Operator()
    await op.ready()
    seen = op.world.owned[Ref(Kind.SERVICE_ACCOUNT, "agents", "agent")]
    op.world.object_changed(seen, replace(seen, owner_uid="uid-of-an-earlier-one"))
    path = NAMES["ServiceAccount"].format("agent")
    op.api.put(path, op.api.objects[path])
    assert isinstance(await op.turn(), Failed)
    assert not op.touched("DELETE", "PUT")
    await op.turn()
    assert op.condition()["status"] == "True"


@told
async def test_a_class_sweeps_no_role_of_one_that_it_has_not_seen_yet() -> None:
    op = Operator()
    await op.ready()
    op.start_anew(unseen=op.path_of("agent"))
    await op.serve()
    assert op.role_of("agent") in op.vault.stored


@told
async def test_an_api_server_that_does_not_answer_keeps_no_role() -> None:
    op = Operator()
    await op.ready()
    op.identity(rbac=FULL["rbac"])
    op.api.broken[f"GET {op.path_of('agent')}"] = DOWN
    await op.turn()
    assert op.role_of("agent") not in op.vault.stored


@told
async def test_a_finalizer_on_an_old_version_is_seen_anew() -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    op.identity(seen=False, rbac=FULL["rbac"])
    await op.turn()
    await op.turn()
    assert op.there() >= {"ServiceAccount", "RoleBinding"}
    assert "VaultRole" not in op.there()
