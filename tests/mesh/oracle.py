"""Who may call whom, worked out from the manifests that a test applied, and from nothing else.

It shares no code with the operator and looks at no object that the operator writes. What the fields
mean is as the README says it ("Write an AgentIdentity") and as the CRDs describe them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Manifest = dict[str, Any]
IDENTITY_LABEL = "agentidentity.dev/identity"
ONE_SEGMENT, ANY_SEGMENTS = "{*}", "{**}"


class Peer(NamedTuple):
    """Who a caller can prove to be: a workload of the mesh's own trust domain, by its account."""

    namespace: str
    account: str


class Server(NamedTuple):
    """The pod that is called."""

    namespace: str
    labels: Mapping[str, str]


class Request(NamedTuple):
    """protocol: what is spoken on the port, HTTP, GRPC or TCP. A gRPC call is a POST to
    /service/method."""

    method: str
    path: str
    port: int
    protocol: str


@dataclass(frozen=True)
class Manifests:
    """all: the objects that exist now, the oldest first. closed: identities and grants that were
    deleted and still guard their pods, with nobody let in. pods: those that run."""

    all: Sequence[Manifest]
    closed: Sequence[Manifest] = ()
    pods: Sequence[Server] = ()

    def lets_in(self, peer: Peer | None, server: Server, request: Request) -> bool:
        """peer: None for one that can't prove anything: without a certificate of this mesh."""
        guards = [*self._guards(server)]
        if not guards:
            return True
        return peer is not None and any(
            self._admits(rule, peer, namespace, grant) and _covers(rule, request)
            for namespace, rules, grant in guards
            for rule in rules
        )

    def _guards(self, server: Server) -> Iterator[tuple[str, Sequence[Manifest], Manifest | None]]:
        """What guards a pod: a namespace, rules, and the grant that they are of, if of one. With
        more guards than one, whoever is let in by any of them is let in."""
        identity = self._find("AgentIdentity", server.namespace, server.labels.get(IDENTITY_LABEL))
        if identity and _enforces(identity["spec"].get("inbound")):
            yield server.namespace, self._inbound_rules(identity), None
        for grant in self._of_kind("AgentAccessGrant", server.namespace):
            if _selects(grant, server) and _enforces(grant["spec"]):
                yield server.namespace, self._grants_rules(grant), grant
        for gone in self.closed:
            if _selects(gone, server):
                yield server.namespace, (), None

    def _inbound_rules(self, identity: Manifest) -> Sequence[Manifest]:
        """The class's and its own; none for one that may not have what it asks for."""
        if not self._stands(identity):
            return ()
        agent_class = self._class_of(identity) or {}
        baseline = agent_class["spec"].get("inbound", {}).get("rules") or ()
        return [*baseline, *(identity["spec"].get("inbound", {}).get("rules") or ())]

    def _grants_rules(self, grant: Manifest) -> Sequence[Manifest]:
        """None for one that would say who may call an agent: it shuts what it guarded before."""
        if any(pod.labels.get(IDENTITY_LABEL) and _selects(grant, pod) for pod in self.pods):
            return ()
        return grant["spec"].get("rules") or ()

    def _admits(self, rule: Manifest, peer: Peer, namespace: str, grant: Manifest | None) -> bool:
        for caller in rule["from"]:
            where, name = caller.get("namespace", namespace), caller.get("name")
            if caller["kind"] == "ServiceAccount":
                if peer == Peer(where, str(name)) and not self._is_agents(peer):
                    return True
                continue
            if any(
                peer == (where, account_of(agent))
                and (grant is None or _asks(agent, grant, rule["name"]))
                for agent in self._agents(where, name)
            ):
                return True
        return False

    def _agents(self, namespace: str, name: str | None) -> Iterator[Manifest]:
        """One agent, or all of a namespace; only those that may be agents."""
        for identity in self._of_kind("AgentIdentity", namespace):
            if name in {None, identity["metadata"]["name"]} and self._stands(identity):
                yield identity

    def _is_agents(self, peer: Peer) -> bool:
        """Whether an account is an agent's own: then it is no other workload's, and stays so while
        its identity is there, whatever that may have. One that was there before is a stranger's."""
        identities = self._of_kind("AgentIdentity", peer.namespace)
        wanted = any(account_of(identity) == peer.account for identity in identities)
        return wanted and self._find("ServiceAccount", peer.namespace, peer.account) is None

    def _stands(self, identity: Manifest) -> bool:
        """Whether its class is there, its namespace may use it, and its account is its own."""
        agent_class = self._class_of(identity)
        namespace = self._find("Namespace", None, identity["metadata"]["namespace"])
        if agent_class is None or namespace is None or self._holder(identity) is not identity:
            return False
        wanted = agent_class["spec"]["namespaceSelector"]["matchLabels"].items()
        return bool(wanted <= namespace["metadata"].get("labels", {}).items())

    def _holder(self, identity: Manifest) -> Manifest:
        """The oldest of those that want the same account."""
        place, account = identity["metadata"]["namespace"], account_of(identity)
        wanting = (i for i in self._of_kind("AgentIdentity", place) if account_of(i) == account)
        return next(wanting)

    def _class_of(self, identity: Manifest) -> Manifest | None:
        name = identity["spec"].get("className", "default")
        return self._find("AgentIdentityClass", None, name)

    def _find(self, kind: str, namespace: str | None, name: str | None) -> Manifest | None:
        named = (m for m in self._of_kind(kind, namespace) if m["metadata"]["name"] == name)
        return next(named, None)

    def _of_kind(self, kind: str, namespace: str | None) -> Iterator[Manifest]:
        for manifest in self.all:
            if manifest["kind"] == kind and manifest["metadata"].get("namespace") == namespace:
                yield manifest


