"""What is done at one Vault at the same time, and what can't be seen yet: no role and no token is
left behind by it."""

import asyncio
from typing import Any

import pytest
from test_memory_guards import Json, told
from test_vault_guards import AGENT, HELPER, OTHER, TwoAddresses
from test_wiring_guards import CLASS, FULL, HOME, NAMES, Operator

from agent_identity.api.conditions import Reason
from agent_identity.core.errors import Failed
from agent_identity.core.resource import Key
from agent_identity.providers.contract import Debt

DOWN = Failed(Reason.UNREACHABLE, "no answer")
REFUSED = Failed(Reason.FORBIDDEN, "permission denied")
AT_ITS_LIMIT = Failed(Reason.BUSY, "Vault is at its limit of calls")
ACCOUNT = f"GET {NAMES['ServiceAccount'].format('agent')}"
LIST = "LIST auth/kubernetes/role"
TEAM = {**FULL, "vault": {"policies": ["team"]}}


class Held:
    """The first call of a server's method with this in its path waits until it is let go; then it
    fails, or does what it should. armed: from now on."""

    def __init__(self, server: Any, method: str, part: str, *, armed: bool = True) -> None:
        self._plain: Any = getattr(server, method)
        self._part = part
        self.armed = armed
        self.fails: Failed | None = None
        self.is_there, self.go = asyncio.Event(), asyncio.Event()
        setattr(server, method, self)

    async def __call__(self, path: str, *rest: Json, **options: str) -> Any:
        if self.armed and self._part in path and not self.is_there.is_set():
            self.is_there.set()
            await self.go.wait()
            if self.fails:
                raise self.fails
        return await self._plain(path, *rest, **options)


def left(op: Operator) -> tuple[bool, bool]:
    """Whether the agent's role is there, and whether its token works."""
    return op.role_of("agent") in op.vault.stored, bool(op.vault.entities)


async def ready() -> Operator:
    """With a role, and a token of it."""
    op = Operator()
    await op.ready()
    op.log_in()
    return op


# --- whose a role is, and who takes it


@told
async def test_a_class_is_not_left_while_it_cannot_be_seen_whose_a_role_is() -> None:
    op = await ready()
    op.api.broken[ACCOUNT] = DOWN
    op.delete_class()
    assert await op.serve() is not None
    assert CLASS in op.api.objects
    op.api.broken.clear()
    assert await op.serve() is None
    assert CLASS not in op.api.objects
    assert left(op) == (False, False)


@told
async def test_that_it_cannot_be_seen_whose_a_role_is_is_told_and_tried_again() -> None:
    op = await ready()
    for path in (op.path_of("agent"), NAMES["ServiceAccount"].format("agent")):
        del op.api.objects[path]
    op.start_anew()
    op.api.broken[ACCOUNT] = DOWN
    assert await op.serve() is not None
    assert left(op)[0]
    op.api.broken.clear()
    assert await op.serve() is None
    assert not left(op)[0]


@told
async def test_a_class_waits_for_a_role_that_its_identity_is_taking_away() -> None:
    op = await ready()
    op.delete_class()
    held = Held(op.vault, "write", "identity/lookup")
    held.fails = DOWN
    own = asyncio.create_task(op.turn())
    await held.is_there.wait()
    assert await op.serve() is not None
    assert CLASS in op.api.objects
    held.go.set()
    await own
    assert await op.serve() is None
    assert left(op) == (False, False)


@told
async def test_what_a_class_has_swept_its_identity_does_not_make_anew() -> None:
    op = await ready()
    op.delete_class()
    binding = Held(op.api, "delete", "/rolebindings/")
    own = asyncio.create_task(op.turn())
    await binding.is_there.wait()
    held = Held(op.vault, "keys", "sys/policies/acl")
    leaving = asyncio.create_task(op.serve())
    await held.is_there.wait()
    assert left(op) == (False, False)
    op.quiet()
    binding.go.set()
    await own
    assert not op.touched("WRITE auth", "DELETE auth")
    held.go.set()
    assert await leaving is None


@told
async def test_a_class_waits_for_a_role_that_is_being_written() -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    held = Held(op.vault, "write", op.role_of("agent"))
    own = asyncio.create_task(op.turn())
    await held.is_there.wait()
    op.delete_class()
    assert await op.serve() is not None
    assert CLASS in op.api.objects
    held.go.set()
    await own
    assert await op.serve() is None
    assert left(op) == (False, False)


