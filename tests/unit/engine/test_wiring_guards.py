"""The operator without its processes: everything but kopf, watches and HTTP, on servers in memory.

The tests of this file say that with everything well, all is written; so whatever another test here
finds missing is missing for its own reason.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from test_memory_guards import DELETED, Json, MemoryApi, MemoryVault, told

from agent_identity.core.errors import Problem
from agent_identity.core.identity import Namespace
from agent_identity.core.resource import Key, Kind, Subject
from agent_identity.providers.kube_backend import KubeBackend
from agent_identity.reconcile.callees_first import CalleesFirst
from agent_identity.reconcile.classes import ClassPipeline
from agent_identity.reconcile.debts import Ledger
from agent_identity.reconcile.execute import Executor
from agent_identity.reconcile.fresh import FreshReads
from agent_identity.reconcile.grants import GrantPipeline
from agent_identity.reconcile.informers import Informers
from agent_identity.reconcile.own import OwnWriter
from agent_identity.reconcile.pipeline import Pipeline, Tools
from agent_identity.reconcile.pods import Pod, parse_pod
from agent_identity.reconcile.queue import WorkQueue
from agent_identity.reconcile.revoke import Revoker
from agent_identity.reconcile.second_look import SecondLook
from agent_identity.reconcile.world import World
from agent_identity.registry import build_rooms
from samples import CLUSTER, class_of, metadata

CORE = "/api/v1/namespaces"
OURS = "/apis/agentidentity.dev/v1alpha1"
CLASS = f"{OURS}/agentidentityclasses/default"
HOME = "https://vault.example:8200||kubernetes"
NAMES = {
    "ServiceAccount": "/api/v1/namespaces/agents/serviceaccounts/{}",
    "RoleBinding": (
        "/apis/rbac.authorization.k8s.io/v1/namespaces/agents/rolebindings"
        "/agentidentity:{}:ticket-reader"
    ),
    "PeerAuthentication": (
        "/apis/security.istio.io/v1/namespaces/agents/peerauthentications/agentidentity-{}"
    ),
    "AuthorizationPolicy": (
        "/apis/security.istio.io/v1/namespaces/agents/authorizationpolicies/agentidentity-{}"
    ),
}
CLEANUP = "agentidentity.dev/cleanup"
FULL: Mapping[str, Any] = {
    "rbac": {"clusterRoles": ["ticket-reader"]},
    "vault": {"policies": ["own-secrets", "team"]},
}


class Told:
    """Events, kept."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, _subject: Any, reason: str, _note: str, *, warning: bool) -> None:
        self.told.append(str(reason))


