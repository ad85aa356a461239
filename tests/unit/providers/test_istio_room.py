"""The two traps of a policy: a rule without callers, and a policy without rules."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_identity.api.rules import Caller
from agent_identity.core.checks import Standing
from agent_identity.core.errors import Waiting
from agent_identity.core.facts import Facts, ForeignPolicy
from agent_identity.core.resource import Key, Kind, Resource
from agent_identity.providers.istio.desired import IstioRoom, istio_rule
from samples import class_of, facts_of, identity_of

ROOM = IstioRoom()
LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)


def rule(name: str, *callers: str, protocol: str = "HTTP", **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": name,
        "from": [{"kind": "AgentIdentity", "name": c} for c in callers],
        "ports": [8080, 443],
        "protocol": protocol,
    }
    if protocol == "HTTP":
        body["http"] = {"methods": ["POST", "GET"], "paths": ["/v1/tasks"]}
    return body | more


def facts_with(rules: list[dict[str, Any]], known: dict[str, str], **more: Any) -> Facts:
    identity = identity_of(inbound={"enforcement": "Enforce", "rules": rules})
    assert identity.problem == ""
    named = {c["name"] for r in rules for c in r["from"]}
    callers = {
        Caller(kind="AgentIdentity", name=n): (known[n],) if n in known else () for n in named
    }
    return facts_of(identity, callers=callers, **more)


def by_kind(resources: tuple[Resource, ...]) -> dict[Kind, dict[str, Any]]:
    return {r.ref.kind: dict(r.body) for r in resources}


def policy_rules(facts: Facts) -> list[dict[str, Any]]:
    policy = by_kind(ROOM.desired(facts, Standing.GRANTED))[Kind.AUTHORIZATION_POLICY]
    rules: list[dict[str, Any]] = policy["spec"].get("rules", [])
    return rules


def principal(name: str) -> str:
    return f"cluster.local/ns/agents/sa/{name}"


def test_the_policy_names_callers_ports_methods_and_paths() -> None:
    facts = facts_with([rule("tasks", "planner")], {"planner": principal("planner")})
    policy = by_kind(ROOM.desired(facts, Standing.GRANTED))[Kind.AUTHORIZATION_POLICY]
    assert policy["spec"] == {
        "selector": {"matchLabels": {"agentidentity.dev/identity": "agent"}},
        "action": "ALLOW",
        "rules": [
            {
                "from": [{"source": {"principals": ["cluster.local/ns/agents/sa/planner"]}}],
                "to": [
                    {
                        "operation": {
                            "ports": ["443", "8080"],
                            "methods": ["GET", "POST"],
                            "paths": ["/v1/tasks"],
                        }
                    }
                ],
            }
        ],
    }


def test_grpc_becomes_post_and_full_paths() -> None:
    grpc = {"services": ["shop.v1.Orders"], "methods": ["Get", "*"]}
    facts = facts_with(
        [rule("calls", "planner", protocol="GRPC", grpc=grpc)], {"planner": principal("planner")}
    )
    (found,) = policy_rules(facts)
    assert found["to"][0]["operation"]["methods"] == ["POST"]
    assert found["to"][0]["operation"]["paths"] == ["/shop.v1.Orders/*", "/shop.v1.Orders/Get"]


def test_tcp_says_only_ports() -> None:
    facts = facts_with([rule("db", "planner", protocol="TCP")], {"planner": principal("planner")})
    assert policy_rules(facts)[0]["to"] == [{"operation": {"ports": ["443", "8080"]}}]


def test_a_rule_whose_callers_are_missing_is_dropped_and_the_policy_stays() -> None:
    facts = facts_with([rule("tasks", "planner")], {})
    policy = by_kind(ROOM.desired(facts, Standing.GRANTED))[Kind.AUTHORIZATION_POLICY]
    assert "rules" not in policy["spec"]
    assert policy["spec"]["action"] == "ALLOW"


@given(
    st.lists(st.lists(LABEL, min_size=1, max_size=4), max_size=4),
    st.sets(LABEL, max_size=4),
    st.sampled_from(["HTTP", "TCP"]),
)
def test_no_rule_is_ever_without_exact_callers_and_ports(
    named: list[list[str]], present: set[str], protocol: str
) -> None:
    rules = [rule(f"r{n}", *names, protocol=protocol) for n, names in enumerate(named)]
    facts = facts_with(rules, {n: principal(n) for n in present})
    for found in policy_rules(facts):
        assert len(found["from"]) == 1
        principals = found["from"][0]["source"]["principals"]
        assert principals
        for name in principals:
            assert len(name.split("/")) == 5
            assert "*" not in name
            assert not name.startswith("spiffe:")
            assert name.rsplit("/", 1)[1] in present
        assert found["to"][0]["operation"]["ports"]


@pytest.mark.parametrize(
    "principals",
    [[], ["*"], ["cluster.local/*"], ["spiffe://cluster.local/ns/a/sa/b"], ["ns/a/sa/b"]],
)
def test_a_principal_that_would_mean_more_is_a_bug(principals: list[str]) -> None:
    facts = facts_with([rule("tasks", "planner")], {})
    assert facts.identity.spec is not None
    assert facts.identity.spec.inbound is not None
    with pytest.raises(ValueError, match="exact principals"):
        istio_rule((facts.identity.spec.inbound.rules or ())[0], principals)


def test_a_closed_identity_keeps_what_stands_and_makes_nothing_new() -> None:
    facts = facts_with([rule("tasks", "planner")], {"planner": principal("planner")})
    assert ROOM.desired(facts, Standing.CLOSED) == ()


def test_without_crds_it_waits() -> None:
    with pytest.raises(Waiting):
        ROOM.desired(facts_of(identity_of(), mesh_installed=False), Standing.GRANTED)


def test_shadow_writes_nothing_and_shows_what_it_would() -> None:
    identity = identity_of(inbound={"enforcement": "Shadow"})
    facts = facts_of(identity, class_of(inbound={"minimumEnforcement": "Shadow"}))
    assert ROOM.desired(facts, Standing.GRANTED) == ()
    shown = ROOM.status_fields(facts)["wouldWrite"]
    assert [s.split()[0] for s in shown] == ["PeerAuthentication", "AuthorizationPolicy"]


def test_what_shadow_shows_says_where_it_is_cut() -> None:
    rules = [rule(f"rule-{n:02d}", "planner") for n in range(16)]
    identity = identity_of(inbound={"enforcement": "Shadow", "rules": rules})
    agent_class = class_of(inbound={"minimumEnforcement": "Shadow"})
    planner = Caller(kind="AgentIdentity", name="planner")
    facts = facts_of(identity, agent_class, callers={planner: (principal("planner"),)})
    mtls, policy = ROOM.status_fields(facts)["wouldWrite"]
    assert not mtls.endswith("(cut)")
    assert len(policy) == 1024
    assert policy.endswith("… (cut)")


def test_a_foreign_policy_is_named() -> None:
    foreign = (ForeignPolicy("AuthorizationPolicy", "agents", "wide-open"),)
    report = ROOM.report(facts_of(identity_of(), foreign_policies=foreign))
    assert report.problem is not None
    assert "AuthorizationPolicy agents/wide-open" in report.problem.message


def test_what_outlives_an_identity_allows_nothing_and_has_no_owner() -> None:
    for resource in ROOM.retired(Key("agents", "agent"), None):
        assert "ownerReferences" not in resource.body["metadata"]
        assert "rules" not in resource.body["spec"]


def test_peer_authentication_is_strict() -> None:
    peer = by_kind(ROOM.desired(facts_of(identity_of()), Standing.GRANTED))
    assert peer[Kind.PEER_AUTHENTICATION]["spec"] == {
        "selector": {"matchLabels": {"agentidentity.dev/identity": "agent"}},
        "mtls": {"mode": "STRICT"},
    }
