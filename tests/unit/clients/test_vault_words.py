"""What is told of a Vault that does not do as it is asked: the cause, what to do, and nobody's
role but the asker's own."""

import asyncio
import ssl
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from test_requests_guards import LOGIN, TOKEN, Answer, Session

from agent_identity.api.conditions import Reason
from agent_identity.clients.token_file import TokenFile
from agent_identity.clients.vault import Vault
from agent_identity.core.errors import Failed
from samples import class_of

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
ROLES = "auth/kubernetes/role"
KEY = cast("Any", None)


class Unreached(Answer):
    """Nobody answers."""

    def __init__(self, error: Exception) -> None:
        super().__init__(0, None)
        self._error = error

    async def __aenter__(self) -> Any:
        raise self._error


@pytest.fixture
def jwt(tmp_path: Path) -> TokenFile:
    (tmp_path / "token").write_text(JWT)
    return TokenFile(tmp_path / "token")


def vault(jwt: TokenFile, *answers: Answer) -> Vault:
    spec = class_of().vault
    assert spec is not None
    return Vault(spec, cast("Any", Session(*answers)), jwt, slots=asyncio.Semaphore(1))


async def failure(asked: Awaitable[object]) -> Failed:
    with pytest.raises(Failed) as told:
        await asked
    return told.value


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError("unknown")),
            "its certificate can't be verified; set vault.caBundle, if its CA is your own",
        ),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError("wrong version")), "no TLS connection"),
        (aiohttp.ClientConnectionError("refused"), "no connection"),
        (TimeoutError(), "not in time"),
    ],
    ids=["certificate", "no TLS", "nobody", "slow"],
)
def test_only_of_a_certificate_is_a_ca_the_remedy(
    jwt: TokenFile, error: Exception, told: str
) -> None:
    found = asyncio.run(failure(vault(jwt, Unreached(error)).read("sys/auth")))
    assert found.message == f"Vault https://vault.example:8200 does not answer: {told}"


@pytest.mark.parametrize("status", [400, 403])
def test_why_a_login_was_refused_is_told_and_no_token(jwt: TokenFile, status: int) -> None:
    said = {"errors": [f"invalid audience (aud) claim of {JWT}", TOKEN]}
    found = asyncio.run(failure(vault(jwt, Answer(status, said)).read("sys/auth")))
    assert found.reason is Reason.LOGIN_REFUSED
    assert found.message.startswith("login as role operator at auth/kubernetes of https://")
    assert "was refused: invalid audience (aud) claim of [redacted]" in found.message
    assert TOKEN not in found.message


def test_a_login_that_is_refused_without_a_word_is_told_without_one(jwt: TokenFile) -> None:
    found = asyncio.run(failure(vault(jwt, Answer(403, {})).read("sys/auth")))
    assert found.message.endswith("was refused")


@pytest.mark.parametrize("said", [{}, {"auth": None}, {"auth": {}}, {"auth": TOKEN}])
def test_a_login_without_a_token_is_told(jwt: TokenFile, said: object) -> None:
    found = asyncio.run(failure(vault(jwt, Answer(200, said)).read("sys/auth")))
    assert found.reason is Reason.LOGIN_REFUSED
    assert found.message == "auth/kubernetes/login gave no token"


@pytest.mark.parametrize("status", [500, 503])
def test_what_shuts_the_gate_names_nobodys_role(jwt: TokenFile, status: int) -> None:
    """The gate tells everybody what one of them has met."""
    said = {"errors": ["open /data/auth/role/prod_agents_billing-agent: no space"]}
    ours = vault(jwt, Answer(200, LOGIN), Answer(status, said))

    async def story() -> list[Failed]:
        first = await failure(ours.read(f"{ROLES}/prod_agents_billing-agent"))
        return [first, await failure(ours.read(f"{ROLES}/prod_agents_planner"))]

    first, second = asyncio.run(story())
    assert first.message == second.message
    assert "billing-agent" not in second.message
    assert "Vault https://vault.example:8200" in second.message


def test_one_that_is_refused_alone_is_told_of_its_own_role(jwt: TokenFile) -> None:
    ours = vault(jwt, Answer(200, LOGIN), Answer(403, {}))
    found = asyncio.run(failure(ours.read(f"{ROLES}/prod_agents_planner")))
    assert found.message == f"no right on {ROLES}/prod_agents_planner of Vault {ours.spec.address}"
