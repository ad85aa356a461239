"""The Vault API as a test or an administrator uses it: paths, bodies and statuses."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from testbed.endpoint import Endpoint, Json

Keys = list[str]


class VaultApi:
    """Calls to one server; paths are written without the leading `/v1/`."""

    def __init__(self, endpoint: Callable[[], Endpoint], token: Callable[[], str]) -> None:
        # Neither is known before the server's first start.
        self._endpoint = endpoint
        self._token = token

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        namespace: str | None = None,
    ) -> tuple[int, Json]:
        """Status and body, as root unless a token is given; raises only without an answer."""
        headers = {"X-Vault-Token": self._token() if token is None else token}
        if namespace:
            headers["X-Vault-Namespace"] = namespace
        answer = self._endpoint().call(method, f"/v1/{path}", body=body, headers=headers)
        return answer.status, answer.json()

    def login(self, *, mount: str, role: str, jwt: str) -> tuple[int, Json]:
        """What a workload does with its ServiceAccount token."""
        body = {"role": role, "jwt": jwt}
        return self.request("POST", f"auth/{mount}/login", body, token="")

    def read(self, path: str) -> Json | None:
        """The `data` at a path; None where there's nothing."""
        answer = self._found("GET", path)
        return None if answer is None else dict(answer["data"])

    def write(self, path: str, body: object) -> Json:
        """The whole answer; raises when the server refuses."""
        return self._accepted("POST", path, body)

    def delete(self, path: str) -> None:
        """Raises when the server refuses."""
        self._accepted("DELETE", path, None)

    def _accepted(self, method: str, path: str, body: object) -> Json:
        status, answer = self.request(method, path, body)
        if status >= HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{method} {path}: {status} {answer.get('errors')}")
        return answer

    def _found(self, method: str, path: str) -> dict[str, Any] | None:
        status, answer = self.request(method, path)
        if status == HTTPStatus.NOT_FOUND and not answer.get("errors"):
            return None
        if status >= HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{method} {path}: {status} {answer.get('errors')}")
        return answer

    # Last, because from here on `list` in this class is the method.
    def list(self, path: str) -> Keys:
        """The keys under a path; none where there's nothing."""
        answer = self._found("LIST", path)
        return [] if answer is None else Keys(answer["data"]["keys"])
