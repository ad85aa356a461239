"""What an old leader may still send once there is a new one, and since when there is."""

import pytest

from faults.exchange import Call, Exchange
from faults.unseen.leaders import late_writes, led_since

OLD, NEW = "operator-1", "operator-11"
AGENT = "/apis/agentidentity.dev/v1alpha1/namespaces/w00001/agentidentities/agent"
ROLE = "/v1/auth/kubernetes/role/test_w00001_agent"
LOOKUP = "/v1/identity/lookup/entity"
EVENTS = "/apis/events.k8s.io/v1/namespaces/w00001/events/agent.x"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/agent-identity-system/leases/x"
LED_SINCE = 10.0


def sent(instance: str, server: str, method: str, path: str, *, at: float) -> Exchange:
    sender = f"agent-identity-operator/0.2.0 ({instance}_17_5f)"
    return Exchange(1, at, "w00001", Call(server, method, path), sender=sender)


@pytest.mark.parametrize(
    ("server", "method", "path"),
    [
        ("kube", "PATCH", AGENT),
        ("kube", "POST", EVENTS),
        ("vault", "POST", ROLE),
        ("vault", "DELETE", ROLE),
    ],
)
def test_what_the_old_leader_writes_once_the_new_one_leads_is_told(
    server: str, method: str, path: str
) -> None:
    late = sent(OLD, server, method, path, at=10.1)
    assert late_writes([late], OLD, LED_SINCE) == [str(late.call)]
    early = sent(OLD, server, method, path, at=9.9)
    assert late_writes([early], OLD, LED_SINCE) == []
    others = sent(NEW, server, method, path, at=10.1)
    assert late_writes([others], OLD, LED_SINCE) == []


@pytest.mark.parametrize(
    ("server", "method", "path"),
    [("kube", "GET", AGENT), ("vault", "POST", LOOKUP), ("kube", "PUT", LEASE)],
    ids=["a read", "a look-up", "its Lease"],
)
def test_it_may_read_and_try_to_keep_its_lease(server: str, method: str, path: str) -> None:
    assert late_writes([sent(OLD, server, method, path, at=10.1)], OLD, LED_SINCE) == []


def test_the_lease_tells_since_when_by_the_clock_of_the_requests() -> None:
    spec = {"acquireTime": "2026-01-01T00:00:07.500000Z"}
    ten_seconds_past = 1767225610.0
    assert led_since(spec, now=ten_seconds_past, monotonic=100.0) == pytest.approx(97.5)
