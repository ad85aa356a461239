"""Vault fails in every way: as a whole, on one path only, for one agent only, slowly, or by going
back in time."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

from faults.exchange import Exchange
from faults.modes import Mode, When
from faults.oracles import End
from faults.scene import AGENT, ENDED
from faults.unseen.ground import SWIFT, Ground
from faults.unseen.met import first_writes_held, was_faulted, was_refused
from faults.unseen.trial import Trial, names_of, with_token

WORKLOADS = ("create", "narrow", "delete", "secrets")
_LASTS_SECONDS = 7.0
# Where one fails, Vault is left alone for a moment: the others come upon it in turn.
_LASTS_AT_MOST = 30.0
# A younger token that is refused is not doubted, and nobody logs in again.
_OLD_SECONDS = 21.0
_ROLE, _POLICY, _ENTITY = "/role/", "/sys/policies/acl/", "/identity/"
Meets = Callable[[Exchange], bool]


@dataclass(frozen=True, slots=True)
class Single:
    """meets: which requests of one agent's meet the mode. workloads: those that ask for such."""

    mode: Mode
    meets: Meets
    workloads: tuple[str, ...] = WORKLOADS


@dataclass(frozen=True, slots=True)
class Outage:
    """during: around the acts of all. met: whether one agent's work came upon it. alone: each
    agent meets one of its own, since after the first one's failure the others would not ask."""

    during: Callable[[Ground, Sequence[Trial]], AbstractAsyncContextManager[None]]
    met: Callable[[Ground, Trial], bool]
    alone: bool = False


def _everything(exchange: Exchange) -> bool:
    return True


def _writes(exchange: Exchange) -> bool:
    return exchange.changes


def _on(part: str, meets: Meets = _everything) -> Meets:
    return lambda exchange: part in exchange.call.path and meets(exchange)


_is_login = _on("/login")


def _status(code: int) -> Mode:
    return Mode(f"status-{code}", When.INSTEAD, status=code)


_SINGLE_STATUS = (400, 429, 473, 500, 501, 503)
# Each for one agent's paths, so that all of them are tried at the same time.
SINGLE: Mapping[str, Single] = MappingProxyType(
    {
        **{f"status-{n}": Single(_status(n), _everything) for n in _SINGLE_STATUS},
        "denied-role": Single(_status(403), _on(_ROLE)),
        # Nobody's but the class's own change makes anybody look at a policy.
        "denied-policy": Single(_status(403), _on(_POLICY), ("policy",)),
        # Of a new account nobody has logged in.
        "denied-entity": Single(_status(403), _on(_ENTITY), ("narrow", "delete", "secrets")),
        "role-not-written": Single(_status(500), _on(_ROLE, _writes)),
        "slow": Single(Mode("slow", When.BEFORE, delay=4.0), _everything),
        "hangs": Single(Mode("hangs", When.BEFORE, delay=30.0), _everything),
    }
)


@asynccontextmanager
async def _sealed(ground: Ground, trials: Sequence[Trial]) -> AsyncIterator[None]:
    bao = ground.theatre.bed.openbao
    await asyncio.to_thread(bao.seal)
    try:
        yield
        await asyncio.sleep(_LASTS_SECONDS)
    finally:
        await asyncio.to_thread(bao.unseal)


@asynccontextmanager
async def _sealed_meanwhile(ground: Ground, trials: Sequence[Trial]) -> AsyncIterator[None]:
    bao = ground.theatre.bed.openbao
    with first_writes_held(ground.theatre.vault, names_of(trials)) as held:
        yield
        await held.complete()
        await asyncio.to_thread(bao.seal)
    try:
        await asyncio.sleep(_LASTS_SECONDS)
    finally:
        await asyncio.to_thread(bao.unseal)


@asynccontextmanager
async def _killed(ground: Ground, trials: Sequence[Trial]) -> AsyncIterator[None]:
    bao = ground.theatre.bed.openbao
    with first_writes_held(ground.theatre.vault, names_of(trials)) as held:
        yield
        await held.complete()
        await asyncio.to_thread(bao.kill)
    await asyncio.sleep(_LASTS_SECONDS)
    await asyncio.to_thread(bao.start)


@asynccontextmanager
async def _token_revoked(ground: Ground, trials: Sequence[Trial]) -> AsyncIterator[None]:
    with first_writes_held(ground.theatre.vault, names_of(trials)) as held:
        yield
        await held.complete()
        await asyncio.to_thread(_revoke, ground)


