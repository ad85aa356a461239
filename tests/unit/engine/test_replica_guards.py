"""How a replica that leads ends: on the API server in memory, without kopf and HTTP."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from test_memory_guards import Json, MemoryApi, told

from agent_identity.reconcile.lease import Election, Periods
from agent_identity.replica import Replica
from agent_identity.settings import read_settings

LEASE = "/apis/coordination.k8s.io/v1/namespaces/ours/leases/agent-identity-operator"
ENVIRONMENT = {
    "AGENT_IDENTITY_CLUSTER_NAME": "prod",
    "AGENT_IDENTITY_TRUST_DOMAIN": "cluster.local",
    "AGENT_IDENTITY_KUBE_SERVER": "https://kube.example",
    "AGENT_IDENTITY_LEASE_SECONDS": "1",
    "AGENT_IDENTITY_GRACE_SECONDS": "0",
}


class Hanging:
    """An engine whose work does not come to its end."""

    async def finish(self, _seconds: float) -> bool:
        return False


class Leader(Replica):
    """One that has the Lease."""

    def __init__(self, api: MemoryApi) -> None:
        super().__init__(read_settings(ENVIRONMENT))
        self._election = Election(
            api.kube, self._fence, namespace="ours", holder="one", periods=Periods(1)
        )

    async def lead(self) -> None:
        assert self._election
        await self._election.acquire()
        self.keeping = asyncio.create_task(self._keep())

    async def end(self) -> None:
        await self._end(cast("Any", Hanging()), self.keeping)

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._fence.passing("PUT"):
            yield


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The codes with which the process would have ended on the spot."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


def holder(api: MemoryApi) -> Any:
    spec: Json = api.objects[LEASE]["spec"]
    return spec["holderIdentity"]


# --- an orderly end


@told
async def test_a_write_that_is_slow_to_end_costs_no_lease(killed: list[int]) -> None:
    api = MemoryApi()
    leader = Leader(api)
    await leader.lead()
    with leader.writing():
        ending = asyncio.create_task(leader.end())
        # Longer than the longest pause between two renewals.
        await asyncio.sleep(0.25)
        assert not ending.done()
        assert holder(api) == "one"
    await ending
    assert killed == []
    assert holder(api) == ""


@told
async def test_after_a_write_that_does_not_end_the_lease_is_left_to_run_out(
    killed: list[int],
) -> None:
    api = MemoryApi()
    leader = Leader(api)
    await leader.lead()
    with leader.writing():
        await leader.end()
    assert killed == []
    assert holder(api) == "one"
