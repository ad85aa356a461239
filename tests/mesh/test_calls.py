"""Who may call what: every caller at every door of every server, against the oracle."""

from dataclasses import dataclass

import pytest
from fleet import (
    ACCOUNTS,
    AGENTS,
    ALIVE,
    CALLERS,
    CLASSES,
    IDENTITIES,
    NAMESPACES,
    WATCH,
    WEB,
)
from oracle import Manifests, Peer, Request, Server, matches
from scene import Actor, Scene, do, request_of

from testbed.workload import GRPC_PORT, HTTP_PORT, PROTOCOLS, SECOND_HTTP_PORT, TCP_PORT, Workload
from testbed.workload_calls import Mode, Verdict

GUARDED = ("billing", "ledger", "silent")
REQUESTS = [
    # --- rules on paths and methods
    request_of("POST", "/v1/tasks", HTTP_PORT),
    request_of("GET", "/v1/tasks", HTTP_PORT),
    request_of("POST", "/v1/tasks?to=/docs/a", HTTP_PORT),
    request_of("POST", "/v1/tasks/7", HTTP_PORT),
    request_of("POST", "/v1/tasks/7/notes", HTTP_PORT),
    request_of("POST", "/v1/tasks/", HTTP_PORT),
    request_of("POST", "/v1/tasksx", HTTP_PORT),
    request_of("POST", "/V1/TASKS", HTTP_PORT),
    request_of("GET", "/docs/a", HTTP_PORT),
    request_of("HEAD", "/docs/a/b", HTTP_PORT),
    request_of("GET", "/docs/", HTTP_PORT),
    request_of("GET", "/docs", HTTP_PORT),
    request_of("GET", "/docsx", HTTP_PORT),
    request_of("GET", "/v1.0/info", HTTP_PORT),
    request_of("GET", "/v1x0/info", HTTP_PORT),
    request_of("GET", "/files/a/parts/1", HTTP_PORT),
    request_of("GET", "/files/a/parts/1/2/3", HTTP_PORT),
    request_of("GET", "/files/a/b/parts/1", HTTP_PORT),
    request_of("GET", "/files/a/parts", HTTP_PORT),
    request_of("PUT", "/drafts", HTTP_PORT),
    request_of("DELETE", "/drafts", HTTP_PORT),
    request_of("GET", "/", HTTP_PORT),
    # --- the same on another port
    request_of("POST", "/v1/tasks", SECOND_HTTP_PORT),
    request_of("GET", "/docs/a", SECOND_HTTP_PORT),
    request_of("PATCH", "/anything", SECOND_HTTP_PORT),
    # --- gRPC
    request_of("POST", "/shop.v1.Orders/Get", GRPC_PORT),
    request_of("POST", "/shop.v1.Orders/List", GRPC_PORT),
    request_of("POST", "/shop.v1.Orders/Delete", GRPC_PORT),
    request_of("POST", "/shop.v1.OrdersX/Get", GRPC_PORT),
    request_of("POST", "/shop.v1.Admin/Anything", GRPC_PORT),
    request_of("POST", "/shop.v1.Admins/Anything", GRPC_PORT),
    request_of("POST", "/v1/tasks", GRPC_PORT),
    # --- a connection without requests
    request_of("", "", TCP_PORT),
    # --- what the class lets in
    *(request_of(*alive, port) for port, alive in ALIVE.items() if port != TCP_PORT),
]


@dataclass(frozen=True)
class Stage:
    """Everybody of the matrix."""

    scene: Scene
    servers: dict[str, Workload]
    actors: list[Actor]
    prober: Actor


@pytest.fixture(scope="module")
def stage(scene: Scene) -> Stage:
    scene.apply(*NAMESPACES, *ACCOUNTS, *CLASSES, *IDENTITIES)
    scene.wait_ready(*IDENTITIES)
    servers = {n: scene.serve(AGENTS, n, account=n, agent=n) for n in GUARDED}
    for name, server in servers.items():
        scene.wait_guarded(server, name)
    servers["open"] = scene.serve(AGENTS, "open", account="open", agent="open")
    servers["site"] = scene.serve(WEB, "site", account="site")
    actors = {pair: scene.actor(*pair) for pair in CALLERS}
    impostors = scene.impostors(Peer(AGENTS, "planner"))
    return Stage(scene, servers, [*actors.values(), *impostors], actors[WATCH, "prober"])


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: f"{r.port} {r.method} {r.path}")
@pytest.mark.parametrize("name", GUARDED)
def test_whoever_may_gets_in_and_nobody_else(stage: Stage, name: str, request_: Request) -> None:
    server = stage.servers[name]
    assert not stage.scene.differences(stage.actors, server, request_)
    assert_alive(stage, server, request_.port)


def assert_alive(stage: Stage, server: Workload, port: int) -> None:
    """The port serves: a refusal that was seen just now is no outage."""
    alive = request_of(*ALIVE[port], port)
    verdict = do(stage.prober, server, alive).verdict
    if stage.scene.expected(stage.prober, server, alive):
        assert verdict is Verdict.LET_IN
    else:
        # Its class has no rule for a prober. The sidecar knows it, and says so itself.
        assert server.name == "ledger"
        assert verdict is Verdict.DENIED


