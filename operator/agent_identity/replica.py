"""One replica: it waits for the Lease, then kopf and the engine run; and how it ends."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import aiohttp
import kopf

from agent_identity.clients.kube import (
    READ_SECONDS,
    Kube,
    authenticated_session,
    patient_with_absence,
)
from agent_identity.clients.lease import Fence, fenced_session
from agent_identity.clients.token_file import TokenFile
from agent_identity.clients.vault import PATIENCE
from agent_identity.core.facts import Cluster
from agent_identity.core.resource import MANAGER
from agent_identity.handlers import kopf_settings, register
from agent_identity.probes import serve_probes
from agent_identity.reconcile.engine import Engine
from agent_identity.reconcile.lease import Election, LeaseLost, Periods, holder_name
from agent_identity.reconcile.queue import WorkQueue
from agent_identity.reconcile.world import World
from agent_identity.settings import Settings
from agent_identity.telemetry import LEADER, log
from agent_identity.watchers import Watchers, noting_lists
from agent_identity.wiring import build_engine

_API_CONNECTIONS = 48
_KOPF_CONNECTIONS = 8
_LEASE_CONNECTIONS = 2
_LAST_WORDS_SECONDS = 2.0
_MOMENT = 0.3


class Replica:
    """This process among others like it: it waits, it leads, it ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._periods = Periods(settings.lease_seconds)
        self._holder = holder_name(settings.instance)
        self._fence = Fence()
        self._told = asyncio.Event()
        self._election: Election | None = None
        self._engine: Engine | None = None
        self._watching = asyncio.Event()
        self._watchers = Watchers()

    async def run(self) -> None:
        """Returns where a signal ends it, once all is in order; raises where anything else does."""
        self._heed_signals()
        async with (
            self._session(self._fence, _API_CONNECTIONS) as session,
            self._session(_passing_all(), _LEASE_CONNECTIONS) as own,
            fenced_session(self._fence, self._user_agent) as outside,
        ):
            if self._settings.leader_election:
                self._election = self._stand(own)
            kube = Kube(
                session, rate=self._settings.requests_per_second, write_seconds=self._write_seconds
            )
            runner = await serve_probes(
                self._settings.http_host,
                self._settings.http_port,
                sick=self._sick,
                unready=self._unready,
                role=lambda: "standby" if self._engine is None else "ok",
            )
            try:
                await self._wait_and_lead(kube, outside)
            finally:
                await runner.cleanup()

    # --- ways out of the process

    @property
    def _user_agent(self) -> str:
        return f"{MANAGER}/{version(MANAGER)} ({self._holder})"

    @property
    def _write_seconds(self) -> float:
        return self._periods.write if self._settings.leader_election else READ_SECONDS

    def _session(
        self, fence: Fence, connections: int, *also: aiohttp.ClientMiddlewareType
    ) -> aiohttp.ClientSession:
        return authenticated_session(
            TokenFile(self._settings.kube_token_file),
            self._settings.kube_ca_file,
            connections=connections,
            base_url=self._settings.kube_server,
            fence=fence,
            user_agent=self._user_agent,
            also=also,
        )

    def _stand(self, session: aiohttp.ClientSession) -> Election:
        return Election(
            Kube(session, rate=self._settings.requests_per_second),
            self._fence,
            namespace=self._settings.namespace,
            holder=self._holder,
            periods=self._periods,
        )

    # --- its life

    def _heed_signals(self) -> None:
        """The first one ends in order; a second one, by the default action, at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            if self._told.is_set():
                loop.remove_signal_handler(number)
            else:
                loop.add_signal_handler(number, self._be_told)

    def _be_told(self) -> None:
        self._told.set()
        self._heed_signals()

    async def _wait_and_lead(self, kube: Kube, outside: aiohttp.ClientSession) -> None:
        async with _cancelled_at_the_end(self._told.wait()) as told:
            if self._election is None:
                self._fence.hold_until()
                LEADER.set(1)
            else:
                # Nothing is listed before: what is, shows all that the leader before has written.
                async with _cancelled_at_the_end(self._election.acquire()) as acquired:
                    await _first_of(acquired, told)
            if not self._told.is_set():
                await self._lead(kube, outside, told)
            elif self._election and self._fence.holds():
                await self._election.release()

    async def _lead(
        self, kube: Kube, outside: aiohttp.ClientSession, told: asyncio.Task[Any]
    ) -> None:
        """Whatever ends first of what must not end ends the rest."""
        settings = self._settings
        # More than one slow Vault takes.
        queue = WorkQueue(classes_at_once=max(3, settings.workers // 2))
        cluster = Cluster(
            settings.cluster_name, settings.trust_domain, settings.mesh_root_namespace
        )
        world = World(cluster, queue.add)
        engine = self._engine = build_engine(
            settings, world, queue, kube, outside, patience=min(PATIENCE, self._write_seconds)
        )
        async with (
            _cancelled_at_the_end(self._keep()) as keeping,
            _cancelled_at_the_end(engine.run()) as working,
            _cancelled_at_the_end(self._watch(engine, world)) as watching,
            _cancelled_at_the_end(self._until_blind(kube)) as blind,
        ):
            await _first_of(keeping, working, watching, told, blind)
            # What has begun can come to its end without it, and another one may lead at once.
            is_blind = blind.done()
            async with _cancelled_at_the_end(self._end(engine, keeping)) as ended:
                await _first_of(keeping, working, watching, ended)
                await ended
            if is_blind:
                raise RuntimeError("a kind of ours is served, and kopf does not watch it")

    async def _keep(self) -> None:
        """While this process may write. Another one leads afterwards, and whatever is under way
        here would take time to stop: so the process ends on the spot."""
        keep = self._election.keep if self._election else asyncio.Event().wait
        why = "a change came too late and was not sent"
        async with (
            _cancelled_at_the_end(self._fence.refused.wait()) as refused,
            _cancelled_at_the_end(keep()) as keeping,
        ):
            try:
                await _first_of(keeping, refused)
            except LeaseLost as lost:
                why = str(lost)
            log.error("the Lease is lost, this process ends: %s", why)
            os._exit(1)

    async def _watch(self, engine: Engine, world: World) -> None:
        """kopf, once nothing that it sees can be decided on half of the facts."""
        await engine.ready.wait()
        before = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=register(
                world,
                self._settings.kube_server,
                lambda: self._session(
                    self._fence,
                    _KOPF_CONNECTIONS,
                    patient_with_absence,
                    noting_lists(engine.listed_elsewhere.set),
                ),
            ),
            settings=kopf_settings(),
            clusterwide=True,
            # It would make one up of the user's name, which a number in an image has not.
            identity=self._holder,  # type: ignore[arg-type]  # kopf keeps the name of this type private
        )
        # It has just taken the signals, and would end everything at once.
        self._heed_signals()
        self._watching.set()
        # At its end it cancels every task that was not there before.
        await kopf.run_tasks(tasks, ignored=before)
        raise RuntimeError("kopf has ended by itself")

    async def _until_blind(self, kube: Kube) -> None:
        """Once kopf has begun to look: before, it would be asked in vain what is served."""
        await self._watching.wait()
        await self._watchers.until_one_is_missing(kube)

    async def _end(self, engine: Engine, keeping: asyncio.Task[Any]) -> None:
        """Begin nothing, end what has begun, write nothing any more; then another may lead."""
        log.info("told to end")
        if await engine.finish(self._settings.grace_seconds):
            # Events are still written, a few a second: until there are no more.
            await _within(_LAST_WORDS_SECONDS, self._fence.quiet(_MOMENT))
        else:
            log.warning("work is abandoned between two writes")
        self._fence.close()
        # It would take the closed fence for a lost Lease. That outlasts what has been sent, also
        # where nobody renews it.
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        still = await _within(self._write_seconds + _MOMENT, self._fence.quiet())
        if self._election and still:
            await self._election.release()

    # --- what the probes tell

    def _sick(self) -> str:
        if self._engine is None:
            return ""
        gone = self._watching.is_set() and self._watchers.missing()
        return self._engine.sick() or ("a kind of ours is not watched" if gone else "")

    def _unready(self) -> str:
        """A healthy standby is ready: an update may go on to the next one."""
        if self._told.is_set():
            return "ending"
        if self._engine is None:
            return "" if self._election and self._election.hears() else "starting"
        works = self._engine.ready.is_set() and self._engine.sees()
        return "" if works and not self._watchers.missing() else "starting"


def _passing_all() -> Fence:
    """For the Lease's own requests."""
    fence = Fence()
    fence.hold_until()
    return fence


@asynccontextmanager
async def _cancelled_at_the_end(job: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
    task = asyncio.create_task(job)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _first_of(*tasks: asyncio.Task[Any]) -> None:
    """Until one of them ends; raises what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        if not task.cancelled():
            task.result()


async def _within(seconds: float, job: Coroutine[Any, Any, None]) -> bool:
    """Whether it came to its end in time."""
    try:
        async with asyncio.timeout(seconds):
            await job
    except TimeoutError:
        return False
    return True
