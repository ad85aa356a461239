"""Runs what was wired: workers, the looks of every period, and what health means."""

import asyncio
import logging
import random
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import chain

from agent_identity.api.conditions import Reason
from agent_identity.clients.events import EventWriter
from agent_identity.core.errors import Failed, Invalid, Problem, Waiting
from agent_identity.core.identity import AgentClass, Ours
from agent_identity.core.resource import Key, Subject
from agent_identity.reconcile.classes import ClassPipeline
from agent_identity.reconcile.debts import Ledger
from agent_identity.reconcile.grants import GrantPipeline
from agent_identity.reconcile.informers import Informers
from agent_identity.reconcile.own_lists import OwnLists
from agent_identity.reconcile.pipeline import WAITING_SECONDS, Pipeline
from agent_identity.reconcile.queue import WorkQueue
from agent_identity.reconcile.revoke import Revoker
from agent_identity.reconcile.world import World
from agent_identity.telemetry import (
    CONDITIONS,
    CONTEXT,
    DURATION,
    QUEUE_AGE,
    QUEUE_DEPTH,
    RECONCILES,
    log,
)

_SILENT_SECONDS = 180.0
_STUCK_SECONDS = 120.0
_MEASURE_SECONDS = 10.0
_FIRST_LOOK_SECONDS = 8.0
_LONGEST_PAUSE = 8.0
_DOUBT_SECONDS = 15.0
_SUSPECT_SECONDS = 1.0
# The lists of several kinds come one after the other, and each page by page.
_TOGETHER_SECONDS = 1.0
# In logs and metrics.
_LABELS = {Subject.IDENTITY: "identity", Subject.CLASS: "class", Subject.GRANT: "grant"}


