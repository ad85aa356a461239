"""A write to Vault stands in the history where it was carried out, not where it was asked for."""

import json
from collections.abc import Mapping
from typing import Any

from faults.exchange import Call, Exchange
from faults.recorder import Change, Name
from faults.replay import moments, unguarded
from faults.scene import path_of

ACCOUNT = Name("ServiceAccount", "a", "agent")
MTLS = Name("PeerAuthentication", "a", "agentidentity-agent")
POLICY = Name("AuthorizationPolicy", "a", "agentidentity-agent")
BODIES: Mapping[Name, dict[str, Any]] = {
    ACCOUNT: {"metadata": {}},
    MTLS: {"metadata": {}, "spec": {"mtls": {"mode": "STRICT"}}},
    POLICY: {"metadata": {}, "spec": {}},
}
ROLE = "test_a_agent"
OPEN = {"bound_service_account_namespaces": ["a"], "token_policies": ["team"]}


def guard(revision: int, name: Name, *, at: float, gone: bool = False) -> tuple[Change, Exchange]:
    """Made by the operator, or taken away; at: when it was answered."""
    change = Change(at, revision, name, BODIES[name], new=not gone, gone=gone)
    answer = json.dumps({"metadata": {"resourceVersion": str(revision)}}).encode()
    call = Call("kube", "DELETE" if gone else "POST", path_of(name))
    times = {"sent_at": at, "answered_at": at}
    return change, Exchange(revision, at, "a", call, status=200, answer=answer, **times)


def role(number: int, body: Mapping[str, Any], *, at: float, sent_at: float) -> Exchange:
    call = Call("vault", "POST", f"/v1/auth/kubernetes/role/{ROLE}")
    text = json.dumps(body).encode()
    return Exchange(number, at, "a", call, text, status=204, sent_at=sent_at, answered_at=sent_at)


def said(guards: list[tuple[Change, Exchange]], *roles: Exchange) -> list[set[str]]:
    """What is wrong after each moment."""
    exchanges = [*(exchange for _, exchange in guards), *roles]
    exchanges.sort(key=lambda e: e.at)
    return [unguarded(m) for m in moments([change for change, _ in guards], exchanges, {})]


COME = [guard(1, ACCOUNT, at=1.0), guard(2, MTLS, at=2.0), guard(3, POLICY, at=3.0)]
GO = [guard(4, POLICY, at=5.0, gone=True), guard(5, MTLS, at=6.0, gone=True)]


def test_a_role_that_came_early_and_was_held_until_the_guards_stood() -> None:
    assert not any(said(COME, role(9, OPEN, at=1.5, sent_at=4.0)))


def test_a_role_that_was_carried_out_before_the_guards_stood() -> None:
    assert any(said(COME, role(9, OPEN, at=1.5, sent_at=1.5)))


def test_a_role_that_was_given_up_and_is_carried_out_after_the_guards_went() -> None:
    late = role(9, OPEN, at=4.0, sent_at=10.0)
    *before, last = said([*COME, *GO], late)
    assert not any(before)
    assert last


def test_a_role_that_nobody_can_log_in_by_may_be_carried_out_late() -> None:
    shut = OPEN | {"bound_service_account_namespaces": ["_nobody_"], "token_policies": []}
    assert not any(said([*COME, *GO], role(9, shut, at=4.0, sent_at=10.0)))


def test_writes_to_vault_follow_each_other_as_they_were_carried_out() -> None:
    """The one that was asked for first is held, and undoes the second one."""
    narrow = OPEN | {"token_policies": []}
    held = role(8, OPEN, at=4.0, sent_at=10.0)
    swift = role(9, narrow, at=9.0, sent_at=9.0)
    changes, exchanges = zip(*COME, strict=True)
    found = list(moments(changes, [*exchanges, held, swift], {}))
    assert [m.number for m in found[-2:]] == [9, 8]
    assert [m.at for m in found[-2:]] == [9.0, 10.0]
    assert found[-1].roles == {ROLE: OPEN}
