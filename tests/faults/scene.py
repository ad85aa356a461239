"""The place where one plan is played: namespaces, a class and names that are its own, so that many
are played at the same time on one cluster."""

import asyncio
import json
import re
import ssl
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

from faults.exchange import renamed
from faults.recorder import OWN_KINDS, PATHS, Body, Name, Recorder
from faults.snapshot import State, snapshot
from testbed.bed import Bed
from testbed.operator_process import NAMESPACE
from testbed.tenant import RBAC, class_manifest, grant_manifest, identity_manifest, rule

AGENT, CALLER, SHOP, BYSTANDER = "agent", "planner", "orders", "bystander"
TOKEN = "token of the agent"
WORKS, ENDED = "works", "does not work"
READER, OTHER_READER = "ticket-reader", "event-reader"
_SCENE = re.compile(r"(?<![a-z0-9])w[0-9]{5}(?![0-9])")
_ACCESSOR = re.compile(r"auth_kubernetes_[0-9a-f]+")
_SEEN_SECONDS = 30.0
_GRANTS_GONE_SECONDS = 30.0
_RETIRED = "agentidentity.dev/retired"
# What the operator owes to Vault: of each debt a JSON text that has its namespace.
_LEDGER = f"/api/v1/namespaces/{NAMESPACE}/configmaps/agent-identity-debts"
MERGE_PATCH = "application/merge-patch+json"


def scene_of(text: str) -> str:
    """The scene whose name is in a path, a name or a namespace; empty where none is."""
    found = _SCENE.search(text)
    return found.group() if found else ""


def concerned(name: Name) -> str:
    return scene_of(name.namespace or name.name)


