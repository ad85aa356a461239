"""What the README shows of the program is what it puts out, but for what `…` stands for."""

import re
import shutil
from pathlib import Path

import pytest
from sets import ROOT, Program

SAMPLE = re.search(
    r"^```text\n(\$ agent-identity check .*?)^```",
    (ROOT / "README.md").read_text(),
    re.MULTILINE | re.DOTALL,
)
QUICKSTART = ROOT / "examples" / "quickstart"
FILES = ("1-platform.yaml", "2-class.yaml", "3-identities.yaml", "4-grant.yaml")
# What the pull request of the README's sample changes.
CHANGE = {
    "2-class.yaml": ('{serviceAccount}/*", capabilities: [read]', "read]", "read, update]"),
    "3-identities.yaml": (
        "      - {kind: AgentIdentity, name: planner}\n",
        "planner}\n",
        "planner}\n      - {kind: ServiceAccount, namespace: web, name: gateway}\n",
    ),
}


def runs() -> list[tuple[list[str], list[str]]]:
    """Arguments of each run that is shown, and the lines that it is shown to put out."""
    assert SAMPLE is not None
    shown = [run.splitlines() for run in SAMPLE[1].split("$ agent-identity ")[1:]]
    return [(command.split(), lines) for command, *lines in shown]


def squeezed(text: str) -> str:
    return " ".join(text.split())


def is_shown(line: str, out: str) -> bool:
    pattern = ".*".join(re.escape(squeezed(part)) for part in line.split("…"))
    return any(re.fullmatch(pattern, squeezed(found)) for found in out.splitlines())


@pytest.fixture
def pull_request(tmp_path: Path) -> Path:
    """Folders as in the sample: `main`, and `pull-request` with the change."""
    for folder in (tmp_path / "main", tmp_path / "pull-request"):
        folder.mkdir()
        for name in FILES:
            shutil.copy(QUICKSTART / name, folder)
    for name, (where, before, after) in CHANGE.items():
        path = tmp_path / "pull-request" / name
        text = path.read_text()
        assert text.count(where) == 1
        path.write_text(text.replace(where, where.replace(before, after)))
    return tmp_path


def test_both_ways_of_checking_are_shown_with_what_is_found() -> None:
    assert ["--against" in arguments for arguments, _ in runs()] == [False, True]
    assert all(lines for _, lines in runs())


def test_a_check_puts_out_what_the_readme_shows(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    arguments, lines = runs()[0]
    code, out, _ = program(*arguments)
    assert code == 1
    assert [line for line in lines if not is_shown(line, out)] == []


def test_a_comparison_puts_out_what_the_readme_shows(
    program: Program, pull_request: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pull_request)
    arguments, lines = runs()[1]
    code, out, _ = program(*arguments)
    assert code == 3
    assert [line for line in lines if not is_shown(line, out)] == []
