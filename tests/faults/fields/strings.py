"""Strings to put where a schema wants one: of a certain length, and such as mean more than they
should somewhere on their way."""

import re
from collections.abc import Mapping
from typing import Any

from cluster.hostile_specs import (
    NO_ADDRESSES,
    NO_ANNOTATION_KEYS,
    NO_CLUSTER_ROLES,
    NO_GRPC_METHODS,
    NO_LABELS,
    NO_MOUNTS,
    NO_PATHS,
    NO_SERVICES,
    NO_VAULT_PATHS,
)

Schema = Mapping[str, Any]
LENGTHS = (1, 63, 64, 253, 254)
_LONGEST_LABEL = 63
_NO_LIMIT = 1024
_SCHEME = "https://"
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
WORDS = ("upper", "dots", "percent", "star", "plus", "slash-last", "cyrillic")
_COMMON = NO_LABELS | {"slash-last": "agent/"}
# By something that a field of the kind takes and fields of kinds further down don't.
_TABLES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("/{*}", NO_PATHS | {"upper": "/A", "slash-last": "/a/"}),
    ("kv/{namespace}", NO_VAULT_PATHS | {"slash-last": "kv/"}),
    ("https://a", NO_ADDRESSES | {"upper": "https://A"}),
    ("*", NO_GRPC_METHODS | {"star": "*"}),
    ("A/b_c/d", NO_MOUNTS),
    ("a.example/b", NO_ANNOTATION_KEYS),
    ("a:b", NO_CLUSTER_ROLES),
    ("a_b.c_d", NO_SERVICES),
)


HOSTILE_KEYS = {word: NO_ANNOTATION_KEYS.get(word, _COMMON[word]) for word in WORDS}
"""For maps, whose keys no schema says anything about."""


def takes(schema: Schema, text: str) -> bool:
    """Whether a string has the form that a schema wants, whatever its length."""
    return re.search(schema.get("pattern", ""), text) is not None


def of_length(schema: Schema, length: int) -> str:
    """So many characters, of the right form where there is one."""
    shapes = (shape(length) for shape in _SHAPES)
    return next((s for s in shapes if len(s) == length and takes(schema, s)), "a" * length)


def lengths(schema: Schema) -> dict[int, str]:
    """The lengths at which something may end, and one too long."""
    longest = schema.get("maxLength", _NO_LIMIT)
    return {n: of_length(schema, n) for n in sorted({*LENGTHS, longest, longest + 1})}


def hostile(schema: Schema) -> dict[str, str]:
    """Word → what it is in a field of this form."""
    table = next((table for sample, table in _TABLES if takes(schema, sample)), _COMMON)
    return {word: table.get(word, _COMMON[word]) for word in WORDS}


def _plain(length: int) -> str:
    return "a" * length


def _path(length: int) -> str:
    return "/" + "a" * (length - 1)


def _host(length: int) -> str:
    left = length - len(_SCHEME)
    labels, rest = divmod(max(left, 0), _LONGEST_LABEL + 1)
    return _SCHEME + ("a" * _LONGEST_LABEL + ".") * labels + "a" * rest


def _prefixed(length: int) -> str:
    name = min(_LONGEST_LABEL, max(length - 2, 0))
    return "a" * (length - name - 1) + "/" + "a" * name


def _certificate(length: int) -> str:
    return _BEGIN + "a" * (length - len(_BEGIN) - len(_END)) + _END


_SHAPES = (_plain, _path, _host, _prefixed, _certificate)
