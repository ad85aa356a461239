"""Which cases of `faults.unseen` have met their fault, and what becomes of those that have not."""

import asyncio
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from faults.exchange import Call, Exchange
from faults.modes import Mode, When
from faults.proxy import FaultProxy
from faults.request_log import RequestLog
from faults.unseen import clocks, met, vaults
from faults.unseen.met import first_writes_held, was_at_work, was_faulted, was_refused
from faults.unseen.stale import views
from faults.unseen.tally import Tally
from faults.workloads import BY_NAME

SCENE = "w00001"
ROLE = f"/v1/auth/kubernetes/role/test_{SCENE}_agent"
POLICY = f"/v1/sys/policies/acl/agentid_test_{SCENE}_own-secrets"
ENTITY = "/v1/identity/entity/id/1-2-3"
AGENT = f"/apis/agentidentity.dev/v1alpha1/namespaces/{SCENE}/agentidentities/agent"
EVENT = f"/apis/events.k8s.io/v1/namespaces/{SCENE}/events/agent.x"
SLOW = Mode("slow", When.BEFORE, delay=4.0)
_numbers = count()


def kube(method: str = "PATCH", path: str = AGENT, *, at: float = 1.0, **how: object) -> Exchange:
    return asked(Call("kube", method, path), at, how)


def vault(method: str = "POST", path: str = ROLE, *, at: float = 1.0, **how: object) -> Exchange:
    return asked(Call("vault", method, path), at, how)


def asked(call: Call, at: float, how: dict[str, object]) -> Exchange:
    """Answered 200 a tenth of a second later, unless told otherwise."""
    exchange = Exchange(next(_numbers), at, SCENE, call, status=200, answered_at=at + 0.1)
    for name, value in how.items():
        setattr(exchange, name, value)
    return exchange


# --- what was asked for meanwhile


def test_a_proxys_fault_was_met_where_it_was_done_to_a_request() -> None:
    assert was_faulted([kube(), vault(fault="slow")], SLOW)
    assert not was_faulted([kube(), vault()], SLOW)
    assert not was_faulted([vault(fault="held")], SLOW)


@pytest.mark.parametrize(
    ("exchange", "status", "met"),
    [
        (vault(status=503), 503, True),
        (vault(status=503), 0, True),
        (vault(status=503), 403, False),
        (vault(status=0, answered_at=0.0), 0, True),
        (vault("GET", status=404), 0, False),
        (vault("DELETE", status=204), 0, False),
        (kube(status=503), 0, False),
    ],
)
def test_a_server_was_down_where_it_did_not_do_as_it_was_asked(
    exchange: Exchange, status: int, *, met: bool
) -> None:
    assert was_refused([vault(), exchange], "vault", status) is met


@pytest.mark.parametrize(
    ("exchange", "met"),
    [
        (kube(at=1.0), False),
        (kube(at=1.95), True),
        (kube(at=3.0), True),
        (kube(at=1.0, status=0, answered_at=0.0), True),
        (kube("GET", at=3.0), False),
        (vault("POST", "/v1/identity/lookup/entity", at=3.0), False),
        (kube("POST", EVENT, at=3.0), False),
    ],
    ids=["done", "under way", "to come", "never answered", "a read", "a look-up", "an event"],
)
def test_the_operator_was_at_work_while_a_write_was_left(exchange: Exchange, *, met: bool) -> None:
    assert was_at_work([kube(at=0.5), exchange], since=2.0) is met


def test_the_first_write_of_each_scene_is_held_and_no_other_request() -> None:
    proxy = FaultProxy("kube", str, Path("ca.crt"), RequestLog())
    with first_writes_held(proxy, {SCENE, "w00002"}, seconds=1.0):
        chosen = [
            proxy.choose(exchange)
            for exchange in (
                kube("GET"),
                kube("POST", EVENT),
                kube(scene="w00003"),
                kube(),
                kube(),
                kube(scene="w00002"),
            )
        ]
    assert [mode.name if mode else "" for mode in chosen] == ["", "", "", "held", "", "held"]
    assert proxy.choose(kube()) is None


def test_all_are_found_under_way_and_then_let_go() -> None:
    async def story() -> None:
        proxy = FaultProxy("kube", str, Path("ca.crt"), RequestLog())
        with first_writes_held(proxy, {SCENE, "w00002"}) as held:
            waiting = asyncio.create_task(held.complete())
            mode = proxy.choose(kube())
            assert mode is not None
            assert mode.released is not None
            await asyncio.sleep(0)
            assert not waiting.done()
            proxy.choose(kube(scene="w00002"))
            await waiting
            assert not mode.released.is_set()
        assert mode.released.is_set()

    asyncio.run(asyncio.wait_for(story(), 2))


