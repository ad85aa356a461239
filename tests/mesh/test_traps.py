"""What surprises people about Istio's policies, on the real thing.

Some tests show that what the operator writes holds. Others are controls: they show what would
happen if it wrote something else, or what somebody else's policy does, and why the status says so.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from fleet import (
    account,
    agent,
    grpc_rule,
    http_rule,
    inbound,
    namespace,
    service_account,
    tcp_rule,
)
from oracle import IDENTITY_LABEL, Manifest, Peer
from scene import PLAINTEXT, Actor, Scene, do, request_of

from testbed.istiod import ROOT_NAMESPACE, Istiod
from testbed.tenant import MESH, class_manifest, identity_manifest
from testbed.toolchain import find_binaries
from testbed.waiting import wait_until
from testbed.workload import GRPC_PORT, HTTP_PORT, POD_LABEL, SECOND_HTTP_PORT, TCP_PORT, Workload
from testbed.workload_calls import Caller, Verdict, connected
from testbed.workload_certificates import signed

TRAPS, CLASS = "traps", "traps"
CALLER, OTHER, TARGET = "caller", "other", "target"
LET_IN, DENIED, CUT_OFF = Verdict.LET_IN, Verdict.DENIED, Verdict.CUT_OFF
GET = request_of("GET", "/known", HTTP_PORT)


@dataclass
class Town:
    """target: an agent that the tests change; server: its pod. caller and other are agents too."""

    scene: Scene
    target: Manifest
    server: Workload
    caller: Actor
    other: Actor
    changes: Iterator[int] = field(default_factory=count)

    def let_in(self, *rules: Manifest) -> None:
        """These rules of the target, in force on return. One more lets the caller in where it never
        was before, which is how that shows."""
        service = f"marker.v{next(self.changes)}"
        marker = grpc_rule("marker", [agent(CALLER)], [GRPC_PORT], [service], ["Now"])
        self._replace(*rules, marker)
        self.wait(LET_IN, "POST", f"/{service}/Now", GRPC_PORT)

    def let_in_nobody(self, *rules: Manifest) -> None:
        """Rules that name nobody who is there, in force on return."""
        self.let_in(tcp_rule("before", [agent(CALLER)], [HTTP_PORT]))
        self._replace(*rules)
        self.wait(DENIED, *GET[:3])

    def _replace(self, *rules: Manifest) -> None:
        spec = {**self.target["spec"], "inbound": inbound(*rules)}
        self.target = self.scene.replace_spec(self.target, spec)
        self.scene.wait_ready(self.target)

    def verdict(self, method: str, path: str, port: int) -> Verdict:
        return do(self.caller, self.server, request_of(method, path, port)).verdict

    def wait(self, verdict: Verdict, method: str, path: str, port: int) -> None:
        request = request_of(method, path, port)
        self.scene.wait_verdict(verdict, self.caller, self.server, request)


@pytest.fixture(scope="module")
def town(scene: Scene) -> Town:
    target = identity_manifest(TRAPS, TARGET, className=CLASS)
    callers = [identity_manifest(TRAPS, name, className=CLASS) for name in (CALLER, OTHER)]
    scene.apply(namespace(TRAPS, agents="allowed"), class_manifest(CLASS, None))
    scene.apply(service_account(TRAPS, "site"), *callers, target)
    scene.wait_ready(*callers, target)
    server = scene.serve(TRAPS, TARGET, account=TARGET, agent=TARGET)
    scene.wait_guarded(server, TARGET)
    caller, other = (scene.actor(TRAPS, name) for name in (CALLER, OTHER))
    return Town(scene, target, server, caller, other)


# --- paths

PATHS = [
    ("/docs/*", ["/docs/a", "/docs/", "/docs/a/b"], ["/docsa", "/docs", "/Docs/a", "/x/docs/a"]),
    ("/v1.0/x", ["/v1.0/x", "/v1.0/x?a=b"], ["/v1x0/x", "/v10/x", "/v1.0/x/", "/v1.0/xy"]),
    ("/a/{*}/b", ["/a/x/b", "/a/x.y/b"], ["/a//b", "/a/b", "/a/x/y/b", "/a/x/b/", "/a/x/bc"]),
    ("/f/{**}", ["/f/a", "/f/a/b/c", "/f/"], ["/f", "/fa", "/g/f/a"]),
    ("/{*}", ["/x"], ["/", "/x/y"]),
    ("/*", ["/x", "/", "/x/y"], []),
]


@pytest.mark.parametrize(("pattern", "in_", "out"), PATHS, ids=[p[0] for p in PATHS])
def test_a_path_lets_in_what_it_says(
    town: Town, pattern: str, in_: list[str], out: list[str]
) -> None:
    town.let_in(http_rule("paths", [agent(CALLER)], [HTTP_PORT], ["GET"], [pattern]))
    verdicts = {path: town.verdict("GET", path, HTTP_PORT) for path in (*in_, *out)}
    assert verdicts == dict.fromkeys(in_, LET_IN) | dict.fromkeys(out, DENIED)


def test_the_server_gets_the_path_that_was_judged(town: Town) -> None:
    """Dots are resolved before anybody looks. An encoded slash is a character like others, for the
    policy and in what the server gets: one that decodes it is past a prefix."""
    town.let_in(http_rule("docs", [agent(CALLER)], [HTTP_PORT], ["GET"], ["/docs/*"]))
    for path in ("/docs/../secret", "/docs/%2e%2e/secret", "/docs/./../secret", "/docs%2fa"):
        assert town.verdict("GET", path, HTTP_PORT) is DENIED, path
    given = {"/secret/../docs/a": "/docs/a", "/docs/..%2fsecret": "/docs/..%2fsecret"}
    for path, seen in given.items():
        outcome = do(town.caller, town.server, request_of("GET", path, HTTP_PORT))
        assert (outcome.verdict, outcome.path) == (LET_IN, seen)


# --- methods, ports, protocols


def test_every_method_of_a_grpc_service_is_no_other_service(town: Town) -> None:
    town.let_in(grpc_rule("admin", [agent(CALLER)], [GRPC_PORT], ["shop.v1.Admin"], ["*"]))
    for path in ("/shop.v1.Admin/Get", "/shop.v1.Admin/Delete"):
        assert town.verdict("POST", path, GRPC_PORT) is LET_IN, path
    for path in ("/shop.v1.AdminX/Get", "/shop.v1/Admin/Get", "/shopxv1.Admin/Get", "/Get"):
        assert town.verdict("POST", path, GRPC_PORT) is DENIED, path


def test_a_grpc_rule_lets_in_nothing_that_is_no_grpc_call(town: Town) -> None:
    town.let_in(grpc_rule("x", [agent(CALLER)], [HTTP_PORT, TCP_PORT], ["shop.v1.Admin"], ["*"]))
    assert town.verdict("POST", "/shop.v1.Admin/Get", HTTP_PORT) is LET_IN
    assert town.verdict("GET", "/shop.v1.Admin/Get", HTTP_PORT) is DENIED
    # Where nobody sees requests, a rule on requests lets nobody in.
    assert town.verdict("", "", TCP_PORT) is DENIED


def test_a_method_is_no_other_method(town: Town) -> None:
    town.let_in(http_rule("x", [agent(CALLER)], [HTTP_PORT], ["GET"], ["/x"]))
    assert town.verdict("GET", "/x", HTTP_PORT) is LET_IN
    for method in ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert town.verdict(method, "/x", HTTP_PORT) is DENIED, method


def test_a_tcp_rule_lets_in_every_request_on_its_ports_only(town: Town) -> None:
    town.let_in(tcp_rule("x", [agent(CALLER)], [SECOND_HTTP_PORT, TCP_PORT]))
    assert town.verdict("DELETE", "/x", SECOND_HTTP_PORT) is LET_IN
    assert town.verdict("", "", TCP_PORT) is LET_IN
    assert town.verdict("GET", "/x", HTTP_PORT) is DENIED
    assert town.verdict("POST", "/a.B/C", GRPC_PORT) is DENIED


# --- callers


def test_no_callers_is_nobody(town: Town) -> None:
    """Istio takes a rule without callers for everybody, plaintext included: none is written."""
    for rules in ([tcp_rule("x", [agent("ghost")], [HTTP_PORT])], []):
        town.let_in_nobody(*rules)
        assert do(town.other, town.server, GET).verdict is DENIED
        assert do(PLAINTEXT, town.server, GET).verdict is CUT_OFF


def test_a_rule_without_callers_would_let_everybody_in(town: Town) -> None:
    """Why: the control of the test above."""
    site = town.scene.serve(TRAPS, "site", account="site")
    rule = {"to": [{"operation": {"ports": [str(HTTP_PORT)]}}]}
    with_policy(town, policy("open", {POD_LABEL: "site"}, rule))
    town.scene.wait_policy(site, "open")
    assert do(PLAINTEXT, site, GET).verdict is LET_IN
    assert do(town.other, site, GET).verdict is LET_IN
    assert do(town.other, site, request_of("GET", "/", SECOND_HTTP_PORT)).verdict is DENIED


def test_a_principal_with_a_scheme_names_nobody(town: Town) -> None:
    """Istio writes `spiffe://` itself."""
    name = f"cluster.local/ns/{TRAPS}/sa/{CALLER}"
    site = town.scene.serve(TRAPS, "scheme", account="site")
    own = {POD_LABEL: "scheme"}
    with_policy(town, policy("scheme", own, calls_of(f"spiffe://{name}")))
    town.scene.wait_policy(site, "scheme")
    assert do(town.caller, site, GET).verdict is DENIED
    with_policy(town, policy("plain", own, calls_of(name)))
    town.scene.wait_verdict(LET_IN, town.caller, site, GET)


def test_an_account_that_is_called_as_an_agent_is_no_agent(town: Town) -> None:
    elsewhere = "traps-elsewhere"
    town.scene.apply(namespace(elsewhere), service_account(elsewhere, CALLER))
    namesake = town.scene.actor(elsewhere, CALLER)
    town.let_in(tcp_rule("x", [agent(CALLER)], [HTTP_PORT]))
    assert town.verdict(*GET[:3]) is LET_IN
    assert do(namesake, town.server, GET).verdict is DENIED
    town.let_in(tcp_rule("x", [account(elsewhere, CALLER)], [HTTP_PORT]))
    assert town.verdict(*GET[:3]) is DENIED
    assert do(namesake, town.server, GET).verdict is LET_IN


# --- connections that are open already


def test_a_connection_that_is_open_lasts_longer_than_what_let_it_in(town: Town) -> None:
    """Nobody new gets in. Over HTTP an open connection gets one more answer, and is told that it
    was the last; TCP goes on until Envoy has drained it: by then all have ended."""
    brief = town.scene.serve(TRAPS, "brief", account=TARGET, agent=TARGET, drain="1s")
    town.let_in(tcp_rule("x", [agent(CALLER)], [HTTP_PORT, TCP_PORT]))
    with (
        connected(town.caller.caller, town.server, HTTP_PORT) as http,
        connected(town.caller.caller, town.server, TCP_PORT) as tcp,
        connected(town.caller.caller, brief, TCP_PORT) as drained,
    ):
        assert [c("GET", "/").verdict for c in (http, tcp, drained)] == [LET_IN] * 3
        town.let_in(tcp_rule("x", [agent(OTHER)], [HTTP_PORT, TCP_PORT]))
        assert town.verdict(*GET[:3]) is DENIED
        assert [http("GET", "/").verdict for _ in range(2)] == [LET_IN, CUT_OFF]
        assert tcp("", "").verdict is LET_IN
        ended = "a connection has been drained"
        wait_until(lambda: drained("", "").verdict is not LET_IN, timeout=20, what=ended)


# --- somebody else's policies


@dataclass(frozen=True)
class Foreign:
    """A PeerAuthentication that was there before: mtls and portLevelMtls of its spec, whether it
    selects the agent's pods, and where it is. What becomes of a plain call and of the agent that
    may call; whether the operator says that it weakens."""

    mtls: str
    plain: Verdict
    known: Verdict
    weakens: bool
    ports: Mapping[str, str] | None = None
    selects: bool = True
    place: str = ""


FOREIGN = {
    "permissive": Foreign("PERMISSIVE", DENIED, LET_IN, weakens=True),
    "disabled": Foreign("DISABLE", DENIED, CUT_OFF, weakens=True),
    "one-port": Foreign("STRICT", DENIED, CUT_OFF, weakens=True, ports={"8080": "DISABLE"}),
    "of-namespace": Foreign("PERMISSIVE", CUT_OFF, LET_IN, weakens=False, selects=False),
    "of-mesh": Foreign(
        "PERMISSIVE", CUT_OFF, LET_IN, weakens=False, selects=False, place=ROOT_NAMESPACE
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_an_older_peer_authentication(town: Town, name: str) -> None:
    """Of several for one pod the oldest counts, and ours is not it. Nobody without a certificate
    gets in all the same, since rules name principals; where mTLS is off, nobody at all does."""
    foreign, place = FOREIGN[name], f"older-{name}"
    scene = town.scene
    scene.apply(namespace(place, agents="allowed"))
    with created(scene, peer_authentication(foreign, place, name)):
        wait_for_another_second()
        rules = inbound(tcp_rule("x", [agent(CALLER, TRAPS)], [HTTP_PORT]))
        identity = identity_manifest(place, name, className=CLASS, inbound=rules)
        scene.apply(identity)
        reason = "ForeignPolicy" if foreign.weakens else "InPlace"
        scene.team(place).wait_reason(name, reason, "InboundReady")
        server = scene.serve(place, name, account=name, agent=name)
        scene.wait_policy(server, f"agentidentity-{name}")
        assert do(PLAINTEXT, server, GET).verdict is foreign.plain
        assert do(town.caller, server, GET).verdict is foreign.known


def test_a_younger_peer_authentication_changes_nothing(town: Town) -> None:
    town.let_in(tcp_rule("x", [agent(CALLER)], [HTTP_PORT]))
    younger = peer_authentication(FOREIGN["disabled"], TRAPS, TARGET)
    wait_for_another_second()
    with created(town.scene, younger):
        # What is written after it is seen after it.
        town.let_in(tcp_rule("x", [agent(CALLER)], [HTTP_PORT]))
        assert do(PLAINTEXT, town.server, GET).verdict is CUT_OFF
        condition = town.scene.team(TRAPS).condition(TARGET, "InboundReady")
        assert condition["reason"] == "InPlace"


def test_allow_policies_add_up_and_the_status_says_so(town: Town) -> None:
    town.let_in(tcp_rule("x", [agent(CALLER)], [HTTP_PORT]))
    assert do(town.other, town.server, GET).verdict is DENIED
    team = town.scene.team(TRAPS)
    with created(town.scene, policy("generous", {IDENTITY_LABEL: TARGET}, {})):
        town.scene.wait_verdict(LET_IN, town.other, town.server, GET)
        assert do(PLAINTEXT, town.server, GET).verdict is CUT_OFF
        team.wait_reason(TARGET, "ForeignPolicy", "InboundReady")
    town.scene.wait_verdict(DENIED, town.other, town.server, GET)
    team.wait_reason(TARGET, "InPlace", "InboundReady")


def test_a_deny_policy_takes_away_and_weakens_nothing(town: Town) -> None:
    town.let_in(tcp_rule("x", [agent(CALLER)], [HTTP_PORT]))
    assert town.verdict(*GET[:3]) is LET_IN
    deny = policy("strict", {IDENTITY_LABEL: TARGET}, {}, action="DENY")
    with created(town.scene, deny):
        town.wait(DENIED, *GET[:3])
        condition = town.scene.team(TRAPS).condition(TARGET, "InboundReady")
        assert condition["reason"] == "InPlace"
    town.wait(LET_IN, *GET[:3])


# --- trust domains


@pytest.fixture(scope="module")
def renamed(scene: Scene) -> Iterator[Istiod]:
    """The same mesh after its trust domain was changed, with the old one as an alias."""
    with Istiod(
        scene.bed.directory / "istiod-renamed",
        scene.bed.control_plane,
        find_binaries(),
        trust_domain="new.example",
        aliases=["old.example"],
    ) as running:
        yield running


def test_trust_domains_and_aliases(town: Town, renamed: Istiod) -> None:
    """The operator writes cluster.local, which Istio takes for the mesh's own domain whatever that
    is called, and for every alias of it: an alias is somebody who may call."""
    scene = town.scene
    rules = inbound(tcp_rule("x", [agent(CALLER)], [HTTP_PORT]))
    identity = identity_manifest(TRAPS, "renamed", className=CLASS, inbound=rules)
    scene.apply(identity)
    scene.wait_ready(identity)
    server = scene.serve(TRAPS, "renamed", account="renamed", agent="renamed", istiod=renamed)
    scene.wait_guarded(server, "renamed")
    domains = {"new.example": LET_IN, "old.example": LET_IN, "cluster.local": CUT_OFF}
    for domain, verdict in (domains | {"third.example": CUT_OFF}).items():
        assert do(of_domain(scene, domain, CALLER), server, GET).verdict is verdict, domain
    assert do(of_domain(scene, "new.example", OTHER), server, GET).verdict is DENIED


def test_a_principal_of_another_trust_domain_names_nobody(town: Town) -> None:
    """So an operator with a wrong trust domain closes agents, and opens none."""
    site = town.scene.serve(TRAPS, "domain", account="site")
    wrong = calls_of(f"prod.example/ns/{TRAPS}/sa/{CALLER}")
    with_policy(town, policy("domain", {POD_LABEL: "domain"}, wrong))
    town.scene.wait_policy(site, "domain")
    assert do(town.caller, site, GET).verdict is DENIED
    stranger = of_domain(town.scene, "prod.example", CALLER)
    assert do(stranger, site, request_of("GET", "/", HTTP_PORT)).verdict is CUT_OFF


# --- what the tests write in somebody else's name


def policy(
    name: str, selector: Mapping[str, str], *rules: Manifest, action: str = "ALLOW"
) -> Manifest:
    spec = {"selector": {"matchLabels": dict(selector)}, "action": action, "rules": list(rules)}
    metadata = {"name": name, "namespace": TRAPS}
    return {"apiVersion": MESH, "kind": "AuthorizationPolicy", "metadata": metadata, "spec": spec}


def calls_of(principal: str) -> Manifest:
    return {"from": [{"source": {"principals": [principal]}}]}


def peer_authentication(foreign: Foreign, place: str, name: str) -> Manifest:
    ports = {port: {"mode": mode} for port, mode in (foreign.ports or {}).items()}
    spec: dict[str, Any] = {"mtls": {"mode": foreign.mtls}}
    spec |= {"portLevelMtls": ports} if ports else {}
    spec |= {"selector": {"matchLabels": {IDENTITY_LABEL: name}}} if foreign.selects else {}
    metadata = {"name": f"foreign-{name}", "namespace": foreign.place or place}
    return {"apiVersion": MESH, "kind": "PeerAuthentication", "metadata": metadata, "spec": spec}


class created:  # noqa: N801 - reads as the condition that it is
    """Something that is there for the time of a `with`."""

    def __init__(self, scene: Scene, manifest: Manifest) -> None:
        self._scene, self._manifest = scene, manifest

    def __enter__(self) -> None:
        self._scene.apply(self._manifest)

    def __exit__(self, *_: object) -> None:
        self._scene.delete(self._manifest)


def with_policy(town: Town, manifest: Manifest) -> None:
    """For the rest of the module: it guards a pod of its own."""
    town.scene.apply(manifest)


def wait_for_another_second() -> None:
    """Creation times are whole seconds."""
    now = int(time.time())
    wait_until(lambda: int(time.time()) > now, timeout=5, what="the next second")


def of_domain(scene: Scene, domain: str, name: str) -> Actor:
    """Somebody with a certificate of the mesh's own root for a name in any trust domain."""
    pair = signed(scene.istiod.authority, [f"spiffe://{domain}/ns/{TRAPS}/sa/{name}"])
    caller = Caller.with_certificate(f"{domain}/{name}", pair, scene.directory / "keys")
    return Actor(caller, Peer(TRAPS, name))
