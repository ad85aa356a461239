"""What becomes of a campaign when one of its groups breaks off."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from faults.unseen import campaign
from faults.unseen.campaign import Group
from faults.unseen.tally import Report, Tally

BAD, FIRST, LAST = ("bad/done", "bad/left"), ("first/a",), ("last/a",)
BROKE_OFF = "the group broke off: KeyError: 'w00001'"


class Grounds:
    """made: how many there were. cursed: which of them ends badly. most: so many can be made."""

    def __init__(self, *, cursed: int = 0, most: int = 9) -> None:
        self.made = 0
        self._cursed = cursed
        self._most = most

    @asynccontextmanager
    async def __call__(self, tally: Tally, report: Report) -> AsyncIterator[Any]:
        if self.made == self._most:
            raise OSError("no binaries")
        self.made += 1
        yield Here(tally)
        if self.made == self._cursed:
            raise OSError("there is nothing to stop")


class Here:
    def __init__(self, tally: Tally) -> None:
        self.tally = tally


async def _all_well(here: Any, ids: Sequence[str]) -> None:
    for case in ids:
        here.tally.end(case, [])


async def _breaks_off(here: Any, ids: Sequence[str]) -> None:
    here.tally.end(ids[0], [])
    raise KeyError("w00001")


GROUPS: Mapping[str, Group] = {
    "first": Group(FIRST, _all_well),
    "bad": Group(BAD, _breaks_off),
    "last": Group(LAST, _all_well),
}


def run(
    monkeypatch: pytest.MonkeyPatch, grounds: Any, groups: Mapping[str, Group] = GROUPS
) -> Tally:
    monkeypatch.setattr(campaign, "GROUPS", groups)
    monkeypatch.setattr(campaign, "IDS", tuple(c for g in groups.values() for c in g.ids))
    monkeypatch.setattr(campaign, "ground", grounds)
    return asyncio.run(campaign.run(lambda _: None))


def test_a_group_that_breaks_off_fails_and_the_next_has_another_ground(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grounds = Grounds()
    tally = run(monkeypatch, grounds)
    assert tally.failed == {"bad": [BROKE_OFF], "bad/left": [BROKE_OFF]}
    assert tally.ended == {*FIRST, *BAD, *LAST}
    assert grounds.made == 2
    assert not tally.good


def test_what_a_group_left_may_end_badly_too(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = run(monkeypatch, Grounds(cursed=1))
    assert tally.failed["ground"] == ["OSError: there is nothing to stop"]
    assert tally.ended == {*FIRST, *BAD, *LAST}


def test_a_group_that_breaks_off_after_its_last_case_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def at_rest(here: Any, ids: Sequence[str]) -> None:
        await _all_well(here, ids)
        raise TimeoutError("no resyncs")

    tally = run(monkeypatch, Grounds(), {"bad": Group(BAD, at_rest)})
    assert tally.failed == {"bad": ["the group broke off: TimeoutError: no resyncs"]}


def test_where_none_breaks_off_there_is_one_ground(monkeypatch: pytest.MonkeyPatch) -> None:
    grounds = Grounds()
    assert run(monkeypatch, grounds, {k: GROUPS[k] for k in ("first", "last")}).good
    assert grounds.made == 1


def test_without_another_ground_what_was_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = run(monkeypatch, Grounds(most=1))
    assert tally.ended == {*FIRST, *BAD, *LAST}
    assert tally.failed["ground"] == ["OSError: no binaries"]
    assert tally.failed["last/a"] == ["no ground: OSError: no binaries"]
    assert "first/a" not in tally.failed
