"""What the commands have to say about an object: how bad, where, what, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

from agent_identity.api.rules import Caller
from agent_identity.cli.documents import NAMESPACED, Document, Path, plain


class Severity(StrEnum):
    """error: it would be refused, or the identity would stall. risk: it gives more than before.
    note: what a reader should know, and what could not be checked."""

    ERROR = "error"
    RISK = "risk"
    NOTE = "note"


_ORDER = tuple(Severity)


@dataclass(frozen=True, slots=True)
class Finding:
    """where: file:line. subject: the object. path: the field. advice: what to do."""

    severity: Severity
    where: str
    subject: str
    path: str
    message: str
    advice: str = ""

    @property
    def rank(self) -> tuple[int, str, int, str, str]:
        source, _, line = self.where.rpartition(":")
        at = int(line) if line.isdigit() else 0
        return _ORDER.index(self.severity), source, at, self.path, self.message


def dotted(path: Path) -> str:
    """spec.inbound.rules[0].ports"""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{plain(step)}"
    return text.removeprefix(".")


def title(document: Document) -> str:
    """Kind and name, as far as they are there."""
    metadata = document.body.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = str(metadata.get("name") or metadata.get("generateName") or "?")
    if document.kind in NAMESPACED:
        name = f"{metadata.get('namespace') or '?'}/{name}"
    return plain(f"{document.kind or '?'} {name}")


def finding(
    severity: Severity, document: Document, path: str | Path, message: str, advice: str = ""
) -> Finding:
    """path: with dots, or step by step; its line is looked up."""
    steps = tuple(path.split(".")) if isinstance(path, str) else path
    return Finding(severity, document.where(steps), title(document), dotted(steps), message, advice)


def shown_caller(caller: Caller, namespace: str) -> str:
    """Kind and name; a namespace that is not written is the agent's own."""
    return f"{caller.kind} {caller.namespace or namespace}/{caller.name or '*'}"
