"""What the campaign over all fields makes of stands that do not come up."""

import asyncio
from typing import Any, cast

import pytest

from faults.fields import campaign
from faults.fields.campaign import Campaign, NotAlike
from faults.fields.seeds import SEEDS
from faults.fields.stand import Stand

KNOWN, BUILT = object(), object()


class Builder(Campaign):
    """Whose first pairs end so."""

    def __init__(self, *ends: Exception) -> None:
        super().__init__(cast("Any", None), report=lambda _: None)
        self._ends = list(ends)

    async def _build(self, seed: object, known: object) -> Any:
        if self._ends:
            raise self._ends.pop(0)
        return BUILT, KNOWN

    def pair(self) -> object:
        return asyncio.run(self._pair(SEEDS[0]))


def test_a_stand_unlike_the_others_of_its_seed_is_a_failure_though_the_next_one_is_like_them() -> (
    None
):
    builder = Builder(NotAlike("missing: RoleBinding"))
    assert builder.pair() is BUILT
    assert ["missing: RoleBinding" in line for line in builder.results.general] == [True]


@pytest.mark.parametrize("error", [RuntimeError("not settled"), TimeoutError("too late")])
def test_a_stand_that_is_slow_to_come_up_is_none(error: Exception) -> None:
    builder = Builder(error)
    assert builder.pair() is BUILT
    assert builder.results.general == []


class Other(Stand):
    """One that comes up with something that no other one has."""

    async def until_state(self, wanted: Any, seconds: float = 0) -> Any:
        return {**wanted, "RoleBinding/SCENE/more": "{}"}


def test_what_is_too_much_makes_a_stand_unlike_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_stand: Stand) -> None:
        return

    class Ground:
        def scene_name(self) -> str:
            return "w00001"

    monkeypatch.setattr(Other, "set_up", nothing)
    monkeypatch.setattr(campaign, "Stand", Other)
    known = campaign._Known({}, {})  # noqa: SLF001  what the first pair says of all others
    pair = campaign._Pair(cast("Any", Ground()), SEEDS[0], known)  # noqa: SLF001
    with pytest.raises(NotAlike, match="RoleBinding/SCENE/more"):
        asyncio.run(pair.build())
