"""Who may call services that grants guard: every caller, every request, against the oracle."""

from dataclasses import dataclass

import pytest
from fleet import ALIVE
from oracle import Manifests, Peer, Request, Server
from scene import PLAINTEXT, Actor, Scene, do, request_of
from shops import (
    ACCOUNTS,
    AGENTS,
    CALLERS,
    CLASSES,
    CLOSED,
    DESK,
    GRANTS,
    LAB,
    NAMESPACES,
    NOWHERE,
    OPENED,
    OUTSIDE,
    SHOP,
    STALLED,
    STALLED_AGENTS,
    STREET,
)

from testbed.workload import GRPC_PORT, HTTP_PORT, PROTOCOLS, SECOND_HTTP_PORT, TCP_PORT, Workload
from testbed.workload_calls import Mode, Verdict

LET_IN, DENIED, CUT_OFF = Verdict.LET_IN, Verdict.DENIED, Verdict.CUT_OFF
# Name → namespace and labels of a pod.
GUARDED = {
    "orders": (SHOP, {"app": "orders"}),
    "stock": (SHOP, {"app": "stock", "tier": "front"}),
    "books": (SHOP, {"app": "books"}),
    "archive": (SHOP, {"app": "archive"}),
    "site": (DESK, {"app": "desk"}),
    "keeper": (DESK, {"app": "desk"}),
}
NOBODYS = ("books", "archive", "site")
# In half of a selector, in that of a Shadow grant, and in that of one that opened as it went.
OPEN = {"app": "stock", "tier": "back"}, {"app": "draft"}, {"app": "lobby"}
REQUESTS = [
    # --- rules on paths and methods
    request_of("GET", "/v1/orders", HTTP_PORT),
    request_of("HEAD", "/v1/orders/7", HTTP_PORT),
    request_of("GET", "/v1/orders/", HTTP_PORT),
    request_of("GET", "/v1/orders/7/lines", HTTP_PORT),
    request_of("GET", "/docs/a", HTTP_PORT),
    request_of("GET", "/docs", HTTP_PORT),
    request_of("GET", "/files/a/parts/1/2", HTTP_PORT),
    request_of("GET", "/files/a/b/parts/1", HTTP_PORT),
    request_of("POST", "/v1/orders", HTTP_PORT),
    request_of("PUT", "/v1/orders?x=/audit", HTTP_PORT),
    request_of("DELETE", "/v1/orders", HTTP_PORT),
    request_of("POST", "/v1/orders/7", HTTP_PORT),
    # --- of other grants
    request_of("GET", "/audit", HTTP_PORT),
    request_of("GET", "/count", HTTP_PORT),
    request_of("GET", "/visit", HTTP_PORT),
    request_of("GET", "/ask", HTTP_PORT),
    # --- the same on another port
    request_of("GET", "/v1/orders", SECOND_HTTP_PORT),
    request_of("POST", "/v1/orders", SECOND_HTTP_PORT),
    request_of("PATCH", "/anything", SECOND_HTTP_PORT),
    # --- gRPC
    request_of("POST", "/shop.v1.Orders/Get", GRPC_PORT),
    request_of("POST", "/shop.v1.Orders/Delete", GRPC_PORT),
    request_of("POST", "/shop.v1.OrdersX/Get", GRPC_PORT),
    request_of("POST", "/shop.v1.Admin/Anything", GRPC_PORT),
    request_of("POST", "/v1/orders", GRPC_PORT),
    # --- a connection without requests
    request_of("", "", TCP_PORT),
    *(request_of(*alive, port) for port, alive in ALIVE.items() if port != TCP_PORT),
]
GET, TAIL, VISIT = REQUESTS[0], request_of("", "", TCP_PORT), request_of("GET", "/visit", HTTP_PORT)


@dataclass(frozen=True)
class Street:
    """servers: by name; open: those that nothing guards."""

    scene: Scene
    servers: dict[str, Workload]
    open: list[Workload]
    actors: dict[Peer, Actor]

    @property
    def everybody(self) -> list[Actor]:
        return [*self.actors.values(), PLAINTEXT]


