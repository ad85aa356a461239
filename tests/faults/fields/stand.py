"""A place for cases of one seed: two namespaces with a name of their own, what stands around the
subject, and the subject, which comes and goes."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from faults.fields.ground import Answer, Ground
from faults.fields.judging import State, settled
from faults.fields.seeds import SCENE, Seed, filled
from faults.recorder import OWN_KINDS, Body, Name
from faults.scene import path_of
from faults.snapshot import snapshot

REST_SECONDS = 240.0
BACK_SECONDS = 120.0
_LOOK_SECONDS = 1.0
_AGAIN_SECONDS = 0.3
_RETIRED = "agentidentity.dev/retired"


class Stand:
    """Everything of it carries its name, which `state` replaces by what all have in common."""

    def __init__(self, ground: Ground, seed: Seed) -> None:
        self.ground = ground
        self.seed = seed
        self.name = ground.scene_name()
        self.past: list[str] = []
        metadata = filled(seed.subject["metadata"], {SCENE: self.name})
        self.subject = Name(seed.kind, metadata.get("namespace", ""), metadata["name"])

    @property
    def common_subject(self) -> str:
        return str(self.subject).replace(self.name, SCENE)

    # --- building

    async def set_up(self) -> None:
        """All but the subject and what comes after it."""
        for body in self.seed.before:
            await self.ground.create(self._filled(body))

    async def make(self, after: Mapping[str, Any]) -> Answer:
        """The subject with this `spec`, and what comes after it where it is taken."""
        head = {k: v for k, v in self.seed.subject.items() if k != "spec"}
        answer = await self.ground.try_create(self._filled({**head, **after}))
        if answer.ok:
            for body in self.seed.after:
                await self.ground.create(self._filled(body))
        return answer

    async def change(self, after: Mapping[str, Any]) -> Answer:
        return await self.ground.replace_spec(self.subject, self._filled(after))

    async def clear(self) -> None:
        """The subject goes as teams would take it away, and who opens what a grant left shut."""
        later = [self._name_of(body) for body in self.seed.after]
        await asyncio.gather(*(self.ground.delete(name) for name in later))
        await self._until(lambda: not any(n in self.objects() for n in later))
        await self.ground.delete(self.subject)
        await self._until(lambda: self.subject not in self.objects())
        if self.seed.kind == "AgentAccessGrant":
            await self._open_again()

    async def _open_again(self) -> None:
        """Asked for, and not looked for: watches of two kinds keep no order."""
        where = path_of(Name("AuthorizationPolicy", self.subject.namespace, ""))
        left = await self.ground.send("GET", f"{where}?labelSelector={_RETIRED}")
        for body in left.body["items"]:
            name = body["metadata"]["name"]
            await self.ground.delete(Name("AuthorizationPolicy", self.subject.namespace, name))

    async def abandon(self) -> None:
        """Not waited for."""
        kinds = sorted(OWN_KINDS, reverse=True)
        own = [n for kind in kinds for n in self.objects() if n.kind == kind]
        for name in own:
            await self.ground.delete(name)
        for body in self.seed.before:
            if body["kind"] == "Namespace":
                await self.ground.delete(self._name_of(body))
        self.ground.forget(self.name)

    def _filled(self, template: Any) -> Any:
        return filled(template, {SCENE: self.name, **self.ground.words})

    def _name_of(self, template: Body) -> Name:
        metadata = self._filled(template["metadata"])
        return Name(template["kind"], metadata.get("namespace", ""), metadata["name"])

    # --- looking

    def objects(self) -> dict[Name, Body]:
        """As the API server has them, but for what every namespace has."""
        found = self.ground.objects(self.name)
        return {n: b for n, b in found.items() if (n.kind, n.name) != ("ServiceAccount", "default")}

    def own(self) -> dict[Name, Body]:
        return {n: b for n, b in self.objects().items() if n.kind in OWN_KINDS}

    @property
    def body(self) -> Body:
        return self.objects()[self.subject]

    async def state(self) -> State:
        found = self._kube_state()
        for name, data in (await self.ground.vault_state(self.name)).items():
            text = json.dumps(data, sort_keys=True).replace(self.name, SCENE)
            found[name.replace(self.name, SCENE)] = text
        return found

    def _kube_state(self) -> dict[str, str]:
        return snapshot(self.objects(), {self.name: SCENE})

    def all_settled(self) -> bool:
        return all(settled(body) for body in self.own().values())

    async def until_state(self, wanted: State, seconds: float = BACK_SECONDS) -> State:
        """What there is: as wanted, or what it still was when time was up."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            # Whole states are not free, and least of all those of OpenBao.
            settled_now = await self.ground.recorder.until(self.name, self.all_settled, left)
            if settled_now and self._kube_state().items() <= wanted.items():
                found = await self.state()
                if found == wanted:
                    return found
            await self._until_news(_LOOK_SECONDS)
        return await self.state()

    async def _until_news(self, seconds: float) -> None:
        """Until something has changed here, and a little longer: more will follow."""
        looks = iter((False, True))
        await self.ground.recorder.until(self.name, lambda: next(looks, True), seconds)
        await asyncio.sleep(_AGAIN_SECONDS)

    async def _until(self, condition: Any, seconds: float = BACK_SECONDS) -> None:
        if not await self.ground.recorder.until(self.name, condition, seconds):
            raise TimeoutError(f"{self.name}: {sorted(map(str, self.objects()))}")

    async def until_settled(self, seconds: float = REST_SECONDS) -> bool:
        return await self.ground.recorder.until(self.name, self.all_settled, seconds)


async def until_rest(stands: Sequence[Stand], seconds: float = REST_SECONDS) -> list[str]:
    """Until all has been looked at and the operator has written nothing for two whole periods.
    Nothing, or what it still wrote when time was up."""
    deadline = time.monotonic() + seconds
    wrote: list[str] = []
    while time.monotonic() < deadline:
        for stand in stands:
            if not await stand.until_settled(max(0.1, deadline - time.monotonic())):
                late = [str(n) for n, b in stand.own().items() if not settled(b)]
                return [f"{stand.name}: not settled: {', '.join(late)}"]
        wrote = await _written_in_a_window(stands)
        if not wrote:
            return []
    return [f"still writes: {what}" for what in wrote]


async def _written_in_a_window(stands: Sequence[Stand]) -> list[str]:
    """Ends with the first write."""
    began = time.time()
    while time.time() < began + stands[0].ground.window:
        await asyncio.sleep(_LOOK_SECONDS)
        wrote = [w for s in stands for w in await s.ground.writes_since(s.name, began)]
        if wrote:
            return wrote
    return []
