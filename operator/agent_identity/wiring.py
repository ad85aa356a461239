"""Everything that works, wired together."""

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

import aiohttp

from agent_identity.api.v1alpha1 import ClassVault
from agent_identity.clients.events import EventWriter
from agent_identity.clients.kube import Kube
from agent_identity.clients.token_file import TokenFile
from agent_identity.clients.vault import Vault
from agent_identity.providers.kube_backend import KubeBackend
from agent_identity.reconcile.callees_first import CalleesFirst
from agent_identity.reconcile.classes import ClassPipeline
from agent_identity.reconcile.debts import Ledger
from agent_identity.reconcile.engine import Engine
from agent_identity.reconcile.execute import Executor
from agent_identity.reconcile.fresh import FreshReads
from agent_identity.reconcile.grants import GrantPipeline
from agent_identity.reconcile.informers import Informers
from agent_identity.reconcile.own import OwnWriter
from agent_identity.reconcile.own_lists import OwnLists
from agent_identity.reconcile.pipeline import Pipeline, Tools
from agent_identity.reconcile.queue import WorkQueue
from agent_identity.reconcile.revoke import Revoker
from agent_identity.reconcile.second_look import SecondLook
from agent_identity.reconcile.world import World
from agent_identity.registry import Rooms, build_rooms
from agent_identity.settings import Settings

# A list costs what there is; a short resync is for Vault, which tells nothing by itself.
_RELIST_AT_LEAST = 10.0


def build_engine(
    settings: Settings,
    world: World,
    queue: WorkQueue,
    kube: Kube,
    outside: aiohttp.ClientSession,
    *,
    patience: float,
) -> Engine:
    """Everything wired together. outside: the session for backends other than the API server.
    patience: seconds until a call of theirs is given up."""
    informers = Informers(kube, world, max(settings.resync_seconds, _RELIST_AT_LEAST))
    world.mesh_installed = informers.mesh_installed
    rooms = _rooms(settings, world, informers, outside, patience)
    executor = _executor(kube, world, informers, rooms)
    tools = _tools(kube, world, queue, rooms, executor, instance=settings.instance)

    def wake_creditors(home: str) -> None:
        for agent_class in world.classes_at(home):
            queue.add(agent_class.meta.key, 1.0)

    ledger = Ledger(kube, settings.namespace, recorded=wake_creditors)
    return Engine(
        world=world,
        queue=queue,
        informers=informers,
        own_lists=OwnLists(kube, world),
        pipeline=Pipeline(tools),
        revoker=Revoker(tools, ledger, deadline=settings.deletion_deadline_seconds, due=queue.add),
        grants=GrantPipeline(tools, rooms.grant_room),
        classes=ClassPipeline(tools, rooms.class_rooms, ledger, enqueue=queue.add),
        ledger=ledger,
        events=tools.events,
        workers=settings.workers,
        resync_seconds=settings.resync_seconds,
    )


def _tools(
    kube: Kube,
    world: World,
    queue: WorkQueue,
    rooms: Rooms,
    executor: Executor,
    *,
    instance: str,
) -> Tools:
    """instance: whose name events carry."""
    events, fresh = EventWriter(kube, instance=instance), FreshReads(kube, world)
    return Tools(
        world=world,
        kube=kube,
        executor=executor,
        rooms=rooms.rooms,
        events=events,
        fresh=fresh,
        own=OwnWriter(kube, world, events),
        first=CalleesFirst(world, queue),
        second_look=SecondLook(fresh, world, executor),
    )


def _rooms(
    settings: Settings,
    world: World,
    informers: Informers,
    outside: aiohttp.ClientSession,
    patience: float,
) -> Rooms:
    vault_jwt = TokenFile(settings.vault_token_file)
    limit = max(2, settings.workers // 4)
    return build_rooms(
        cluster=settings.cluster_name,
        cluster_uid=lambda: world.namespaces["kube-system"].uid,
        connect=vault_clients(outside, vault_jwt, limit=limit, patience=patience),
        accounts=world.account_uid,
        mesh_installed=informers.mesh_installed,
    )


def vault_clients(
    outside: aiohttp.ClientSession, jwt: TokenFile, *, limit: int, patience: float
) -> Callable[[ClassVault], Vault]:
    """Makes a class's client. Those of one address share its slots: however many classes a slow
    Vault has, it takes no more workers than the limit."""
    shared: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def connect(spec: ClassVault) -> Vault:
        slots = shared.setdefault(spec.address, asyncio.Semaphore(limit))
        return Vault(spec, outside, jwt, slots=slots, patience=patience)

    return connect


def _executor(kube: Kube, world: World, informers: Informers, rooms: Rooms) -> Executor:
    return Executor(
        KubeBackend(
            kube,
            wrote=informers.wrote,
            saw=informers.saw,
            forget=informers.forget,
            uid_of=informers.uid_of,
            making=world.making,
            expect_gone=world.objects.taken,
        ),
        rooms.backends,
    )
