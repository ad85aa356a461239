"""The image's steps without a container runtime: the build stage's own lines, in folders of ours.

What the base image brings (and what is taken off it) can't be shown here.
"""

import os
import re
import shlex
import shutil
import subprocess
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from testbed.operator_process import REPOSITORY

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
FOLDERS = ("venv", "src", "dist")


def stage(number: int) -> list[tuple[str, str]]:
    """(instruction, rest) of a stage, continued lines joined and comments gone."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    words = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    starts = [n for n, (word, _) in enumerate(words) if word == "FROM"] + [len(words)]
    return [(word, rest) for word, rest in words[starts[number] + 1 : starts[number + 1]]]


class Image:
    """A folder in place of the image's root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._base = root / "base" / "bin"
        self.environment = {"PATH": f"{self._base}:/usr/bin:/bin", "HOME": str(root)}
        # What a package registry needs where there is a proxy.
        self.environment |= {
            n: v for n, v in os.environ.items() if n.startswith("PIP_") or "proxy" in n.lower()
        }
        self._at = "/"

    def build(self) -> None:
        venv.create(self.root / "base", with_pip=True)
        self.base_pip("install", "--quiet", "--upgrade", "pip")
        for word, rest in stage(0):
            getattr(self, f"_{word.lower()}")(rest)

    def base_pip(self, *arguments: str) -> None:
        subprocess.run([self._base / "pip", *arguments], env=self.environment, check=True)

    def here(self, text: str) -> str:
        """A path of the image as a path of this machine, wherever it stands in a line."""
        return re.sub(rf"(?<![\w/.])/({'|'.join(FOLDERS)})\b", rf"{self.root}/\1", text)

    def run(self, *command: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command, env=env, cwd=self.root, capture_output=True, text=True, check=False
        )

    def _workdir(self, rest: str) -> None:
        self._at = self.here(rest)
        Path(self._at).mkdir(parents=True, exist_ok=True)

    def _env(self, rest: str) -> None:
        self.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))

    def _copy(self, rest: str) -> None:
        *names, target = rest.split()
        for name in names:
            source, to = REPOSITORY / name, Path(self._at, target)
            if source.is_dir():
                shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy(source, to)

    def _run(self, rest: str) -> None:
        done = subprocess.run(
            ["/bin/sh", "-c", self.here(rest)],
            env=self.environment,
            cwd=self._at,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{rest}: {done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    built = Image(tmp_path_factory.mktemp("image"))
    built.build()
    yield built
    shutil.rmtree(built.root)


@pytest.fixture
def environment(image: Image) -> dict[str, str]:
    """What the final stage sets, and nothing else."""
    [rest] = [rest for word, rest in stage(1) if word == "ENV"]
    return dict(pair.split("=", 1) for pair in shlex.split(image.here(rest)))


def entrypoint(environment: Mapping[str, str]) -> str:
    [rest] = [rest for word, rest in stage(1) if word == "ENTRYPOINT"]
    [program] = re.findall(r'"([^"]+)"', rest)
    found = shutil.which(program, path=environment["PATH"])
    assert found is not None
    return found


def test_it_starts_and_tells_what_is_missing(image: Image, environment: dict[str, str]) -> None:
    ended = image.run(entrypoint(environment), env=environment)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "AGENT_IDENTITY_CLUSTER_NAME is required\n"


def test_it_holds_what_the_lock_file_names_and_the_operator_only(image: Image) -> None:
    lock = (REPOSITORY / "requirements.lock").read_text()
    locked = {f"{n}=={v}" for n, v in re.findall(r"^([a-z0-9_.-]+)==([^ ;]+)", lock, re.MULTILINE)}
    listed = image.run(
        str(image.root / "base" / "bin" / "pip"),
        *("--python", str(image.root / "venv" / "bin" / "python"), "freeze", "--all"),
        env=image.environment,
    )
    found = {line.lower().replace("_", "-") for line in listed.stdout.splitlines()}
    own = {line for line in found if line.startswith("agent-identity-operator")}
    assert len(own) == 1
    assert found - own <= locked
    assert not any(line.startswith(("pip==", "setuptools==")) for line in found)


def test_it_needs_no_folder_that_can_be_written_to(
    image: Image, environment: dict[str, str]
) -> None:
    """The modules are compiled already, and nothing is written where it runs."""
    before = {path for path in image.root.rglob("*") if path.is_file()}
    image.run(entrypoint(environment), env=environment)
    assert {path for path in image.root.rglob("*") if path.is_file()} == before
    package = next((image.root / "venv" / "lib").glob("python3*")) / "site-packages"
    assert list((package / "agent_identity" / "__pycache__").glob("settings.*.pyc"))
