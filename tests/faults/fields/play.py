"""One case on two stands: on one the seed is changed and changed back, on the other what it was
changed to is made from scratch."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from faults.fields.ground import Answer
from faults.fields.jobs import Job
from faults.fields.judging import (
    State,
    dishonest,
    effects,
    is_own,
    stalled,
    still_open,
    told,
    unlike,
)
from faults.fields.rights import rights
from faults.fields.stand import Stand, until_rest
from faults.recorder import Body, Change, Name
from faults.snapshot import differences

REFUSALS = frozenset({400, 403, 413, 422})
Kind = Literal["refused", "stalled", "converged", "broken"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """kind: what became of the changed spec; broken where that could not be seen. failures: what
    must not be. one_way: the API server refused the way back. effect, said: whether anything, or a
    status at least, came of a changed spec; True where the stored spec did not change."""

    id: str
    kind: Kind
    failures: tuple[str, ...] = ()
    seconds: float = 0.0
    told: str = ""
    one_way: bool = False
    effect: bool = True
    said: bool = True


@dataclass(frozen=True, slots=True)
class _Before:
    """What there was. version: of the subject."""

    objects: Mapping[Name, Body]
    version: int


class Play:
    """changed: holds the seed, whose state is `seed`. scratch: holds no subject."""

    def __init__(self, changed: Stand, scratch: Stand, seed: State, empty: State) -> None:
        self._changed, self._scratch = changed, scratch
        self._seed, self._empty = seed, empty

    async def play(self, job: Job) -> Outcome:
        began = time.monotonic()
        before = _Before(self._changed.objects(), _version(self._changed.body))
        last, refusals = await self._take_steps(job)
        if last is None:
            return await self._refused(job.id, refusals[-1], before)
        outcome = await self._taken(job, last, before)
        return replace(outcome, seconds=time.monotonic() - began)

    async def _take_steps(self, job: Job) -> tuple[Body | None, list[Answer]]:
        """The last spec that was taken, and all refusals."""
        current, taken, refusals = self._changed.seed.spec, 0, []
        for step in job.steps:
            after = step(current)
            if after is None:
                continue
            answer = await self._changed.change(after)
            if answer.ok:
                current, taken = after, taken + 1
                if not job.hurried:
                    await self._changed.until_settled()
            else:
                refusals.append(answer)
            if taken == job.wanted:
                break
        return (current if taken else None), refusals

    async def _refused(self, id_: str, answer: Answer, before: _Before) -> Outcome:
        """Nothing may have come of it."""
        failures = list(differences(self._seed, await self._changed.state()))
        if answer.status not in REFUSALS:
            failures.append(f"the API server answers {answer.status}: {answer.text[:300]}")
        if _version(self._changed.body) != before.version:
            failures.append("refused, and the object was written")
        return Outcome(id_, "refused", tuple(failures), told=_message(answer))

    async def _taken(self, job: Job, after: Mapping[str, Any], before: _Before) -> Outcome:
        made = await self._scratch.make(after)
        failures = [] if made.ok else [f"taken as a change, refused when made: {_message(made)}"]
        stands = (self._changed, self._scratch) if made.ok else (self._changed,)
        failures += await until_rest(stands)
        state = await self._changed.state()
        failures += self._wrong_with(state, stands)
        failures += await self._unlike_scratch(state) if made.ok else []
        failures += self._wrong_since(before, watched=job.case is not None)
        outcome = self._outcome(job.id, state)
        one_way, back = await self._back()
        left = await self._leave() if made.ok else []
        return replace(outcome, failures=(*failures, *back, *left), one_way=one_way)

    def _outcome(self, id_: str, state: State) -> Outcome:
        body = self._changed.body
        kind: Kind = "stalled" if stalled(body) else "converged"
        same = _spec(state, self._changed) == _spec(self._seed, self._changed)
        effect, said = self._shows(state)
        return Outcome(id_, kind, told=_told(body), effect=same or effect, said=same or said)

    async def _unlike_scratch(self, state: State) -> list[str]:
        lines = unlike(await self._scratch.state(), state)
        return [f"as from scratch: {line}" for line in lines]

    def _wrong_since(self, before: _Before, *, watched: bool) -> Iterator[str]:
        """watched: of a single change only it is known what it allows on the way."""
        objects = self._changed.objects()
        if watched:
            changes = self._changed.ground.recorder.changes(self._changed.name)
            yield from _on_the_way(
                (c for c in changes if c.revision > before.version), before, objects
            )
        yield from _new_accounts(before.objects, objects)

    def _wrong_with(self, state: State, stands: Iterable[Stand]) -> Iterator[str]:
        yield from still_open(state, self._seed)
        for stand in stands:
            for name, body in stand.own().items():
                yield from dishonest(str(name), body)

    def _shows(self, state: State) -> tuple[bool, bool]:
        subject = self._changed.common_subject
        effect = effects(state, subject) != effects(self._seed, subject)
        return effect, effect or told(state) != told(self._seed)

    async def _back(self) -> tuple[bool, list[str]]:
        """To the seed; where there is no way back, by way of a new object."""
        answer = await self._changed.change(self._changed.seed.spec)
        if not answer.ok:
            await self._changed.clear()
            await self._changed.until_state(self._empty)
            await self._changed.make(self._changed.seed.spec)
        state = await self._changed.until_state(self._seed)
        return not answer.ok, [f"back: {line}" for line in differences(self._seed, state)]

    async def _leave(self) -> list[str]:
        await self._scratch.clear()
        state = await self._scratch.until_state(self._empty)
        return [f"left: {line}" for line in differences(self._empty, state)]


def _version(body: Body) -> int:
    return int(body["metadata"]["resourceVersion"])


def _message(answer: Answer) -> str:
    try:
        return str(answer.body.get("message"))[:400]
    except ValueError:
        return answer.text[:400]


def _told(body: Body) -> str:
    rows = body["status"]["conditions"]
    ready = next(row for row in rows if row["type"] == "Ready")
    return f"Ready={ready['status']} {ready['reason']}: {ready['message'][:300]}"


def _spec(state: State, stand: Stand) -> Any:
    return json.loads(state[stand.common_subject])["spec"]


def _on_the_way(
    changes: Iterable[Change], before: _Before, after: Mapping[Name, Body]
) -> Iterator[str]:
    """Rights that neither the seed nor the changed spec gives, by any version of any object."""
    allowed = rights(before.objects) | rights(after)
    for change in changes:
        if not change.gone and not is_own(str(change.name)):
            for right in sorted(rights({change.name: change.body}) - allowed):
                yield f"for a moment: {right}, by {change.name}"


def _new_accounts(before: Mapping[Name, Body], after: Mapping[Name, Body]) -> Iterator[str]:
    """Accounts made anew under a living agent, which is cut off by that."""
    for name, body in after.items():
        old = before.get(name)
        if name.kind == "ServiceAccount" and old and _uid(old) != _uid(body):
            yield f"{name} was deleted and made anew"


def _uid(body: Body) -> str:
    return str(body["metadata"]["uid"])