@pytest.fixture(scope="module")
def street(scene: Scene) -> Street:
    scene.apply(*NAMESPACES, *ACCOUNTS, *CLASSES, *AGENTS)
    scene.wait_ready(*AGENTS)
    scene.apply(*STALLED_AGENTS, *GRANTS)
    scene.wait_ready(*GRANTS)
    for grant in (CLOSED, OPENED):
        scene.delete(grant)
        scene.team(SHOP).wait_gone(grant["kind"], grant["metadata"]["name"])
    actors = {peer: scene.actor(*peer) for peer in CALLERS}
    actors |= {peer: scene.actor_by_name(*peer) for peer in NOWHERE}
    servers = {n: _serve(scene, n) for n in GUARDED if n != "keeper"}
    scene.wait_verdict(LET_IN, actors[Peer(STREET, "till")], servers["site"], VISIT)
    servers["keeper"] = _serve(scene, "keeper")
    _wait_until_stalled(scene, servers["site"], actors[Peer(STREET, "till")])
    opened = [scene.serve(SHOP, f"open-{n}", account="open", labels=m) for n, m in enumerate(OPEN)]
    scene.wait_guarded(servers["keeper"], "keeper")
    return Street(scene, servers, opened, actors)


def _serve(scene: Scene, name: str) -> Workload:
    namespace, labels = GUARDED[name]
    agent = name if name == "keeper" else ""
    return scene.serve(namespace, name, account=name, agent=agent, labels=labels)


def _wait_until_stalled(scene: Scene, server: Workload, visitor: Actor) -> None:
    """It guarded its pods before there was an agent's among them."""
    scene.team(DESK).wait_reason("desk", "AgentSelected", of=STALLED["kind"])
    scene.wait_verdict(DENIED, visitor, server, VISIT)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: f"{r.port} {r.method} {r.path}")
@pytest.mark.parametrize("name", GUARDED)
def test_whoever_is_granted_it_gets_in_and_nobody_else(
    street: Street, name: str, request_: Request
) -> None:
    server = street.servers[name]
    assert not street.scene.differences(street.everybody, server, request_)
    assert_alive(street, name, request_.port)


def assert_alive(street: Street, name: str, port: int) -> None:
    """The port serves: a refusal that was seen just now is no outage."""
    prober, server = street.actors[Peer(STREET, "prober")], street.servers[name]
    verdict = do(prober, server, request_of(*ALIVE[port], port)).verdict
    # Where nobody may call, the sidecar still knows who calls, and says so itself.
    assert verdict is (DENIED if name in NOBODYS else LET_IN)


@pytest.mark.parametrize("port", PROTOCOLS)
def test_what_no_grant_guards_is_open(street: Street, port: int) -> None:
    request_ = request_of("POST", "/shop.v1.Orders/Get", port)
    for server in street.open:
        assert not street.scene.differences(street.everybody, server, request_)
        assert do(PLAINTEXT, server, request_).verdict is LET_IN


@pytest.mark.parametrize("port", PROTOCOLS)
@pytest.mark.parametrize("name", [n for n in GUARDED if n != "keeper"])
def test_without_strict_mtls_nobody_gets_in_without_a_name(
    street: Street, name: str, port: int
) -> None:
    """A grant names principals, and leaves to its owner whether plaintext is taken at all."""
    server, request_ = street.servers[name], request_of(*ALIVE[port], port)
    impostors = street.scene.impostors(Peer(STREET, "prober"))
    verdicts = {a.name: do(a, server, request_).verdict for a in impostors}
    known = {"its name and more", "its name in capitals"}
    # Of a plain TCP connection nobody can tell which refusal it was.
    known |= set() if port == TCP_PORT else {PLAINTEXT.name}
    assert verdicts == {n: DENIED if n in known else CUT_OFF for n in verdicts}
    assert_alive(street, name, port)


