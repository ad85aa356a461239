"""What the process tells of itself: events, metrics, its health, and whose a line of the log is."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from http import HTTPStatus
from io import StringIO
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from prometheus_client import REGISTRY
from test_memory_guards import told
from test_rest_guards import DOWN, Clumsy, engine_of
from test_wiring_guards import FULL, HOME, Operator

from agent_identity import probes, telemetry
from agent_identity.core.resource import Key
from agent_identity.providers.contract import Debt
from agent_identity.reconcile import engine
from agent_identity.reconcile.debts import Ledger
from testbed.ports import LOOPBACK, free_port

AGENT = Key("agents", "agent")


# --- events


@told
async def test_an_identity_that_is_well_again_says_so_once() -> None:
    op = Operator()
    await op.ready()
    op.vault.broken["GET auth"] = DOWN
    await op.turn()
    assert op.condition()["status"] == "False"
    assert op.events.told == ["Unreachable"]
    op.vault.broken.clear()
    for _ in range(2):
        await op.turn()
    assert op.condition()["status"] == "True"
    assert op.events.told == ["Unreachable", "Recovered"]


@told
async def test_one_that_was_never_unwell_has_not_recovered() -> None:
    op = Operator()
    await op.serve()
    op.identity(**FULL)
    await op.turn()
    assert op.condition()["status"] == "True"
    assert op.events.told == []


# --- what is owed


def owed() -> float | None:
    return REGISTRY.get_sample_value("agent_identity_debts")


@told
async def test_the_metric_of_debts_shows_what_is_owed() -> None:
    op = Operator()
    debts = [Debt(f"uid-of-{name}", HOME, "agents", name) for name in ("a", "b")]
    await op.ledger.load()
    await op.ledger.record(debts)
    assert owed() == 2
    await op.ledger.record(debts)
    assert owed() == 2
    await op.ledger.strike(debts[0])
    assert owed() == 1
    telemetry.DEBTS.set(0)
    await Ledger(op.api.kube, "agent-identity-system").load()
    assert owed() == 1


@told
async def test_what_a_deletion_leaves_at_vault_is_shown_until_it_is_paid() -> None:
    op = Operator(deadline=-1)
    await op.ready()
    op.log_in()
    op.vault.broken[""] = DOWN
    op.delete()
    await op.turn()
    assert owed() == 1
    op.vault.broken.clear()
    await op.serve()
    assert (op.there(), owed()) == (set(), 0)


# --- health


async def answers(sick: str, unready: str = "") -> dict[str, tuple[int, str]]:
    """Status and text of both probes over HTTP."""
    port = free_port()
    runner = await probes.serve_probes(
        LOOPBACK, port, sick=lambda: sick, unready=lambda: unready, role=lambda: "ok"
    )
    found = {}
    async with aiohttp.ClientSession(f"http://{LOOPBACK}:{port}") as session:
        for path in ("/healthz", "/readyz"):
            async with session.get(path) as answer:
                found[path] = answer.status, await answer.text()
    await runner.cleanup()
    return found


@told
async def test_who_is_sick_answers_500_and_why() -> None:
    found = await answers("a watch has been silent for too long")
    assert found["/healthz"] == (
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "a watch has been silent for too long",
    )


@told
async def test_who_is_well_but_not_ready_is_not_started_anew() -> None:
    found = await answers("", unready="starting")
    assert found["/healthz"] == (HTTPStatus.OK, "ok")
    assert found["/readyz"] == (HTTPStatus.SERVICE_UNAVAILABLE, "starting")


def watch(*, silent_for: float) -> Any:
    return SimpleNamespace(heard_at=time.monotonic() - silent_for, failing=False)


@told
async def test_a_watch_that_says_nothing_for_too_long_makes_sick() -> None:
    op = Operator()
    limit = engine._SILENT_SECONDS  # noqa: SLF001  what is tested is which side of it is well
    well, sick = watch(silent_for=limit - 10), watch(silent_for=limit + 10)
    assert engine_of(op, op.pipeline, well).sick() == ""
    assert "silent" in engine_of(op, op.pipeline, well, sick).sick()


@told
async def test_a_queue_that_does_not_move_makes_sick(monkeypatch: pytest.MonkeyPatch) -> None:
    op = Operator()
    await op.drain()
    standing = engine_of(op, op.pipeline)
    standing.ready.set()
    monkeypatch.setattr(engine, "_STUCK_SECONDS", -1.0)
    assert standing.sick() == ""
    op.queue.add(AGENT)
    assert "queue" in standing.sick()
    monkeypatch.undo()
    assert standing.sick() == ""


# --- the log


@contextmanager
def logged() -> Iterator[StringIO]:
    """What the process would log meanwhile, and nobody else's handlers touched."""
    root, written = logging.getLogger(), StringIO()
    before = root.handlers, root.level, telemetry.log.level
    root.handlers = []
    try:
        with redirect_stdout(written):
            telemetry.set_up_logging("DEBUG")
        yield written
    finally:
        root.handlers = before[0]
        root.setLevel(before[1])
        telemetry.log.setLevel(before[2])


def test_a_line_of_the_log_says_whose_it_is() -> None:
    with logged() as written:
        asyncio.run(_two_looks_at_one_with_a_bug())
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    bugs = [line for line in lines if line["message"] == "this is a bug"]
    assert len(bugs) == 2
    for line in bugs:
        named = {name: line[name] for name in ("kind", "namespace", "name", "uid", "generation")}
        assert named == {
            "kind": "identity",
            "namespace": "agents",
            "name": "agent",
            "uid": "uid-of-agent",
            "generation": 1,
        }
        assert "ZeroDivisionError" in line["exception"]
    # What one reconcile says can be told from what the next one says.
    assert all(line["id"] for line in bugs)
    assert bugs[0]["id"] != bugs[1]["id"]


async def _two_looks_at_one_with_a_bug() -> None:
    op = Operator()
    op.identity(**FULL)
    await op.drain()
    working = engine_of(op, Clumsy())
    for _ in range(2):
        await working._one(AGENT)  # noqa: SLF001  one reconcile as a worker does it
