"""SPIFFE IDs, made and refused as the standard says; never normalised.

Source: SPIFFE-ID standard, sections 2.1 (trust domain), 2.2 (path) and 2.3 (maximum length).
"""

import re
from contextlib import suppress
from dataclasses import dataclass

from agent_identity.api.conditions import Reason
from agent_identity.core.errors import Invalid

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_LIMIT = 2048


@dataclass(frozen=True, slots=True)
class SpiffeID:
    """A workload's ID in Istio's form: spiffe://<trust domain>/ns/<namespace>/sa/<account>."""

    trust_domain: str
    namespace: str
    account: str

    def __post_init__(self) -> None:
        if not _TRUST_DOMAIN.fullmatch(self.trust_domain):
            raise Invalid(Reason.INVALID_SPEC, f"{self.trust_domain!r} is no SPIFFE trust domain")
        for segment in (self.namespace, self.account):
            if not _SEGMENT.fullmatch(segment) or segment in (".", ".."):
                raise Invalid(Reason.INVALID_SPEC, f"{segment!r} can't stand in a SPIFFE ID")
        if len(str(self).encode()) > _LIMIT:
            raise Invalid(Reason.INVALID_SPEC, f"the SPIFFE ID is longer than {_LIMIT} bytes")

    @classmethod
    def of_principal(cls, principal: str) -> "SpiffeID | None":
        """The ID that a principal stands for; None where it can be no workload's."""
        match principal.split("/"):
            case [trust_domain, "ns", namespace, "sa", account]:
                with suppress(Invalid):
                    return cls(trust_domain, namespace, account)
        return None

    def __str__(self) -> str:
        return f"spiffe://{self.principal}"

    @property
    def principal(self) -> str:
        """As Istio's AuthorizationPolicy wants it: five parts, and no scheme.

        With the scheme an ALLOW lets nobody in and a DENY lets everybody through.
        """
        return f"{self.trust_domain}/ns/{self.namespace}/sa/{self.account}"