class Operator:
    """The operator's parts, one namespace `agents` and one class `default`."""

    def __init__(self, *, deadline: float = 30) -> None:
        self.api, self.vault, self.events = MemoryApi(), MemoryVault(), Told()
        # One journal of both, so that their order can be seen.
        self.vault.calls = self.api.calls
        self.deadline = deadline
        self.now = 0.0
        self._made: set[str] = set()
        self._start()
        self.namespace(agents="allowed")
        self.agent_class()

    def _start(self) -> None:
        """As a new process, which knows nothing yet."""
        self.queue = WorkQueue()
        self.world = World(CLUSTER, self.queue.add)
        self.informers = Informers(self.api.kube, self.world, relist=600)
        self.world.mesh_installed = self.informers.mesh_installed
        self.restart()
        self.world.namespace_changed(None, Namespace("kube-system", "uid-of-cluster", {}, False))

    def start_anew(self, *, unseen: str = "") -> None:
        """As a new process, which has listed everything. unseen: a path that came later."""
        self._start()
        see: dict[str, Callable[[Json], None]] = {
            "namespaces": self.informers.namespaces.remember,
            "agentidentityclasses": self.world.see_class,
            "agentidentities": self.world.see_identity,
            "agentaccessgrants": self.world.grants.see,
            "pods": lambda body: self.world.pod_changed(None, parse_pod(body)),
        }
        see |= {p.split("/")[-2]: partial(self.informers.saw, Kind(k)) for k, p in NAMES.items()}
        for path, body in self.api.objects.items():
            if path != unseen:
                see[path.split("/")[-2]](body)

    def restart(self) -> None:
        """Anew what forgets: all but what the watches know."""
        rooms = build_rooms(
            cluster=CLUSTER.name,
            cluster_uid=lambda: self.world.namespaces["kube-system"].uid,
            connect=self.vault.connected,
            accounts=self.world.account_uid,
            mesh_installed=self.informers.mesh_installed,
        )
        kube = self.api.kube
        informers = self.informers
        backend = KubeBackend(
            kube,
            wrote=informers.wrote,
            saw=informers.saw,
            forget=informers.forget,
            uid_of=informers.uid_of,
            making=self.world.making,
            expect_gone=self.world.objects.taken,
        )
        self.executor = Executor(backend, rooms.backends)
        events = cast("Any", self.events)
        self.own = OwnWriter(kube, self.world, events)
        fresh = FreshReads(kube, self.world)
        self.first = CalleesFirst(self.world, self.queue, lambda: self.now)
        look = SecondLook(fresh, self.world, self.executor)
        parts = (kube, self.executor, rooms.rooms, events, fresh, self.own, self.first, look)
        tools = Tools(self.world, *parts)
        self.pipeline = Pipeline(tools)
        self.ledger = Ledger(kube, "agent-identity-system", recorded=lambda _: None)
        self.revoker = Revoker(
            *(tools, self.ledger),
            deadline=self.deadline,
            due=self.queue.add,
            clock=lambda: self.now,
        )
        self.grants = GrantPipeline(tools, rooms.grant_room)
        self.classes = ClassPipeline(tools, rooms.class_rooms, self.ledger, enqueue=self.queue.add)

    # --- what others do

    def namespace(self, *, seen: bool = True, **labels: str) -> None:
        """Somebody labels the namespace."""
        meta = {"name": "agents", "uid": "uid-of-agents", "labels": labels}
        body = self.api.put(f"{CORE}/agents", {"metadata": meta})
        if seen:
            self.informers.namespaces.remember(body)

    def agent_class(self, *, seen: bool = True, **spec: Any) -> None:
        """Somebody creates the class, or changes it."""
        raw = class_of(**spec).spec
        assert raw is not None
        there = self.api.objects.get(CLASS, {"metadata": metadata("default", generation=0)})
        meta = there["metadata"] | {"generation": there["metadata"]["generation"] + 1}
        body = raw.model_dump(mode="json", by_alias=True, exclude_none=True)
        stored = self.api.put(CLASS, there | {"metadata": meta, "spec": body})
        if seen:
            self.world.see_class(stored)

    def identity(self, name: str = "agent", *, seen: bool = True, **spec: Any) -> None:
        """Somebody creates an identity, or changes its spec. seen: by the watch."""
        stored = self._ask(self.path_of(name), name, spec)
        if seen:
            self.world.see_identity(stored)

    def grant(self, *rules: Json, name: str = "orders", seen: bool = True, **spec: Any) -> None:
        """Somebody creates a grant for pods labelled app=<its name>, or changes its spec."""
        guarded = {"selector": {"matchLabels": {"app": name}}, "enforcement": "Enforce"}
        stored = self._ask(self.grant_path(name), name, guarded | {"rules": [*rules]} | spec)
        if seen:
            self.world.grants.see(stored)

    def _ask(self, path: str, name: str, spec: Json) -> Json:
        there = self.api.objects.get(path, {})
        before = there.get("metadata", {"generation": 0, "name": name, "namespace": "agents"})
        body = {**there, "metadata": before | {"generation": before["generation"] + 1}}
        if "uid" not in before:
            # No two objects have one UID, though the one come after the other.
            anew = path in self._made
            body["metadata"]["uid"] = f"uid-of-{'another-' if anew else ''}{name}"
            self._made.add(path)
        return self.api.put(path, body | {"spec": spec})

    def delete(self, name: str = "agent", *, at: float | None = None) -> None:
        """Somebody deletes an identity; at: a time stamp, now if there is none."""
        then = time.gmtime(time.time() if at is None else at)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", then)
        self.world.see_identity(self._end(self.path_of(name), stamp))

    def delete_grant(self, name: str = "orders", *, seen: bool = True) -> None:
        """Somebody deletes a grant."""
        body = self._end(self.grant_path(name), DELETED)
        if seen:
            self.world.grants.see(body)

    def delete_class(self, path: str = CLASS) -> None:
        """Somebody deletes a class."""
        self.world.see_class(self._end(path, DELETED))

    def _end(self, path: str, stamp: str) -> Json:
        body = self.api.objects[path]
        body["metadata"]["deletionTimestamp"] = stamp
        return self.api.put(path, body)

    def pod(
        self, name: str = "agent", *, runs: bool = True, seen: bool = True, **labels: str
    ) -> None:
        """A pod of an agent comes, or goes. seen: by the watch."""
        pod = Pod("agents", "pod", {"agentidentity.dev/identity": name} | labels)
        path = "/api/v1/namespaces/agents/pods/pod"
        if runs:
            meta = {"namespace": "agents", "name": "pod", "labels": dict(pod.labels)}
            self.api.put(path, {"metadata": meta})
        else:
            self.api.objects.pop(path, None)
        if seen:
            self.world.pod_changed(None if runs else pod, pod if runs else None)

    def tamper(self, kind: str, name: str = "agent", *, seen: bool = True, **parts: Any) -> None:
        """Somebody changes or makes an object; metadata is merged."""
        path = NAMES[kind].format(name)
        there = self.api.objects.get(path, {"metadata": {}})
        plain = {"name": path.rpartition("/")[2], "namespace": "agents"}
        meta = plain | there["metadata"] | parts.pop("metadata", {})
        body = self.api.put(path, there | parts | {"metadata": meta})
        if seen:
            self.informers.saw(Kind(kind), body)

    def lose(self, kind: str, name: str = "agent") -> None:
        """Somebody deletes an object."""
        path = NAMES[kind].format(name)
        del self.api.objects[path]
        self.informers.owned[Kind(kind)].forget(Key("agents", path.rpartition("/")[2]))

    # --- what the engine does

    async def turn(self, name: str = "agent") -> Problem | None:
        """One reconcile of one identity, as a worker does it."""
        facts = self.world.facts(Key("agents", name))
        if facts is None:
            return await self.revoker.sweep(Key("agents", name))
        try:
            if facts.identity.deleting:
                return await self.revoker.revoke(facts)
            return await self.pipeline.reconcile(facts)
        except Problem as problem:
            return problem
        finally:
            self.queue.succeeded(Key("agents", name))

    async def turn_grant(self, name: str = "orders") -> Problem | None:
        """One reconcile of one grant, as a worker does it."""
        key = Key("agents", name, Subject.GRANT)
        facts = self.world.grants.facts(key)
        try:
            return await (self.grants.reconcile(facts) if facts else self.grants.sweep(key))
        except Problem as problem:
            return problem
        finally:
            self.queue.succeeded(key)

    async def drain(self) -> set[Key]:
        """Take everything that is due, and do nothing about it."""
        keys: set[Key] = set()
        while self.queue.depth:
            key = await self.queue.get()
            self.queue.done(key)
            keys.add(key)
        return keys

    async def serve(self) -> Problem | None:
        """One reconcile of the class."""
        return await self.classes.reconcile(self.world.classes["default"])

    async def ready(self, name: str = "agent", **spec: Any) -> None:
        """The class, and an identity that has everything; then no call is noted."""
        await self.serve()
        self.identity(name, **(spec or FULL))
        problem = await self.turn(name)
        assert problem is None, problem
        self.quiet()

    def quiet(self) -> None:
        for server in (self.api, self.vault):
            server.calls.clear()
            server.bodies.clear()
        self.events.told.clear()

    # --- what is there

    @staticmethod
    def path_of(name: str) -> str:
        return f"{OURS}/namespaces/agents/agentidentities/{name}"

    @staticmethod
    def grant_path(name: str) -> str:
        return f"{OURS}/namespaces/agents/agentaccessgrants/{name}"

    @staticmethod
    def role_of(name: str) -> str:
        return f"auth/kubernetes/role/prod_agents_{name}"

    def get(self, kind: str, name: str = "agent") -> Json | None:
        return self.api.objects.get(NAMES[kind].format(name))

    def there(self, name: str = "agent") -> set[str]:
        """Kinds of what an identity has."""
        kinds = {kind for kind in NAMES if self.get(kind, name)}
        return kinds | ({"VaultRole"} if self.role_of(name) in self.vault.stored else set())

    def at(self, *calls: str) -> list[int]:
        """Where in the journal the first call is that begins so; in the order asked."""
        return [
            next(n for n, made in enumerate(self.api.calls) if made.startswith(c)) for c in calls
        ]

    def touched(self, *starts: str) -> list[str]:
        """Calls that begin so."""
        return [c for c in self.api.calls if c.startswith(starts)]

    def condition(self, kind: str = "Ready", name: str = "agent") -> Json:
        return self._condition(self.path_of(name), kind)

    def condition_of_grant(self, kind: str = "Ready", name: str = "orders") -> Json:
        return self._condition(self.grant_path(name), kind)

    def _condition(self, path: str, kind: str) -> Json:
        rows = self.api.objects[path]["status"]["conditions"]
        return next((c for c in rows if c["type"] == kind), {})

    def log_in(self, name: str = "agent") -> Json:
        """An agent logs in at Vault; the entity."""
        account = self.get("ServiceAccount", name)
        assert account is not None
        return self.vault.log_in("agents", name, account["metadata"]["uid"])


@told
async def test_with_all_well_everything_is_there_and_said_so() -> None:
    op = Operator()
    await op.ready()
    assert op.there() == {*NAMES, "VaultRole"}
    assert op.condition()["status"] == "True"


@told
async def test_all_of_it_goes() -> None:
    op = Operator()
    await op.ready()
    op.delete()
    await op.turn()
    assert op.there() == set()
    assert op.path_of("agent") not in op.api.objects