def test_nobody_waits_for_ever_for_a_write_that_does_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(met, "_COME_SECONDS", 0.01)
    proxy = FaultProxy("kube", str, Path("ca.crt"), RequestLog())
    with first_writes_held(proxy, {SCENE}) as held:
        asyncio.run(asyncio.wait_for(held.complete(), 2))


def test_a_clock_jumps_though_whoever_acts_waits_for_the_operator(tmp_path: Path) -> None:
    """As `recreate` does: it has acted when its identity is gone."""
    clock = clocks.Clock(tmp_path / "offset", 86400, jumps=True)
    clock.file.write_text("0")
    proxy = FaultProxy("kube", str, Path("ca.crt"), RequestLog())

    async def all_act(trials: object, step: str) -> None:
        mode = proxy.choose(kube())
        assert mode is not None
        assert mode.released is not None
        await mode.released.wait()
        assert clock.file.read_text() == "86400"

    ground: Any = SimpleNamespace(theatre=SimpleNamespace(kube=proxy), all=all_act)
    trial: Any = SimpleNamespace(scene=SimpleNamespace(name=SCENE))
    asyncio.run(asyncio.wait_for(clocks.act(ground, [trial], clock), 2))


def test_who_would_not_ask_after_the_failure_of_another_meets_an_outage_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    met_by: list[Sequence[str]] = []

    async def wholly(ground: object, name: str, cases: Sequence[str], ends: object) -> None:
        met_by.append(cases)

    monkeypatch.setattr(vaults, "wholly", wholly)
    ground: Any = AsyncMock()
    cases = ["vault/sealed/create", "vault/sealed/delete", "vault/killed/create"]
    asyncio.run(vaults.run(ground, [*cases, "vault/killed/delete"]))
    assert met_by == [[cases[0]], [cases[1]], [cases[2], "vault/killed/delete"]]


# --- cases that can meet their fault


def _asked_by(name: str) -> Sequence[Exchange]:
    """Some of what each workload makes the operator ask of Vault."""
    role, entity = vault("POST", ROLE), vault("DELETE", ENTITY)
    return {
        "create": [vault("GET", ROLE), role],
        "narrow": [vault("GET", ROLE), role, entity, role],
        "secrets": [vault("GET", ROLE), role, entity, role],
        "delete": [role, entity, vault("DELETE", ROLE)],
        "policy": [vault("GET", POLICY), vault("POST", POLICY)],
    }[name]


@pytest.mark.parametrize("name", vaults.SINGLE)
def test_each_workload_asks_for_what_its_fault_is_about(name: str) -> None:
    single = vaults.SINGLE[name]
    assert single.workloads
    for workload in single.workloads:
        assert workload in BY_NAME
        assert any(single.meets(exchange) for exchange in _asked_by(workload))


def test_a_case_whose_request_is_never_sent_is_no_case() -> None:
    assert "vault/denied-policy/policy" in vaults.IDS
    for never in ("denied-policy/narrow", "denied-policy/create", "denied-entity/create"):
        assert f"vault/{never}" not in vaults.IDS


def test_a_view_is_older_than_what_it_is_shown_to() -> None:
    last = {"quick": 20, "quicker": 15, "slow": 40}
    shown = dict(views(last, 30))
    assert shown == {30: ["slow"], 14: ["quick", "quicker"]}
    assert all(revision < last[case] for revision, cases in shown.items() for case in cases)
    assert list(views(last, 10)) == [(10, ["quick", "quicker", "slow"])]
    assert list(views({}, 10)) == []


# --- what becomes of them


def tally(*cases: str) -> Tally:
    return Tally(lambda _: None, frozenset(cases))


def test_a_case_that_never_met_its_fault_is_named_and_makes_the_campaign_fail() -> None:
    found = tally("vault/a/create", "vault/b/create")
    found.end("vault/a/create", [])
    found.end("vault/b/create", [], met=False)
    assert not found.good
    lines = found.lines()
    assert lines[0] == "2 cases run, 0 failed, 1 unmet"
    assert lines[1] == "vault: 2 cases, 0 failed, 1 unmet"
    assert "unmet: vault/b/create" in lines


def test_where_all_held_and_was_met_all_is_good() -> None:
    found = tally("vault/a/create")
    found.end("vault/a/create", [])
    assert found.good
    assert found.lines() == ["1 cases run, 0 failed, 0 unmet", "vault: 1 cases, 0 failed, 0 unmet"]


def test_a_failure_is_one_whether_or_not_the_fault_was_met() -> None:
    found = tally("vault/a/create")
    found.end("vault/a/create", ["end state: missing"], met=False)
    assert (found.failed, found.unmet) == (
        {"vault/a/create": ["end state: missing"]},
        ["vault/a/create"],
    )
    assert not found.good