def _revoke(ground: Ground) -> None:
    """Every token that OpenBao has ever given to the operator. They end with its entity: one by one
    it would take longer than a request is held."""
    logins = (e for e in reversed(ground.theatre.log.all) if _is_login(e) and e.applied)
    entity = json.loads(next(logins).answer)["auth"]["entity_id"]
    ground.theatre.bed.openbao.delete(f"identity/entity/id/{entity}")


@asynccontextmanager
async def _login_refused(ground: Ground, trials: Sequence[Trial]) -> AsyncIterator[None]:
    proxy, usual = ground.theatre.vault, ground.theatre.faults.choose
    await _until_tokens_are_old(ground)
    await ground.all(trials, "mark")
    proxy.choose = lambda e: _status(403) if _is_login(e) else usual(e)
    try:
        async with _token_revoked(ground, trials):
            yield
        await asyncio.sleep(_LASTS_SECONDS)
    finally:
        proxy.choose = usual


async def _until_tokens_are_old(ground: Ground) -> None:
    logins = (e.at for e in reversed(ground.theatre.log.all) if _is_login(e))
    await asyncio.sleep(max(0.0, next(logins, 0.0) + _OLD_SECONDS - time.monotonic()))


def _by(status: int) -> Callable[[Ground, Trial], bool]:
    """Vault answered so. status: 0 for any refusal, and for no answer."""
    return lambda _, one: was_refused(one.asked(), "vault", status)


def _by_a_login(ground: Ground, one: Trial) -> bool:
    """Its token was refused, and then a login was."""
    of_vault = (e for e in one.asked() if e.call.server == "vault")
    first = next((e for e in of_vault if e.status == HTTPStatus.FORBIDDEN), None)
    later = ground.theatre.log.since(first.number) if first else ()
    return any(_is_login(e) and e.fault for e in later)


WHOLE: Mapping[str, Outage] = MappingProxyType(
    {
        "sealed": Outage(_sealed, _by(503), alone=True),
        "sealed-meanwhile": Outage(_sealed_meanwhile, _by(503)),
        "killed": Outage(_killed, _by(0)),
        "token-revoked": Outage(_token_revoked, _by(403)),
        "login-refused": Outage(_login_refused, _by_a_login),
    }
)
IDS = tuple(
    f"vault/{name}/{workload}"
    for name in (*SINGLE, *WHOLE)
    for workload in (SINGLE[name].workloads if name in SINGLE else WORKLOADS)
)


async def run(ground: Ground, chosen: Sequence[str]) -> None:
    ends = await ground.ends(case.rpartition("/")[2] for case in chosen)
    # One after the other: after the one's failure the others would not ask Vault.
    for name in SINGLE:
        await _singly(ground, [c for c in chosen if c.split("/")[1] == name], ends)
    for name, outage in WHOLE.items():
        cases = [c for c in chosen if c.split("/")[1] == name]
        together = [[case] for case in cases] if outage.alone else [cases]
        for those in filter(None, together):
            await wholly(ground, name, those, ends)
    await ground.clear()


async def wholly(ground: Ground, name: str, cases: Sequence[str], ends: Mapping[str, End]) -> None:
    outage = WHOLE[name]
    trials = [ground.trial(case.rpartition("/")[2], case) for case in cases]
    await ground.all(trials, "set_up")
    async with outage.during(ground, trials):
        await ground.all(trials, "act")
    told = cases[0].removeprefix("vault/") if outage.alone else name
    await _become(ground, told, trials, ends, outage.met)


async def _become(
    ground: Ground,
    name: str,
    trials: Sequence[Trial],
    ends: Mapping[str, End],
    met: Callable[[Ground, Trial], bool],
) -> None:
    standing = [one for one in trials if not one.lost]
    await asyncio.gather(*(one.become(ends[one.workload.name]) for one in standing))
    for one in standing:
        await ground.judge(one, ends[one.workload.name], met=met(ground, one))
    slowest = max((one.seconds for one in standing), default=0.0)
    ground.tally.tell(f"vault/{name}: all as without it after at most {slowest:.0f} s")


async def _singly(ground: Ground, cases: Sequence[str], ends: Mapping[str, End]) -> None:
    trials = [ground.trial(case.rpartition("/")[2], case) for case in cases]
    if not trials:
        return
    await ground.all(trials, "set_up")
    of_scene = {one.scene.name: SINGLE[one.case.split("/")[1]] for one in trials}
    proxy, usual = ground.theatre.vault, ground.theatre.faults.choose

    def choose(exchange: Exchange) -> Mode | None:
        single = of_scene.get(exchange.scene)
        return single.mode if single and single.meets(exchange) else usual(exchange)

    def met(_: Ground, one: Trial) -> bool:
        return was_faulted(one.asked(), of_scene[one.scene.name].mode)

    proxy.choose = choose
    try:
        await ground.all(trials, "mark")
        await ground.all(trials, "act")
        await asyncio.sleep(_LASTS_SECONDS)
        await _until(lambda: all(met(ground, one) for one in trials))
    finally:
        proxy.choose = usual
    await _become(ground, cases[0].split("/")[1], trials, ends, met)


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LASTS_AT_MOST
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110  nothing tells of it
        await asyncio.sleep(0.2)


