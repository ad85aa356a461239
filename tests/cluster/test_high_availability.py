"""Two operators: one works, one waits, and never do both write. Judged by the servers' own logs."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http import HTTPStatus
from itertools import count
from typing import Any, NamedTuple

import pytest
from kubernetes.dynamic import DynamicClient

from testbed.bed import Bed
from testbed.operator_process import OperatorProcess
from testbed.tenant import SHORT_PERIODS, Tenant, class_manifest, client_with_a_role, full_spec
from testbed.waiting import wait_until

MANY = 200
SOME = 60
ALL_READY_SECONDS = 90
TAKEOVER_SECONDS = 20
HANDOVER_SECONDS = 3
OWNED = ("serviceaccounts", "peerauthentications", "authorizationpolicies", "rolebindings")
SHORT_LEASE_SECONDS = 4
SHORT_LEASE = SHORT_PERIODS | {"AGENT_IDENTITY_LEASE_SECONDS": str(SHORT_LEASE_SECONDS)}
# As in production: what is promised about time must hold with it.
LONG_LEASE_SECONDS = 15
LONG_LEASE = SHORT_PERIODS | {"AGENT_IDENTITY_LEASE_SECONDS": str(LONG_LEASE_SECONDS)}
READY = (200, "ok")
STANDBY = (200, "standby")
Json = dict[str, Any]

_numbers = count(1)


class Pair(NamedTuple):
    """Of one cluster, in the order in which they lead."""

    leader: OperatorProcess
    standby: OperatorProcess


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Of its own: an operator of other tests would lead."""
    with Bed(tmp_path_factory.mktemp("bed-of-two")) as running:
        yield running


@pytest.fixture(scope="module")
def client(bed: Bed) -> DynamicClient:
    return client_with_a_role(bed)


def started(bed: Bed, settings: dict[str, str]) -> Iterator[Pair]:
    with bed.operator(settings=settings) as leader:
        leader.wait_ready()
        with bed.operator(settings=settings) as standby:
            standby.wait_standby()
            yield Pair(leader, standby)


@pytest.fixture
def pair(bed: Bed) -> Iterator[Pair]:
    yield from started(bed, LONG_LEASE)


@pytest.fixture
def quick_pair(bed: Bed) -> Iterator[Pair]:
    yield from started(bed, SHORT_LEASE)


@pytest.fixture
def team(bed: Bed, client: DynamicClient) -> Tenant:
    """A namespace, and a class that nobody has made Ready yet."""
    name = f"crew-{next(_numbers)}"
    client.resources.get(api_version="v1", kind="Namespace").create(
        body={"metadata": {"name": name, "labels": {"agents": "allowed"}}}
    )
    tenant = Tenant(bed, client, name, f"class-of-{name}")
    tenant.create(class_manifest(tenant.class_name, bed))
    return tenant


def create(team: Tenant, names: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: team.identity(name, **full_spec()), names))


def wait_for_first_creations(operator: OperatorProcess, team: Tenant) -> None:
    """Until it is in the middle of it."""
    wait_until(lambda: len(creations(operator, team)) > 20, timeout=30, what="the leader has begun")


def wait_all_ready(team: Tenant, names: list[str]) -> None:
    identities = team.client.resources.get(
        api_version="agentidentity.dev/v1alpha1", kind="AgentIdentity"
    )

    def unready() -> set[str]:
        items = identities.get(namespace=team.namespace).to_dict()["items"]
        return set(names) - {i["metadata"]["name"] for i in items if is_ready(i)}

    wait_until(lambda: not unready(), timeout=ALL_READY_SECONDS, what="all are Ready", interval=0.5)


def is_ready(identity: Json) -> bool:
    rows = (identity.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in rows)


# --- what the servers logged


def when(event: Json, stamp: str = "requestReceivedTimestamp") -> float:
    return datetime.fromisoformat(event[stamp]).timestamp()


def told_to_end(operator: OperatorProcess) -> bool:
    return any(x.get("message") == "told to end" for x in operator.log_lines())


def led_since(operator: OperatorProcess) -> float:
    """When it got the Lease, by its own log; 0 before it has."""
    lines = [x for x in operator.log_lines() if "is the leader now" in x.get("message", "")]
    return datetime.fromisoformat(lines[-1]["time"]).timestamp() if lines else 0.0


def creations(
    operator: OperatorProcess, team: Tenant, *, made: bool = True
) -> list[tuple[str, str]]:
    """Owned objects of this namespace that one operator has made, or tried to: kind and name."""
    return [
        (e["objectRef"]["resource"], e["objectRef"]["name"])
        for e in operator.changes()
        if e["verb"] == "create"
        and (e["responseStatus"]["code"] == 201) == made
        and e["objectRef"].get("namespace") == team.namespace
        and e["objectRef"]["resource"] in OWNED
    ]


def assert_made_once(team: Tenant, *operators: OperatorProcess, identities: int) -> None:
    made = Counter(c for operator in operators for c in creations(operator, team))
    assert {c: n for c, n in made.items() if n != 1} == {}
    # Of a request that a kill has cut off, the log may say that it failed though it did not.
    unsure = set(creations(operators[0], team, made=False))
    assert len(set(made) | unsure) == identities * len(OWNED)


