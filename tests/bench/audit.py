"""Who asked what of both servers, as the servers themselves have written it down."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from testbed.bed import Bed
from testbed.operator_process import NAMESPACE, SERVICE_ACCOUNT

USER = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
CHANGES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
# Sent as writes, though nothing that anybody has made is changed by them.
LOOKUPS = re.compile(r"identity/lookup/.*|auth/[^/]+/login")
# Folders whose entries are all of one kind.
FOLDERS = re.compile(r"(auth/[^/]+/role|identity/entity/id|sys/policies/acl)/.+")


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """A kind of request. what: the resource, or the place in Vault."""

    server: str
    verb: str
    what: str

    @property
    def changes(self) -> bool:
        return self.verb in CHANGES and not LOOKUPS.fullmatch(self.what)

    def __str__(self) -> str:
        return f"{self.verb} {self.what}"


Requests = Counter[Request]


def changes(requests: Requests) -> int:
    """How many change something."""
    return sum(number for kind, number in requests.items() if kind.changes)


def lists(requests: Requests) -> int:
    """How many read all of a kind, or a page of it."""
    return sum(number for kind, number in requests.items() if kind.verb == "list")


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment in both logs: a position in bytes, and a number of entries."""

    kubernetes: int
    vault: int


class Audit:
    """Requests of the operator's user, whoever sends them."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    def mark(self) -> Mark:
        size = self._bed.control_plane.audit_log.stat().st_size
        return Mark(size, len(self._bed.openbao.audit_requests()))

    def since(self, mark: Mark) -> Requests:
        """How many of each kind."""
        kubernetes = (
            Request("kubernetes", str(e["verb"]), _resource(e))
            for e in self.kubernetes_events(mark)
        )
        vault = map(_vault_request, self.vault_entries(mark))
        return Counter([*kubernetes, *vault])

    def changes_elsewhere(self, mark: Mark, name: str) -> int:
        """How many things were changed that don't have this name in theirs."""
        kubernetes = (e for e in self.kubernetes_events(mark) if e["verb"] in CHANGES)
        named = (json.dumps(e.get("objectRef")) for e in kubernetes)
        vault = (e["path"] for e in self.vault_entries(mark) if _vault_request(e).changes)
        return sum(name not in what for what in (*named, *vault))

    def kubernetes_events(self, mark: Mark) -> Iterator[dict[str, Any]]:
        """One event for each request that was answered whole, but for those of the Lease: they go
        on at any rate, whatever there is to do."""
        with self._bed.control_plane.audit_log.open("rb") as log:
            log.seek(mark.kubernetes)
            for line in log:
                # The last line may be half written.
                event = json.loads(line) if line.endswith(b"\n") else {}
                if event.get("stage") == "ResponseComplete" and _is_ours(event):
                    yield event

    def vault_entries(self, mark: Mark) -> Iterator[dict[str, Any]]:
        for entry in self._bed.openbao.audit_requests()[mark.vault :]:
            if (entry["metadata"] or {}).get("service_account_name") == SERVICE_ACCOUNT:
                yield entry


def _vault_request(entry: dict[str, Any]) -> Request:
    return Request("vault", entry["operation"], FOLDERS.sub(r"\1", entry["path"]))


def _is_ours(event: dict[str, Any]) -> bool:
    of_the_lease = (event.get("objectRef") or {}).get("resource") == "leases"
    return bool(event["user"]["username"] == USER) and not of_the_lease


def _resource(event: dict[str, Any]) -> str:
    ref = event.get("objectRef") or {}
    parts = [ref.get("resource", event["requestURI"]), ref.get("subresource", "")]
    return "/".join(part for part in parts if part)
