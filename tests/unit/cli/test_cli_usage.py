"""Command lines as they are documented are command lines that are taken."""

import os
import re
import shlex
import subprocess
import sys
import tomllib

import pytest
from sets import ROOT, Manifest, Program, identity, namespace, whole

from agent_identity.cli.main import COMMANDS, parser

PROGRAM = re.compile(
    r"(?:agent-identity|kubectl agentid) ((?:check|render|explain|graph)\b[^`|>\n]*)"
)
TEXTS = [
    *(command.epilog for command in COMMANDS),
    (ROOT / "README.md").read_text(),
    *(p.read_text() for p in sorted((ROOT / "examples" / "gitops" / "pipeline").iterdir())),
]
LINES = sorted(
    {
        line
        for text in TEXTS
        for line in PROGRAM.findall(text)
        # Without arguments it is a mention.
        if shlex.split(line)[1:]
    }
)


def test_there_are_documented_command_lines() -> None:
    assert {line.split()[0] for line in LINES} == {command.name for command in COMMANDS}


@pytest.mark.parametrize("line", LINES)
def test_a_documented_command_line_is_taken(line: str) -> None:
    assert parser().parse_args(shlex.split(line)).run


def test_the_usage_of_check_is_taken_as_it_stands(program: Program) -> None:
    """FILES behind --against would be taken for OTHER-FILES."""
    _, out, _ = program("check", "--help")
    assert out.startswith("usage: agent-identity check FILES")
    assert "FILES... [--against OTHER-FILES...]" in " ".join(out.split())
    args = parser().parse_args(["check", "a", "b", "--against", "c", "d", "--strict"])
    assert (args.files, args.against) == (["a", "b"], ["c", "d"])


def test_the_version_is_the_packages(program: Program) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert program("--version") == (0, f"agent-identity {known}\n", "")


def test_exit_codes_are_told_with_every_command(program: Program) -> None:
    for command in COMMANDS:
        assert "of explain: it is not Ready" in " ".join(program(command.name, "--help")[1].split())


@pytest.mark.parametrize(
    ("manifests", "code"),
    [(whole(), 0), ([identity(unknown=1)], 1), ([namespace()], 2)],
    ids=["fine", "wrong", "unreadable"],
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_who_stops_reading_changes_no_exit_code(
    program: Program, stream: str, manifests: list[Manifest], code: int
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "agent_identity.cli", "check"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writing}
    try:
        done = subprocess.run([*command, program.file("a.yaml", manifests)], **streams, check=False)
    finally:
        os.close(writing)
    assert done.returncode == code
    assert b"Error" not in (done.stderr or b"")
