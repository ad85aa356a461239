"""A run is judged by what there is when nothing that was asked for is under way any more."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from faults import play
from faults.exchange import Call
from faults.oracles import Course, End
from faults.request_log import RequestLog
from faults.scene import Scene
from faults.workloads import Workload

NAME = "w00001"
ROLE = Call("vault", "POST", f"/v1/auth/kubernetes/role/test_{NAME}_agent")
AS_IT_SHOULD_BE, LATE = {"role": "narrow"}, {"role": "wide"}


class Place:
    """A scene without servers: in its Vault is what the test says."""

    def __init__(self) -> None:
        self.name, self.home, self.token = NAME, NAME, ""
        self.names = {NAME: "SCENE"}
        self.vault = AS_IT_SHOULD_BE
        self.stage = SimpleNamespace(recorder=self)

    def changes(self, scene: str) -> list[Any]:
        return []

    def state(self) -> dict[str, str]:
        return {}

    def settled(self) -> bool:
        return True

    async def vault_state(self) -> dict[str, str]:
        return self.vault

    async def vault_roles(self) -> dict[str, Any]:
        return {}


class Told(play.Faults):
    """Tells when all was as it should be for the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.looked = asyncio.Event()

    def disarm(self, scene: Scene) -> None:
        super().disarm(scene)
        self.looked.set()


def test_what_was_given_up_is_carried_out_before_it_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(play, "RECOVERY_SECONDS", 0.0)
    end = asyncio.run(end_with_a_late_write())
    assert end.vault == LATE


async def end_with_a_late_write() -> End:
    place, log, faults = Place(), RequestLog(), Told()

    async def nothing(_: Scene) -> None:
        pass

    async def act(_: Scene) -> None:
        log.begin(ROLE, b"{}")

    workload = Workload("late", "a write is held on its way", nothing, act, bystander=False)
    player = play.Player(cast("Scene", place), workload, log, faults)
    rest = End({}, AS_IT_SHOULD_BE)
    playing = asyncio.create_task(player.play(reference=Course(rest, rest)))
    await faults.looked.wait()
    place.vault = LATE
    [held] = log.of(NAME)
    held.over = True
    run, _ = await playing
    return run.end