def assert_roles_written_once(bed: Bed, team: Tenant, names: list[str]) -> None:
    written = Counter(
        e["path"]
        for e in bed.openbao.audit_requests()
        if e["operation"] in ("create", "update")
        and e["path"].startswith(f"auth/kubernetes/role/{team.role_name('')}")
        and not e["error"]
    )
    assert written == {f"auth/kubernetes/role/{team.role_name(name)}": 1 for name in names}


def assert_one_after_the_other(before: OperatorProcess, after: OperatorProcess) -> None:
    last = max(when(e, "stageTimestamp") for e in before.changes())
    assert last < min(when(e) for e in after.changes())


# --- the stories


def test_the_one_waits_and_says_so(quick_pair: Pair) -> None:
    leader, standby = quick_pair
    for operator, role in ((leader, READY), (standby, STANDBY)):
        assert operator.probe("/healthz") == (200, "ok")
        assert operator.probe("/readyz") == role
    assert "agent_identity_leader 1.0" in leader.metrics()
    assert "agent_identity_leader 0.0" in standby.metrics()
    assert standby.changes() == []


def test_a_killed_leader_is_replaced_and_nothing_is_written_twice(
    pair: Pair, bed: Bed, team: Tenant
) -> None:
    leader, standby = pair
    names = [f"agent-{n}" for n in range(MANY)]
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(create, team, names)
        wait_for_first_creations(leader, team)
        leader.kill()
        killed = time.time()
        creating.result()
    first = wait_until(standby.changes, timeout=30, what="the standby writes", interval=0.5)
    assert when(first[0]) - killed < TAKEOVER_SECONDS
    wait_all_ready(team, names)
    assert creations(leader, team)
    assert_made_once(team, leader, standby, identities=MANY)
    assert_roles_written_once(bed, team, names)
    assert_one_after_the_other(leader, standby)


@pytest.mark.parametrize("turn", range(3))
def test_a_leader_that_slept_changes_nothing_and_ends(
    quick_pair: Pair, bed: Bed, team: Tenant, turn: int
) -> None:
    leader, standby = quick_pair
    names = [f"agent-{n}" for n in range(SOME)]
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(create, team, names)
        wait_for_first_creations(leader, team)
        leader.pause()
        creating.result()
    standby.wait_ready()
    wait_all_ready(team, names)
    woken = time.time()
    leader.resume()
    assert leader.wait_ended(5) == 1
    # One request may have been on its way to the kernel, past every look at the Lease, as it slept.
    late = [e for e in leader.changes() if when(e) >= woken]
    assert [e for e in late if e["responseStatus"]["code"] != HTTPStatus.CONFLICT] == []
    assert len(late) <= 1
    assert "the Lease is lost" in leader.log_lines()[-1]["message"]
    assert_one_after_the_other(leader, standby)
    assert_made_once(team, leader, standby, identities=SOME)
    assert_roles_written_once(bed, team, names)


def test_a_leader_that_is_told_to_end_hands_over(pair: Pair, bed: Bed, team: Tenant) -> None:
    leader, standby = pair
    names = [f"agent-{n}" for n in range(MANY)]
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(create, team, names)
        wait_for_first_creations(leader, team)
        leader.terminate()
        assert leader.wait_ended() == 0
        ended = time.time()
        creating.result()
    led = wait_until(lambda: led_since(standby), timeout=30, what="the standby leads")
    assert led - ended < HANDOVER_SECONDS
    # What it had begun, it has finished: an identity has all of its objects from one of the two.
    halves = Counter(name.split(":")[1] for kind, name in creations(leader, team) if ":" in name)
    assert set(halves.values()) == {1}
    assert len(creations(leader, team)) == len(OWNED) * len(halves)
    wait_all_ready(team, names)
    assert_made_once(team, leader, standby, identities=MANY)
    assert_roles_written_once(bed, team, names)
    assert_one_after_the_other(leader, standby)


def test_a_standby_that_is_told_to_end_leaves_the_leader_alone(quick_pair: Pair) -> None:
    leader, standby = quick_pair
    standby.terminate()
    assert standby.wait_ended(5) == 0
    assert leader.probe("/readyz") == READY


def test_told_twice_it_ends_at_once(quick_pair: Pair, bed: Bed, team: Tenant) -> None:
    leader, _ = quick_pair
    bed.openbao.pause()
    try:
        team.identity("agent", **full_spec())
        wait_until(lambda: creations(leader, team), timeout=30, what="it is at work")
        leader.terminate()
        wait_until(lambda: told_to_end(leader), timeout=5, what="it heeds the first signal")
        assert leader.alive
        leader.terminate()
        assert leader.wait_ended(1) == -signal.SIGTERM
    finally:
        bed.openbao.resume()


# An API server that has just started may answer too slowly for a Lease of a few seconds: who got
# one would lose it again, and nobody is here to start that replica anew.
def test_without_the_api_server_a_leader_ends_before_its_lease(pair: Pair, bed: Bed) -> None:
    leader, standby = pair
    bed.control_plane.stop_api_server()
    try:
        assert leader.wait_ended(LONG_LEASE_SECONDS) == 1
        assert standby.probe("/healthz") == (200, "ok")
    finally:
        bed.control_plane.start_api_server()
    standby.wait_ready()
