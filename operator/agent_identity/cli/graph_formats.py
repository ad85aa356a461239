"""A graph as Mermaid, Graphviz and JSON. Pure.

Names may come from a stranger's pull request, and what is written here is fed to programs that draw
it: every text is quoted for the format, and no text can end its quotes.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from agent_identity.cli.graph import Edge, Graph, Node, NodeKind, State

# What Mermaid gives a meaning of its own somewhere, even within quotes, is not among these.
_MERMAID_KEPT = re.compile(r"[^A-Za-z0-9 ./_,*(){}|\-]")
_MERMAID_SHAPES = {
    NodeKind.AGENT: ("(", ")"),
    NodeKind.GROUP: ("{{", "}}"),
    NodeKind.GRANT: ("[[", "]]"),
    NodeKind.WORKLOAD: ("[", "]"),
    NodeKind.ANYBODY: ("((", "))"),
}
_DOT_SHAPES = {
    NodeKind.AGENT: "box, style=rounded",
    NodeKind.GROUP: "hexagon",
    NodeKind.GRANT: "box3d",
    NodeKind.WORKLOAD: "box",
    NodeKind.ANYBODY: "circle",
}
_ARROWS = {State.IN_FORCE: "-->"}
_DASHES = "-.->"
MERMAID_LIMIT = 500
"""How many edges Mermaid draws unless it is set to draw more."""


def as_values(drawn: Graph) -> Mapping[str, Any]:
    """What becomes JSON, with what its words mean."""
    return {
        "origin": drawn.origin,
        "notes": list(drawn.notes),
        "kinds": {kind.value: kind.about for kind in NodeKind},
        "states": {state.value: state.about for state in State},
        "nodes": [asdict(node) for node in drawn.nodes],
        "edges": [asdict(edge) for edge in drawn.edges],
    }


# --- Mermaid


def as_mermaid(drawn: Graph) -> str:
    names = {node.id: _mermaid_id(node) for node in drawn.nodes}
    lines = ["flowchart LR", *(f"%% {_mermaid_text(note)}" for note in drawn.notes)]
    for namespace, nodes in _by_namespace(drawn.nodes):
        inner = [f"{names[n.id]}{_mermaid_shape(n)}" for n in nodes]
        if namespace:
            title = f'subgraph ns_{_digest(namespace)}["{_mermaid_text(namespace)}"]'
            lines += [f"  {title}", *(f"    {line}" for line in inner), "  end"]
        else:
            lines += [f"  {line}" for line in inner]
    for edge in drawn.edges:
        arrow = _ARROWS.get(edge.state, _DASHES)
        label = f'|"{_mermaid_text(_label(edge))}"|'
        lines.append(f"  {names[edge.source]} {arrow}{label} {names[edge.target]}")
    return "\n".join(lines) + "\n"


def _mermaid_id(node: Node) -> str:
    """Readable, and unlike any other's: what a name loses here is in the digest."""
    slug = re.sub(r"[^a-z0-9]+", "_", f"{node.namespace}_{node.name}").strip("_")
    initials = "".join(letter for letter in node.kind if letter.isupper()).lower()
    return f"{initials}_{slug}_{_digest(node.id)}"


def _mermaid_shape(node: Node) -> str:
    before, after = _MERMAID_SHAPES[node.kind]
    return f'{before}"{_mermaid_text(_title(node))}"{after}'


def _mermaid_text(text: str) -> str:
    """Characters by number: an entity of Mermaid's can be no syntax."""
    return _MERMAID_KEPT.sub(lambda m: f"#{ord(m[0])};", text)


# --- Graphviz


def as_dot(drawn: Graph) -> str:
    lines = ["digraph agents {", "  rankdir=LR;", *(f"  // {note}" for note in drawn.notes)]
    for namespace, nodes in _by_namespace(drawn.nodes):
        inner = [
            f"{_dot_text(n.id)} [label={_dot_text(_title(n))}, {_dot_shape(n)}];" for n in nodes
        ]
        if namespace:
            title = f"subgraph {_dot_text(f'cluster_{namespace}')} {{"
            lines += [f"  {title}", f"    label={_dot_text(namespace)};"]
            lines += [*(f"    {line}" for line in inner), "  }"]
        else:
            lines += [f"  {line}" for line in inner]
    for edge in drawn.edges:
        ends = f"{_dot_text(edge.source)} -> {_dot_text(edge.target)}"
        style = "solid" if edge.state is State.IN_FORCE else "dashed"
        lines.append(f"  {ends} [label={_dot_text(_label(edge))}, style={style}];")
    return "\n".join([*lines, "}"]) + "\n"


def _dot_shape(node: Node) -> str:
    return f"shape={_DOT_SHAPES[node.kind]}"


def _dot_text(text: str) -> str:
    """Within quotes a backslash begins an escape, and & an entity."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return f'"{quoted}"'


# --- both


def _by_namespace(nodes: Iterable[Node]) -> Iterator[tuple[str, list[Node]]]:
    found: dict[str, list[Node]] = {}
    for node in nodes:
        found.setdefault(node.namespace, []).append(node)
    yield from sorted(found.items())


def _title(node: Node) -> str:
    match node.kind:
        case NodeKind.ANYBODY:
            return "anybody"
        case NodeKind.GROUP:
            return f"every agent of {node.namespace}"
        case NodeKind.WORKLOAD:
            return f"ServiceAccount {node.name}"
        case NodeKind.GRANT:
            guards = f": {node.guards}" if node.guards else ""
            return f"grant {node.name}{guards}{_short(node)}"
        case NodeKind.AGENT:
            return f"{node.name}{_short(node)}"


def _short(node: Node) -> str:
    if node.stalls:
        return " (stalls)"
    return (
        f" ({'not there' if node.kind is NodeKind.GRANT else 'no caller'})" if node.trouble else ""
    )


def _label(edge: Edge) -> str:
    state = "" if edge.state is State.IN_FORCE else f"{edge.state}:"
    via = f"({edge.via})" if edge.via else ""
    return " ".join(part for part in (state, edge.calls, via) if part)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
