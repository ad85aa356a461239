"""What happened was never seen: there and gone again, changed and changed back, or told by an event
that was lost."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from faults.oracles import End
from faults.recorder import Body, Name
from faults.scene import AGENT, OTHER_READER, READER, SHOP, Scene, full, reads_orders, scene_of
from faults.unseen.ground import SWIFT, Ground
from faults.unseen.trial import Trial, names_of
from faults.watches import Hiding
from testbed.tenant import grant_manifest

# Two periods, and a moment for each to be worked off.
REPAIR_SECONDS = 12.0
Step = Callable[[Scene], Awaitable[None]]
_BINDING = f"agentidentity:{AGENT}:{READER}"
_POLICY = f"agentidentity-{AGENT}"
_GRANTS_POLICY = f"agentaccessgrant-{SHOP}"
_UNSEEN: Body = {"metadata": {"annotations": {"seen": "no"}}}
_AS_BEFORE: Body = {"metadata": {"annotations": {"seen": None}}}


@dataclass(frozen=True, slots=True)
class Story:
    """workload: of its first part, and of how it ends. unseen: what is never shown. then: what is,
    afterwards; None: the workload's act. forever: the events stay lost."""

    workload: str
    unseen: Step
    then: Step | None = None
    forever: bool = False


async def _nothing(scene: Scene) -> None:
    """Nothing more happens."""


async def _agent_comes_and_goes(scene: Scene) -> None:
    await scene.identity("passing", **full(scene))
    await scene.delete(scene.of_identity("passing"))


async def _grant_comes_and_goes(scene: Scene) -> None:
    await scene.create(grant_manifest(scene.shop, "passing", reads_orders(scene)))
    await scene.delete(Name("AgentAccessGrant", scene.shop, "passing"))


async def _class_comes_and_goes(scene: Scene) -> None:
    await scene.agent_class(f"{scene.name}-passing", vault=None)
    await scene.delete(Name("AgentIdentityClass", "", f"{scene.name}-passing"))


def _there_and_back(kind: str, place: str, name: str, there: Body, back: Body) -> Step:
    async def step(scene: Scene) -> None:
        of = Name(kind, getattr(scene, place) if place else "", name or scene.name)
        await scene.patch(of, there)
        await scene.patch(of, back)

    return step


def _patched(kind: str, place: str, name: str, body: Body) -> Step:
    async def step(scene: Scene) -> None:
        await scene.patch(Name(kind, getattr(scene, place), name), body)

    return step


def _deleted(kind: str, place: str, name: str) -> Step:
    async def step(scene: Scene) -> None:
        await scene.delete(Name(kind, getattr(scene, place), name))

    return step


async def _acts(scene: Scene) -> None:
    """The workload's own act, whose events are lost."""


_OPEN: Body = {"spec": {"rules": [{}]}}
_ROLES: Body = {"spec": {"rbac": {"clusterRoles": [READER, OTHER_READER]}}}
_ONE_ROLE: Body = {"spec": {"rbac": {"clusterRoles": [READER]}}}
_NO_ROLES: Body = {"spec": {"rbac": {"clusterRoles": []}}}
_LABEL: Body = {"metadata": {"labels": {"agents": "no"}}}
_LABELLED: Body = {"metadata": {"labels": {"agents": "allowed"}}}
_DISABLED: Body = {"spec": {"mtls": {"mode": "DISABLE"}}}

