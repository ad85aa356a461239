"""Texts of manifests as objects that know the file and line of each of their fields. Pure.

What comes may be a chart's output or a stranger's pull request: other kinds are counted and left
alone, and no text may end the program in another way than with a message.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from agent_identity.api.v1alpha1 import GROUP

KINDS = ("AgentAccessGrant", "AgentIdentity", "AgentIdentityClass")
NAMESPACED = ("AgentAccessGrant", "AgentIdentity")
Path = tuple[str | int, ...]

_DEPTH = 100
# A backslash that is escaped itself begins no half.
_HALVES = re.compile(r"(\\\\)|\\u[dD][89abAB]..\\u[dD][c-fC-F]..")
_SIZE = 200_000
_TEXT, _BINARY, _MERGE = (f"tag:yaml.org,2002:{name}" for name in ("str", "binary", "merge"))
_DECIDING = ("apiVersion", "items", "kind", "metadata")
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# kubectl reads a time without quotes as text, and so do the API's own fields.
_LOADER: Any = type(
    "Loader",
    (_BASE,),
    {
        "yaml_implicit_resolvers": {
            first: [r for r in resolvers if r[0] != "tag:yaml.org,2002:timestamp"]
            for first, resolvers in _BASE.yaml_implicit_resolvers.items()
        }
    },
)


class Unreadable(Exception):  # noqa: N818  it is what the user is told
    """An input can't be read; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Document:
    """One object. source: the file; node: where each part of it stands there."""

    source: str
    body: dict[str, Any]
    node: yaml.Node = field(repr=False, compare=False)

    @property
    def kind(self) -> str:
        return str(self.body.get("kind", ""))

    @property
    def is_ours(self) -> bool:
        return self.kind in KINDS or str(self.body.get("apiVersion", "")).startswith(f"{GROUP}/")

    def where(self, path: Path = ()) -> str:
        """file:line of a field, or of the nearest one above it that is there."""
        return f"{self.source}:{_line(self.node, path)}"


@dataclass(frozen=True, slots=True)
class Documents:
    """What is of interest, and how many other objects there were."""

    items: tuple[Document, ...] = ()
    ignored: int = 0

    def __add__(self, other: "Documents") -> "Documents":
        return Documents(self.items + other.items, self.ignored + other.ignored)


