"""What leaves the process, byte for byte, and that no secret comes back out of it."""

import asyncio
import json
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, cast

import pytest

from agent_identity.clients.kube import ApiError, Kube
from agent_identity.clients.token_file import TokenFile
from agent_identity.clients.vault import Vault
from agent_identity.core.errors import Failed
from agent_identity.core.redact import redacted
from agent_identity.telemetry import log, set_up_logging
from samples import class_of

TOKEN = "s.abcdefghijklmnopqrstuvwx"


class Answer:
    """One answer, as aiohttp gives it."""

    def __init__(self, status: int, body: object) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self._content = json.dumps(body).encode()
        self.content = self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def read(self) -> bytes:
        return self._content

    async def readexactly(self, size: int) -> bytes:
        if len(self._content) < size:
            raise asyncio.IncompleteReadError(self._content, size)
        return self._content[:size]


class Session:
    """Gives prepared answers, and keeps what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def request(self, method: str, url: str, **how: Any) -> Answer:
        self.asked.append({"method": method, "url": url, **how})
        return self.answers.pop(0)


def test_a_deletion_names_the_object_by_its_uid() -> None:
    session = Session(Answer(200, {"kind": "Status"}))
    kube = Kube(cast("Any", session), rate=100)
    asyncio.run(kube.delete("/api/v1/x", uid="the-one"))
    assert json.loads(session.asked[0]["data"])["preconditions"] == {"uid": "the-one"}


def test_what_the_api_server_says_is_made_fit_to_show() -> None:
    status = {"kind": "Status", "message": f"bad header: Bearer {TOKEN}"}
    kube = Kube(cast("Any", Session(Answer(400, status))), rate=100)
    with pytest.raises(ApiError) as refusal:
        asyncio.run(kube.get("/api/v1/x"))
    assert TOKEN not in str(refusal.value)
    assert "bad header" in str(refusal.value)


@pytest.fixture
def jwt(tmp_path: Path) -> TokenFile:
    (tmp_path / "token").write_text("jwt")
    return TokenFile(tmp_path / "token")


def vault(session: Session, jwt: TokenFile, slots: int = 1) -> Vault:
    spec = class_of().vault
    assert spec is not None
    return Vault(spec, cast("Any", session), jwt, slots=asyncio.Semaphore(slots))


LOGIN = {"auth": {"client_token": TOKEN, "lease_duration": 600}}


def test_what_vault_says_is_made_fit_to_show(jwt: TokenFile) -> None:
    session = Session(Answer(200, LOGIN), Answer(400, {"errors": [f"no such token {TOKEN}"]}))
    with pytest.raises(Failed) as failure:
        asyncio.run(vault(session, jwt).read("sys/auth"))
    assert TOKEN not in str(failure.value)
    assert "no such token" in str(failure.value)


def test_vaults_certificate_is_verified_and_no_redirect_followed(jwt: TokenFile) -> None:
    session = Session(Answer(200, LOGIN), Answer(200, {"data": {}}))
    asyncio.run(vault(session, jwt).read("sys/auth"))
    for asked in session.asked:
        assert asked["allow_redirects"] is False
        assert asked["ssl"].verify_mode is ssl.CERT_REQUIRED
        assert asked["ssl"].check_hostname


def test_the_token_is_only_shown_to_vault_and_never_to_a_login(jwt: TokenFile) -> None:
    session = Session(Answer(200, LOGIN), Answer(200, {"data": {}}))
    asyncio.run(vault(session, jwt).read("sys/auth"))
    login, read = session.asked
    assert "X-Vault-Token" not in login["headers"]
    assert read["headers"]["X-Vault-Token"] == TOKEN
    assert TOKEN not in read["url"]


OLD = {"auth": {"client_token": "old", "lease_duration": 1e-6, "renewable": True}}
OTHERWISE = [
    *((status, {}) for status in (400, 403, 404)),
    *((200, said) for said in ({}, {"auth": None}, {"auth": {}}, {"auth": TOKEN})),
]


@pytest.mark.parametrize(("status", "said"), OTHERWISE)
def test_a_token_that_is_not_renewed_is_followed_by_a_login(
    jwt: TokenFile, status: int, said: object
) -> None:
    renewal, there = Answer(status, said), Answer(200, {"data": {"there": True}})
    session = Session(Answer(200, OLD), there, renewal, Answer(200, LOGIN), there)
    ours = vault(session, jwt)

    async def story() -> object:
        await ours.read("sys/auth")
        return await ours.read("sys/auth")

    assert asyncio.run(story()) == {"there": True}
    assert session.asked[-1]["headers"]["X-Vault-Token"] == TOKEN


class Late(Answer):
    """One that comes when it is let go."""

    def __init__(self, status: int) -> None:
        super().__init__(status, {})
        self.comes = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.comes.wait()
        return self


def test_who_is_refused_late_does_not_throw_away_the_new_token(
    jwt: TokenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_identity.clients.vault._YOUNG_SECONDS", 0)
    there = Answer(200, {"data": {}})

    async def story() -> list[dict[str, Any]]:
        early, late = Late(403), Late(403)
        answers = (Answer(200, LOGIN), there, early, late, Answer(200, LOGIN), there, there)
        session = Session(*answers)
        ours = vault(session, jwt, slots=2)
        await ours.read("sys/auth")
        first, second = (asyncio.create_task(ours.read("sys/auth")) for _ in range(2))
        await asyncio.sleep(0)
        early.comes.set()
        await first
        late.comes.set()
        await second
        return session.asked

    asked = asyncio.run(story())
    assert [a["url"].endswith("login") for a in asked].count(True) == 2


@pytest.mark.parametrize("secret", ["Bearer opaque-and-unlike-any-other", "bearer 0123"])
def test_a_bearers_token_goes_whatever_it_looks_like(secret: str) -> None:
    assert secret.split()[1] not in redacted(f"header {secret} was wrong")


@pytest.fixture
def loud() -> Iterator[None]:
    yield
    logging.basicConfig(handlers=[], force=True)


def test_no_token_is_logged(capsys: pytest.CaptureFixture[str], loud: None) -> None:
    set_up_logging("INFO")
    log.info("a backend said %s", TOKEN)
    try:
        int(TOKEN)
    except ValueError:
        log.exception("this is a bug")
    lines = capsys.readouterr().out
    assert "a backend said" in lines
    assert "ValueError" in lines
    assert TOKEN not in lines
