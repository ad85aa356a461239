"""One change of a class that touches every identity of it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.audit import Audit
from bench.door import Door, as_admin
from bench.operator_run import wait_idle
from bench.recording import BASELINE, RESTORE, WITHDRAW
from bench.scene import Scene, Seen, Took, merge
from bench.watch import Body, is_ready, until_all, until_gone, version_now
from bench.workload import (
    BINDINGS_PATH,
    CLASS_PATH,
    IDENTITIES_PATH,
    POLICIES_PATH,
    ROLE,
    with_baseline,
    with_roles,
)
from testbed.operator_process import OperatorProcess


@dataclass(frozen=True, slots=True)
class ClassChange:
    """seen: from a door, the names of all identities, and a version of what is at `path`: until all
    of them are as the patch has it."""

    phase: str
    patch: dict[str, Any]
    path: str
    seen: Callable[[Door, list[str], str], Seen]


def change_class(scene: Scene, operator: OperatorProcess) -> Mapping[str, Took]:
    """Phase → until every identity has it."""
    return {change.phase: _measure(scene, operator, change) for change in CHANGES}


def _measure(scene: Scene, operator: OperatorProcess, change: ClassChange) -> Took:
    wait_idle(operator)
    audit = Audit(scene.bed)
    mark = audit.mark()
    seconds = asyncio.run(_change(scene, change))
    wait_idle(operator)
    return Took(seconds, audit.since(mark))


async def _change(scene: Scene, change: ClassChange) -> float:
    async with as_admin(scene.bed) as door, as_admin(scene.bed) as watching:
        version = await version_now(watching, change.path)
        async with asyncio.timeout(scene.limit), asyncio.TaskGroup() as tasks:
            began = time.monotonic()
            tasks.create_task(change.seen(watching, scene.names, version))
            await merge(door, CLASS_PATH, change.patch)
        return time.monotonic() - began


async def _all_open(door: Door, names: list[str], version: str) -> None:
    policies = [f"agentidentity-{name}" for name in names]
    await until_all(door, POLICIES_PATH, policies, _has_baseline, since=version)


def _has_baseline(policy: Body) -> bool:
    return len(policy["spec"].get("rules") or ()) == 2


async def _all_unbound(door: Door, names: list[str], version: str) -> None:
    bindings = [f"agentidentity:{name}:{ROLE}" for name in names]
    await until_gone(door, bindings, BINDINGS_PATH, since=version)


async def _all_ready(door: Door, names: list[str], version: str) -> None:
    await until_all(door, IDENTITIES_PATH, names, is_ready, since=version)


CHANGES = (
    ClassChange(BASELINE, with_baseline(), POLICIES_PATH, _all_open),
    ClassChange(WITHDRAW, with_roles(), BINDINGS_PATH, _all_unbound),
    ClassChange(RESTORE, with_roles(ROLE), IDENTITIES_PATH, _all_ready),
)
