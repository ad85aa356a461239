"""What must hold of one run: of its end, of its way there, and of what was said about it."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from faults.exchange import Exchange, renamed
from faults.recorder import Body, Change, Name
from faults.replay import (
    OWNERS,
    Moment,
    callers_named,
    guards,
    is_shut,
    moments,
    opened,
    owner_by_label,
    rights,
    unguarded,
)
from faults.scene import is_everywhere, snapshot_of_vault
from faults.snapshot import State, differences, snapshot, without_status

CALLEES_SECONDS = 5.0
# What others have just taken away may not be known yet to who says Ready.
UNHEARD_SECONDS = 1.0
LABEL = "agentidentity.dev/identity"
_OWNED_KINDS = frozenset(
    {"RoleBinding", "AuthorizationPolicy", "PeerAuthentication", "ServiceAccount"}
)
# As Vault's state names a role.
_ROLE = "role "


@dataclass(frozen=True, slots=True)
class End:
    """state, vault: what there is when all is done. made: how often each object was made and
    taken away. seconds: until then. rights: that somebody has."""

    state: State
    vault: State
    made: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    bystander_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Course:
    """How a workload goes without a fault: what there is when it acts, and what in the end."""

    old: End
    end: End


@dataclass(frozen=True, slots=True)
class Run:
    """All that was seen of one run. before, first: the last revision before the workload acted,
    and the number of the first request after. last: the number of requests when all was done.
    roles: in Vault when it acted."""

    names: Mapping[str, str]
    before: int
    first: int
    last: int
    old: End
    end: End
    changes: tuple[Change, ...]
    exchanges: tuple[Exchange, ...]
    roles: Mapping[str, Body]


Failures = Iterator[str]
Oracle = Callable[[Run, End], Failures]


def end_state(run: Run, reference: End) -> Failures:
    """All that there is, also in Vault, is as it is without a fault."""
    yield from differences(reference.state, run.end.state)
    yield from (f"Vault: {line}" for line in differences(reference.vault, run.end.vault))


def update_summary(run: Run, reference: End) -> Failures:
    """Nothing is made or taken away more often than without a fault: above all no account, whose
    agent would be cut off."""
    for name in sorted(run.end.made.keys() | reference.made.keys()):
        wanted, found = reference.made.get(name, 0), run.end.made.get(name, 0)
        if found != wanted:
            yield f"{name}: {found} times, without a fault {wanted} times"


def no_right_but_the_old_and_the_new(run: Run, reference: End) -> Failures:
    """After no write of the operator's somebody may do what neither the state before nor the
    state after allows."""
    seen = list(acted(run))
    if not seen:
        return
    stood = guards(seen[0])
    had = [rights(moment) | opened(moment, stood) for moment in seen]
    allowed = had[0] | had[-1]
    for moment, (before, after) in zip(seen[1:], pairwise(had), strict=True):
        # Where an owner was made anew, the collector takes away what its namesake had.
        if moment.ours and not moment.collected:
            yield from (
                f"{r}, for a moment; {_what(moment)}" for r in sorted(after - before - allowed)
            )


def no_right_comes_back(run: Run, reference: End) -> Failures:
    """What somebody could do, then could not, and can't in the end, is not given to them in
    between."""
    seen = list(acted(run))
    had = [rights(moment) for moment in seen]
    went: set[str] = set()
    for moment, (before, after) in zip(seen[1:], pairwise(had), strict=True):
        went |= before - after
        if moment.ours:
            back = (after - before) & (went - had[-1])
            yield from (f"{right} came back; {_what(moment)}" for right in sorted(back))


def guarded_first(run: Run, reference: End) -> Failures:
    """No right before account, mTLS and policy stand, and none of these goes before the rights.
    What others have taken away, only they are to blame for."""
    wrong_before: set[str] = set()
    for moment in acted(run):
        wrong = unguarded(moment)
        if moment.ours:
            yield from (f"{one}; {_what(moment)}" for one in sorted(wrong - wrong_before))
        wrong_before = wrong


def callees_first(run: Run, reference: End) -> Failures:
    """Who goes is out of the policies of those it calls before anything of its own goes, in the
    cluster: in Vault a class that looks at what nobody wants may be there first. Those who go
    themselves are not waited for: two who call each other would wait for ever."""
    going: dict[Name, float] = {}
    before: Moment | None = None
    for moment in acted(run):
        for name, body in moment.objects.items():
            if name.kind == "AgentIdentity" and "deletionTimestamp" in body["metadata"]:
                going.setdefault(name, moment.at)
        if before is not None and moment.ours and (lost := _of_whom(moment)):
            yield from _named_still(before, moment, lost, going)
        before = moment


def _of_whom(moment: Moment) -> Name | None:
    """Whose right, guard or account goes with this change."""
    change = moment.change
    if change is None or not change.gone:
        return None
    if change.name.kind not in _OWNED_KINDS:
        return None
    label = (change.body["metadata"].get("labels") or {}).get(LABEL)
    return Name("AgentIdentity", change.name.namespace, label) if label else None


def _named_still(
    before: Moment, moment: Moment, lost: Name, going: Mapping[Name, float]
) -> Failures:
    since = going.get(lost)
    if since is None or moment.at - since > CALLEES_SECONDS:
        return
    own = f"AuthorizationPolicy/{lost.namespace}/agentidentity-{lost.name}"
    for policy in callers_named(before, f"/ns/{lost.namespace}/sa/{lost.name}"):
        if str(policy) != own and not _is_of_one_that_goes(before, policy):
            yield f"{policy} still lets {lost} in; {_what(moment)}"


def _is_of_one_that_goes(moment: Moment, policy: Name) -> bool:
    label = (moment.objects[policy]["metadata"].get("labels") or {}).get(LABEL, "")
    owner = moment.objects.get(Name("AgentIdentity", policy.namespace, label))
    return owner is not None and "deletionTimestamp" in owner["metadata"]


def honest(run: Run, reference: End) -> Failures:
    """Nobody becomes Ready for a generation before all of it is there, in Vault too; no grant
    either."""
    seen = list(acted(run))
    wanted = [_given(end.state, end.vault) for end in (run.old, reference)]
    astray = _vault_at(run, seen[-1]).keys() - run.end.vault.keys() if seen else set()
    for moment, name, unheard in _called_ready(seen):
        vault = {n: text for n, text in _vault_at(run, moment).items() if n not in astray}
        found, as_known = (
            _given(snapshot({**more, **moment.objects}, run.names), vault) for more in ({}, unheard)
        )
        owner = Name(*(renamed(part, run.names) for part in name))
        if lines := _not_all_there(owner, found, as_known, wanted):
            yield f"{name} was called Ready; {'; '.join(lines)}"


def _vault_at(run: Run, moment: Moment) -> State:
    """Roles by what the operator wrote. Others write to Vault too: a role that is here at the end,
    and not in Vault, is one that somebody else took away, nobody knows when."""
    return snapshot_of_vault({f"{_ROLE}{n}": b for n, b in moment.roles.items()}, run.names)


def _given(state: State, vault: State) -> State:
    """Objects without what is said of them, and what each role gives; one that nobody can log in
    by is as good as gone."""
    bodies = {n: json.loads(text) for n, text in vault.items() if n.startswith(_ROLE)}
    roles = {n: sorted(b.get("token_policies") or ()) for n, b in bodies.items() if not is_shut(b)}
    return without_status(state) | {n: json.dumps(given) for n, given in roles.items()}


def _called_ready(seen: Sequence[Moment]) -> Iterator[tuple[Moment, Name, dict[Name, Body]]]:
    """Each time that the operator begins to say it of somebody, and what it may not have heard of
    then."""
    there = seen[0].objects if seen else {}
    was = {n: _is_ready(body) for n, body in there.items() if n.kind in OWNERS}
    robbed: dict[Name, Moment] = {}
    for moment in seen:
        if moment.change is None:
            continue
        name = moment.change.name
        if moment.change.gone and (moment.collected or not moment.ours):
            robbed[name] = moment
        if name.kind not in OWNERS:
            continue
        ready = _is_ready(moment.change.body)
        if ready and not was.get(name) and moment.ours and not moment.change.gone:
            yield moment, name, _unheard(robbed.values(), moment)
        was[name] = ready


def _unheard(robbed: Iterable[Moment], now: Moment) -> dict[Name, Body]:
    """What others took away so shortly before that the operator may not have heard of it."""
    recent = (m.change for m in robbed if m.change and now.at - m.at < UNHEARD_SECONDS)
    return {change.name: change.body for change in recent}


def _is_ready(body: Body) -> bool:
    status = body.get("status") or {}
    rows = {row["type"]: row["status"] for row in status.get("conditions") or ()}
    up_to_date = status.get("observedGeneration") == body["metadata"]["generation"]
    return rows.get("Ready") == "True" and up_to_date


def _not_all_there(
    owner: Name, found: State, as_known: State, wanted: Sequence[State]
) -> list[str]:
    """What an identity or grant has as it is told Ready, beside what it has before the workload
    acts and in the end: where its spec is another one than now, that says nothing."""
    spec = _spec(found, owner)
    same = [state for state in wanted if _spec(state, owner) == spec]
    possible = [_theirs(state, owner) for state in same or wanted]
    seen = [_theirs(state, owner) for state in (found, as_known)]
    if any(one == state for one in seen for state in possible):
        return []
    return min((differences(state, seen[0]) for state in possible), key=len)


def _spec(state: State, owner: Name) -> Any:
    return json.loads(state.get(str(owner), "{}")).get("spec")


def _theirs(state: State, owner: Name) -> State:
    """Without itself, whose finalizers may be newer than what was last looked at."""
    return {n: text for n, text in state.items() if _is_theirs(n, text, owner)}


def _is_theirs(name: str, text: str, owner: Name) -> bool:
    if name.startswith(_ROLE):
        whose = f"_{owner.namespace}_{owner.name}"
        return owner.kind == "AgentIdentity" and name.endswith(whose)
    kind, _, rest = name.partition("/")
    namespace, _, _ = rest.rpartition("/")
    return owner_by_label(Name(kind, namespace, ""), json.loads(text)) == owner


def no_secret(secrets: Iterable[str], exchanges: Iterable[Exchange], log: str) -> Failures:
    """In nothing that is written to the API server, and in no line of the log."""
    known = [s for s in secrets if s]
    for exchange in exchanges:
        if exchange.call.server == "kube" and exchange.changes:
            text = exchange.body.decode(errors="replace")
            if any(secret in text for secret in known):
                yield f"a secret in {exchange.call}"
    if any(secret in log for secret in known):
        yield "a secret in the log"


def acted(run: Run) -> Iterator[Moment]:
    """The last moment before the workload acted, and all that followed."""
    last: Moment | None = None
    since = False
    for moment in moments(run.changes, run.exchanges, run.roles):
        if _later(moment, run) and not since:
            since = True
            if last is not None:
                yield last
        if since:
            yield moment
        last = moment


def _later(moment: Moment, run: Run) -> bool:
    if moment.change is None:
        return moment.number >= run.first
    return moment.change.revision > run.before


def _what(moment: Moment) -> str:
    if moment.change is None:
        return "after a write to Vault"
    done = "went" if moment.change.gone else "came" if moment.change.new else "changed"
    return f"after {moment.change.name} {done}"


def made(changes: Iterable[Change], names: Mapping[str, str], since: int) -> Counter[str]:
    """How often each object was made and taken away."""
    found: Counter[str] = Counter()
    for change in changes:
        if is_everywhere(change.name) or change.revision <= since:
            continue
        if change.new or change.gone:
            word = "made" if change.new else "taken away"
            found[f"{renamed(str(change.name), names)} {word}"] += 1
    return found


ORACLES: Mapping[str, Oracle] = {
    "end state": end_state,
    "update summary": update_summary,
    "rights": no_right_but_the_old_and_the_new,
    "no way back": no_right_comes_back,
    "guards first": guarded_first,
    "callees first": callees_first,
    "honest status": honest,
}
