"""What is done to a value of each type."""

import pytest

from faults.fields.mutators import mutations
from faults.fields.schema import GONE, Field
from faults.fields.strings import WORDS, hostile, lengths, of_length, takes

LABEL = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
PATH = {"type": "string", "pattern": "^(/[a-zA-Z]+|/[{][*][}])+$", "maxLength": 256}
HTTPS = {"type": "string", "pattern": r"^https://[a-z0-9]{1,63}(\.[a-z0-9]{1,63})*$"}


def made(schema: dict[str, object], value: object, **more: object) -> dict[str, object]:
    found = mutations(Field("AgentIdentity", ("spec", "x"), schema), value, {}, **more)
    return {m.name: m.value for m in found}


def test_an_integer() -> None:
    found = made({"type": "integer", "minimum": 1, "maximum": 9}, 5)
    numbers = {"min": 1, "max": 9, "below": 0, "above": 10, "increase": 6, "decrease": 4}
    assert found == {"delete": GONE, **numbers, "huge:2^31": 2**31, "huge:2^53": 2**53}


def test_what_would_change_nothing_is_left_out() -> None:
    assert "min" not in made({"type": "integer", "minimum": 1, "maximum": 9}, 1)
    assert "enum:A" not in made({"type": "string", "enum": ["A", "B"]}, "A")


def test_a_boolean() -> None:
    assert made({"type": "boolean"}, value=True) == {"delete": GONE, "toggle": False}


def test_an_enum_gets_each_value_and_an_unknown_one() -> None:
    found = made({"type": "string", "enum": ["A", "B"]}, "A")
    assert found == {"delete": GONE, "empty": "", "enum:B": "B", "enum:Unknown": "Unknown"}


def test_a_list_of_a_map_kind() -> None:
    item = {"type": "object", "properties": {"name": {"type": "string"}}}
    schema = {"type": "array", "items": item, "x-kubernetes-list-map-keys": ["name"]}
    found = made(schema, [{"name": "a", "b": 1}])
    assert found["pop"] == []
    assert found["push"] == [{"name": "a", "b": 1}, {"name": "ax", "b": 1}]
    assert found["duplicate"] == [{"name": "a", "b": 1}] * 2
    # To pop the only item is to empty the list, and both are kept: what is applicable is counted.
    assert found["empty"] == []


@pytest.mark.parametrize(
    ("item", "value", "pushed"),
    [
        ({"type": "integer"}, [3, 1], [3, 1, 4]),
        ({"type": "string"}, ["a"], ["a", "ax"]),
        ({"type": "string", "enum": ["GET", "PUT"]}, ["GET"], ["GET", "PUT"]),
    ],
)
def test_what_comes_into_a_list(item: object, value: list[object], pushed: object) -> None:
    assert made({"type": "array", "items": item}, value)["push"] == pushed
    assert made({"type": "array", "items": item}, value, pushed="other")["push"] == [
        *value,
        "other",
    ]


def test_an_object_and_a_map() -> None:
    assert made({"type": "object"}, {"a": 1}) == {
        "delete": GONE,
        "empty": {},
        "unknown": {"a": 1, "misspelt": "x"},
    }
    found = made({"type": "object", "additionalProperties": {"type": "string"}}, {"a": "1"})
    assert found["push"] == {"a": "1", "ax": "1"}
    assert found["pop"] == {}
    assert {name for name in found if name.startswith("key:")} == {f"key:{w}" for w in WORDS}


@pytest.mark.parametrize("schema", [LABEL, PATH, HTTPS])
@pytest.mark.parametrize("length", [9, 63, 64, 253, 254])
def test_a_string_of_a_length_has_the_right_form(schema: dict[str, object], length: int) -> None:
    text = of_length(schema, length)
    assert len(text) == length
    assert takes(schema, text)


def test_lengths_go_to_the_limit_and_over_it() -> None:
    assert set(lengths(LABEL)) == {1, 63, 64, 253, 254}
    assert {256, 257} < set(lengths(PATH))


def test_hostile_words_are_those_of_the_field() -> None:
    assert hostile(LABEL)["dots"] == ".."
    assert hostile(PATH)["dots"] == "/a/../b"
    assert hostile(PATH)["slash-last"] == "/a/"
    assert all(set(hostile(schema)) == set(WORDS) for schema in (LABEL, PATH, HTTPS))
