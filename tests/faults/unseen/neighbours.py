"""A class with a Vault of its own goes on while another class's Vault does not answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from faults.modes import Mode, When
from faults.oracles import End
from faults.proxy import Chooser
from faults.recorder import Body
from faults.scene import BYSTANDER
from faults.unseen.ground import Ground
from faults.unseen.met import was_faulted
from faults.unseen.trial import Trial
from testbed.bed import POLICY_FILE
from testbed.openbao import OpenBao
from testbed.toolchain import find_binaries

READY_SECONDS = 20.0
FAULTS = {
    "refuses": Mode("status-503", When.INSTEAD, status=503),
    "hangs": Mode("hangs", When.BEFORE, delay=20.0),
}
# There was somebody more for a while.
_WITHOUT = frozenset({"update summary", "honest status"})
TWO_ADDRESSES = "vault/neighbour/two-addresses"
IDS = (*(f"vault/neighbour/{name}" for name in FAULTS), TWO_ADDRESSES)


@asynccontextmanager
async def _second_vault(ground: Ground) -> AsyncIterator[OpenBao]:
    bed = ground.theatre.bed
    bao = OpenBao(bed.directory / "second-openbao", find_binaries(ground.tally.report))
    try:
        await asyncio.to_thread(bao.start)
        await asyncio.to_thread(
            bao.set_up_operator,
            bed.control_plane,
            cluster_name=bed.cluster_name,
            policy_file=POLICY_FILE,
        )
        yield bao
    finally:
        await asyncio.to_thread(bao.stop)


async def run(ground: Ground, chosen: Sequence[str]) -> None:
    ends = await ground.ends(["create", "settled"])
    if TWO_ADDRESSES in chosen:
        await _two_addresses(ground, ends["settled"])
    async with _second_vault(ground) as bao:
        for case in (c for c in chosen if c != TWO_ADDRESSES):
            one = ground.trial("create", case)
            await ground.all([one], "set_up")
            proxy, usual = ground.theatre.vault, ground.theatre.faults.choose
            mode = FAULTS[case.rpartition("/")[2]]
            proxy.choose = always(mode)
            try:
                await ground.all([one], "act")
                more = await _neighbour(ground, one, bao)
            finally:
                proxy.choose = usual
            await _neighbour_goes(ground, one)
            await one.become(ends["create"])
            met = was_faulted(one.asked(), mode)
            await ground.judge(one, ends["create"], *more, without=_WITHOUT, met=met)
        await ground.clear()


def always(mode: Mode) -> Chooser:
    """Whatever is asked for."""
    return lambda _: mode


async def _two_addresses(ground: Ground, wanted: End) -> None:
    """Another class reaches the same Vault by another name: nobody's role goes by that."""
    one = ground.trial("settled", TWO_ADDRESSES)
    await ground.all([one], "set_up")
    scene, bao = one.scene, ground.theatre.bed.openbao
    body = scene.stage.class_body(f"{scene.name}-well")
    body["spec"]["vault"] |= {"address": bao.address, "caBundle": bao.ca_pem}
    await scene.create(body)
    name = scene.of_class._replace(name=f"{scene.name}-well")
    recorder = ground.theatre.recorder
    met = await recorder.until(scene.name, lambda: _ready(scene.body(name)), READY_SECONDS)
    await ground.calm([scene], 1.0, READY_SECONDS)
    roles = await scene.vault_roles()
    more = [] if roles else ["the role of an agent of the other class is gone"]
    await scene.delete(name)
    await recorder.until(scene.name, lambda: scene.body(name) is None, READY_SECONDS)
    await one.become(wanted)
    await ground.judge(one, wanted, *more, without=_WITHOUT, met=met)


async def _neighbour(ground: Ground, one: Trial, bao: OpenBao) -> list[str]:
    """Somebody of a class with the other Vault comes, and is Ready as soon as ever."""
    scene = one.scene
    body = scene.stage.class_body(f"{scene.name}-well")
    body["spec"]["vault"] |= {"address": bao.address, "caBundle": bao.ca_pem}
    await scene.create(body)
    await scene.identity(
        BYSTANDER,
        namespace=scene.elsewhere,
        className=f"{scene.name}-well",
        vault={"policies": ["own-secrets"]},
    )
    name = scene.of_identity(BYSTANDER, namespace=scene.elsewhere)
    recorder = ground.theatre.recorder
    ready = await recorder.until(scene.name, lambda: _ready(scene.body(name)), READY_SECONDS)
    return [] if ready else [f"a neighbour was not Ready within {READY_SECONDS:g} s"]


def _ready(body: Body | None) -> bool:
    rows = ((body or {}).get("status") or {}).get("conditions") or ()
    return any(row["type"] == "Ready" and row["status"] == "True" for row in rows)


async def _neighbour_goes(ground: Ground, one: Trial) -> None:
    """So that the case ends as it does without a neighbour."""
    scene = one.scene
    name = scene.of_identity(BYSTANDER, namespace=scene.elsewhere)
    await scene.delete(name)
    await ground.theatre.recorder.until(scene.name, lambda: scene.body(name) is None, READY_SECONDS)
    await scene.delete(scene.of_class._replace(name=f"{scene.name}-well"))
