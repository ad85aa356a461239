"""A bed with the policies as they ship, and a town: teams with rights as real clusters give them,
one agent that has everything, and nobody who is exempt from anything."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attack_people import (
    CREATED,
    MERGE,
    OK,
    Manifest,
    Person,
    acting_as,
    administrator,
    done,
    employ,
    grant,
    make_role,
    may_use,
    path_of,
    told,
)

from testbed.bed import CHART, RELEASE, Bed
from testbed.endpoint import Answer
from testbed.operator_process import OperatorProcess
from testbed.tenant import SHORT_PERIODS, Tenant, class_manifest, full_spec, identity_manifest
from testbed.waiting import wait_until

TEAM, OTHER = "team", "other-team"
AGENT = "agent"
CLASS, SECOND_CLASS = "town", "second"
TICKETS = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}
MESH_RULE = {"apiGroups": ["security.istio.io"], "resources": ["*"], "verbs": ["*"]}
OWNED = {
    "ServiceAccount": AGENT,
    "RoleBinding": f"agentidentity:{AGENT}:ticket-reader",
    "PeerAuthentication": f"agentidentity-{AGENT}",
    "AuthorizationPolicy": f"agentidentity-{AGENT}",
}
MANAGED = {"app.kubernetes.io/managed-by": "agent-identity-operator"}
Sign = Callable[[], bool]


@dataclass(frozen=True)
class Town:
    """alice: administers the team's namespace and may use the class. bob: the same, without `use`.
    agent: what the tests may not lose."""

    bed: Bed
    operator: OperatorProcess
    admin: Person
    alice: Person
    bob: Person
    team: Tenant

    def identity(self, name: str, *, namespace: str = TEAM, **spec: Any) -> Manifest:
        return identity_manifest(namespace, name, **({"className": CLASS} | spec))


@contextmanager
def town(directory: Path, *, values: Manifest | None = None) -> Iterator[Town]:
    """values: of the chart's admission; as they ship, unless said otherwise."""
    bed = Bed(directory, values={"admission": values or {}})
    with bed, bed.operator(settings=SHORT_PERIODS) as operator:
        operator.wait_ready()
        yield _settled(bed, operator)


