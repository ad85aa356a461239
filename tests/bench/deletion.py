"""Identities are deleted, and what they had goes."""

import asyncio

from bench.audit import Audit
from bench.door import as_admin
from bench.operator_run import wait_idle
from bench.scene import Scene, Took
from bench.watch import until_gone, version_now
from bench.workload import BINDINGS_PATH, IDENTITIES_PATH, ROLE
from testbed.operator_process import OperatorProcess

MOST = 1000


def delete_some(scene: Scene, operator: OperatorProcess) -> Took:
    """Until the first MOST of them are gone, and their rights in the cluster too: where the garbage
    collector takes those, it may come later."""
    wait_idle(operator)
    audit = Audit(scene.bed)
    mark = audit.mark()
    seconds = asyncio.run(_delete(scene))
    wait_idle(operator)
    return Took(seconds, audit.since(mark))


async def _delete(scene: Scene) -> float:
    names = scene.names[:MOST]
    bindings = [f"agentidentity:{name}:{ROLE}" for name in names]
    async with (
        as_admin(scene.bed) as door,
        as_admin(scene.bed) as one,
        as_admin(scene.bed) as other,
    ):
        since = await version_now(one, IDENTITIES_PATH)

        async def delete(name: str) -> None:
            await door.send("DELETE", f"{IDENTITIES_PATH}/{name}")

        async def gone() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(until_gone(one, names, since=since))
                tasks.create_task(until_gone(other, bindings, BINDINGS_PATH, since=since))

        return await scene.time_until(gone(), delete, names)
