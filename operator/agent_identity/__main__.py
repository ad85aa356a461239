"""The process: kopf embedded, the engine beside it, probes and metrics on one port."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress

import aiohttp
import kopf
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agent_identity.api.v1alpha1 import ClassVault
from agent_identity.clients.events import EventWriter
from agent_identity.clients.kube import Kube, authenticated_session
from agent_identity.clients.token_file import TokenFile
from agent_identity.clients.vault import Vault
from agent_identity.core.facts import Cluster
from agent_identity.handlers import kopf_settings, register
from agent_identity.providers.kube_backend import KubeBackend
from agent_identity.reconcile.classes import ClassPipeline
from agent_identity.reconcile.debts import Ledger
from agent_identity.reconcile.engine import Engine, Informers
from agent_identity.reconcile.execute import Executor
from agent_identity.reconcile.fresh import FreshReads
from agent_identity.reconcile.pipeline import Pipeline, Tools
from agent_identity.reconcile.queue import WorkQueue
from agent_identity.reconcile.revoke import Revoker
from agent_identity.reconcile.world import World
from agent_identity.registry import Rooms, build_rooms
from agent_identity.settings import Settings, SettingsError, read_settings
from agent_identity.telemetry import log, set_up_logging

_API_CONNECTIONS = 48
_WATCHERS = 2


def _rooms(
    settings: Settings, world: World, informers: Informers, outside: aiohttp.ClientSession
) -> Rooms:
    vault_jwt = TokenFile(settings.vault_token_file)

    def connect(spec: ClassVault) -> Vault:
        return Vault(spec, outside, vault_jwt, limit=max(2, settings.workers // 4))

    return build_rooms(
        cluster=settings.cluster_name,
        cluster_uid=lambda: world.namespaces["kube-system"].uid,
        connect=connect,
        accounts=world.account_uid,
        mesh_installed=informers.mesh_installed,
    )


def _executor(kube: Kube, world: World, informers: Informers, rooms: Rooms) -> Executor:
    return Executor(
        KubeBackend(
            kube,
            wrote=informers.wrote,
            saw=informers.saw,
            forget=informers.forget,
            making=world.making,
            expect_gone=world.objects.taken,
        ),
        rooms.backends,
    )


def build_engine(
    settings: Settings, world: World, queue: WorkQueue, kube: Kube, outside: aiohttp.ClientSession
) -> Engine:
    """Everything wired together. outside: the session for backends other than the API server."""
    informers = Informers(kube, world)
    world.mesh_installed = informers.mesh_installed
    rooms = _rooms(settings, world, informers, outside)
    events = EventWriter(kube, instance=socket.gethostname())
    executor = _executor(kube, world, informers, rooms)
    tools = Tools(world, kube, executor, rooms.rooms, events, FreshReads(kube))

    def wake_creditors(home: str) -> None:
        for agent_class in world.classes_at(home):
            queue.add(agent_class.meta.key, 1.0)

    ledger = Ledger(kube, settings.namespace, recorded=wake_creditors)
    pipeline = Pipeline(tools)
    return Engine(
        kube=kube,
        world=world,
        queue=queue,
        informers=informers,
        pipeline=pipeline,
        revoker=Revoker(
            tools, pipeline, queue, ledger, deadline=settings.deletion_deadline_seconds
        ),
        classes=ClassPipeline(tools, rooms.class_rooms, ledger, enqueue=queue.add),
        ledger=ledger,
        events=events,
        workers=settings.workers,
        resync_seconds=settings.resync_seconds,
    )


def _watchers_missing() -> bool:
    """kopf does not start a watcher anew that ended by cancellation: then nothing is seen."""
    names = [task.get_name() for task in asyncio.all_tasks()]
    return sum(name.startswith("watcher for agentidentit") for name in names) < _WATCHERS


async def _serve_http(settings: Settings, engine: Engine, up: asyncio.Event) -> web.AppRunner:
    async def healthz(_: web.Request) -> web.Response:
        sick = engine.sick() or (
            "a watcher of kopf's is gone" if up.is_set() and _watchers_missing() else ""
        )
        return web.Response(text=sick or "ok", status=500 if sick else 200)

    async def readyz(_: web.Request) -> web.Response:
        ready = engine.ready.is_set() and engine.sees() and not _watchers_missing()
        return web.Response(text="ok" if ready else "starting", status=200 if ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, settings.http_host, settings.http_port).start()
    return runner


def _end_on_signals() -> None:
    """Until kopf has handlers of its own: a first process would ignore SIGTERM otherwise."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


async def run(settings: Settings) -> None:
    """Runs until a signal ends it, or an error does."""
    _end_on_signals()
    queue = WorkQueue()
    cluster = Cluster(settings.cluster_name, settings.trust_domain, settings.mesh_root_namespace)
    world = World(cluster, queue.add)
    session = authenticated_session(
        TokenFile(settings.kube_token_file),
        settings.kube_ca_file,
        connections=_API_CONNECTIONS,
        base_url=settings.kube_server,
    )
    async with session, aiohttp.ClientSession() as outside:
        kube = Kube(session, rate=settings.requests_per_second)
        engine = build_engine(settings, world, queue, kube, outside)
        up = asyncio.Event()
        runner = await _serve_http(settings, engine, up)
        try:
            await _run_together(engine, world, settings, up)
        finally:
            await runner.cleanup()


async def _run_together(
    engine: Engine, world: World, settings: Settings, up: asyncio.Event
) -> None:
    """kopf ends by itself on SIGTERM and SIGINT; whatever ends first ends the other."""
    work = asyncio.create_task(engine.run(), name="engine")
    await asyncio.wait(
        [work, asyncio.create_task(engine.ready.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    doors = asyncio.create_task(
        kopf.operator(
            registry=register(world, settings), settings=kopf_settings(), clusterwide=True
        ),
        name="kopf",
    )
    up.set()
    done, pending = await asyncio.wait([work, doors], return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


def main() -> None:
    """Entry point; exit code 2 for wrong settings."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201  logging is not set up yet
        raise SystemExit(2) from None
    set_up_logging(settings.log_level)
    log.info("agent-identity-operator starts for cluster %s", settings.cluster_name)
    with suppress(asyncio.CancelledError):
        asyncio.run(run(settings))


if __name__ == "__main__":
    main()
