"""What can be done to a value of each type: the mutators of Acto (SOSP 2023), and lengths and
hostile words for strings."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from faults.fields.schema import GONE, Field
from faults.fields.strings import HOSTILE_KEYS, hostile, lengths

UNKNOWN_FIELD = "misspelt"
_UNKNOWN_VALUE = "Unknown"


@dataclass(frozen=True, slots=True)
class Mutation:
    """name: the mutator, with a value of it after a colon. value: what stands there afterwards."""

    name: str
    value: Any

    @property
    def mutator(self) -> str:
        return self.name.partition(":")[0]


Made = Iterator[Mutation]
Others = Mapping[str, Any]
"""Values of a field that mean something where the case is played: name → value."""


def mutations(field: Field, value: Any, others: Others, pushed: Any = None) -> list[Mutation]:
    """All that apply to a field with this value. pushed: what comes into a list, where a copy of an
    item with another key would not do."""
    made = [Mutation("delete", GONE), *_BY_TYPE[field.type](field, value)]
    if pushed is not None and value:
        push = Mutation("push", [*value, pushed])
        made = [push if m.name == "push" else m for m in made]
    made += [Mutation(f"other:{name}", other) for name, other in others.items()]
    return [m for m in made if m.value is GONE or m.value != value]


def _object(field: Field, value: Any) -> Made:
    yield Mutation("empty", {})
    if not field.is_map:
        yield Mutation("unknown", {**value, UNKNOWN_FIELD: "x"})
        return
    key, entry = min(value.items(), default=("a", "b"))
    yield Mutation("push", {**value, f"{key}x": entry})
    yield Mutation("pop", {k: v for k, v in value.items() if k != key})
    rest = {k: v for k, v in value.items() if k != key}
    for word, other in HOSTILE_KEYS.items():
        yield Mutation(f"key:{word}", {**rest, other: entry})


def _array(field: Field, value: Any) -> Made:
    if not value:
        return
    yield Mutation("empty", [])
    yield Mutation("pop", value[:-1])
    yield Mutation("push", [*value, another(field.schema, value)])
    yield Mutation("duplicate", [*value, copy.deepcopy(value[0])])


def another(schema: Mapping[str, Any], items: list[Any]) -> Any:
    """A copy of the last item with a key that no other has."""
    inner, last = schema["items"], copy.deepcopy(items[-1])
    if inner["type"] != "object":
        return _different(inner, last, items)
    keys = schema.get("x-kubernetes-list-map-keys") or [_telling(last)]
    key = keys[-1]
    taken = [item.get(key) for item in items]
    return {**last, key: _different(inner["properties"][key], last[key], taken)}


def _telling(item: Mapping[str, Any]) -> str:
    """What tells an item from others in a list without keys."""
    return next(key for key in ("name", "namespace", "path") if key in item)


def _different(schema: Mapping[str, Any], value: Any, taken: list[Any]) -> Any:
    if "enum" in schema:
        return next((v for v in schema["enum"] if v not in taken), _UNKNOWN_VALUE)
    return f"{value}x" if isinstance(value, str) else max(taken) + 1


def _string(field: Field, value: Any) -> Made:
    yield Mutation("empty", "")
    if "enum" in field.schema:
        for choice in (*field.schema["enum"], _UNKNOWN_VALUE):
            yield Mutation(f"enum:{choice}", choice)
        return
    yield Mutation("change", f"{value}x")
    for length, text in lengths(field.schema).items():
        yield Mutation(f"length:{length}", text)
    for word, text in hostile(field.schema).items():
        yield Mutation(f"hostile:{word}", text)


def _integer(field: Field, value: Any) -> Made:
    least, most = field.schema["minimum"], field.schema["maximum"]
    yield Mutation("min", least)
    yield Mutation("max", most)
    yield Mutation("below", least - 1)
    yield Mutation("above", most + 1)
    yield Mutation("increase", value + 1)
    yield Mutation("decrease", value - 1)
    yield Mutation("huge:2^31", 2**31)
    yield Mutation("huge:2^53", 2**53)


def _boolean(field: Field, value: Any) -> Made:
    yield Mutation("toggle", not value)


_BY_TYPE: Mapping[str, Callable[[Field, Any], Made]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "boolean": _boolean,
}
