"""A CRD of ours is deleted, with all its objects, and is installed again.

The recorder does not outlive it, so everything here is asked for; this comes last.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

from faults.recorder import Body, Name
from faults.scene import AGENT, CALLER, READER, Scene, full, path_of, reads_orders
from faults.unseen.ground import Ground
from faults.unseen.trial import Trial
from testbed.operator_process import REPOSITORY

_END_SECONDS = 90.0
_LOOK_SECONDS = 0.25
_BINDING = f"agentidentity:{AGENT}:{READER}"


async def _make_identities(scene: Scene) -> None:
    await scene.identity(CALLER)
    await scene.identity(AGENT, **full(scene))


async def _make_classes(scene: Scene) -> None:
    await scene.agent_class(rbac={"clusterRoles": [READER]})


async def _make_grant(scene: Scene) -> None:
    await scene.grant(reads_orders(scene))


MAKE_ANEW: Mapping[str, Callable[[Scene], Awaitable[None]]] = MappingProxyType(
    {
        "agentaccessgrants": _make_grant,
        "agentidentities": _make_identities,
        "agentidentityclasses": _make_classes,
    }
)
IDS = tuple(f"server/crd/{plural}" for plural in MAKE_ANEW)


async def run(ground: Ground, chosen: Sequence[str]) -> None:
    for case in chosen:
        one = ground.trial("settled", case)
        await ground.all([one], "set_up")
        if not one.lost:
            ground.end(one, case, await _away_and_back(ground, one))


async def _away_and_back(ground: Ground, one: Trial) -> list[str]:
    scene, plural = one.scene, one.case.rpartition("/")[2]
    plane = ground.theatre.bed.control_plane
    crd = f"{plural}.agentidentity.dev"
    await asyncio.to_thread(plane.kubectl, "delete", "crd", crd, "--wait=false")
    failures = await _in_time("the CRD is gone", lambda: _is_gone(ground, crd))
    if plural != "agentaccessgrants":
        failures += await _in_time("no binding is left", lambda: _has_no_binding(scene))
        failures += await _in_time("no role is left", lambda: _has_no_role(scene))
    else:
        failures += await _in_time("the policy is shut", lambda: _is_shut(scene))
    crds = str(REPOSITORY / "crds")
    await asyncio.to_thread(plane.kubectl, "apply", "--server-side", "-f", crds)
    wait = ("wait", "--for=condition=Established", "--timeout=30s", f"crd/{crd}")
    await asyncio.to_thread(plane.kubectl, *wait)
    await MAKE_ANEW[plural](scene)
    failures += await _in_time("the agent is Ready again", lambda: _is_ready(scene))
    return failures


async def _in_time(what: str, condition: Callable[[], Awaitable[bool]]) -> list[str]:
    deadline = time.monotonic() + _END_SECONDS
    while not await condition():
        if time.monotonic() > deadline:
            return [f"not within {_END_SECONDS:g} s: {what}"]
        await asyncio.sleep(_LOOK_SECONDS)
    return []


async def _read(scene: Scene, path: str) -> Body | None:
    try:
        return await scene.stage.send("GET", path)
    except RuntimeError:
        return None


async def _is_gone(ground: Ground, crd: str) -> bool:
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd}"
    try:
        await ground.theatre.stage.send("GET", path)
    except RuntimeError as error:
        return ": 404 " in str(error)
    return False


async def _has_no_binding(scene: Scene) -> bool:
    return await _read(scene, path_of(Name("RoleBinding", scene.home, _BINDING))) is None


async def _has_no_role(scene: Scene) -> bool:
    role = f"role {scene.stage.bed.cluster_name}_{scene.home}_{AGENT}"
    return role not in await scene.vault_roles()


async def _is_shut(scene: Scene) -> bool:
    name = Name("AuthorizationPolicy", scene.shop, "agentaccessgrant-orders")
    policy = await _read(scene, path_of(name))
    return policy is not None and not policy["spec"].get("rules")


async def _is_ready(scene: Scene) -> bool:
    body = await _read(scene, path_of(scene.of_identity(AGENT))) or {}
    status = body.get("status") or {}
    rows = {row["type"]: row["status"] for row in status.get("conditions") or ()}
    return rows.get("Ready") == "True" and rows.get("OutboundReady", "True") == "True"
