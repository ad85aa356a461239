"""Which replica leads: on the API server in memory, with clocks that the tests set."""

import asyncio
from typing import Any

import pytest
from test_memory_guards import Json, MemoryApi, told

from agent_identity.api.conditions import Reason
from agent_identity.clients.lease import Fence
from agent_identity.core.errors import Failed
from agent_identity.reconcile.lease import Election, LeaseLost, Periods, Rival, holder_name

FOLDER = "/apis/coordination.k8s.io/v1/namespaces/ours/leases"
PATH = f"{FOLDER}/agent-identity-operator"
LEASE = 1
DOWN = Failed(Reason.UNREACHABLE, "no answer")
OTHER: Json = {"holderIdentity": "other", "leaseDurationSeconds": 15, "renewTime": "1"}


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class Replica:
    """One who stands. Its clock is the fence's, and counts how old another's Lease is."""

    def __init__(self, api: MemoryApi, name: str = "one", clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.fence = Fence(self.clock)
        self.election = Election(
            api.kube,
            self.fence,
            namespace="ours",
            holder=name,
            periods=Periods(LEASE),
            clock=self.clock,
        )

    async def leads_soon(self) -> bool:
        try:
            await asyncio.wait_for(self.election.acquire(), 0.05)
        except TimeoutError:
            return False
        return True


def held(api: MemoryApi, **spec: Any) -> Json:
    """Somebody writes the Lease."""
    metadata = {"name": "agent-identity-operator", "namespace": "ours"}
    return api.put(PATH, {"metadata": metadata, "spec": OTHER | spec})


def spec_of(api: MemoryApi) -> Json:
    spec: Json = api.objects[PATH]["spec"]
    return spec


# --- how old another's Lease is


def test_a_lease_that_does_not_change_is_over_when_its_time_is() -> None:
    clock = Clock()
    rival = Rival(clock)
    rival.see(OTHER)
    clock.time += 14.9
    rival.see(OTHER)
    assert rival.seconds_left == pytest.approx(0.1)
    clock.time += 0.1
    assert rival.seconds_left <= 0


def test_each_change_counts_from_when_it_was_seen_whatever_time_it_tells() -> None:
    clock = Clock()
    rival = Rival(clock)
    for stamp in ("2126-01-01", "1926-01-01"):
        clock.time += 14
        rival.see(OTHER | {"renewTime": stamp})
        assert rival.seconds_left == 15


def test_one_that_nobody_holds_is_free_at_once() -> None:
    rival = Rival(Clock())
    assert rival.seconds_left <= 0
    rival.see(OTHER)
    rival.see(OTHER | {"holderIdentity": ""})
    assert rival.seconds_left <= 0


def test_the_periods_are_those_of_client_go() -> None:
    periods = Periods(15)
    assert (periods.renew, periods.write) == (10, 5)
    retries = [periods.retry() for _ in range(1000)]
    assert 1.6 <= min(retries) < 1.8
    assert 2.2 < max(retries) <= 2.4


def test_no_two_processes_have_one_name() -> None:
    assert holder_name("pod") != holder_name("pod")
    assert holder_name("pod").startswith("pod_")


# --- to get it


@told
async def test_one_that_is_not_there_is_made_and_the_fence_opens() -> None:
    api = MemoryApi()
    one = Replica(api)
    assert await one.leads_soon()
    assert api.changes() == [f"POST {PATH}"]
    assert spec_of(api)["holderIdentity"] == "one"
    assert spec_of(api)["leaseTransitions"] == 0
    assert one.fence.seconds_left == pytest.approx(LEASE * 2 / 3)


@told
async def test_anothers_is_left_alone_until_it_is_over() -> None:
    api = MemoryApi()
    held(api, leaseTransitions=7)
    one = Replica(api)
    assert not await one.leads_soon()
    assert api.changes() == []
    assert not one.fence.holds()
    one.clock.time += 15
    assert await one.leads_soon()
    assert spec_of(api)["holderIdentity"] == "one"
    assert spec_of(api)["leaseTransitions"] == 8


@told
async def test_of_several_who_try_at_once_one_succeeds() -> None:
    api = MemoryApi()
    held(api, holderIdentity="")
    plain = api.get

    async def slow(path: str) -> Json:
        there = await plain(path)
        await asyncio.sleep(0.01)
        return there

    api.get = slow  # type: ignore[method-assign]
    clock = Clock()
    replicas = [Replica(api, name, clock) for name in ("one", "two", "three")]
    led = await asyncio.gather(*(r.leads_soon() for r in replicas))
    assert sorted(led) == [False, False, True]
    assert [r.fence.holds() for r in replicas] == led


@told
async def test_one_that_was_renewed_after_the_look_is_not_taken() -> None:
    api = MemoryApi()
    held(api)
    one = Replica(api)
    assert not await one.leads_soon()
    one.clock.time += 15
    plain = api.replace

    async def late(path: str, body: Json) -> Json:
        held(api, renewTime="2")
        return await plain(path, body)

    api.replace = late  # type: ignore[method-assign,assignment]
    assert not await one.leads_soon()
    assert spec_of(api)["holderIdentity"] == "other"


@told
async def test_one_that_was_deleted_is_not_over_before_its_time() -> None:
    api = MemoryApi()
    held(api)
    one = Replica(api)
    assert not await one.leads_soon()
    del api.objects[PATH]
    assert not await one.leads_soon()
    one.clock.time += 15
    assert await one.leads_soon()


@told
async def test_one_of_ours_whose_answer_was_lost_is_not_waited_for() -> None:
    api = MemoryApi()
    held(api, holderIdentity="one")
    assert await Replica(api).leads_soon()


@told
async def test_an_api_server_that_is_away_is_waited_for() -> None:
    api = MemoryApi()
    api.broken[""] = DOWN
    one = Replica(api)
    assert not await one.leads_soon()
    api.broken.clear()
    assert await one.leads_soon()


# --- to keep it


async def leading(api: MemoryApi) -> Replica:
    one = Replica(api)
    assert await one.leads_soon()
    return one


@told
async def test_each_renewal_that_succeeds_counts_from_its_start() -> None:
    api = MemoryApi()
    one = await leading(api)
    plain = api.replace

    async def slow(path: str, body: Json) -> Json:
        one.clock.time += 0.25
        return await plain(path, body)

    api.replace = slow  # type: ignore[method-assign,assignment]
    keep = asyncio.create_task(one.election.keep())
    await asyncio.sleep(0.18)
    assert one.fence.seconds_left == pytest.approx(LEASE * 2 / 3 - 0.25)
    keep.cancel()


@told
async def test_one_that_cannot_be_renewed_in_time_is_lost() -> None:
    api = MemoryApi()
    one = await leading(api)
    api.broken["PUT"] = DOWN
    keep = asyncio.create_task(one.election.keep())
    await asyncio.sleep(0.3)
    assert not keep.done()
    one.clock.time += LEASE * 2 / 3
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(keep, 0.3)


@told
async def test_one_that_slept_too_long_does_not_even_try_to_renew() -> None:
    api = MemoryApi()
    one = await leading(api)
    api.calls.clear()
    one.clock.time += 3600
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(one.election.keep(), 0.3)
    assert api.calls == []


@told
async def test_one_that_another_has_is_lost_at_once() -> None:
    api = MemoryApi()
    one = await leading(api)
    held(api)
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(one.election.keep(), 0.3)


@told
async def test_somebodys_label_on_it_is_no_loss() -> None:
    api = MemoryApi()
    one = await leading(api)
    api.put(PATH, api.objects[PATH])
    keep = asyncio.create_task(one.election.keep())
    await asyncio.sleep(0.3)
    assert not keep.done()
    assert one.fence.holds()
    keep.cancel()


# --- to give it back


@told
async def test_given_back_it_is_free_at_once() -> None:
    api = MemoryApi()
    one = await leading(api)
    other = Replica(api, "other")
    assert not await other.leads_soon()
    await one.election.release()
    assert (spec_of(api)["holderIdentity"], spec_of(api)["leaseDurationSeconds"]) == ("", 1)
    assert await other.leads_soon()
    assert spec_of(api)["leaseTransitions"] == 1


@told
async def test_one_that_another_has_is_not_given_away() -> None:
    api = MemoryApi()
    one = await leading(api)
    held(api)
    await one.election.release()
    assert spec_of(api)["holderIdentity"] == "other"
