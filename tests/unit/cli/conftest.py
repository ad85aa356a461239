"""The program, with nothing of the environment's."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sets import ROOT, Program


@pytest.fixture
def program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Program:
    for name in ("CLUSTER_NAME", "TRUST_DOMAIN", "MESH_ROOT_NAMESPACE"):
        monkeypatch.delenv(f"AGENT_IDENTITY_{name}", raising=False)
    return Program(tmp_path, capsys)


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compares with a file in tests/golden/cli; GOLDEN=write writes it anew."""

    def compare(name: str, found: str) -> None:
        path = ROOT / "tests" / "golden" / "cli" / name
        if os.environ.get("GOLDEN") == "write":
            path.write_text(found)
        assert path.read_text() == found

    return compare
