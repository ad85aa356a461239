"""What each policy makes of the lines of a watch."""

import asyncio
import json
from contextlib import suppress

import pytest
from aiohttp.test_utils import make_mocked_request

from faults.watches import (
    Breaking,
    CloseWatch,
    Closing,
    Doubled,
    Frozen,
    Hiding,
    Noting,
    Once,
    OnlyBookmarks,
    Passing,
    Reordered,
    Stalled,
    WatchPolicy,
    error_event,
    half,
)

IDENTITIES = "/apis/agentidentity.dev/v1alpha1/agentidentities"
PODS = "/api/v1/pods"


def event(revision: int, name: str = "agent", kind: str = "MODIFIED") -> bytes:
    metadata = {"namespace": "team", "name": name, "resourceVersion": str(revision)}
    return json.dumps({"type": kind, "object": {"metadata": metadata}}).encode() + b"\n"


def bookmark(revision: int) -> bytes:
    metadata = {"resourceVersion": str(revision)}
    return json.dumps({"type": "BOOKMARK", "object": {"metadata": metadata}}).encode() + b"\n"


def shown(policy: WatchPolicy, *lines: bytes, path: str = IDENTITIES) -> list[bytes]:
    """All that is shown of these lines, one after the other."""

    async def all_of_them() -> list[bytes]:
        return [part for line in lines for part in await policy.shown(path, line)]

    return asyncio.run(all_of_them())


def asked(policy: WatchPolicy, path: str) -> str:
    return policy.asked(make_mocked_request("GET", path))


def is_held(policy: WatchPolicy, line: bytes, path: str = IDENTITIES) -> bool:
    async def waits() -> bool:
        try:
            async with asyncio.timeout(0.01):
                await policy.shown(path, line)
        except TimeoutError:
            return True
        return False

    return asyncio.run(waits())


@pytest.mark.parametrize("policy", [Passing(), Frozen(99), Hiding(lambda _, __: False)])
def test_what_does_nothing_passes_on_each_line_and_no_empty_one(policy: WatchPolicy) -> None:
    assert shown(policy, event(1), b"", bookmark(2)) == [event(1), bookmark(2)]


def test_a_frozen_view_holds_what_is_newer_and_bookmarks_too() -> None:
    assert shown(Frozen(5), event(5)) == [event(5)]
    assert is_held(Frozen(5), event(6))
    assert is_held(Frozen(5), bookmark(6))


def test_a_frozen_view_is_of_what_it_concerns() -> None:
    view = Frozen(5, lambda path: path == PODS)
    assert shown(view, event(6)) == [event(6)]
    assert is_held(view, event(6), path=PODS)


def test_a_frozen_view_lists_what_was_there() -> None:
    at = asked(Frozen(5), f"{IDENTITIES}?limit=500")
    assert at == f"{IDENTITIES}?limit=500&resourceVersion=5&resourceVersionMatch=Exact"


@pytest.mark.parametrize(
    "path",
    [
        f"{IDENTITIES}?watch=1&resourceVersion=4",
        f"{IDENTITIES}?limit=500&continue=abc",
        "/apis/agentidentity.dev/v1alpha1/namespaces/team/agentidentities/agent",
        "/api/v1/configmaps",
    ],
)
def test_a_frozen_view_leaves_other_requests_alone(path: str) -> None:
    assert not asked(Frozen(5), path)


def test_once_thawed_everything_is_shown_and_lists_are_live() -> None:
    view = Frozen(5)
    view.thaw()
    assert shown(view, event(6), event(7)) == [event(6), event(7)]
    assert not asked(view, IDENTITIES)


def test_what_is_hidden_is_never_shown() -> None:
    policy = Hiding(lambda _, body: body["metadata"]["name"] == "hidden")
    lines = (event(1), event(2, "hidden"), bookmark(3))
    assert shown(policy, *lines) == [event(1), bookmark(3)]


def test_everything_is_told_twice() -> None:
    assert shown(Doubled(), event(1), b"") == [event(1), event(1)]


def test_a_watch_ends_after_each_event() -> None:
    with pytest.raises(CloseWatch) as end:
        shown(Closing(), event(1))
    assert end.value.last == event(1)
    assert not end.value.rudely


