"""What takes long to make is made once per machine, and whole or not at all."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Report = Callable[[str], None]


def cache_root() -> Path:
    """The directory that holds every entry."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = Path(base) / "agent-identity-testbed"
    root.mkdir(parents=True, exist_ok=True)
    return root


def cached(entry: str, make: Callable[[Path], None], *, report: Report) -> Path:
    """The directory `entry`; `make` fills it when it's missing."""
    final = cache_root() / entry
    if final.is_dir():
        return final
    with _locked(entry, report=report):
        if not final.is_dir():
            _make(final, make)
    return final


def _make(final: Path, make: Callable[[Path], None]) -> None:
    prefix = f".{final.name}."
    for leftover in final.parent.glob(f"{prefix}*.partial"):
        shutil.rmtree(leftover, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(dir=final.parent, prefix=prefix, suffix=".partial"))
    try:
        make(partial)
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _locked(entry: str, *, report: Report) -> Iterator[None]:
    with (cache_root() / f".{entry}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"{entry}: another process is making it; waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
