"""While the operator is away, somebody takes its finalizers off and deletes: what is left outside
goes when it comes back."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from faults.oracles import End
from faults.recorder import Name
from faults.scene import AGENT, WORKS, Scene, is_settled, reads_orders
from faults.unseen.ground import Ground
from faults.unseen.trial import Trial, with_token

_GONE_SECONDS = 30.0
Force = Callable[[Scene], Awaitable[None]]


async def _nothing(scene: Scene) -> None:
    """All is left to the operator."""


@dataclass(frozen=True, slots=True)
class Story:
    """as_: the workload that ends as this does. after: what is done once the operator is back.
    without: oracles that say nothing about it. token: what becomes of the agent's, if not what
    that workload makes of it."""

    as_: str
    force: Force
    after: Force = _nothing
    without: frozenset[str] = frozenset()
    token: str = ""


async def _forced_off(scene: Scene, name: Name) -> None:
    await scene.patch(name, {"metadata": {"finalizers": None}})
    await scene.delete(name)
    recorder = scene.stage.recorder
    await recorder.until(scene.name, lambda: scene.body(name) is None, _GONE_SECONDS)


async def _identity(scene: Scene) -> None:
    await _forced_off(scene, scene.of_identity(AGENT))


async def _identity_and_account(scene: Scene) -> None:
    await _forced_off(scene, scene.of_identity(AGENT))
    await _forced_off(scene, Name("ServiceAccount", scene.home, AGENT))


async def _grant(scene: Scene) -> None:
    await _forced_off(scene, scene.of_grant)


async def _grant_again(scene: Scene) -> None:
    """The garbage collector may have taken its policy: whoever grants again has it back."""
    await scene.grant(reads_orders(scene))
    recorder = scene.stage.recorder
    await recorder.until(scene.name, lambda: _is_granted(scene), _GONE_SECONDS)
    await scene.delete(scene.of_grant)


def _is_granted(scene: Scene) -> bool:
    body = scene.body(scene.of_grant)
    return body is not None and is_settled(body)


STORIES: Mapping[str, Story] = MappingProxyType(
    {
        "unobserved/U4/identity": Story("delete", _identity),
        # Tokens are found by their account's UID, which nobody knows any more.
        "unobserved/U4/identity-and-account": Story("delete", _identity_and_account, token=WORKS),
        "unobserved/U4/grant": Story(
            # Whoever grants again has it back on purpose, until that grant goes too.
            "grant-closed",
            _grant,
            _grant_again,
            frozenset({"update summary", "no way back"}),
        ),
    }
)
IDS = tuple(STORIES)
# By force things go in another order than the operator's.
_ORDER = frozenset({"callees first", "guards first"})


async def run(ground: Ground, chosen: Sequence[str]) -> None:
    ends = await ground.ends(STORIES[case].as_ for case in chosen)
    trials = [ground.trial(STORIES[case].as_, case) for case in chosen]
    await ground.all(trials, "set_up")
    async with ground.kubelet.away():
        await asyncio.to_thread(ground.theatre.operator.kill)
        await asyncio.gather(*(_force(one) for one in trials))
        await ground.theatre.start()
    standing = [one for one in trials if not one.lost]
    await asyncio.gather(*(STORIES[one.case].after(one.scene) for one in standing))
    wanted = {one.case: _wanted(one, ends) for one in standing}
    await asyncio.gather(*(one.become(wanted[one.case]) for one in standing))
    for one in standing:
        without = _ORDER | STORIES[one.case].without
        await ground.judge(one, wanted[one.case], without=without)
    await ground.clear()


def _wanted(one: Trial, ends: Mapping[str, End]) -> End:
    end, token = ends[one.workload.name], STORIES[one.case].token
    return with_token(end, token) if token else end


async def _force(one: Trial) -> None:
    await one.mark()
    await STORIES[one.case].force(one.scene)