def test_an_event_breaks_the_watch_once_and_is_shown_when_it_comes_again() -> None:
    policy = Breaking(half, rudely=True)
    with pytest.raises(CloseWatch) as end:
        shown(policy, event(1))
    assert end.value.rudely
    assert event(1).startswith(end.value.last)
    assert shown(policy, event(1)) == [event(1)]


def test_something_else_is_told_once_for_each_watch() -> None:
    instead = error_event(410, "Expired")
    policy = Once(instead, lambda path: path == IDENTITIES, ends=True)
    assert shown(policy, event(1), path=PODS) == [event(1)]
    with pytest.raises(CloseWatch) as end:
        shown(policy, event(1))
    assert json.loads(end.value.last)["object"]["code"] == 410
    assert shown(policy, event(1)) == [event(1)]
    assert policy.met == {IDENTITIES}


def test_garbage_comes_before_the_event() -> None:
    policy = Once(b"{\n", lambda _: True, ends=False)
    assert shown(policy, event(1)) == [b"{\n", event(1)]


def test_events_of_two_objects_change_places() -> None:
    assert shown(Reordered(), event(1, "a"), event(2, "b")) == [event(2, "b"), event(1, "a")]


def test_events_of_one_object_keep_their_order() -> None:
    assert shown(Reordered(), event(1), event(2), b"") == [event(1), event(2)]


def test_nothing_that_is_kept_back_is_lost() -> None:
    assert shown(Reordered(), event(1), b"") == [event(1)]
    assert shown(Reordered(), event(1), bookmark(2)) == [event(1), bookmark(2)]


def test_there_are_bookmarks_of_what_was_before_until_it_is_over() -> None:
    policy = OnlyBookmarks()
    [told] = shown(policy, event(5))
    assert json.loads(told)["type"] == "BOOKMARK"
    assert json.loads(told)["object"]["metadata"]["resourceVersion"] == "4"
    policy.end()
    assert shown(policy, b"", event(6)) == [event(5), event(6)]


def test_a_watch_that_begins_anew_is_not_told_twice_after_bookmarks() -> None:
    policy = OnlyBookmarks()
    shown(policy, event(5))
    asked(policy, f"{IDENTITIES}?watch=1&resourceVersion=4")
    policy.end()
    assert shown(policy, event(5)) == [event(5)]


def test_a_watch_that_stalls_says_nothing_until_it_is_opened_anew() -> None:
    policy = Stalled()
    assert is_held(policy, event(1))
    assert is_held(policy, b"")
    asked(policy, f"{IDENTITIES}?watch=1&resourceVersion=1")
    assert shown(policy, event(1)) == [event(1)]


def noting(policy: WatchPolicy, *lines: bytes) -> bool:
    """Whether it says that the policy has done anything to these."""
    note = Noting(policy)
    with suppress(CloseWatch):
        shown(note, *lines)
    return note.met


@pytest.mark.parametrize(
    "policy",
    [
        Closing(),
        Breaking(half, rudely=True),
        Doubled(),
        Reordered(),
        OnlyBookmarks(),
        Hiding(lambda _, __: True),
        Once(error_event(410, "Expired"), lambda _: True, ends=True),
        Once(b"{}\n", lambda _: True, ends=False),
    ],
    ids=lambda policy: type(policy).__name__,
)
def test_what_is_done_to_an_event_is_noted(policy: WatchPolicy) -> None:
    assert not noting(Passing(), event(1))
    assert noting(policy, event(1), event(2, "other"))


def test_a_policy_that_met_nothing_is_not_said_to_have() -> None:
    assert not noting(Frozen(99), event(1), bookmark(2))
    assert not noting(Hiding(lambda _, __: False), event(1))
    assert not noting(Once(b"{}\n", lambda path: path == PODS, ends=False), event(1))
    assert not noting(Doubled(), b"")


def test_what_is_held_is_noted_while_it_is_held() -> None:
    note = Noting(Frozen(1))
    assert is_held(note, event(2))
    assert note.met


def test_a_view_that_is_live_again_holds_nothing() -> None:
    policy = Frozen(1)
    policy.thaw()
    assert not noting(policy, event(2))
