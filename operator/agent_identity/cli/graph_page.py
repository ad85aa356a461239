"""A graph as one page that needs nothing else: no network, no server. Pure.

Names may come from a stranger's pull request. They are data to the page, and its Content Security
Policy lets in its own script and style by their hashes and nothing else.
"""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from importlib import resources
from typing import Any

from agent_identity.cli.graph import Graph
from agent_identity.cli.graph_formats import as_values

_PLACE = re.compile(r"\{\{ ([a-z-]+) \}\}")
# Within a script element, < could end it; the others are for whoever reads it as markup.
_ESCAPED = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&"})


def as_page(drawn: Graph) -> str:
    style, script = _text("graph_page.css"), _text("graph_page.js")
    parts = {
        "style": style,
        "style-hash": _hash(style),
        "script": script,
        "script-hash": _hash(script),
        "data": embedded(as_values(drawn)),
    }
    # In one pass, so that what is put in is not looked at again.
    return _PLACE.sub(lambda place: parts[place[1]], _text("graph_page.html"))


def embedded(values: Mapping[str, Any]) -> str:
    """JSON in ASCII that can stand in a script element."""
    text = json.dumps(values, separators=(",", ":"))
    return text.translate(_ESCAPED)


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _text(name: str) -> str:
    return resources.files("agent_identity.cli").joinpath(name).read_text(encoding="utf-8")