def account_of(identity: Manifest) -> str:
    """The ServiceAccount that an agent runs as."""
    named = identity["spec"].get("serviceAccount", {}).get("name")
    return str(named or identity["metadata"]["name"])


def stays_closed(manifest: Manifest) -> bool:
    """Whether something goes on guarding its pods after it was deleted, while they run."""
    spec = manifest["spec"]
    if manifest["kind"] == "AgentIdentity":
        return _enforces(spec.get("inbound"))
    return (
        manifest["kind"] == "AgentAccessGrant"
        and _enforces(spec)
        and spec.get("onDelete", "Close") == "Close"
    )


def takes_over(manifest: Manifest, gone: Manifest) -> bool:
    """Whether a new object ends what a deleted one of its name goes on guarding."""
    if _named(manifest) != _named(gone):
        return False
    spec = manifest["spec"]
    is_grant = manifest["kind"] == "AgentAccessGrant"
    return not is_grant or (_enforces(spec) and spec["selector"] == gone["spec"]["selector"])


def _named(manifest: Manifest) -> tuple[str, str | None, str]:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace"), metadata["name"]


def _selects(manifest: Manifest, server: Server) -> bool:
    if manifest["metadata"]["namespace"] != server.namespace:
        return False
    if manifest["kind"] == "AgentIdentity":
        return bool(server.labels.get(IDENTITY_LABEL) == manifest["metadata"]["name"])
    wanted = manifest["spec"]["selector"]["matchLabels"].items()
    return bool(wanted <= server.labels.items())


def _enforces(spec: Manifest | None) -> bool:
    """An inbound that was left out is enforced, and lets nobody in."""
    return spec is None or spec["enforcement"] == "Enforce"


def _asks(agent: Manifest, grant: Manifest, rule: str) -> bool:
    """Whether an agent's own outbound wants this rule of this grant."""
    where, name = grant["metadata"]["namespace"], grant["metadata"]["name"]
    return any(
        (wish["namespace"], wish["grant"]) == (where, name) and rule in wish["rules"]
        for wish in agent["spec"].get("outbound") or ()
    )


def _covers(rule: Manifest, request: Request) -> bool:
    """All fields narrow together. A rule on requests can't let in a connection without any."""
    if request.port not in rule["ports"]:
        return False
    if rule["protocol"] == "TCP":
        return True
    if request.protocol == "TCP":
        return False
    path = urlsplit(f"http://host{request.path}").path
    if rule["protocol"] == "HTTP":
        http = rule["http"]
        return request.method in http["methods"] and any(matches(p, path) for p in http["paths"])
    service, _, method = path.removeprefix("/").partition("/")
    wanted = rule["grpc"]["methods"]
    called = service in rule["grpc"]["services"] and ("*" in wanted or method in wanted)
    return request.method == "POST" and called


def matches(pattern: str, path: str) -> bool:
    """A path as a rule writes it: exact, `/x/*`, or with `{*}` for one segment and, at the end,
    `{**}` for any number of them."""
    if pattern.endswith("/*"):
        return path.startswith(pattern.removesuffix("*"))
    for wanted, got in zip_longest(pattern.split("/"), path.split("/")):
        if wanted == ANY_SEGMENTS:
            return got is not None
        if got is None or (wanted != got and not (wanted == ONE_SEGMENT and got)):
            return False
    return True
