"""Which of kopf's watchers are missed: on the API server in memory, and tasks with their names."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from test_memory_guards import MemoryApi, told
from yarl import URL

from agent_identity import watchers
from agent_identity.api.conditions import Reason
from agent_identity.core.errors import Failed
from agent_identity.watchers import Watchers

GROUP = "/apis/agentidentity.dev/v1alpha1"
CLASSES = "agentidentityclasses"
OTHERS = ("agentidentities", "agentaccessgrants")
KINDS = (*OTHERS, CLASSES)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "_LOOK_SECONDS", 0.01)


class Kopf:
    """It watches what it found to be served, as it does at its start."""

    def __init__(self, found: Iterable[str]) -> None:
        self._tasks = {
            plural: asyncio.create_task(
                asyncio.Event().wait(), name=f"watcher for {plural}.v1alpha1.agentidentity.dev@None"
            )
            for plural in found
        }

    async def end(self, plural: str) -> None:
        self._tasks[plural].cancel()
        await asyncio.wait([self._tasks[plural]])


def serve(api: MemoryApi, *plurals: str) -> None:
    """The group is gone with its last kind."""
    api.objects.pop(GROUP, None)
    if plurals:
        names = [n for plural in plurals for n in (plural, f"{plural}/status")]
        resources = [{"name": name} for name in names]
        api.put(GROUP, {"metadata": {"name": "-"}, "resources": resources})


class Look:
    """Who looks, for a while."""

    def __init__(self, api: MemoryApi, kopf: Kopf | None = None) -> None:
        self.kopf = kopf
        self.watchers = Watchers()
        self._until = asyncio.create_task(self.watchers.until_one_is_missing(api.kube))

    async def ends(self) -> bool:
        done, _ = await asyncio.wait([self._until], timeout=0.1)
        return bool(done)


@told
async def test_while_all_are_there_nobody_is_asked() -> None:
    api = MemoryApi()
    look = Look(api, Kopf(KINDS))
    assert not await look.ends()
    assert not look.watchers.missing()
    assert api.calls == []


@told
async def test_before_kopf_has_begun_nothing_has_ended() -> None:
    api = MemoryApi()
    serve(api, *KINDS)
    look = Look(api)
    assert not await look.ends()
    assert look.watchers.missing()
    look.kopf = Kopf(KINDS)
    assert not await look.ends()
    assert not look.watchers.missing()


@pytest.mark.parametrize("served", [OTHERS, ()], ids=["one kind", "all kinds"])
@told
async def test_a_kind_that_is_not_served_is_not_missed(served: tuple[str, ...]) -> None:
    api = MemoryApi()
    serve(api, *served)
    look = Look(api, Kopf(served))
    assert not await look.ends()
    assert not look.watchers.missing()


@told
async def test_a_kind_that_is_back_is_missed() -> None:
    api = MemoryApi()
    serve(api, *OTHERS)
    look = Look(api, Kopf(OTHERS))
    assert not await look.ends()
    serve(api, *KINDS)
    assert await look.ends()
    assert look.watchers.missing()


@pytest.mark.parametrize("served", [KINDS, OTHERS], ids=["all kinds", "without one kind"])
@told
async def test_a_watcher_that_ends_is_missed(served: tuple[str, ...]) -> None:
    api = MemoryApi()
    serve(api, *served)
    kopf = Kopf(served)
    look = Look(api, kopf)
    assert not await look.ends()
    await kopf.end("agentidentities")
    assert await look.ends()


@told
async def test_while_nobody_answers_what_was_known_stands() -> None:
    api = MemoryApi()
    serve(api, *OTHERS)
    look = Look(api, Kopf(OTHERS))
    assert not await look.ends()
    api.broken["GET"] = Failed(Reason.UNREACHABLE, "no answer")
    assert not await look.ends()
    assert not look.watchers.missing()


@pytest.mark.parametrize(
    ("url", "status", "noted"),
    [
        (f"{GROUP}/{CLASSES}?limit=100", 200, True),
        (f"{GROUP}/{CLASSES}?limit=100", 403, False),
        (f"{GROUP}/{CLASSES}?watch=true&resourceVersion=1", 200, False),
        (GROUP, 200, False),
    ],
)
@told
async def test_that_kopf_has_listed_one_of_our_kinds_is_noted(
    url: str, status: int, *, noted: bool
) -> None:
    told_of: list[bool] = []
    answer: Any = SimpleNamespace(ok=status < 400)

    async def handler(_: object) -> Any:
        return answer

    note = watchers.noting_lists(lambda: told_of.append(True))
    request: Any = SimpleNamespace(url=URL(f"https://server{url}"))
    assert await note(request, handler) is answer
    assert told_of == [True] * noted
