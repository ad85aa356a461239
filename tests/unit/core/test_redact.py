"""No credential gets into a log, an event or a status."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_identity.core.redact import redacted

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
TOKEN = "s.abcdefghijklmnopqrstuvwx"


@pytest.mark.parametrize(
    "secret",
    [JWT, JWT.partition(".")[0], TOKEN, "hvs.CAESIabcdefghijklmnopqrstuv", f"Bearer {TOKEN}"],
)
@given(st.text(max_size=40), st.text(max_size=40))
def test_tokens_go(secret: str, before: str, after: str) -> None:
    text = redacted(f"{before} {secret} {after}")
    assert secret.removeprefix("Bearer ") not in text


def test_keys_queries_and_user_info_go() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"
    text = redacted(f"{key} at https://user:pass@vault.example/v1/x?token=abc failed")
    assert "MIIEow" not in text
    assert "pass" not in text
    assert "abc" not in text
    assert "https://vault.example/v1/x" in text


def test_one_short_line() -> None:
    assert "\n" not in redacted("a\nb")
    assert len(redacted("x" * 1000)) == 300
