"""How clients are put together: what they share, and what each has of its own."""

import asyncio
from pathlib import Path
from typing import Any, Self, cast

import pytest

from agent_identity.api.conditions import Reason
from agent_identity.clients import limits
from agent_identity.clients.token_file import TokenFile
from agent_identity.clients.vault import Vault
from agent_identity.core.errors import Failed
from agent_identity.wiring import vault_clients
from samples import class_of

ELSEWHERE = "https://another.example:8200"


class Hanging:
    """A session whose requests are never answered."""

    def request(self, *_: Any, **__: Any) -> Self:
        return self

    async def __aenter__(self) -> Self:
        await asyncio.Event().wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        return


async def busy(vault: Vault) -> bool:
    """Whether a call is sent away at once; else it hangs."""
    try:
        async with asyncio.timeout(0.1):
            await vault.read("sys/health")
    except Failed as failure:
        return failure.reason is Reason.BUSY
    except TimeoutError:
        return False
    raise AssertionError("nobody answers here")


def test_all_classes_of_one_vault_share_its_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_PATIENCE", 0.02)
    (tmp_path / "token").write_text("jwt")
    jwt, spec = TokenFile(tmp_path / "token"), class_of().vault
    assert spec is not None

    async def story() -> None:
        connect = vault_clients(cast("Any", Hanging()), jwt, limit=2, patience=60)
        classes = [connect(spec) for _ in range(3)]
        calls = [asyncio.create_task(one.read("sys/health")) for one in classes[:2]]
        await asyncio.sleep(0)
        assert await busy(classes[2])
        assert not await busy(connect(spec.model_copy(update={"address": ELSEWHERE})))
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(story())
