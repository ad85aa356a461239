"""The policies of a grant: what they say, and how they are split."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_identity.api.grants import AgentAccessGrantStatus
from agent_identity.core.checks import Standing
from agent_identity.core.grants import Caller, GrantFacts, OtherPolicy
from agent_identity.core.identity import Grant, parse_grant
from agent_identity.core.observed import observe_object
from agent_identity.core.resource import Key, Kind, Resource, Subject
from agent_identity.providers.istio.grants import MOST_CALLERS, GrantPolicies, split
from samples import CLUSTER, metadata

ROOM = GrantPolicies()
KEY = Key("shop", "orders", Subject.GRANT)
HTTP = {"methods": ["GET"], "paths": ["/v1/orders"]}
SELECTOR = {"selector": {"matchLabels": {"app": "orders"}}}


def rule(name: str, **more: Any) -> dict[str, Any]:
    somebody = {"kind": "ServiceAccount", "namespace": "web", "name": "frontend"}
    said = {"from": [somebody], "ports": [8080], "protocol": "HTTP", "http": HTTP}
    return {"name": name, **said, **more}


def grant_of(*rules: dict[str, Any], **spec: Any) -> Grant:
    body = {"enforcement": "Enforce", "rules": list(rules)} | (spec or SELECTOR)
    return parse_grant({"metadata": metadata("orders", "shop"), "spec": body})


def caller(number: int) -> Caller:
    name = f"agent-{number}"
    return Caller("AgentIdentity", "agents", name, f"cluster.local/ns/agents/sa/{name}")


def facts_of(grant: Grant, **more: Any) -> GrantFacts:
    return GrantFacts(CLUSTER, grant, **({"observed": {}} | more))


def desired(facts: GrantFacts) -> tuple[Resource, ...]:
    return ROOM.desired(facts, Standing.GRANTED)


def principals(resource: Resource) -> set[str]:
    rules = resource.body["spec"].get("rules", ())
    return {p for r in rules for f in r["from"] for p in f["source"]["principals"]}


def test_a_grant_that_cannot_be_read_keeps_its_workload_shut() -> None:
    good = desired(facts_of(grant_of(rule("read")), admitted={"read": (caller(1),)}))[0]
    server = good.body | {"metadata": good.body["metadata"] | {"uid": "u", "resourceVersion": "1"}}
    seen = observe_object(Kind.AUTHORIZATION_POLICY, server)
    broken = parse_grant({"metadata": metadata("orders", "shop"), "spec": {}})
    (shut,) = ROOM.desired(facts_of(broken, observed={seen.ref: seen}), Standing.CLOSED)
    assert shut.body["spec"] == {**SELECTOR, "action": "ALLOW"}
    assert ROOM.desired(facts_of(broken), Standing.CLOSED) == ()


def test_targets_are_named_with_their_groups() -> None:
    kinds = ("Service", "Gateway", "ServiceEntry")
    grant = grant_of(targetRefs=[{"kind": kind, "name": "x"} for kind in kinds])
    (policy,) = desired(facts_of(grant))
    assert policy.body["spec"]["targetRefs"] == [
        {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "x"},
        {"group": "", "kind": "Service", "name": "x"},
        {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "x"},
    ]


def test_a_policy_never_guards_a_whole_namespace() -> None:
    seen = observe_object(
        Kind.AUTHORIZATION_POLICY,
        {"metadata": metadata("agentaccessgrant-orders", "shop"), "spec": {"rules": [{}]}},
    )
    with pytest.raises(ValueError, match="guards nothing"):
        ROOM.retired(KEY, seen, None)


def test_many_callers_are_split_and_one_more_changes_one_policy() -> None:
    grant = grant_of(rule("read"), rule("write"))

    def policies(count: int) -> dict[str, Resource]:
        callers = tuple(caller(n) for n in range(count))
        return {
            r.ref.name: r
            for r in desired(facts_of(grant, admitted={"read": callers, "write": callers[:7]}))
        }

    before, after = policies(2000), policies(2001)
    assert len(before) > 3
    assert all(len(principals(r)) <= MOST_CALLERS for r in before.values())
    changed = [name for name, r in after.items() if r.digest != before[name].digest]
    assert len(changed) == 1
    assert set(before) == set(after)
    everybody = [p for r in before.values() for p in principals(r)]
    assert sorted(everybody) == sorted({c.principal for c in map(caller, range(2000))})


def test_when_a_policy_is_split_one_half_keeps_its_name() -> None:
    fits = split({caller(n).principal: 1 for n in range(MOST_CALLERS)})
    more = split({caller(n).principal: 1 for n in range(MOST_CALLERS + 1)})
    assert set(fits) == {""}
    assert set(more) == {"", "1"}


@settings(max_examples=50)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=6), st.integers(1, 32), max_size=400))
def test_a_split_loses_nobody_and_names_nobody_twice(mentions: dict[str, int]) -> None:
    parts = split({name: count * 40 for name, count in mentions.items()})
    assert "" in parts
    assert sorted(p for of in parts.values() for p in of) == sorted(mentions)


def test_of_a_policy_with_the_longest_names_no_more_is_told_than_a_status_takes() -> None:
    other = OtherPolicy("n" * 63, "p" * 253, "ALLOW", certain=True, adds=True, grant="g" * 253)
    facts = facts_of(grant_of(rule("read")), others=(other,))
    status = GrantPolicies().status_fields(facts, Standing.GRANTED)
    assert AgentAccessGrantStatus(others=tuple(status["others"])).others