# --- back in time


async def _role_gone(one: Trial) -> None:
    await asyncio.to_thread(one.scene.stage.bed.openbao.delete, _role_path(one))


async def _role_wider(one: Trial) -> None:
    """As it was when the agent had more."""
    bao, path = one.scene.stage.bed.openbao, _role_path(one)
    body = await asyncio.to_thread(bao.read, path) or {}
    policies = [*body["token_policies"], "team-y"]
    await asyncio.to_thread(bao.write, path, body | {"token_policies": policies})


async def _role_back(one: Trial) -> None:
    """Of an agent that is gone."""
    bao, path = one.scene.stage.bed.openbao, _role_path(one)
    body = {
        "bound_service_account_names": [AGENT],
        "bound_service_account_namespaces": [one.scene.home],
        "audience": "vault",
        "alias_name_source": "serviceaccount_uid",
        "token_policies": ["team-x"],
    }
    await asyncio.to_thread(bao.write, path, body)


async def _policy_gone(one: Trial) -> None:
    await asyncio.to_thread(one.scene.stage.bed.openbao.delete, _policy_path(one))


async def _policy_wider(one: Trial) -> None:
    text = 'path "kv/*" { capabilities = ["read"] }'
    bao = one.scene.stage.bed.openbao
    await asyncio.to_thread(bao.write, _policy_path(one), {"policy": text})


async def _policy_back(one: Trial) -> None:
    """One that the class no longer has."""
    text = 'path "kv/*" { capabilities = ["read"] }'
    bao = one.scene.stage.bed.openbao
    name = f"{_policy_path(one).rpartition('_')[0]}_old"
    await asyncio.to_thread(bao.write, name, {"policy": text})


def _role_path(one: Trial) -> str:
    return f"auth/kubernetes/role/{one.scene.stage.bed.cluster_name}_{one.scene.home}_{AGENT}"


def _policy_path(one: Trial) -> str:
    cluster = one.scene.stage.bed.cluster_name
    return f"sys/policies/acl/agentid_{cluster}_{one.scene.name}_own-secrets"


BACK = MappingProxyType(
    {
        "vault/back/role-gone": ("settled", _role_gone),
        "vault/back/role-wider": ("settled", _role_wider),
        "vault/back/role-of-the-deleted": ("delete", _role_back),
        "vault/back/policy-gone": ("settled", _policy_gone),
        "vault/back/policy-wider": ("settled", _policy_wider),
        "vault/back/policy-of-before": ("settled", _policy_back),
    }
)
BACK_IDS = tuple(BACK)
REPAIR_SECONDS = 12.0


async def run_back(ground: Ground, chosen: Sequence[str]) -> None:
    """As after a restored snapshot: what the operator wrote is as it was before."""
    ends = await ground.ends(BACK[case][0] for case in chosen)
    await ground.use(SWIFT)
    trials = [ground.trial(BACK[case][0], case) for case in chosen]
    await ground.all(trials, "set_up")
    await ground.all(trials, "act")
    await asyncio.gather(*(one.become(ends[one.workload.name]) for one in trials))
    await ground.all(trials, "mark")
    await asyncio.gather(*(BACK[one.case][1](one) for one in trials))
    # What is looked at is Vault: nothing else tells that it is over.
    wanted = {one.case: _wanted_back(one, ends) for one in trials}
    await asyncio.gather(*(one.become(wanted[one.case]) for one in trials))
    for one in trials:
        late = one.seconds > REPAIR_SECONDS
        more = [f"repaired only after {one.seconds:.0f} s"] if late else []
        # What was the same again without a write of the operator's was never otherwise.
        met = any(e.call.server == "vault" and e.changes for e in one.asked())
        await ground.judge(one, wanted[one.case], *more, without=_MADE, met=met)
    await ground.clear()


def _wanted_back(one: Trial, ends: Mapping[str, End]) -> End:
    """A token that was issued while the role gave more would keep it: all of its tokens end."""
    end = ends[one.workload.name]
    return with_token(end, ENDED) if one.case == "vault/back/role-wider" else end


_MADE = frozenset({"update summary"})
