"""Vault or OpenBao over HTTP, for one class: TLS always verified, one cached and renewed token."""

import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

from agent_identity.api.conditions import Reason
from agent_identity.api.v1alpha1 import ClassVault
from agent_identity.clients.failures import is_untrusted, what_failed
from agent_identity.clients.limits import Gate
from agent_identity.clients.token_file import TokenFile
from agent_identity.core.errors import Failed, Invalid
from agent_identity.core.redact import redacted
from agent_identity.telemetry import REQUESTS

Json = dict[str, Any]
PATIENCE = 5.0
# A token is renewed when this part of its life is over; a young one is not doubted after a 403.
_RENEW_AT = 0.6
_YOUNG_SECONDS = 20.0
_REFUSED = (Reason.FORBIDDEN, Reason.REJECTED)


class _Refusal(Failed):
    """Vault answered, and not with what was asked for. told: in its own words, fit to show."""

    def __init__(self, reason: Reason, message: str, told: str) -> None:
        super().__init__(reason, message)
        self.told = told


class _Token:
    def __init__(self, auth: Mapping[str, Any]) -> None:
        self.value = str(auth["client_token"])
        self.renewable = bool(auth.get("renewable"))
        self.born = time.monotonic()
        self.lease = float(auth.get("lease_duration") or 0)

    @property
    def due(self) -> bool:
        return self.lease > 0 and time.monotonic() - self.born > self.lease * _RENEW_AT

    @property
    def young(self) -> bool:
        return time.monotonic() - self.born < _YOUNG_SECONDS


def _tls(ca_bundle: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca_bundle)
    except (ssl.SSLError, ValueError, TypeError) as error:
        detail = "spec.vault.caBundle holds no PEM certificate"
        raise Invalid(Reason.INVALID_SPEC, detail) from error


class Vault:
    """session: shared by all classes. jwt: the operator's own token for Vault. slots: calls at a
    time, of all classes of this Vault. patience: seconds until a call is given up. Raises Invalid
    where the class's caBundle can't be read."""

    def __init__(
        self,
        spec: ClassVault,
        session: aiohttp.ClientSession,
        jwt: TokenFile,
        *,
        slots: asyncio.Semaphore,
        patience: float = PATIENCE,
    ) -> None:
        self.spec = spec
        self._session = session
        self._jwt = jwt
        self._tls = _tls(spec.ca_bundle)
        self._gate = Gate(f"Vault {spec.address}", slots=slots)
        self._timeout = aiohttp.ClientTimeout(total=patience, connect=min(3, patience))
        self._token: _Token | None = None
        self._login_lock = asyncio.Lock()

    async def read(self, path: str) -> Json | None:
        """The answer's `data`; None where there is nothing."""
        answer = await self._call("GET", path)
        return None if answer is None else answer.get("data") or {}

    async def keys(self, path: str) -> list[str]:
        """What a LIST shows; empty where there is nothing."""
        answer = await self._call("GET", f"{path}?list=true")
        return list((answer or {}).get("data", {}).get("keys") or ())

    async def write(self, path: str, body: Mapping[str, Any]) -> Json | None:
        """The answer's `data`; None where the answer is empty. Raises Failed where the path is
        not there, since then nothing was written."""
        answer = await self._call("POST", path, body)
        if answer is None:
            raise Failed(Reason.REJECTED, f"Vault {self.spec.address} has no {path}")
        return answer.get("data")

    async def delete(self, path: str) -> None:
        """Also where there is nothing."""
        await self._call("DELETE", path)

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Json | None:
        async with self._gate.enter():
            token = await self._valid_token()
            try:
                return await self._send(method, path, body, token=token.value)
            except Failed as error:
                if error.reason != Reason.FORBIDDEN or token.young:
                    raise
            if self._token is token:
                self._token = None
            token = await self._valid_token()
            return await self._send(method, path, body, token=token.value)

    async def _valid_token(self) -> _Token:
        if self._token and not self._token.due:
            return self._token
        async with self._login_lock:
            if self._token is None or self._token.due:
                self._token = await self._renewed() or await self._logged_in()
            return self._token

    async def _renewed(self) -> _Token | None:
        if self._token is None or not self._token.renewable:
            return None
        try:
            answer = await self._send("POST", "auth/token/renew-self", {}, token=self._token.value)
        except Failed as error:
            if error.reason not in _REFUSED:
                raise
            return None
        fresh = _token_in(answer)
        # Near its maximum life a renewal gives little or nothing: then a login gives a whole one.
        return fresh if fresh and fresh.lease >= self._token.lease * _RENEW_AT else None

    async def _logged_in(self) -> _Token:
        login = self.spec.login
        try:
            answer = await self._send(
                "POST", f"auth/{login.mount}/login", {"role": login.role, "jwt": self._jwt.read()}
            )
        except _Refusal as error:
            if error.reason not in _REFUSED:
                raise
            detail = f"login as role {login.role} at auth/{login.mount} of {self.spec.address}"
            why = f": {error.told}" if error.told else ""
            raise Failed(Reason.LOGIN_REFUSED, f"{detail} was refused{why}") from error
        token = _token_in(answer)
        if token is None:
            raise Failed(Reason.LOGIN_REFUSED, f"auth/{login.mount}/login gave no token")
        return token

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str = ""
    ) -> Json | None:
        headers = {"X-Vault-Request": "true"} | ({"X-Vault-Token": token} if token else {})
        if self.spec.namespace:
            headers["X-Vault-Namespace"] = self.spec.namespace
        try:
            async with self._session.request(
                method,
                f"{self.spec.address}/v1/{path}",
                headers=headers,
                ssl=self._tls,
                timeout=self._timeout,
                data=None if body is None else json.dumps(body),
                allow_redirects=False,
            ) as response:
                REQUESTS.labels("vault", method, str(response.status)).inc()
                return self._answer(response.status, await response.read(), path)
        except (aiohttp.ClientError, TimeoutError, UnicodeError) as error:
            REQUESTS.labels("vault", method, "error").inc()
            detail = f"Vault {self.spec.address} does not answer: {what_failed(error)}"
            advice = "; set vault.caBundle, if its CA is your own" if is_untrusted(error) else ""
            raise Failed(Reason.UNREACHABLE, f"{detail}{advice}") from error

    def _answer(self, status: int, content: bytes, path: str) -> Json | None:
        body = _json(content)
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return body or {}
        if status == HTTPStatus.NOT_FOUND:
            return None
        told = redacted("; ".join(str(e) for e in (body or {}).get("errors") or ()))
        reason, detail = _failure(status, told, path.partition("?")[0], self.spec.address)
        raise _Refusal(reason, detail, told)


def _token_in(answer: Json | None) -> _Token | None:
    """What a login or a renewal gave; None where that is no token."""
    auth = (answer or {}).get("auth")
    return _Token(auth) if isinstance(auth, dict) and auth.get("client_token") else None


def _json(content: bytes) -> Json | None:
    try:
        body = json.loads(content) if content else None
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _failure(status: int, told: str, path: str, address: str) -> tuple[Reason, str]:
    """Of what concerns all of Vault the gate tells everybody: whose role it was stays out."""
    where = f"{path} of Vault {address}"
    if status == HTTPStatus.FORBIDDEN:
        return Reason.FORBIDDEN, f"no right on {where}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Reason.THROTTLED, f"too many requests for {where}"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Reason.SEALED, f"Vault {address} is sealed or not ready"
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Reason.REJECTED, f"{where} answered {status}: {told}"
    role = path.partition("/role/")[2]
    unnamed = told.replace(role, "…") if role else told
    return Reason.UNREACHABLE, f"Vault {address} answered {status}: {unnamed}"
