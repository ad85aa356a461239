"""What the operator logs where its own code fails in a way that nobody thought of."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

_TOLD = "this is a bug"


def bugs_in(log: Iterable[str]) -> list[str]:
    """log: lines of JSON. Whose reconcile it was and the end of the exception; each once."""
    return sorted({_summary(line) for line in log if _TOLD in line})


def logged_bugs(*logs: Path) -> list[str]:
    """Of several operators. Read line by line: what hours at DEBUG leave is long."""
    return bugs_in(line for log in logs for line in _lines(log))


def _lines(log: Path) -> Iterator[str]:
    with log.open(errors="replace") as file:
        yield from file


def _summary(text: str) -> str:
    try:
        line = json.loads(text)
    except ValueError:
        # Of an operator that was killed while it wrote.
        return text.strip()
    where = "/".join(str(line.get(part, "")) for part in ("kind", "namespace", "name"))
    return f"{_TOLD}: {where}: {str(line.get('exception', ''))[-800:]}"