class Stage:
    """One cluster with its recorder, and how everybody but the operator talks to it.

    vault_address, vault_ca: what classes are told, which may be a proxy."""

    def __init__(self, bed: Bed, recorder: Recorder, vault_address: str, vault_ca: str) -> None:
        self.bed = bed
        self.recorder = recorder
        self._vault = {"address": vault_address, "caBundle": vault_ca}
        # Of no two beds are these the same.
        self.words = {vault_address: "VAULT", json.dumps(vault_ca)[1:-1]: "CA"}
        self._numbers = 0
        trust = ssl.create_default_context(cafile=str(bed.openbao.ca_file))
        self._bao = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=trust))

    async def close(self) -> None:
        await self._bao.close()

    def scene(self) -> "Scene":
        self._numbers += 1
        return Scene(self, f"w{self._numbers:05d}")

    async def send(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Body:
        """As the administrator; raises for every refusal."""
        headers = {"Content-Type": content_type}
        data = None if body is None else json.dumps(body)
        async with self.recorder.session.request(
            method, path, data=data, headers=headers, timeout=aiohttp.ClientTimeout(total=30)
        ) as answer:
            if not answer.ok:
                raise RuntimeError(f"{method} {path}: {answer.status} {await answer.text()}")
            return dict(await answer.json())

    async def vault(self, path: str) -> Body | None:
        """The `data` at a path of OpenBao, as root; None where there is nothing."""
        bao = self.bed.openbao
        headers = {"X-Vault-Token": bao.root_token}
        async with self._bao.get(f"{bao.address}/v1/{path}", headers=headers) as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                return None
            answer.raise_for_status()
            return dict((await answer.json())["data"])

    async def debts(self) -> dict[str, str]:
        """Of all scenes, each as the operator wrote it down."""
        try:
            ledger = await self.send("GET", _LEDGER)
        except RuntimeError as error:
            # It is made with the first debt.
            if ": 404 " not in str(error):
                raise
            return {}
        return dict(ledger.get("data") or {})

    async def token_reads(self, token: str, path: str) -> bool:
        url = f"{self.bed.openbao.address}/v1/{path}"
        async with self._bao.get(url, headers={"X-Vault-Token": token}) as answer:
            return answer.ok

    def class_body(self, name: str, **spec: Any) -> Body:
        body = class_manifest(name, self.bed, **spec)
        if body["spec"]["vault"] is None:
            del body["spec"]["vault"]
        else:
            body["spec"]["vault"] |= self._vault
        return body


class Scene:
    """name: what tells it from all others; `names` turns it into what all runs call it."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.name = name
        self.names = {name: "SCENE", **stage.words}
        self.token = ""
        self._token_until = 0.0

    @property
    def home(self) -> str:
        return self.name

    @property
    def shop(self) -> str:
        return f"{self.name}-shop"

    @property
    def elsewhere(self) -> str:
        return f"{self.name}-else"

    # --- writing

    async def namespace(self, name: str, *, allowed: bool = True) -> None:
        labels = {"agents": "allowed"} if allowed else {}
        body = {"metadata": {"name": name, "labels": labels}}
        await self.stage.send("POST", "/api/v1/namespaces", body)

    async def create(self, body: Mapping[str, Any]) -> None:
        kind, namespace = body["kind"], body["metadata"].get("namespace", "")
        made = await self.stage.send("POST", path_of(Name(kind, namespace, "")), body)
        await self._until_seen(Name(kind, namespace, body["metadata"]["name"]), made)

    async def agent_class(self, name: str = "", **spec: Any) -> None:
        await self.create(self.stage.class_body(name or self.name, **spec))

    async def identity(self, name: str, *, namespace: str = "", **spec: Any) -> None:
        given = {"className": self.name, **spec}
        await self.create(identity_manifest(namespace or self.home, name, **given))

    async def grant(self, *rules: Mapping[str, Any], **spec: Any) -> None:
        await self.create(grant_manifest(self.shop, SHOP, *map(dict, rules), **spec))

    async def patch(self, name: Name, body: Mapping[str, Any]) -> None:
        changed = await self.stage.send("PATCH", path_of(name), body, MERGE_PATCH)
        if name.kind in PATHS:
            await self._until_seen(name, changed)

    async def _until_seen(self, name: Name, body: Body) -> None:
        """Until the recorder knows of it: before, everything would look settled."""
        recorder, version = self.stage.recorder, int(body["metadata"]["resourceVersion"])
        await recorder.until(self.name, lambda: recorder.seen(name) >= version, _SEEN_SECONDS)

    async def delete(self, name: Name) -> None:
        """Nothing where there is nothing."""
        try:
            await self.stage.send("DELETE", path_of(name))
        except RuntimeError as error:
            if ": 404 " not in str(error):
                raise

    async def delete_everything(self) -> None:
        """All objects of our kinds; the namespaces stay, empty. What closed grants have left is
        its owner's to take away, and nothing else: none of those that go now leaves anything."""
        left_shut = retired(self.objects(), self.shop)
        own = [n for n in self.objects() if n.kind in OWN_KINDS]
        for name in (n for n in own if n.kind == "AgentAccessGrant"):
            await self.patch(name, {"spec": {"onDelete": "Open"}})
        for kind in ("AgentIdentity", "AgentAccessGrant", "AgentIdentityClass"):
            await asyncio.gather(*(self.delete(n) for n in own if n.kind == kind))
        # A grant that waits for one of them to go would be granted before its own end.
        await self.stage.recorder.until(self.name, self._has_no_grant, _GRANTS_GONE_SECONDS)
        await asyncio.gather(*map(self.delete, left_shut))

    def _has_no_grant(self) -> bool:
        return all(name.kind != "AgentAccessGrant" for name in self.objects())

    # --- looking

    def objects(self) -> dict[Name, Body]:
        """All there is, but for what every namespace has."""
        found = self.stage.recorder.of(self.name)
        return {name: body for name, body in found.items() if not is_everywhere(name)}

    def is_empty(self) -> bool:
        return not self.objects()

    def state(self) -> State:
        return snapshot(self.objects(), self.names)

    def body(self, name: Name) -> Body | None:
        return self.stage.recorder.now.get(name)

    def of_identity(self, name: str, *, namespace: str = "") -> Name:
        return Name("AgentIdentity", namespace or self.home, name)

    @property
    def of_grant(self) -> Name:
        return Name("AgentAccessGrant", self.shop, SHOP)

    @property
    def of_class(self) -> Name:
        return Name("AgentIdentityClass", "", self.name)

    def settled(self) -> bool:
        """Everything of ours has been looked at, and nothing is on its way out."""
        own = [b for n, b in self.objects().items() if n.kind in OWN_KINDS]
        return all(is_settled(body) for body in own)

    async def vault_state(self) -> State:
        """What OpenBao has for this scene, and whether the agent's token still works."""
        found: dict[str, Any] = await self.vault_roles()
        for name in await self._vault_names("sys/policies/acl"):
            body = await self.stage.vault(f"sys/policies/acl/{name}") or {}
            found[f"policy {name}"] = body.get("policy")
        if self.token:
            works = await self.stage.token_reads(self.token, self._secret)
            found[TOKEN] = WORKS if works else ENDED
        return snapshot_of_vault(found, self.names)

    async def left_in_vault(self) -> list[str]:
        """Where all was deleted: what OpenBao still has, and what it is still owed."""
        return left_over(await self.vault_state(), await self.stage.debts(), self.name)

    async def vault_roles(self) -> dict[str, Body]:
        """The roles of this scene's accounts."""
        path = "auth/kubernetes/role"
        names = await self._vault_names(path)
        return {f"role {name}": await self.stage.vault(f"{path}/{name}") or {} for name in names}

    async def _vault_names(self, path: str) -> list[str]:
        listed = await self.stage.vault(f"{path}?list=true") or {}
        return [name for name in listed.get("keys") or () if scene_of(name) == self.name]

    async def log_in(self) -> None:
        """The agent gets a token from OpenBao, as in its pod, and reads its secret by it."""
        began = time.monotonic()
        auth = await asyncio.to_thread(self._logged_in)
        self.token = str(auth["client_token"])
        self._token_until = began + auth["lease_duration"]
        if not await self.stage.token_reads(self.token, self._secret):
            raise RuntimeError("the agent can't read its secret by its token")

    @property
    def token_ran_out(self) -> bool:
        """By its own time, which is as long as the role said; nobody renews it."""
        return time.monotonic() >= self._token_until

    @property
    def _secret(self) -> str:
        return f"kv/data/{self.home}/{AGENT}/api-key"

    def _logged_in(self) -> Body:
        bed = self.stage.bed
        bed.openbao.write(self._secret, {"data": {"key": "value"}})
        jwt = bed.control_plane.token(self.home, AGENT, audience="vault")
        role = f"{bed.cluster_name}_{self.home}_{AGENT}"
        status, answer = bed.openbao.login(mount="kubernetes", role=role, jwt=jwt)
        if status != 200:
            raise RuntimeError(f"the agent can't log in: {answer}")
        return dict(answer["auth"])


def is_everywhere(name: Name) -> bool:
    """Every namespace gets it, in its own time."""
    return (name.kind, name.name) == ("ServiceAccount", "default")


def path_of(name: Name) -> str:
    """Where an object is; without a name, where such objects are made."""
    if name.kind == "Namespace":
        return f"/api/v1/namespaces/{name.name}"
    prefix, _, plural = PATHS[name.kind].rpartition("/")
    middle = f"/namespaces/{name.namespace}" if name.namespace else ""
    return f"{prefix}{middle}/{plural}" + (f"/{name.name}" if name.name else "")


def snapshot_of_vault(found: Mapping[str, Any], names: Mapping[str, str]) -> State:
    """names: of the run → as all runs call them."""

    def words(text: str) -> str:
        return _ACCESSOR.sub("ACCESSOR", renamed(text, names))

    return {words(n): words(json.dumps(body, sort_keys=True)) for n, body in found.items()}


def token_works(vault: State) -> bool:
    """Whether the agent's token reads, by what was seen of OpenBao."""
    return vault.get(TOKEN) == json.dumps(WORKS)


def left_over(vault: State, debts: Mapping[str, str], scene: str) -> list[str]:
    """Names of what should be gone with all that a scene had; of the agent's token, that it still
    works. debts: entry → what it says."""
    there = sorted(vault.keys() - {TOKEN})
    token = [f"{TOKEN}, which works"] if token_works(vault) else []
    owed = [f"owed: {text}" for text in debts.values() if scene_of(text) == scene]
    return [*there, *token, *owed]


def retired(objects: Mapping[Name, Body], namespace: str) -> list[Name]:
    """Policies of a namespace that outlive their grants, so that what those guarded stays shut."""
    return [
        name
        for name, body in objects.items()
        if (name.kind, name.namespace) == ("AuthorizationPolicy", namespace)
        and (body["metadata"].get("labels") or {}).get(_RETIRED) == "true"
        and not body["metadata"].get("ownerReferences")
    ]


def is_settled(body: Body) -> bool:
    """Nothing is to come of it; who waits for a class that is not there has come to rest too."""
    status, metadata = body.get("status") or {}, body["metadata"]
    if "deletionTimestamp" in metadata:
        return False
    if status.get("observedGeneration") != metadata["generation"]:
        return False
    rows = {row["type"]: row for row in status.get("conditions") or ()}
    if rows.get("Ready", {}).get("reason") == "ClassNotFound":
        return True
    return bool(rows.get("Reconciling", {}).get("status") != "True")


def caller(name: str, *, namespace: str = "") -> Body:
    return {"kind": "AgentIdentity", "name": name} | ({"namespace": namespace} if namespace else {})


def tasks_rule(*callers: str) -> Body:
    """Who may hand tasks to the agent."""
    return {
        "name": "tasks",
        "from": [caller(name) for name in callers],
        "ports": [8080],
        "protocol": "HTTP",
        "http": {"methods": ["POST"], "paths": ["/v1/tasks"]},
    }


def full(scene: Scene) -> Body:
    """A spec that asks for something in every room."""
    return {
        "inbound": {"enforcement": "Enforce", "rules": [tasks_rule(CALLER)]},
        "outbound": [{"namespace": scene.shop, "grant": SHOP, "rules": ["read"]}],
        "rbac": {"clusterRoles": [READER]},
        "vault": {"policies": ["own-secrets", "team"]},
    }


def reads_orders(scene: Scene) -> Body:
    return rule("read", caller(AGENT, namespace=scene.home))


def cluster_roles() -> list[Body]:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    return [
        {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}
        for name in (READER, OTHER_READER)
    ]
