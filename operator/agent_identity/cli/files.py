"""Files, folders and standard input as documents: the commands' only reader of the disk."""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from agent_identity.cli.documents import Documents, Unreadable, plain, read_documents

STDIN = "-"
_SUFFIXES = (".yaml", ".yml", ".json")


def read_files(names: Sequence[str]) -> Documents:
    """Everything that they hold. Raises Unreadable once, with all that can't be read."""
    documents, troubles = Documents(), list[str]()
    for source, path in _found(names, troubles):
        try:
            documents += read_documents(_text(path), source)
        except Unreadable as trouble:
            troubles.append(str(trouble))
        except OSError as error:
            troubles.append(f"{source}: {error.strerror or error}")
        except UnicodeDecodeError:
            troubles.append(f"{source}: is no UTF-8 text")
    if troubles:
        raise Unreadable("\n".join(troubles))
    return documents


def _found(names: Sequence[str], troubles: list[str]) -> Iterator[tuple[str, Path | None]]:
    """What to call it, and where it is; each file once."""
    seen: set[Path] = set()
    for name in names:
        if name == STDIN:
            yield "<stdin>", None
            continue
        for file in _files(Path(name), troubles):
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield _called(file), file


def _files(path: Path, troubles: list[str]) -> list[Path]:
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return [path]
        inner = (Path(at, f) for at, _, names in os.walk(path, onerror=_refuse) for f in names)
        return sorted(p for p in inner if p.suffix in _SUFFIXES and p.is_file())
    except FileNotFoundError:
        troubles.append(f"{_called(path)}: there is no such file")
    except OSError as error:
        troubles.append(f"{_called(error.filename)}: {error.strerror}")
    return []


def _called(path: Path | str) -> str:
    """As it can be told: what begins a line could be a command of a pipeline."""
    told = plain(path)
    return f"./{told}" if told.startswith((":", "#")) else told


def _refuse(error: OSError) -> NoReturn:
    """A folder that can't be looked into may hold what is applied."""
    raise error


def _text(path: Path | None) -> str:
    data = sys.stdin.buffer.read() if path is None else path.read_bytes()
    return data.decode("utf-8-sig")
