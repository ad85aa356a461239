"""A Chromium that needs nothing installed by hand: CHROMIUM_BIN, else PATH, else a fetched one.

The fetched one is a headless shell that was built to run where nothing else is: its libraries and
its fonts come with it, so that it needs no root and looks the same everywhere.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from npm_registry import Package, fetch, find_node, unpack

from testbed.cache import Report, cached

_PROGRAM, _LIBRARIES, _FONTS = "chromium.br", "al2023.tar.br", "fonts.tar.br"
_SHELL = Package(
    "@sparticuz/chromium",
    "153.0.0",
    "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==",
    (_PROGRAM, _LIBRARIES, _FONTS),
)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_UNPACK_BROTLI = (
    "const [from, to] = process.argv.slice(1), fs = require('fs');"
    "fs.writeFileSync(to, require('zlib').brotliDecompressSync(fs.readFileSync(from)))"
)


@dataclass(frozen=True)
class Chromium:
    """program: to be started in this environment, and with a home of its own."""

    program: Path
    environment: Mapping[str, str]


def find_chromium(report: Report = print) -> Chromium:
    """Raises RuntimeError where none is installed and the fetched one would not run."""
    named = os.environ.get("CHROMIUM_BIN") or next(filter(None, map(shutil.which, _NAMES)), None)
    if named:
        return Chromium(Path(named), dict(os.environ))
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise RuntimeError("install Chromium, or name one with CHROMIUM_BIN: none fits to fetch")
    return _fetched(report)


def _fetched(report: Report) -> Chromium:
    def make(directory: Path) -> None:
        fetch(_SHELL, directory, report=report)
        node = find_node(report=report).node
        for name in _SHELL.files:
            packed = directory / name
            subprocess.run([node, "-e", _UNPACK_BROTLI, packed, packed.with_suffix("")], check=True)
            packed.unlink()
        (directory / "chromium").chmod(0o755)
        for name, folder in (("al2023.tar", "lib"), ("fonts.tar", "fonts")):
            (directory / folder).mkdir()
            unpack(directory / name, directory / folder)
            (directory / name).unlink()
        (directory / "fonts.conf").write_text(_FONT_SETTINGS)

    home = cached(_SHELL.entry, make, report=report)
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LD_LIBRARY_PATH": str(home / "lib"),
        "FONTCONFIG_FILE": str(home / "fonts.conf"),
    }
    return Chromium(home / "chromium", environment)


_FONT_SETTINGS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""
