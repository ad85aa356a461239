"""Status is honest, does not flap, and is as kstatus reads it."""

from typing import Any

from agent_identity.api.conditions import ConditionType, Reason
from agent_identity.core.errors import Failed, Invalid, Problem, Waiting
from agent_identity.core.identity import Identity, parse_identity
from agent_identity.core.status import Report, identity_status
from samples import identity_of, metadata

NOW = "2026-01-02T00:00:00Z"
ACCOUNT = Report(ConditionType.SERVICE_ACCOUNT)


def rows(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def status_with(problem: Problem | None) -> dict[str, Any]:
    report = Report(ConditionType.VAULT, problem=problem)
    return identity_status(identity_of(), [ACCOUNT, report], {}, NOW)


def test_ready_only_if_every_room_is() -> None:
    assert rows(status_with(None))["Ready"] == ("True", "InPlace")
    failed = rows(status_with(Failed(Reason.SEALED, "sealed")))
    assert failed["Ready"] == ("False", "Sealed")
    assert failed["Reconciling"] == ("True", "Sealed")
    assert failed["Stalled"] == ("False", "NotStalled")
    assert failed["ServiceAccountReady"] == ("True", "InPlace")


def test_what_the_author_must_mend_stalls() -> None:
    found = rows(status_with(Invalid(Reason.NOT_IN_CLASS, "x")))
    assert found["Stalled"] == ("True", "NotInClass")
    assert found["Reconciling"] == ("False", "Done")


def test_a_problem_for_the_author_decides_over_others() -> None:
    reports = [
        Report(ConditionType.INBOUND, problem=Waiting(Reason.MESH_NOT_INSTALLED, "x")),
        Report(ConditionType.RBAC, problem=Invalid(Reason.FOREIGN_OBJECT, "y")),
    ]
    found = rows(identity_status(identity_of(), reports, {}, NOW))
    assert found["Ready"] == ("False", "ForeignObject")


def test_the_transition_time_moves_only_with_the_status() -> None:
    first = status_with(None)
    again = parse_identity({"metadata": metadata("agent", "agents"), "spec": {}, "status": first})
    later = identity_status(
        again, [ACCOUNT, Report(ConditionType.VAULT)], {}, "2027-01-01T00:00:00Z"
    )
    assert later == first
    broken = identity_status(
        again,
        [ACCOUNT, Report(ConditionType.VAULT, problem=Failed(Reason.SEALED, "x"))],
        {},
        "2027-01-01T00:00:00Z",
    )
    times = {c["type"]: c["lastTransitionTime"] for c in broken["conditions"]}
    assert times["Ready"] == times["VaultReady"] == "2027-01-01T00:00:00Z"
    assert times["ServiceAccountReady"] == NOW


def test_every_condition_carries_the_generation() -> None:
    body = {"metadata": metadata("agent", "agents", generation=7), "spec": {}}
    identity: Identity = parse_identity(body)
    status = identity_status(identity, [ACCOUNT], {"spiffeID": "x", "vaultRole": ""}, NOW)
    assert status["observedGeneration"] == 7
    assert {c["observedGeneration"] for c in status["conditions"]} == {7}
    assert status["spiffeID"] == "x"
    assert "vaultRole" not in status
