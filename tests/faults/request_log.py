"""All that one operator asked of all its servers, in order."""

import itertools
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

from faults.exchange import Call, Exchange
from faults.scene import scene_of

_LOOKUP = "/v1/identity/lookup/entity"
_ENTITIES = "/v1/identity/entity/id/"


class RequestLog:
    """scene_of_uid: whose account has this UID; Vault's entities are named by nothing else."""

    def __init__(self, scene_of_uid: Callable[[str], str] = lambda _: "") -> None:
        self._scene_of_uid = scene_of_uid
        self._scene_of_entity: dict[str, str] = {}
        self._of: dict[str, list[Exchange]] = defaultdict(list)
        self._count = itertools.count()
        self.secrets: set[str] = set()
        self.all: list[Exchange] = []

    def begin(self, call: Call, body: bytes) -> Exchange:
        scene = self._scene(call, body)
        exchange = Exchange(next(self._count), time.monotonic(), scene, call, body)
        self.all.append(exchange)
        self._of[scene].append(exchange)
        return exchange

    def of(self, scene: str, *, since: int = 0) -> list[Exchange]:
        """Those of one scene; since: a number."""
        return [e for e in self._of[scene] if e.number >= since]

    def since(self, number: int) -> Iterator[Exchange]:
        return itertools.islice(self.all, number, None)

    def last_at(self, scene: str) -> float:
        """When it was last asked for anything, by the monotonic clock."""
        return self._of[scene][-1].at if self._of[scene] else 0.0

    def last_change_at(self, scene: str) -> float:
        """When it was last asked to change anything, by the monotonic clock."""
        changes = (exchange.at for exchange in reversed(self._of[scene]) if exchange.changes)
        return next(changes, 0.0)

    def under_way(self, scene: str) -> bool:
        """Whether something that it was asked for may yet be carried out."""
        return any(not exchange.over for exchange in self._of[scene])

    def forget(self) -> None:
        """All exchanges so far."""
        self.all.clear()
        self._of.clear()

    def learn(self, exchange: Exchange) -> None:
        """What an answer tells of those to come."""
        path = exchange.call.path
        if not exchange.applied or exchange.call.server != "vault" or not exchange.answer:
            return
        answer = json.loads(exchange.answer)
        if path == _LOOKUP:
            alias = json.loads(exchange.body).get("alias_name", "")
            self._scene_of_entity[answer["data"]["id"]] = self._scene_of_uid(alias)
        elif token := (answer.get("auth") or {}).get("client_token"):
            self.secrets.add(token)

    def _scene(self, call: Call, body: bytes) -> str:
        if call.path.startswith(_ENTITIES):
            return self._scene_of_entity.get(call.path.removeprefix(_ENTITIES), "")
        if call.path == _LOOKUP:
            return self._scene_of_uid(json.loads(body).get("alias_name", ""))
        return scene_of(call.path)

    def __len__(self) -> int:
        return len(self.all)