def read_documents(text: str, source: str) -> Documents:
    """Every object of a YAML or JSON text; lists are taken apart."""
    text = _from_json(text) if text.lstrip().startswith(("{", "[")) else text
    try:
        _check_depth(text)
        nodes = [n for n in yaml.compose_all(text, Loader=_LOADER) if _says_something(n)]
        for node in nodes:
            _check_anchors(node, source)
        found = [d for n in nodes for d in _documents(n, source)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise Unreadable(
            f"{source}:{line}: no YAML: {plain(error.problem or error.context)}"
        ) from None
    except yaml.YAMLError as error:
        raise Unreadable(f"{source}: no YAML: {plain(' '.join(str(error).split()))}") from None
    items = tuple(d for d in found if d is not None)
    return Documents(items, len(found) - len(items))


def _from_json(text: str) -> str:
    """What JSON may have and YAML may not: tabs between fields (within strings they are escaped),
    and characters that are escaped as two halves."""
    return _HALVES.sub(lambda m: m[1] or json.loads(f'"{m[0]}"'), text.replace("\t", " "))


def _check_depth(text: str) -> None:
    """Composing goes down with the nesting, and the C stack ends without an exception."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f"nested deeper than {_DEPTH}",
                problem_mark=event.start_mark,  # type: ignore[arg-type]
            )


def _says_something(node: yaml.Node | None) -> bool:
    return not (node is None or (isinstance(node, yaml.ScalarNode) and not node.value))


def _documents(
    node: yaml.Node, source: str, of_list: tuple[str, str] = ("", "")
) -> Iterator[Document | None]:
    """None for an object that is of no interest. of_list: kind and version of items without any."""
    _check_top(node, source)
    kind, version = _text(node, "kind"), _text(node, "apiVersion")
    kind, version = (kind, version) if kind or version else of_list
    items = _child(node, "items")
    # To kubectl whatever has items is a list; other tools go by the kind.
    if isinstance(items, yaml.SequenceNode):
        for item in items.value:
            yield from _documents(item, source, (kind.removesuffix("List"), version))
        if kind.endswith("List"):
            return
    ours = kind in KINDS or version.startswith(f"{GROUP}/")
    if ours or (kind, version) == ("Namespace", "v1"):
        body = _constructed(node, source) | {"apiVersion": version, "kind": kind}
        yield Document(source, body, node)
    else:
        yield None


def _check_top(node: yaml.Node, source: str) -> None:
    """What an object is must be written down, in plain text and once: kubectl takes it from merged
    and encoded fields too, and of two the last."""
    fields = node.value if isinstance(node, yaml.MappingNode) else ()
    for key, value in fields:
        if key.tag in (_MERGE, _BINARY):
            _refuse(key, source, f"{plain(key.value)} may say what kind of object this is")
        if key.value in ("apiVersion", "kind") and value.tag != _TEXT:
            _refuse(key, source, f"{key.value} is no plain text")
    _check_keys([key for key, _ in fields if key.value in _DECIDING], source)


def _refuse(key: yaml.Node, source: str, told: str) -> NoReturn:
    raise Unreadable(f"{source}:{key.start_mark.line + 1}: {told}")


def _constructed(node: yaml.Node, source: str) -> dict[str, Any]:
    _check_fields(node, source, set())
    at = f"{source}:{node.start_mark.line + 1}"
    try:
        value = _LOADER("").construct_document(node)
        # What JSON does not know (times, sets, bytes) the API server would not take either.
        body: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise Unreadable(f"{at}: no Kubernetes object: {plain(error)}") from None
    except (AttributeError, LookupError):
        # How PyYAML takes a text that is not of the tag before it.
        told = "a value is not what its tag says"
        raise Unreadable(f"{at}: no Kubernetes object: {told}") from None
    return body


def _check_anchors(root: yaml.Node, source: str) -> None:
    """Neither how much there is nor how deep it goes may come from anchors."""
    known: dict[int, tuple[int, int]] = {}
    size, depth = _extent(root, known)
    if size - len(known) > _SIZE:
        _refuse(root, source, f"its anchors multiply to more than {_SIZE} fields")
    if depth > _DEPTH:
        _refuse(root, source, f"its anchors nest deeper than {_DEPTH}")


def _extent(node: yaml.Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """How many nodes it has and how deep it goes, with every anchor written out."""
    if id(node) not in known:
        # What holds itself has no end.
        known[id(node)] = (_SIZE + 1, 0)
        inner = [_extent(child, known) for child in _children(node)]
        size = 1 + sum(s for s, _ in inner)
        known[id(node)] = (size, 1 + max((d for _, d in inner), default=0))
    return known[id(node)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [n for pair in node.value for n in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _check_fields(node: yaml.Node, source: str, seen: set[int]) -> None:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys = [key for key, _ in node.value]
        _check_keys(keys, source)
        _check_merge(keys, source)
    for child in _children(node):
        _check_fields(child, source, seen)


def _check_keys(keys: Sequence[yaml.Node], source: str) -> None:
    lines: dict[str, int] = {}
    for key in keys:
        if isinstance(key, yaml.ScalarNode) and key.value in lines:
            told = f"{plain(key.value)} is there twice, first in line {lines[key.value]}"
            _refuse(key, source, told)
        lines[str(key.value)] = key.start_mark.line + 1


def _check_merge(keys: Sequence[yaml.Node], source: str) -> None:
    """With kubectl what is merged overrides what stands above it, with others it does not."""
    for key in keys[1:]:
        if key.tag == _MERGE:
            _refuse(key, source, f"{plain(key.value)} must stand first among its neighbours")


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    """step: a field, a position in a list, or the name of an item in it."""
    if isinstance(node, yaml.MappingNode):
        return next((v for k, v in node.value if k.value == step), None)
    items: list[yaml.Node] = node.value if isinstance(node, yaml.SequenceNode) else []
    if isinstance(step, int):
        return items[step] if step < len(items) else None
    # Lists of ours are maps by name.
    return next((item for item in items if _text(item, "name") == step), None)


def _text(node: yaml.Node, step: str) -> str:
    found = _child(node, step)
    return str(found.value) if isinstance(found, yaml.ScalarNode) else ""


def plain(text: object) -> str:
    """A stranger's text as it can be told: no line or terminal command of its own comes out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def _line(node: yaml.Node, path: Path) -> int:
    """Of a field it is the key's line: the value may begin on the next one."""
    line = node.start_mark.line + 1
    for step in path:
        keys = node.value if isinstance(node, yaml.MappingNode) else ()
        line = next((k.start_mark.line + 1 for k, _ in keys if k.value == step), line)
        found = _child(node, step)
        if found is None:
            return line
        line = line if keys else found.start_mark.line + 1
        node = found
    return line
