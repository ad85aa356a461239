"""One request as the proxy saw it, and the name by which a plan finds it again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

READS = frozenset({"GET", "LIST"})
# Sent as writes, though nothing that anybody has made is changed by them.
_LOOKUPS = re.compile(r"/v1/(identity/lookup/.*|auth/[^/]+/login|auth/token/renew-self)")
# By its id, which is random.
_ENTITY = re.compile(r"(/v1/identity/entity/id/).+")
_EVENTS = "/apis/events.k8s.io/"


class Call(NamedTuple):
    """What a request asks for, named so that two runs call it the same. server: `kube` or
    `vault`. path: without its query."""

    server: str
    method: str
    path: str

    @property
    def changes(self) -> bool:
        return self.method not in READS and not _LOOKUPS.fullmatch(self.path)

    def renamed(self, names: Mapping[str, str]) -> "Call":
        """With every name that is a run's own replaced by what all runs call it."""
        return Call(self.server, self.method, _ENTITY.sub(r"\1*", renamed(self.path, names)))

    @property
    def tells(self) -> bool:
        """An Event is written at its own pace, and nothing hangs on it."""
        return self.path.startswith(_EVENTS)

    def __str__(self) -> str:
        return f"{self.server} {self.method} {self.path}"


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Longer names first: one may be part of another."""
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, names[name])
    return text


@dataclass(slots=True)
class Exchange:
    """number: place in the order in which requests came, over both servers. scene: whom it
    concerns; empty where it can't be said. status: of the server's answer, 0 without one.
    at, sent_at, answered_at: when it came, was passed on to the server (0: never), and when the
    answer came, by the monotonic clock. over: answered or dropped, or carried out though nobody
    waited any more; until then it is under way. sender: its User-Agent, which tells one
    operator's process from another's."""

    number: int
    at: float
    scene: str
    call: Call
    body: bytes = b""
    status: int = 0
    answer: bytes = b""
    sent_at: float = 0.0
    answered_at: float = 0.0
    fault: str = ""
    over: bool = False
    sender: str = ""

    @property
    def changes(self) -> bool:
        return self.call.changes

    @property
    def applied(self) -> bool:
        """The server did what was asked, whether or not the operator knows."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES
