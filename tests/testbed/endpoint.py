"""JSON over HTTP to one server, without a proxy and without the operator's own client."""

import http.client
import json
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Json = dict[str, Any]
PROBE_SECONDS = 2


class Answer(NamedTuple):
    """Status and body of one response."""

    status: int
    text: str

    def json(self) -> Json:
        """The body as an object; empty where there's none."""
        return dict(json.loads(self.text)) if self.text.strip() else {}


class Endpoint:
    """A server's address and how it's trusted; every call is a connection of its own."""

    def __init__(self, address: str, ca_file: Path | None = None) -> None:
        url = urlsplit(address)
        self._host, self._port = url.hostname or "", url.port
        self._tls = ssl.create_default_context(cafile=ca_file) if ca_file else None

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
    ) -> Answer:
        """Raises OSError when the server can't be reached, and never because of a status."""
        connection = self._connect(timeout)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(
                method, path, text, {"Content-Type": "application/json", **(headers or {})}
            )
            response = connection.getresponse()
            return Answer(response.status, response.read().decode())
        finally:
            connection.close()

    def ok(self, path: str, *, headers: Mapping[str, str] | None = None) -> bool:
        """Whether a GET answers 200, soon: a foreign server on the port may never answer."""
        answer = self.call("GET", path, headers=headers, timeout=PROBE_SECONDS)
        return answer.status == HTTPStatus.OK

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=timeout, context=self._tls
        )
