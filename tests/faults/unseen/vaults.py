"""Vault fails in every way: as a whole, on one path only, for one agent only, slowly, or by going
back in time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType

from faults.exchange import Exchange
from faults.modes import Mode, When
from faults.oracles import End
from faults.scene import AGENT
from faults.unseen.ground import SWIFT, Ground
from faults.unseen.trial import Trial

WORKLOADS = ("create", "narrow", "delete", "secrets")
_LASTS_SECONDS = 7.0
_ROLE, _POLICY, _ENTITY = "/role/", "/sys/policies/acl/", "/identity/"
Meets = Callable[[Exchange], bool]
Outage = Callable[[Ground], AbstractAsyncContextManager[None]]


def _everything(exchange: Exchange) -> bool:
    return True


def _writes(exchange: Exchange) -> bool:
    return exchange.changes


def _on(part: str, meets: Meets = _everything) -> Meets:
    return lambda exchange: part in exchange.call.path and meets(exchange)


def _status(code: int) -> Mode:
    return Mode(f"status-{code}", When.INSTEAD, status=code)


# Each for one agent's paths, so that all of them are tried at the same time.
SINGLE: Mapping[str, tuple[Mode, Meets]] = MappingProxyType(
    {
        **{f"status-{n}": (_status(n), _everything) for n in (400, 429, 473, 500, 501, 503)},
        "denied-role": (_status(403), _on(_ROLE)),
        "denied-policy": (_status(403), _on(_POLICY)),
        "denied-entity": (_status(403), _on(_ENTITY)),
        "role-not-written": (_status(500), _on(_ROLE, _writes)),
        "slow": (Mode("slow", When.BEFORE, delay=4.0), _everything),
        "hangs": (Mode("hangs", When.BEFORE, delay=30.0), _everything),
    }
)


@asynccontextmanager
async def _sealed(ground: Ground) -> AsyncIterator[None]:
    bao = ground.theatre.bed.openbao
    await asyncio.to_thread(bao.seal)
    try:
        yield
        await asyncio.sleep(_LASTS_SECONDS)
    finally:
        await asyncio.to_thread(bao.unseal)


@asynccontextmanager
async def _sealed_meanwhile(ground: Ground) -> AsyncIterator[None]:
    yield
    async with _sealed(ground):
        pass


@asynccontextmanager
async def _killed(ground: Ground) -> AsyncIterator[None]:
    yield
    bao = ground.theatre.bed.openbao
    await asyncio.to_thread(bao.kill)
    await asyncio.sleep(_LASTS_SECONDS)
    await asyncio.to_thread(bao.start)


@asynccontextmanager
async def _token_revoked(ground: Ground) -> AsyncIterator[None]:
    await asyncio.to_thread(_revoke, ground)
    yield


def _revoke(ground: Ground) -> None:
    """Every token that OpenBao has ever given to the operator."""
    for token in ground.theatre.log.secrets:
        if token.startswith("s."):
            ground.theatre.bed.openbao.request("POST", "auth/token/revoke", {"token": token})


@asynccontextmanager
async def _login_refused(ground: Ground) -> AsyncIterator[None]:
    proxy, usual = ground.theatre.vault, ground.theatre.faults.choose
    refuses = _on("/login")
    proxy.choose = lambda e: _status(403) if refuses(e) else usual(e)
    await asyncio.to_thread(_revoke, ground)
    try:
        yield
        await asyncio.sleep(_LASTS_SECONDS)
    finally:
        proxy.choose = usual


WHOLE: Mapping[str, Outage] = MappingProxyType(
    {
        "sealed": _sealed,
        "sealed-meanwhile": _sealed_meanwhile,
        "killed": _killed,
        "token-revoked": _token_revoked,
        "login-refused": _login_refused,
    }
)
IDS = tuple(f"vault/{name}/{w}" for name in (*SINGLE, *WHOLE) for w in WORKLOADS)


async def run(ground: Ground, chosen: Sequence[str]) -> None:
    ends = await ground.ends(case.rpartition("/")[2] for case in chosen)
    await _singly(ground, [c for c in chosen if c.split("/")[1] in SINGLE], ends)
    for name, outage in WHOLE.items():
        cases = [c for c in chosen if c.split("/")[1] == name]
        trials = [ground.trial(c.rpartition("/")[2], c) for c in cases]
        if trials:
            await ground.all(trials, "set_up")
            async with outage(ground):
                await ground.all(trials, "act")
            await _become(ground, name, trials, ends)
    await ground.clear()


async def _become(
    ground: Ground, name: str, trials: Sequence[Trial], ends: Mapping[str, End]
) -> None:
    standing = [one for one in trials if not one.lost]
    await asyncio.gather(*(one.become(ends[one.workload.name]) for one in standing))
    for one in standing:
        await ground.judge(one, ends[one.workload.name])
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
        mode, meets = of_scene.get(exchange.scene, (None, _everything))
        return mode if mode and meets(exchange) else usual(exchange)

    proxy.choose = choose
    try:
        await ground.all(trials, "mark")
        await ground.all(trials, "act")
        await asyncio.sleep(_LASTS_SECONDS)
    finally:
        proxy.choose = usual
    await _become(ground, "one agent's", trials, ends)


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
    await asyncio.gather(*(one.become(ends[one.workload.name]) for one in trials))
    for one in trials:
        late = one.seconds > REPAIR_SECONDS
        more = [f"repaired only after {one.seconds:.0f} s"] if late else []
        await ground.judge(one, ends[one.workload.name], *more, without=_MADE)
    await ground.clear()


_MADE = frozenset({"update summary"})
