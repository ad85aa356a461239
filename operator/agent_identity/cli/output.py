"""Values as yaml, json or a table, in an order and in bytes that stay the same."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import yaml

FORMATS = ("table", "yaml", "json")


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def as_yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=True, width=100)


def as_documents(parts: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """One YAML document each. parts: a comment, and what comes below it."""
    return "".join(f"---\n# {comment}\n{as_yaml(dict(body))}" for comment, body in parts)


def as_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the last is for long texts. Empty without rows."""
    lines = [list(header), *(list(row) for row in rows)]
    if len(lines) == 1:
        return ""
    widths = [max(len(line[n]) for line in lines) for n in range(len(header))]
    return "".join(_row(line, widths) for line in lines)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return "   ".join(padded).rstrip() + "\n"


def put(text: str) -> None:
    """To standard output: what was asked for."""
    _write(sys.stdout, text)


def tell(text: str) -> None:
    """To standard error: what must not get into a pipe."""
    _write(sys.stderr, f"{text}\n")


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        # Whoever read it has seen enough; what it comes to is still for the exit code to say. What
        # is left in the buffer must not make Python complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