class Engine:
    """Workers that take keys from the queue, and loops that put them in.

    listed_elsewhere: set when who watches our own kinds has listed them. The watch does not tell
    what was deleted before that, and who learned of it earlier still takes it to be there.
    """

    def __init__(
        self,
        *,
        world: World,
        queue: WorkQueue,
        informers: Informers,
        own_lists: OwnLists,
        pipeline: Pipeline,
        revoker: Revoker,
        classes: ClassPipeline,
        grants: GrantPipeline,
        ledger: Ledger,
        events: EventWriter,
        workers: int,
        resync_seconds: float,
    ) -> None:
        self._world = world
        self._queue = queue
        self._informers = informers
        self._own_lists = own_lists
        self._pipeline = pipeline
        self._revoker = revoker
        self._classes = classes
        self._grants = grants
        self._ledger = ledger
        self._events = events
        self._workers = workers
        self._period = resync_seconds
        self._moved_at = time.monotonic()
        self._at_work: set[asyncio.Task[None]] = set()
        self._in_doubt: dict[Key, float] = {}
        self.ready = asyncio.Event()
        self.listed_elsewhere = asyncio.Event()

    async def run(self) -> None:
        """For ever; ends only by an error, and then the process must."""
        async with asyncio.TaskGroup() as tasks:
            for informer in self._informers.all:
                tasks.create_task(informer.run())
            tasks.create_task(self._events.run())
            await self._know_everything()
            for _ in range(self._workers):
                self._at_work.add(tasks.create_task(self._work()))
            tasks.create_task(self._resync())
            tasks.create_task(self._list_again())
            tasks.create_task(self._watch_mesh())
            tasks.create_task(self._wait_for_late_logins())
            tasks.create_task(self._measure())
            self._moved_at = time.monotonic()
            self.ready.set()

    async def _know_everything(self) -> None:
        """Nothing is decided on half of the facts: a caller not yet seen would look missing."""
        await asyncio.gather(*(i.synced.wait() for i in self._informers.all))
        await self._persist(self._ledger.load)
        await self._persist(self._own_lists.take_in)
        classes = [c.meta.key for c in self._world.classes.values()]
        looks = [asyncio.create_task(self._work_on(self._queue.take(key))) for key in classes]
        if looks:
            self._at_work |= set(looks)
            # One Vault that hangs does not keep all others waiting.
            await asyncio.wait(looks, timeout=_FIRST_LOOK_SECONDS)

    async def _persist(self, step: Callable[[], Awaitable[None]]) -> None:
        pause = 1.0
        while True:
            try:
                return await step()
            except Failed as failure:
                log.warning("to be tried again: %s", failure.message)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _resync(self) -> None:
        """Everything once a period, each key at its own moment of it, whatever else has looked."""
        while True:
            began = time.monotonic()
            for share, key in sorted((random.Random(str(k)).random(), k) for k in self._all_keys()):
                await _until(began + share * self._period)
                self._queue.add(key)
            await _until(began + self._period)

    async def _list_again(self) -> None:
        """Once a period too, and after others' lists; one that fails keeps nothing from being
        looked at."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._period):
                    await self.listed_elsewhere.wait()
                    while self.listed_elsewhere.is_set():
                        self.listed_elsewhere.clear()
                        await asyncio.sleep(_TOGETHER_SECONDS)
            self.listed_elsewhere.clear()
            await self._persist(self._own_lists.take_in)

    def _all_keys(self) -> list[Key]:
        classes = [c.meta.key for c in self._world.classes.values()]
        orphans = {o.marked_for for o in self._world.owned.values() if o.labelled}
        return [*classes, *(set(self._world.identities) | set(self._world.grants.all) | orphans)]

    async def _measure(self) -> None:
        while True:
            QUEUE_DEPTH.set(self._queue.depth)
            QUEUE_AGE.set(self._queue.oldest)
            self._count_conditions()
            await asyncio.sleep(_MEASURE_SECONDS)

    def _count_conditions(self) -> None:
        world = self._world
        ours: Iterator[Ours] = chain(
            world.identities.values(), world.classes.values(), world.grants.all.values()
        )
        counts = Counter((_LABELS[o.meta.key.subject], *row) for o in ours for row in o.conditions)
        CONDITIONS.clear()
        for row, count in counts.items():
            CONDITIONS.labels(*row).set(count)

    async def _watch_mesh(self) -> None:
        """The mesh's CRDs come and go without an event that concerns an identity."""
        before = self._informers.mesh_installed()
        while True:
            await asyncio.sleep(1)
            after = self._informers.mesh_installed()
            if after != before:
                before = after
                for key in self._all_keys():
                    self._queue.add(key)

    async def _wait_for_late_logins(self) -> None:
        while True:
            await asyncio.sleep(1)
            for key in self._world.objects.past_late_logins():
                self._queue.add(key)

    # --- workers

    async def _work(self) -> None:
        while (key := await self._queue.get()) is not None:
            await self._work_on(key)
            # A turn that finds all in place, or Vault known to be down, has waited for nothing:
            # thousands of them kept the Lease and the probes waiting for eight seconds.
            await asyncio.sleep(0)

    async def _work_on(self, key: Key) -> None:
        try:
            await self._one(key)
        finally:
            self._queue.done(key)
            self._moved_at = time.monotonic()

    async def finish(self, seconds: float) -> bool:
        """Begin nothing new, and wait for what has begun. Whether all of it came to its end."""
        self._queue.close()
        left = {task for task in self._at_work if not task.done()}
        if left:
            _, left = await asyncio.wait(left, timeout=seconds)
        return not left

    async def _one(self, key: Key) -> None:
        """One reconcile, and when to look again. Nothing that happens here ends a worker."""
        if self._queue.closed:
            return
        kind = _LABELS[key.subject]
        CONTEXT.set({"kind": kind, "namespace": key.namespace, "name": key.name})
        started = time.monotonic()
        try:
            problem = await self._reconcile(key)
        except Problem as raised:
            problem = raised
        except Exception:  # noqa: BLE001  a bug in one identity must not end a worker
            log.exception("this is a bug")
            self._queue.back_off(key)
            RECONCILES.labels(kind, "bug").inc()
            return
        DURATION.labels(kind).observe(time.monotonic() - started)
        RECONCILES.labels(kind, type(problem).__name__.lower() if problem else "done").inc()
        self._look_again(key, problem)

    async def _reconcile(self, key: Key) -> Problem | None:
        if key.subject is Subject.CLASS:
            return await self._reconcile_class(key.name)
        if key.subject is Subject.GRANT:
            return await self._reconcile_grant(key)
        facts = self._world.facts(key)
        if facts is None:
            return await self._revoker.sweep(key)
        meta = facts.identity.meta
        reconcile_id = uuid.uuid4().hex[:12]
        CONTEXT.set(
            CONTEXT.get() | {"uid": meta.uid, "generation": meta.generation, "id": reconcile_id}
        )
        if facts.identity.deleting:
            return await self._revoker.revoke(facts)
        return await self._pipeline.reconcile(facts)

    async def _reconcile_class(self, name: str) -> Problem | None:
        if agent_class := self._world.classes.get(name):
            return await self._classes.reconcile(agent_class)
        self._classes.forget_former(name)
        return None

    async def _reconcile_grant(self, key: Key) -> Problem | None:
        facts = self._world.grants.facts(key)
        return await (self._grants.reconcile(facts) if facts else self._grants.sweep(key))

    def _look_again(self, key: Key, problem: Problem | None) -> None:
        if problem is None or isinstance(problem, Invalid):
            self._queue.succeeded(key)
            self._look_once_more(key)
            return
        if problem.reason is Reason.UNREACHABLE:
            self._doubt(key)
        if isinstance(problem, Waiting):
            self._queue.succeeded(key)
            self._queue.add(key, WAITING_SECONDS * random.uniform(0.75, 1.25))
            return
        log.log(
            logging.DEBUG if problem.reason is Reason.BUSY else logging.INFO,
            "%s: %s",
            problem.reason,
            problem.message,
        )
        wait = problem.retry_after if isinstance(problem, Failed) else None
        if problem.reason is Reason.BUSY:
            self._queue.put_off(key, wait or 0.25)
            return
        self._queue.back_off(key, wait)
        self._suspect_class(key)

    def _doubt(self, key: Key) -> None:
        """What was given up without an answer may be carried out yet, over what was done since: at
        Vault a late write counts as much as a new one, and nothing would tell of it. Only its class
        lists what is there, and finds a role that nobody knows of any more."""
        agent_class = self._class_of(key)
        for doubtful in (key, agent_class.meta.key) if agent_class else (key,):
            self._in_doubt[doubtful] = time.monotonic() + _DOUBT_SECONDS

    def _look_once_more(self, key: Key) -> None:
        left = self._in_doubt.get(key, 0.0) - time.monotonic()
        if left > 0:
            self._queue.add(key, left)
        else:
            self._in_doubt.pop(key, None)

    def _suspect_class(self, key: Key) -> None:
        """A backend that fails one identity may fail its whole class: its status should say so."""
        if agent_class := self._class_of(key):
            self._queue.add(agent_class.meta.key, _SUSPECT_SECONDS)

    def _class_of(self, key: Key) -> AgentClass | None:
        """The class of this identity, if it has a backend."""
        identity = self._world.identities.get(key)
        agent_class = self._world.classes.get(identity.class_name) if identity else None
        return agent_class if agent_class and agent_class.vault else None

    # --- health

    def sees(self) -> bool:
        """Whether every watch works, as far as one knows."""
        return not any(informer.failing for informer in self._informers.all)

    def sick(self) -> str:
        """Why the process should be started anew; empty while it is well."""
        now = time.monotonic()
        for informer in self._informers.all:
            if now - informer.heard_at > _SILENT_SECONDS:
                return "a watch has been silent for too long"
        if self.ready.is_set() and self._queue.depth and now - self._moved_at > _STUCK_SECONDS:
            return "the queue does not move"
        return ""


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
