"""A proxy that does nothing changes nothing: what is asked for, and what comes of it."""

import asyncio
from collections import Counter

import pytest

from faults.crash import in_turns
from faults.oracles import End
from faults.play import Player
from faults.scene import Scene, scene_of
from faults.theatre import Theatre
from faults.workloads import BY_NAME
from testbed.operator_process import CHANGES

PLAYED = ("create", "narrow", "delete", "grant")


async def play_all(*, direct: bool) -> tuple[dict[str, End], dict[str, Counter[str]]]:
    """How each workload ends, and what the servers say the operator asked for."""
    ends: dict[str, End] = {}
    asked: dict[str, Counter[str]] = {}
    async with Theatre(report=print, direct=direct) as theatre:

        async def play(name: str) -> None:
            scene = theatre.stage.scene()
            player = Player(scene, BY_NAME[name], theatre.log, theatre.faults)
            run, _ = await player.play()
            ends[name] = run.end
            asked[name] = written(theatre, scene, since=player.acted_at)

        await in_turns(play, PLAYED)
    return ends, asked


def written(theatre: Theatre, scene: Scene, *, since: str) -> Counter[str]:
    """Writes for one scene as both audit logs have them; of statuses only that they were, since
    how often depends on who comes first."""
    plane, bao = theatre.bed.control_plane, theatre.bed.openbao
    found = Counter(
        f"{e['verb']} {e['requestURI'].partition('?')[0].replace(scene.name, 'SCENE')}"
        for e in plane.audit_events()
        if e["stage"] == "ResponseComplete"
        and e["requestReceivedTimestamp"] >= since
        and e["verb"] in CHANGES
        and e["user"]["username"].endswith(":agent-identity-operator")
        and "/events" not in e["requestURI"]
        and scene_of(e["requestURI"]) == scene.name
    )
    found += Counter(
        f"{e['operation']} {e['path'].replace(scene.name, 'SCENE')}"
        for e in bao.audit_requests()
        if "agent-identity-operator" in str(e["display_name"])
        and e["operation"] in {"create", "update", "delete"}
        and e["time"] >= since
        and scene_of(e["path"]) == scene.name
    )
    return Counter({what: 1 if "/status" in what else n for what, n in found.items()})


@pytest.mark.timeout(240)
def test_a_proxy_that_does_nothing_changes_nothing() -> None:
    with_proxies = asyncio.run(play_all(direct=False))
    without = asyncio.run(play_all(direct=True))
    for name in PLAYED:
        assert with_proxies[0][name].state == without[0][name].state
        assert with_proxies[0][name].vault == without[0][name].vault
        assert with_proxies[1][name] == without[1][name]
        assert with_proxies[1][name]
