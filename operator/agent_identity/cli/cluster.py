"""A cluster as its reader may see it: what is refused is remembered and told, never fatal.

The client is the Kubernetes project's own, an extra of this package: whoever only checks files
needs none, and kubeconfigs with login plugins are its business.
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import yaml

from agent_identity.cli.documents import Unreadable, plain

Json = dict[str, Any]
Answer = tuple[int, Json]
Get = Callable[[str, Mapping[str, str]], Answer]
_PAGE = "500"
_TIMEOUT = (5, 30)
# What the client comes to where a kubeconfig holds, say, a list in place of an object.
_MISSHAPEN = (AttributeError, LookupError, RecursionError, TypeError)


class Absent(Unreadable):
    """What was asked about is not there."""


class Reader:
    """get: one request. Reads, and keeps what it was not allowed to read."""

    def __init__(self, get: Get) -> None:
        self._get = get
        self._lists: dict[tuple[str, str], list[Json] | None] = {}
        self.refused: list[str] = []
        self.not_served: set[str] = set()

    def one(self, what: str, path: str) -> Json | None:
        """An object; None where there is none, or none that may be read."""
        return self._allowed(what, path, {})

    def many(self, what: str, path: str, *, selector: str = "") -> list[Json] | None:
        """All objects of a list; None where it may not be read, or its kind is not served."""
        if (path, selector) not in self._lists:
            self._lists[path, selector] = self._pages(what, path, selector)
        return self._lists[path, selector]

    def _pages(self, what: str, path: str, selector: str) -> list[Json] | None:
        query = {"limit": _PAGE} | ({"labelSelector": selector} if selector else {})
        items: list[Json] = []
        while True:
            page = self._allowed(what, path, query)
            if page is None:
                return None
            items += page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return items
            query["continue"] = token

    def may_read(self, what: str) -> bool:
        """Whether nothing of it was refused."""
        return what not in self.refused

    def _allowed(self, what: str, path: str, query: Mapping[str, str]) -> Json | None:
        status, body = self._get(path, query)
        if status == HTTPStatus.OK:
            return body
        if status == HTTPStatus.NOT_FOUND:
            self.not_served.add(what)
        elif status == HTTPStatus.FORBIDDEN:
            self.refused += [what] if what not in self.refused else []
        else:
            message = body.get("message") or HTTPStatus(status).phrase
            raise Unreadable(f"the API server answered {status} about {what}: {message}")
        return None


def connect(kubeconfig: str | None, context: str | None) -> Get:
    """A cluster by kubeconfig, login plugins included, or from within a pod."""
    api = _client(kubeconfig, context)
    from kubernetes.client.exceptions import OpenApiException  # noqa: PLC0415  as below
    from urllib3.exceptions import HTTPError  # noqa: PLC0415  what the client talks through

    def get(path: str, query: Mapping[str, str]) -> Answer:
        headers = {"Accept": "application/json"}
        api.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
        asked = f"?{urlencode(query)}" if query else ""
        url = f"{api.configuration.host}{quote(path)}{asked}"
        try:
            answer = api.call_api("GET", url, header_params=headers, _request_timeout=_TIMEOUT)
            answer.read()
        except (HTTPError, OpenApiException, OSError) as error:
            detail = " ".join(str(error).split())
            raise Unreadable(f"can't reach {api.configuration.host}: {detail}") from None
        return answer.status, _parsed(answer.data)

    return get


def _client(kubeconfig: str | None, context: str | None) -> Any:
    try:
        from kubernetes import config  # noqa: PLC0415  an extra: the other commands go without
        from kubernetes.client import ApiClient, Configuration  # noqa: PLC0415
    except ImportError:
        raise Unreadable(
            "reading a cluster needs the Kubernetes client; from a checkout: pip install '.[cli]'"
        ) from None
    settings = Configuration()
    # A new token is for the plugin to keep; a reader writes nothing.
    asked = {"context": context, "client_configuration": settings, "persist_config": False}
    try:
        load: Any = config.load_kube_config
        load(config_file=kubeconfig, **asked)
    except (config.ConfigException, OSError, ValueError, yaml.YAMLError, *_MISSHAPEN) as trouble:
        if kubeconfig or context or not _in_cluster(config, settings):
            raise Unreadable(f"can't use the kubeconfig: {_told(trouble)}") from None
    return ApiClient(settings)


def _told(trouble: Exception) -> str:
    if isinstance(trouble, _MISSHAPEN):
        return "it has not the shape of one"
    return plain(" ".join(str(trouble).split()))


def _in_cluster(config: Any, settings: Any) -> bool:
    try:
        config.load_incluster_config(client_configuration=settings)
    except config.ConfigException:
        return False
    return True


def _parsed(data: bytes | str) -> Json:
    try:
        body = json.loads(data)
    except ValueError:
        return {"message": "no JSON"}
    return body if isinstance(body, dict) else {}