STORIES: Mapping[str, Story] = MappingProxyType(
    {
        "unobserved/U1/identity": Story("narrow", _agent_comes_and_goes),
        "unobserved/U1/grant": Story("narrow", _grant_comes_and_goes),
        "unobserved/U1/class": Story("narrow", _class_comes_and_goes),
        "unobserved/U2/spec": Story(
            "narrow", _there_and_back("AgentIdentity", "home", AGENT, _ROLES, _ONE_ROLE)
        ),
        "unobserved/U2/class": Story(
            "narrow", _there_and_back("AgentIdentityClass", "", "", _NO_ROLES, _ROLES)
        ),
        "unobserved/U2/namespace": Story(
            "narrow", _there_and_back("Namespace", "", "", _LABEL, _LABELLED)
        ),
        "unobserved/U2/binding": Story(
            "narrow", _there_and_back("RoleBinding", "home", _BINDING, _UNSEEN, _AS_BEFORE)
        ),
        "unobserved/U2/policy": Story(
            "narrow", _there_and_back("AuthorizationPolicy", "home", _POLICY, _UNSEEN, _AS_BEFORE)
        ),
        "unobserved/U2/account": Story(
            "delete", _there_and_back("ServiceAccount", "home", AGENT, _UNSEEN, _AS_BEFORE)
        ),
        "unobserved/U2/grants-policy": Story(
            "grant-less",
            _there_and_back("AuthorizationPolicy", "shop", _GRANTS_POLICY, _UNSEEN, _AS_BEFORE),
        ),
        "unobserved/U3/binding-gone": Story(
            "settled", _deleted("RoleBinding", "home", _BINDING), _nothing, forever=True
        ),
        "unobserved/U3/policy-open": Story(
            "settled", _patched("AuthorizationPolicy", "home", _POLICY, _OPEN), _nothing, True
        ),
        "unobserved/U3/policy-gone": Story(
            "settled", _deleted("AuthorizationPolicy", "home", _POLICY), _nothing, forever=True
        ),
        "unobserved/U3/mtls-off": Story(
            "settled", _patched("PeerAuthentication", "home", _POLICY, _DISABLED), _nothing, True
        ),
        "unobserved/U3/grants-policy-open": Story(
            "settled",
            _patched("AuthorizationPolicy", "shop", _GRANTS_POLICY, _OPEN),
            _nothing,
            forever=True,
        ),
        **{
            f"unobserved/U3/{workload}": Story(workload, _acts, _nothing, forever=True)
            for workload in ("narrow", "ceiling", "forbid", "delete", "grant-less", "grant-closed")
        },
    }
)
IDS = tuple(STORIES)


async def run(ground: Ground, chosen: Sequence[str]) -> None:
    ends = await ground.ends(STORIES[case].workload for case in chosen)
    await ground.use(SWIFT)
    trials = [ground.trial(STORIES[case].workload, case) for case in chosen]
    await ground.all(trials, "set_up")
    hidden, met = names_of(trials), set[str]()

    def hides(_: str, body: Body) -> bool:
        met.update({_scene(body)} & hidden)
        return _scene(body) in hidden

    async with ground.watches(Hiding(hides)):
        await asyncio.gather(*(_happens(ground, one) for one in trials))
        brief = [one for one in trials if not STORIES[one.case].forever]
        # The watches have brought it by now, and it was not shown.
        await asyncio.sleep(1)
        hidden -= names_of(brief)
        standing = [one for one in trials if not one.lost]
        await asyncio.gather(
            *(_goes_on(ground, one, ends, met=one.scene.name in met) for one in standing)
        )
    await ground.clear()


def _scene(body: Body) -> str:
    metadata = body["metadata"]
    return scene_of(metadata.get("namespace") or metadata["name"])


async def _happens(ground: Ground, one: Trial) -> None:
    story = STORIES[one.case]
    await one.mark()
    await (one.act() if story.unseen is _acts else story.unseen(one.scene))


async def _goes_on(ground: Ground, one: Trial, ends: Mapping[str, End], *, met: bool) -> None:
    story = STORIES[one.case]
    if story.then is None:
        await one.mark()
        await one.act()
    wanted = ends[one.workload.name]
    await one.become(wanted)
    late = story.forever and one.seconds > REPAIR_SECONDS
    more = [f"repaired only after {one.seconds:.0f} s"] if late else []
    without = frozenset({"update summary", "guards first"}) if story.forever else frozenset()
    await ground.judge(one, wanted, *more, without=without, met=met)
