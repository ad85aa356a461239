"""What backends tell us, made fit for logs, events and status: no credentials, no walls of text."""

import re

_LIMIT = 300
_SECRETS = (
    re.compile(r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}"),  # a JWT (RFC 7519, section 3)
    re.compile(r"\b(?:hvs|hvb|hvr|s|b|r)\.[A-Za-z0-9_-]{16,}"),  # Vault's and OpenBao's tokens
    re.compile(r"(?i)\bbearer\s+\S+"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|$)", re.DOTALL),
)
_QUERY = re.compile(r"(https?://[^\s?]+)\?\S*")
_USERINFO = re.compile(r"(https?://)[^\s/@]+@")


def redacted(text: str, limit: int = _LIMIT) -> str:
    """One line of at most `limit` characters without tokens, keys, URL queries or user info."""
    for pattern in _SECRETS:
        text = pattern.sub("[redacted]", text)
    text = _USERINFO.sub(r"\1", _QUERY.sub(r"\1", text))
    return " ".join(text.split())[:limit]
