"""A gate keeps a dead backend from taking everybody's time, and opens again by itself."""

import asyncio

import pytest

from agent_identity.api.conditions import Reason
from agent_identity.clients import limits
from agent_identity.clients.limits import Gate
from agent_identity.core.errors import Failed


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_FIRST_PAUSE", 0.02)
    monkeypatch.setattr(limits, "_PATIENCE", 0.02)


async def fail(gate: Gate, reason: Reason = Reason.UNREACHABLE) -> None:
    with pytest.raises(Failed):
        async with gate.enter():
            raise Failed(reason, "no answer")


async def reaches(gate: Gate) -> bool:
    try:
        async with gate.enter():
            return True
    except Failed:
        return False


def test_after_trouble_everybody_is_told_at_once_and_then_one_tries() -> None:
    async def story() -> None:
        gate = Gate("Vault", slots=asyncio.Semaphore(2))
        await fail(gate)
        assert not await reaches(gate)
        await asyncio.sleep(0.03)
        assert await reaches(gate)
        assert await reaches(gate)

    asyncio.run(story())


def test_being_told_does_not_keep_the_gate_shut() -> None:
    async def story() -> None:
        gate = Gate("Vault", slots=asyncio.Semaphore(2))
        await fail(gate)
        for _ in range(20):
            await reaches(gate)
        await asyncio.sleep(0.05)
        assert await reaches(gate)

    asyncio.run(story())


def test_a_refusal_of_one_request_does_not_shut_it() -> None:
    async def story() -> None:
        gate = Gate("Vault", slots=asyncio.Semaphore(2))
        await fail(gate, Reason.FORBIDDEN)
        assert await reaches(gate)

    asyncio.run(story())


def test_beyond_its_limit_it_is_busy_and_nobody_waits_for_long() -> None:
    async def story() -> None:
        gate = Gate("Vault", slots=asyncio.Semaphore(1))
        async with gate.enter():
            with pytest.raises(Failed) as told:
                async with gate.enter():
                    pass
        assert told.value.reason is Reason.BUSY
        assert await reaches(gate)

    asyncio.run(story())