@pytest.mark.parametrize("port", PROTOCOLS)
@pytest.mark.parametrize("name", ["open", "site"])
def test_without_a_policy_everybody_gets_in(stage: Stage, name: str, port: int) -> None:
    """Of those who present no certificate, or one of this mesh: TLS that is none of the mesh's is
    passed on to a server that speaks none."""
    request_ = request_of("POST", "/shop.v1.Orders/Get", port)
    known = [a for a in stage.actors if a.peer or a.caller.mode is Mode.PLAINTEXT]
    assert not stage.scene.differences(known, stage.servers[name], request_)


@pytest.mark.parametrize("port", PROTOCOLS)
@pytest.mark.parametrize("name", GUARDED)
def test_impostors_get_no_connection(stage: Stage, name: str, port: int) -> None:
    """Not even one that a policy would have to refuse."""
    server, request_ = stage.servers[name], request_of(*ALIVE[port], port)
    impostors = [a for a in stage.actors if a.peer is None]
    verdicts = {a.name: do(a, server, request_).verdict for a in impostors}
    named = {n for n, v in verdicts.items() if v is not Verdict.CUT_OFF}
    # The trust domain is this one: who these are is left to the policy to see.
    assert named == {"its name and more", "its name in capitals"}
    assert_alive(stage, server, port)


def test_the_matrix_is_no_formality(stage: Stage) -> None:
    """Enough calls, and of both kinds."""
    verdicts = [
        stage.scene.expected(actor, stage.servers[name], request_)
        for name in GUARDED
        for request_ in REQUESTS
        for actor in stage.actors
    ]
    assert len(verdicts) > 1000
    assert sum(verdicts) > 30
    everybody = {a.name for a in stage.actors if a.peer}
    heard = {
        actor.name
        for request_ in REQUESTS
        for actor in stage.actors
        if stage.scene.expected(actor, stage.servers["billing"], request_)
    }
    assert everybody - heard == {"agents/stray", "agents/billing", "web/planner"}


# --- the oracle itself, by hand

PLANNER, GATEWAY, READER = Peer(AGENTS, "planner"), Peer(WEB, "gateway"), Peer("research", "reader")
BY_HAND = [
    (PLANNER, "billing", REQUESTS[0], True),
    (PLANNER, "billing", request_of("GET", "/v1/tasks", HTTP_PORT), False),
    (PLANNER, "billing", request_of("POST", "/v1/tasks", SECOND_HTTP_PORT), False),
    (Peer(WEB, "planner"), "billing", REQUESTS[0], False),
    (None, "billing", REQUESTS[0], False),
    (GATEWAY, "billing", request_of("POST", "/v1/tasks/7", HTTP_PORT), True),
    (GATEWAY, "billing", request_of("POST", "/shop.v1.Admin/X", GRPC_PORT), True),
    (GATEWAY, "billing", request_of("POST", "/shop.v1.Orders/Get", GRPC_PORT), False),
    (READER, "billing", request_of("GET", "/docs/a", SECOND_HTTP_PORT), True),
    (READER, "billing", request_of("GET", "/alive", HTTP_PORT), False),
    (Peer(AGENTS, "writer-account"), "billing", request_of("PUT", "/drafts", HTTP_PORT), True),
    (Peer(AGENTS, "writer"), "billing", request_of("PUT", "/drafts", HTTP_PORT), False),
    (Peer(WEB, "batch"), "billing", request_of("PATCH", "/x", SECOND_HTTP_PORT), True),
    (Peer(WATCH, "prober"), "silent", request_of("GET", "/alive", HTTP_PORT), True),
    (Peer(WATCH, "prober"), "ledger", request_of("GET", "/alive", HTTP_PORT), False),
    (None, "open", REQUESTS[0], True),
]


@pytest.mark.parametrize(("peer", "name", "request_", "let_in"), BY_HAND)
def test_the_oracle_knows_what_people_would_say(
    peer: Peer | None, name: str, request_: Request, *, let_in: bool
) -> None:
    manifests = Manifests([*NAMESPACES, *CLASSES, *IDENTITIES])
    server = Server(AGENTS, {"agentidentity.dev/identity": name})
    assert manifests.lets_in(peer, server, request_) is let_in


@pytest.mark.parametrize(
    ("pattern", "path", "same"),
    [
        ("/x", "/x", True),
        ("/x", "/x/", False),
        ("/x/*", "/x/", True),
        ("/x/*", "/x", False),
        ("/x/{*}", "/x/y", True),
        ("/x/{*}", "/x/", False),
        ("/x/{*}", "/x/y/z", False),
        ("/x/{**}", "/x/", True),
        ("/x/{**}", "/x/y/z", True),
        ("/x/{**}", "/x", False),
        ("/{*}/y", "/x/y", True),
        ("/*", "/", True),
    ],
)
def test_the_oracle_reads_paths(pattern: str, path: str, *, same: bool) -> None:
    assert matches(pattern, path) is same