def _settled(bed: Bed, operator: OperatorProcess) -> Town:
    admin = administrator(bed)
    make_role(bed, "ticket-reader", TICKETS)
    make_role(bed, "mesh-editor", MESH_RULE)
    for namespace in (TEAM, OTHER):
        labels = {"agents": "allowed"}
        done(admin.create({"kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}))
    alice, bob = (_namespace_admin(bed, name) for name in ("alice", "bob"))
    grant(bed, alice, may_use(bed, CLASS))
    team = Tenant(bed, bed.control_plane.client(), TEAM, CLASS)
    for name in (CLASS, SECOND_CLASS):
        team.create(class_manifest(name, bed))
        team.wait_ready(name, of="AgentIdentityClass")
    here = Town(bed, operator, admin, alice, bob, team)
    done(alice.create(here.identity(AGENT, **full_spec())))
    team.wait_ready(AGENT)
    return here


def _namespace_admin(bed: Bed, name: str) -> Person:
    who = employ(bed, name)
    for role in ("admin", "agentidentity-edit", "mesh-editor"):
        grant(bed, who, role, TEAM)
    return who


@contextmanager
def told_to_helm(here: Town, *settings: str, until: Sequence[Sign]) -> Iterator[None]:
    """The release with these settings; at the end as it was. until: signs that they are in force,
    one for each policy that they change, since the API server takes up one after the other."""
    upgrade = ("upgrade", RELEASE, CHART, "--values", here.bed.directory / "values.json")
    here.bed.helm(*upgrade, *(part for s in settings for part in ("--set", s)))
    try:
        wait_until(lambda: all(sign() for sign in until), timeout=10, what=f"{settings} in force")
        yield
    finally:
        here.bed.helm(*upgrade)
        wait_until(
            lambda: not any(sign() for sign in until), timeout=10, what=f"{settings} out of force"
        )


def pod(name: str, account: str = "", identity: str = "", *, namespace: str = TEAM) -> Manifest:
    """A pod with this account and this label."""
    labels = {"agentidentity.dev/identity": identity} if identity else {}
    spec = {"containers": [{"name": "a", "image": "a"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {**spec, **({"serviceAccountName": account} if account else {})},
    }


def token_secret(name: str, account: str, *, namespace: str = TEAM) -> Manifest:
    """A Secret that the controller manager would write a token into."""
    of = {"kubernetes.io/service-account.name": account}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": name, "namespace": namespace, "annotations": of},
    }


def dry(who: Person, manifest: Manifest) -> Answer:
    """All checks, and nothing is made."""
    metadata = manifest["metadata"]
    path = path_of(
        manifest["kind"], metadata.get("namespace", ""), version=manifest.get("apiVersion", "")
    )
    return who.send("POST", f"{path}?dryRun=All", manifest)


def may_tamper(who: Person) -> bool:
    """With what an identity owns."""
    return _dry_patch(who, "ServiceAccount", {"annotations": {"example.com/note": "x"}})


def may_unfinalize(who: Person, name: str) -> bool:
    """An identity."""
    return _dry_patch(who, "AgentIdentity", {"finalizers": None}, name)


def _dry_patch(who: Person, kind: str, metadata: Manifest, name: str = AGENT) -> bool:
    path = f"{path_of(kind, TEAM, name)}?dryRun=All"
    headers = {"Content-Type": MERGE}
    return who.send("PATCH", path, {"metadata": metadata}, **headers).status == OK


def exempted(who: Person) -> list[Sign]:
    """From every policy that guards what an identity owns."""
    owner = {"apiVersion": "agentidentity.dev/v1alpha1", "kind": "AgentIdentity"}
    owners = [{**owner, "name": AGENT, "uid": "of-nobody"}]
    metadata = {"name": "forged", "namespace": TEAM, "ownerReferences": owners}
    return [
        lambda: may_tamper(who),
        lambda: may_unfinalize(who, AGENT),
        lambda: dry(who, {"kind": "ServiceAccount", "metadata": metadata}).status == CREATED,
        lambda: dry(who, token_secret("forged", AGENT)).status == CREATED,
    ]


def without_policies(here: Town) -> list[Sign]:
    """`use` of a class, what is owned, and an agent's pod are nobody's to refuse."""
    return [
        lambda: dry(here.bob, here.identity("of-bob")).status == CREATED,
        *exempted(here.bob),
        lambda: dry(here.bob, pod("half", AGENT)).status == CREATED,
    ]


def is_refused(answer: Answer) -> bool:
    """By one of our policies."""
    return "ValidatingAdmissionPolicy 'agentidentity.dev-" in told(answer)


def node(bed: Bed, name: str) -> Person:
    """A kubelet."""
    return acting_as(bed, f"system:node:{name}", "system:nodes")


def kubelet_token(here: Town, account: str, *, audience: str = "vault") -> str:
    """The token that a kubelet mounts into a pod of the team's agent; without an audience, the one
    for the API server."""
    name = f"kubelet-{account}-{audience or 'default'}"
    manifest = pod(name, account, account)
    token = {"path": "token", **({"audience": audience} if audience else {})}
    volume = {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}}
    manifest["spec"] |= {"nodeName": "worker", "volumes": [volume]}
    here.admin.create({"kind": "Node", "metadata": {"name": "worker"}})
    here.admin.create(manifest)
    uid = here.admin.read("Pod", TEAM, name)["metadata"]["uid"]
    bound = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}
    kubelet = node(here.bed, "worker")
    audiences = [audience] if audience else []

    def asked() -> str:
        answer = kubelet.ask_token(TEAM, account, audiences=audiences, boundObjectRef=bound)
        return str(answer.json().get("status", {}).get("token", ""))

    return wait_until(asked, timeout=10, what="the node knows its pod, and gets its token")