@told
async def test_a_class_waits_for_what_came_to_be_owed_while_it_was_left() -> None:
    """Though another class is at the same Vault: it is owed where this one reaches it."""
    op = TwoAddresses()
    op.deadline = -1
    held = Held(op.vault, "keys", "sys/policies/acl", armed=False)
    op.restart()
    await op.both_ready()
    op.delete("helper")
    op.delete_class(OTHER)
    held.armed = True
    leaving = asyncio.create_task(op.serve_other())
    await held.is_there.wait()
    op.vault.broken["WRITE auth"] = AT_ITS_LIMIT
    assert await op.turn("helper") is None
    op.vault.broken.clear()
    held.go.set()
    assert await leaving is not None
    assert OTHER in op.api.objects
    assert await op.serve_other() is None
    assert OTHER not in op.api.objects
    assert HELPER not in op.vault.stored


@pytest.mark.parametrize("by", ["sweep", "debt"])
@told
async def test_a_role_is_not_written_while_it_is_being_taken_away(by: str) -> None:
    op = Operator()
    await op.serve()
    role = op.role_of("agent")
    op.vault.stored[role] = {"token_policies": ["old"]}
    if by == "debt":
        await op.ledger.record([Debt("uid-of-a-former-one", HOME, "agents", "agent")])
        op.vault.broken[f"GET {role}"] = DOWN
    held = Held(op.vault, "delete", role)
    serving = asyncio.create_task(op.serve())
    await held.is_there.wait()
    op.identity(**FULL)
    problem = await op.turn()
    assert problem is not None
    held.go.set()
    await serving
    op.vault.broken.clear()
    assert await op.turn() is None
    assert role in op.vault.stored


# --- a Vault that was not listed yet


def unlisted(op: Operator, why: str) -> None:
    """From the next start on."""
    reasons = {"down": DOWN, "busy": AT_ITS_LIMIT, "list refused": REFUSED}
    op.vault.broken[LIST if why == "list refused" else "GET sys/auth"] = reasons[why]


@pytest.mark.parametrize("why", ["down", "busy", "list refused"])
@told
async def test_a_right_at_a_vault_not_listed_yet_is_not_called_gone(why: str) -> None:
    op = await ready()
    op.identity(rbac=FULL["rbac"])
    unlisted(op, why)
    op.start_anew()
    await op.serve()
    assert await op.turn() is not None
    op.vault.broken.clear()
    await op.serve()
    assert await op.turn() is None
    assert left(op) == (False, False)


@pytest.mark.parametrize("why", ["down", "busy", "list refused"])
@told
async def test_a_deletion_waits_for_a_vault_not_listed_yet(why: str) -> None:
    op = await ready()
    op.identity(rbac=FULL["rbac"])
    op.delete()
    unlisted(op, why)
    op.start_anew()
    await op.serve()
    await op.turn()
    assert op.path_of("agent") in op.api.objects
    op.vault.broken.clear()
    await op.serve()
    assert await op.turn() is None
    assert left(op) == (False, False)


@told
async def test_while_the_first_list_is_under_way_no_role_is_written() -> None:
    op = await ready()
    op.identity(**TEAM)
    op.start_anew()
    held = Held(op.vault, "keys", "/role")
    serving = asyncio.create_task(op.serve())
    await held.is_there.wait()
    await op.turn()
    held.go.set()
    assert await serving is None
    assert await op.turn() is None
    assert left(op) == (True, False)


@told
async def test_of_two_classes_that_list_a_place_first_both_have_the_same() -> None:
    op = TwoAddresses()
    await op.both_ready()
    held = Held(op.vault, "keys", "/role")
    op.start_anew()
    first = asyncio.create_task(op.serve())
    await held.is_there.wait()
    assert await op.serve_other() is None
    held.go.set()
    assert await first is None
    op.quiet()
    op.delete()
    assert await op.turn() is None
    assert op.touched("DELETE auth") == [f"DELETE {AGENT}"]


# --- what others took out of a role


@told
async def test_what_somebody_took_out_of_a_role_its_tokens_lose_with_the_spec() -> None:
    op = await ready()
    op.vault.stored[op.role_of("agent")]["token_policies"] = ["team-x"]
    op.identity(**TEAM)
    assert await op.turn() is None
    assert left(op) == (True, False)
    op.quiet()
    assert await op.turn() is None
    assert op.vault.calls == [f"GET {op.role_of('agent')}"]


@told
async def test_at_its_deadline_it_is_tried_though_no_status_can_be_written() -> None:
    op = Operator(deadline=0.1)
    await op.ready()
    op.vault.broken[""] = DOWN
    op.api.broken["PATCH"] = DOWN
    op.delete()
    await op.turn()
    await op.drain()
    assert await op.turn() is not None
    assert await asyncio.wait_for(op.queue.get(), 2) == Key("agents", "agent")
