"""Rights are withdrawn, and the operator that runs does not hear of it; something else wakes it.

What is held back is all that decides: our own kinds, and namespaces. What it made is taken away by
others before its eyes, one thing in each case; it must not put back what is withdrawn, because it
reads afresh before it gives anything.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

from faults.recorder import Name
from faults.scene import AGENT, READER, SHOP, Scene
from faults.unseen.ground import SWIFT, Ground
from faults.unseen.trial import Trial, scenes_of
from faults.watches import OURS, Frozen

WITHDRAWALS = (
    *("narrow", "withdraw", "stall", "secrets", "ceiling", "forbid", "delete"),
    *("grant-less", "grant-closed", "caller-gone"),
)
_DECIDES = OURS | {"/api/v1/namespaces"}
# So long that there was a resync.
_CALM_SECONDS = 4.5
_CALM_LIMIT = 7.0
# What others took away is made again, and for that moment nothing keeps anybody out.
_WITHOUT = frozenset({"update summary", "guards first"})
_SEEN_SECONDS = 10.0
Tamper = Callable[[Scene], Awaitable[None]]


async def _binding(scene: Scene) -> None:
    await _deleted(scene, Name("RoleBinding", scene.home, f"agentidentity:{AGENT}:{READER}"))


async def _policy(scene: Scene) -> None:
    await _deleted(scene, Name("AuthorizationPolicy", scene.home, f"agentidentity-{AGENT}"))


async def _grants_policy(scene: Scene) -> None:
    await _deleted(scene, Name("AuthorizationPolicy", scene.shop, f"agentaccessgrant-{SHOP}"))


async def _deleted(scene: Scene, name: Name) -> None:
    await scene.delete(name)
    recorder = scene.stage.recorder
    await recorder.until(scene.name, lambda: scene.body(name) is None, _SEEN_SECONDS)


async def _role(scene: Scene) -> None:
    bed = scene.stage.bed
    path = f"auth/kubernetes/role/{bed.cluster_name}_{scene.home}_{AGENT}"
    await asyncio.to_thread(bed.openbao.delete, path)


PATHS: Mapping[str, Tamper] = MappingProxyType(
    {"binding": _binding, "policy": _policy, "grants-policy": _grants_policy, "role": _role}
)


def _id(withdrawal: str, path: str) -> str:
    return f"stale/S2-awake/{withdrawal}+{path}"


IDS = tuple(_id(withdrawal, path) for withdrawal in WITHDRAWALS for path in PATHS)


async def run(ground: Ground, chosen: Sequence[str]) -> None:
    ends = await ground.ends(w for w in WITHDRAWALS if any(_id(w, p) in chosen for p in PATHS))
    # A role in Vault that is gone shows at a resync.
    await ground.use(SWIFT)
    trials = [
        ground.trial(withdrawal, _id(withdrawal, path))
        for withdrawal in WITHDRAWALS
        for path in PATHS
        if _id(withdrawal, path) in chosen
    ]
    await ground.all(trials, "set_up")
    view = await _withdrawn_unseen(ground, trials)
    async with ground.watches(view):
        await ground.calm(scenes_of(trials), _CALM_SECONDS, _CALM_LIMIT)
        # Whoever was not looked at was not woken.
        woken = {one.case for one in trials if one.asked()}
        view.thaw()
        standing = [one for one in trials if not one.lost]
        await asyncio.gather(*(one.become(ends[one.workload.name]) for one in standing))
    for one in standing:
        met = one.case in woken
        await ground.judge(one, ends[one.workload.name], without=_WITHOUT, met=met)
    await ground.clear()


async def _withdrawn_unseen(ground: Ground, trials: Sequence[Trial]) -> Frozen:
    """When the operator goes on, one thing is gone before its eyes, and it does not know why it
    must not come back."""
    async with ground.stopped():
        view = Frozen(await ground.revision(), _DECIDES.__contains__)
        ground.theatre.kube.watches = view
        await ground.all(trials, "act")
        await asyncio.gather(*(_tamper(one) for one in trials))
        await ground.all(trials, "mark")
    return view


async def _tamper(one: Trial) -> None:
    await PATHS[one.case.rpartition("+")[2]](one.scene)
