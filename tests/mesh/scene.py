"""A cluster with a mesh, and everybody in it: what was applied, who serves, who calls."""

import copy
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes.dynamic import DynamicClient
from oracle import (
    IDENTITY_LABEL,
    Manifest,
    Manifests,
    Peer,
    Request,
    Server,
    stays_closed,
    takes_over,
)

from testbed.bed import Bed
from testbed.istiod import Istiod
from testbed.operator_process import OperatorProcess
from testbed.tenant import Tenant
from testbed.waiting import wait_until
from testbed.workload import HTTP_PORT, PROTOCOLS, Workload
from testbed.workload_calls import Caller, Mode, Outcome, Verdict, call
from testbed.workload_certificates import AUDIENCE, issued, made_up_authority, signed

PROPAGATION_SECONDS = 20


@dataclass(frozen=True)
class Actor:
    """A caller, and who it can prove to be: None when nobody of this mesh."""

    caller: Caller
    peer: Peer | None

    @property
    def name(self) -> str:
        return self.caller.name


PLAINTEXT = Actor(Caller("plaintext", Mode.PLAINTEXT), None)


@dataclass
class Scene:
    """applied: every manifest that a test wrote, as it is now; closed: what it deleted and what
    goes on guarding; pods: all that were ever started, since none is stopped before the end. The
    oracle decides by them."""

    bed: Bed
    istiod: Istiod
    operator: OperatorProcess
    client: DynamicClient
    directory: Path
    applied: list[Manifest] = field(default_factory=list)
    closed: list[Manifest] = field(default_factory=list)
    pods: list[Server] = field(default_factory=list)
    running: ExitStack = field(default_factory=ExitStack)

    # --- objects

    def apply(self, *manifests: Manifest) -> None:
        """POST, in order."""
        for manifest in manifests:
            namespace = manifest["metadata"].get("namespace")
            body = copy.deepcopy(dict(manifest))
            self._resource(manifest).create(body=body, namespace=namespace)
            self.applied.append(manifest)
            self.closed = [gone for gone in self.closed if not takes_over(manifest, gone)]

    def replace_spec(self, manifest: Manifest, spec: dict[str, Any]) -> Manifest:
        """A merge patch that leaves exactly this spec; the manifest as it is then."""
        gone = dict.fromkeys(manifest["spec"].keys() - spec.keys())
        metadata = manifest["metadata"]
        self._resource(manifest).patch(
            name=metadata["name"],
            namespace=metadata.get("namespace"),
            body={"spec": {**spec, **gone}},
            content_type="application/merge-patch+json",
        )
        changed = {**manifest, "spec": spec}
        # Where it was: the oldest come first.
        self.applied[self.applied.index(manifest)] = changed
        return changed

    def delete(self, manifest: Manifest) -> None:
        """Not waited for."""
        metadata = manifest["metadata"]
        self._resource(manifest).delete(name=metadata["name"], namespace=metadata.get("namespace"))
        self.applied.remove(manifest)
        if stays_closed(manifest):
            self.closed.append(manifest)

    def relabel(self, namespace: Manifest, **labels: str | None) -> Manifest:
        """Sets labels of a namespace, and takes those away that are None; the manifest as it is
        then."""
        metadata = namespace["metadata"]
        self._resource(namespace).patch(
            name=metadata["name"],
            body={"metadata": {"labels": labels}},
            content_type="application/merge-patch+json",
        )
        both = {**metadata.get("labels", {}), **labels}
        kept = {name: value for name, value in both.items() if value is not None}
        changed = {**namespace, "metadata": {**metadata, "labels": kept}}
        self.applied[self.applied.index(namespace)] = changed
        return changed

    def open(self, grant: Manifest) -> None:
        """Takes away what a grant left shut when it went, as the owner of the service does."""
        metadata = grant["metadata"]
        team = self.team(metadata["namespace"])
        team.wait_gone(grant["kind"], metadata["name"])
        team.delete("AuthorizationPolicy", f"agentaccessgrant-{metadata['name']}")
        self.closed.remove(grant)

    def team(self, namespace: str) -> Tenant:
        """To look at what became of the objects of a namespace."""
        return Tenant(self.bed, self.client, namespace, "")

    def wait_ready(self, *manifests: Manifest) -> None:
        for manifest in manifests:
            metadata = manifest["metadata"]
            team = self.team(metadata.get("namespace", ""))
            team.wait_ready(metadata["name"], of=manifest["kind"])

    def _resource(self, manifest: Manifest) -> Any:
        return self.client.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])

    # --- servers

    def serve(
        self,
        namespace: str,
        name: str,
        *,
        account: str,
        agent: str = "",
        labels: Mapping[str, str] | None = None,
        istiod: Istiod | None = None,
        drain: str = "",
    ) -> Workload:
        """A running workload; of an agent, with the agent's label; labels: more of them. drain:
        see Sidecar."""
        place = self.directory / f"{namespace}-{name}"
        marks = {IDENTITY_LABEL: agent} if agent else {}
        workload = Workload(
            place,
            istiod or self.istiod,
            namespace,
            name,
            account=account,
            labels={**marks, **(labels or {})},
            drain=drain,
        )
        self.pods.append(Server(namespace, workload.labels))
        return self.running.enter_context(workload)

    def wait_guarded(self, server: Workload, identity: str) -> None:
        """Until its sidecar enforces the policies of an identity, mTLS and who may call."""
        self.wait_policy(server, f"agentidentity-{identity}")
        self.wait_verdict(Verdict.CUT_OFF, PLAINTEXT, server, request_of("GET", "/", HTTP_PORT))

    def wait_policy(self, server: Workload, policy: str) -> None:
        """Until its sidecar has an AuthorizationPolicy."""
        wait_until(
            lambda: (server.namespace, policy) in server.sidecar.policies(),
            timeout=PROPAGATION_SECONDS,
            what=f"the sidecar of {server.name} has {policy}",
        )

    # --- callers

    def actor(self, namespace: str, account: str) -> Actor:
        """Who runs as this account, with a certificate that the mesh's CA issued."""
        token = self.bed.control_plane.token(namespace, account, audience=AUDIENCE)
        pair = issued(self.istiod, token)
        caller = Caller.with_certificate(f"{namespace}/{account}", pair, self._keys)
        return Actor(caller, Peer(namespace, account))

    def actor_by_name(self, namespace: str, account: str) -> Actor:
        """The same for an account that is not there: no CA of a mesh issues such a certificate, so
        a test signs it."""
        peer = Peer(namespace, account)
        pair = signed(self.istiod.authority, [f"spiffe://{self.istiod.trust_domain}{_path(peer)}"])
        caller = Caller.with_certificate(f"{namespace}/{account}", pair, self._keys)
        return Actor(caller, peer)

    def impostors(self, victim: Peer) -> list[Actor]:
        """Callers that would pass for somebody, and can't prove anything to this mesh."""
        domain = self.istiod.trust_domain
        path = f"ns/{victim.namespace}/sa/{victim.account}"
        stranger = made_up_authority()
        forged = {
            "certificate of another CA with its name": (stranger, [f"spiffe://{domain}/{path}"]),
            "its name in another trust domain": (
                self.istiod.authority,
                [f"spiffe://other.example/{path}"],
            ),
            "its name and more": (self.istiod.authority, [f"spiffe://{domain}/{path}/more"]),
            "its name in capitals": (
                self.istiod.authority,
                [f"spiffe://{domain}/{path.upper()}"],
            ),
            "a certificate of the mesh without a name": (self.istiod.authority, []),
        }
        with_keys = [
            Caller.with_certificate(name, signed(authority, names), self._keys)
            for name, (authority, names) in forged.items()
        ]
        bare = Caller("no certificate", Mode.NO_CERTIFICATE)
        return [*(Actor(caller, None) for caller in (*with_keys, bare)), PLAINTEXT]

    @property
    def _keys(self) -> Path:
        return self.directory / "keys"

    # --- calls

    def expected(self, actor: Actor, server: Workload, request: Request) -> bool:
        """What the oracle says."""
        pod = Server(server.namespace, server.labels)
        return self.manifests().lets_in(actor.peer, pod, request)

    def manifests(self) -> Manifests:
        """All as it is now, and stays so."""
        return Manifests([*self.applied], [*self.closed], [*self.pods])

    def differences(self, actors: Iterable[Actor], server: Workload, request: Request) -> list[str]:
        """Where reality is not what the oracle says; none is what a test wants."""
        found = []
        for actor in actors:
            outcome = do(actor, server, request)
            if (outcome.verdict is Verdict.LET_IN) != self.expected(actor, server, request):
                found.append(f"{actor.name}: {outcome.verdict.value}")
            elif outcome.peer and actor.peer and not outcome.peer.endswith(_path(actor.peer)):
                found.append(f"{actor.name}: taken for {outcome.peer}")
        return found

    def wait_verdict(
        self, verdict: Verdict, actor: Actor, server: Workload, request: Request
    ) -> None:
        """Until a call comes out so."""
        wait_until(
            lambda: do(actor, server, request).verdict is verdict,
            timeout=PROPAGATION_SECONDS,
            what=f"{actor.name} is {verdict.value} at {server.name} with {request}",
        )


def request_of(method: str, path: str, port: int) -> Request:
    return Request(method, path, port, PROTOCOLS[port])


def do(actor: Actor, server: Workload, request: Request) -> Outcome:
    """The call."""
    return call(actor.caller, server, request.method, request.path, request.port)


def _path(peer: Peer) -> str:
    return f"/ns/{peer.namespace}/sa/{peer.account}"
