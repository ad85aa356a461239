"""A copy of the repository that mutants are put into, so that nothing is ever changed in place."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

from mutants.model import Mutant

REPOSITORY = Path(__file__).resolve().parents[2]
OPERATOR_PYTHON = Path(".venv-operator/bin/python")
_RAN, _SOME_FAILED = 0, 1
# A mutant that does not even run has shown nothing about its guard.
_BROKEN = ("NameError", "UnboundLocalError", "ImportError")


class MutantError(Exception):
    """The table is wrong, or its tests can't be run: nothing is said about a guard."""


class Workspace:
    """Tests run with the interpreter that runs us, and see this copy's sources and no others."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._count = 0
        _copy_tracked(root)
        _wrap_operator_python(root)

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """The guard is out, until the end of the block."""
        path = self.root / mutant.file
        before, stat = path.read_text(), path.stat()
        after = mutated_text(mutant, before)
        self._count += 1
        try:
            path.write_text(after)
            # Python's cache tells versions of a file apart by whole seconds and length.
            os.utime(path, (stat.st_atime, stat.st_mtime + self._count))
            yield
        finally:
            path.write_text(before)
            os.utime(path, (stat.st_atime, stat.st_mtime))

    def run(self, tests: Iterable[str]) -> dict[str, bool]:
        """Test → whether it failed. An error before the test itself says nothing and is ours."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            done = self._pytest(tests, report)
            if done.returncode not in (_RAN, _SOME_FAILED):
                raise MutantError(f"pytest could not run:\n{done.stdout[-3000:]}")
            return dict(_outcomes(report))

    def _pytest(self, tests: Iterable[str], report: Path) -> subprocess.CompletedProcess[str]:
        options = ("-q", "-p", "no:cacheprovider", "-p", "pytest_timeout", f"--junitxml={report}")
        return subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=self.root,
            env=self._environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def _environment(self) -> Mapping[str, str]:
        # Plug-ins that aren't needed take half of the time.
        more = {"PYTHONPATH": str(self.root / "operator"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return os.environ | more


def mutated_text(mutant: Mutant, before: str) -> str:
    """The file's text without the guard."""
    if before.count(mutant.old) != 1:
        times = before.count(mutant.old)
        raise MutantError(f"{mutant.name}: its text occurs {times} times in {mutant.file}")
    after = before.replace(mutant.old, mutant.new)
    if mutant.file.endswith(".py"):
        compile(after, mutant.file, "exec")
    return after


def _copy_tracked(root: Path) -> None:
    """What git tracks, and what is new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, root / name)


def _wrap_operator_python(root: Path) -> None:
    """The operator runs in its own environment, but from the copy's sources."""
    wrapper = root / OPERATOR_PYTHON
    wrapper.parent.mkdir(parents=True)
    lines = (
        "#!/bin/sh",
        f"export PYTHONPATH='{root / 'operator'}'",
        f"exec '{REPOSITORY / OPERATOR_PYTHON}' \"$@\"",
    )
    wrapper.write_text("\n".join(lines) + "\n")
    wrapper.chmod(0o755)


def _outcomes(report: Path) -> Iterator[tuple[str, bool]]:
    for case in ET.parse(report).iter("testcase"):
        if case.find("skipped") is not None:
            continue
        test = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        failure = case.find("failure")
        told = "" if failure is None else failure.get("message", "")
        if told.startswith(_BROKEN):
            raise MutantError(f"{test}: {told}")
        if failure is not None or case.find("error") is None:
            yield test, failure is not None
