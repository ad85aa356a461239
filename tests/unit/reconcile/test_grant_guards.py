"""Grant ∩ outbound: whatever is written, Istio lets in exactly whom both sides name."""

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent_identity.core.checks import Standing
from agent_identity.core.grants import judge_grant
from agent_identity.core.names import account_ref
from agent_identity.core.resource import Key, Observed, Subject
from agent_identity.providers.istio.grants import GrantPolicies
from agent_identity.reconcile.world import World
from istio_evaluator import Request, lets_in
from samples import CLUSTER, class_of, metadata, namespace_of

NAMESPACES = ("agents", "research", "closed")
NAMES = ("planner", "billing")
RULES = ("read", "write")
PORTS = (8080, 9090)
CALLS = {
    "GET": ("/v1/orders", "/v1/orders/7", "/v1/orders/7/x", "/v1/ordersx", "/shop.Orders/Get"),
    "POST": ("/v1/orders", "/shop.Orders/Get", "/shop.Orders/Put", "/shop.OrdersX/Get"),
}
Spec = dict[str, Any]

agents = st.sampled_from([(ns, name) for ns in NAMESPACES for name in NAMES])


@st.composite
def callers(draw: st.DrawFn) -> Spec:
    namespace, name = draw(agents)
    kind = draw(st.sampled_from(["AgentIdentity", "AllAgentIdentities", "ServiceAccount"]))
    named = {} if kind == "AllAgentIdentities" else {"name": name}
    if kind == "ServiceAccount":
        named = {"name": draw(st.sampled_from([name, "frontend"]))}
    return {"kind": kind, "namespace": namespace, **named}


@st.composite
def said(draw: st.DrawFn) -> Spec:
    protocol = draw(st.sampled_from(["HTTP", "GRPC", "TCP"]))
    paths = ["/v1/orders", "/v1/orders/*", "/v1/orders/{*}", "/v1/{**}"]
    methods = st.lists(st.sampled_from(["GET", "POST"]), min_size=1, unique=True)
    http = {"paths": draw(st.lists(st.sampled_from(paths), min_size=1, unique=True))}
    calls = st.lists(st.sampled_from(["Get", "*"]), min_size=1, unique=True)
    return {
        "protocol": protocol,
        "ports": draw(st.lists(st.sampled_from(PORTS), min_size=1, unique=True)),
        **({"http": http | {"methods": draw(methods)}} if protocol == "HTTP" else {}),
        **(
            {"grpc": {"services": ["shop.Orders"], "methods": draw(calls)}}
            if protocol == "GRPC"
            else {}
        ),
    }


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Spec], dict[tuple[str, str], list[Spec]]]:
    """Rules of one grant, and what each agent's spec.outbound says."""
    rules = [
        {"name": name, "from": draw(st.lists(callers(), min_size=1, max_size=3)), **draw(said())}
        for name in draw(st.lists(st.sampled_from(RULES), unique=True))
    ]
    grants = st.sampled_from(["orders", "another"])
    asked = st.lists(st.sampled_from(RULES), min_size=1, unique=True)
    entry = st.builds(lambda g, r: {"namespace": "shop", "grant": g, "rules": r}, grants, asked)
    entries = st.lists(entry, max_size=2, unique_by=lambda e: e["grant"])
    return rules, draw(st.dictionaries(agents, entries))


def policies(rules: list[Spec], outbound: dict[tuple[str, str], list[Spec]]) -> list[Any]:
    """What the operator writes for the grant, all agents being as well as they may be."""
    world = World(CLUSTER, lambda _: None)
    for name in NAMESPACES:
        labels = {"agents": "no" if name == "closed" else "allowed"}
        world.namespace_changed(None, namespace_of(name, **labels))
    raw = class_of().spec
    assert raw is not None
    spec = raw.model_dump(mode="json", by_alias=True, exclude_none=True)
    world.see_class({"metadata": metadata("default"), "spec": spec})
    for (namespace, name), entries in outbound.items():
        meta = metadata(name, namespace, uid=f"{namespace}/{name}")
        world.see_identity({"metadata": meta, "spec": {"outbound": entries}})
        identity = world.identities[Key(namespace, name)]
        mark: dict[str, Any] = {"labelled": True, "identity": name, "owner_uid": meta["uid"]}
        world.object_changed(None, Observed(account_ref(identity), "u", "1", b"", **mark))
    body = {"enforcement": "Enforce", "selector": {"matchLabels": {"app": "orders"}}}
    world.grants.see({"metadata": metadata("orders", "shop"), "spec": body | {"rules": rules}})
    facts = world.grants.facts(Key("shop", "orders", Subject.GRANT))
    assert facts is not None
    assert judge_grant(facts).standing is Standing.GRANTED
    return [r.body for r in GrantPolicies().desired(facts, Standing.GRANTED)]


# --- what both sides say, worked out from the manifests alone


def entitled(
    peer: tuple[str, str], rules: list[Spec], outbound: dict[tuple[str, str], list[Spec]]
) -> Iterator[Spec]:
    """Rules that a caller may use."""
    is_agent, stands = peer in outbound, peer[0] != "closed"
    asked = {r for e in outbound.get(peer, ()) if e["grant"] == "orders" for r in e["rules"]}
    for rule in rules:
        for caller in rule["from"]:
            here = caller["namespace"] == peer[0]
            named = caller.get("name") in {None, peer[1]}
            if caller["kind"] == "ServiceAccount":
                ok = here and named and not is_agent
            else:
                ok = here and named and is_agent and stands and rule["name"] in asked
            if ok:
                yield rule


def covers(rule: Spec, port: int, method: str, path: str) -> bool:
    if port not in rule["ports"]:
        return False
    if rule["protocol"] == "TCP":
        return True
    if rule["protocol"] == "GRPC":
        calls = rule["grpc"]["methods"]
        known = {"/shop.Orders/Get", "/shop.Orders/Put"} if "*" in calls else {"/shop.Orders/Get"}
        return method == "POST" and path in known
    if method not in rule["http"]["methods"]:
        return False
    patterns = {
        "/v1/orders": path == "/v1/orders",
        "/v1/orders/*": path.startswith("/v1/orders/"),
        "/v1/orders/{*}": path == "/v1/orders/7",
        "/v1/{**}": path.startswith("/v1/"),
    }
    return any(patterns[p] for p in rule["http"]["paths"])


@settings(max_examples=50, deadline=None)
@given(stories())
def test_istio_lets_in_whom_the_grant_names_and_who_asks(
    story: tuple[list[Spec], dict[tuple[str, str], list[Spec]]],
) -> None:
    rules, outbound = story
    written = policies(rules, outbound)
    peers = [(ns, name) for ns in NAMESPACES for name in (*NAMES, "frontend")]
    for peer in peers:
        principal = f"cluster.local/ns/{peer[0]}/sa/{peer[1]}"
        usable = [*entitled(peer, rules, outbound)]
        for port in PORTS:
            for method, paths in CALLS.items():
                for path in paths:
                    request = Request(principal, port, method, path)
                    expected = any(covers(r, port, method, path) for r in usable)
                    assert lets_in(written, {"app": "orders"}, request) is expected
    for port in PORTS:
        assert not lets_in(written, {"app": "orders"}, Request(None, port, "GET", "/v1/orders"))