def test_the_matrix_is_no_formality(street: Street) -> None:
    """Enough calls, and of both kinds; everybody who may call at all gets in somewhere."""
    verdicts = {
        (actor.name, name, request_): street.scene.expected(actor, street.servers[name], request_)
        for name in GUARDED
        for request_ in REQUESTS
        for actor in street.everybody
    }
    assert len(verdicts) > 2000
    assert sum(verdicts.values()) > 40
    heard = {who for (who, _, _), let_in in verdicts.items() if let_in}
    silent = {"desk/silent", "desk/eager", "desk/lost", "outside/stranger", "street/buyer"}
    assert {a.name for a in street.everybody} - heard == {*silent, PLAINTEXT.name}


def test_everybody_has_a_certificate(street: Street) -> None:
    """Who is refused is refused by name."""
    assert all(a.caller.mode is Mode.MTLS for a in street.actors.values())
    for actor in street.actors.values():
        assert do(actor, street.open[0], GET).verdict is LET_IN, actor.name


# --- the oracle itself, by hand

BUYER, CLERK, SILENT = Peer(DESK, "buyer"), Peer(DESK, "clerk-account"), Peer(DESK, "silent")
READER, TAILER, TILL = Peer(LAB, "reader"), Peer(LAB, "tailer"), Peer(STREET, "till")
BY_HAND = [
    (BUYER, "orders", GET, True),
    (BUYER, "orders", request_of("GET", "/v1/orders", SECOND_HTTP_PORT), True),
    # Given by name, and not asked for.
    (BUYER, "orders", request_of("POST", "/shop.v1.Orders/Get", GRPC_PORT), False),
    (CLERK, "orders", request_of("POST", "/shop.v1.Orders/Get", GRPC_PORT), True),
    (CLERK, "orders", request_of("GET", "/audit", HTTP_PORT), True),
    # `double` is named, and the account is not its own.
    (CLERK, "orders", GET, False),
    (SILENT, "orders", GET, False),
    (Peer(DESK, "eager"), "orders", GET, False),
    (Peer(DESK, "eager"), "orders", request_of("POST", "/shop.v1.Admin/Any", GRPC_PORT), False),
    (READER, "orders", GET, True),
    (READER, "orders", TAIL, False),
    (TAILER, "orders", TAIL, True),
    (TILL, "orders", GET, True),
    (TILL, "orders", TAIL, True),
    (Peer(STREET, "buyer"), "orders", GET, False),
    (Peer(OUTSIDE, "stranger"), "orders", GET, False),
    (Peer(DESK, "lost"), "orders", GET, False),
    (BUYER, "stock", request_of("GET", "/count", HTTP_PORT), True),
    (BUYER, "books", GET, False),
    (TILL, "archive", VISIT, False),
    (TILL, "site", VISIT, False),
    (TILL, "keeper", VISIT, False),
    (BUYER, "keeper", request_of("GET", "/ask", HTTP_PORT), True),
    # Its account is called as an account, and is an agent's.
    (CLERK, "keeper", request_of("GET", "/ask", HTTP_PORT), False),
    (None, "orders", GET, False),
]


@pytest.mark.parametrize(("peer", "name", "request_", "let_in"), BY_HAND)
def test_the_oracle_knows_what_people_would_say(
    peer: Peer | None, name: str, request_: Request, *, let_in: bool
) -> None:
    standing = [g for g in GRANTS if g not in (CLOSED, OPENED)]
    objects = [*NAMESPACES, *CLASSES, *AGENTS, *STALLED_AGENTS, *standing]
    pods = {n: Server(place, labels) for n, (place, labels) in GUARDED.items()}
    pods["keeper"] = Server(DESK, {"app": "desk", "agentidentity.dev/identity": "keeper"})
    manifests = Manifests(objects, [CLOSED], [*pods.values()])
    assert manifests.lets_in(peer, pods[name], request_) is let_in


@pytest.mark.parametrize("labels", OPEN)
def test_the_oracle_knows_what_is_open(labels: dict[str, str]) -> None:
    standing = [g for g in GRANTS if g not in (CLOSED, OPENED)]
    assert Manifests(standing, [CLOSED]).lets_in(None, Server(SHOP, labels), GET)
