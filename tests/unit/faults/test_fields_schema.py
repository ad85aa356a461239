"""Places of a schema, and where a body has them."""

import pytest

from faults.fields.schema import GONE, KINDS, fields_of, first_place, with_value

BODY = {
    "spec": {"rules": [{"name": "a"}, {"name": "b", "http": {"paths": ["/x"]}}], "on": {"k": "v"}}
}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("spec", "rules", "[]", "name"), ("spec", "rules", 0, "name")),
        (("spec", "rules", "[]", "http", "paths", "[]"), ("spec", "rules", 1, "http", "paths", 0)),
        (("spec", "on", "{}"), ("spec", "on", "k")),
        (("spec", "rules", "[]", "grpc"), None),
        (("spec", "on", "[]"), None),
    ],
)
def test_the_first_place_on_a_path(path: tuple[str, ...], place: object) -> None:
    assert first_place(BODY, path) == place


def test_a_value_is_changed_or_taken_away_in_a_copy() -> None:
    changed = with_value(BODY, ("spec", "rules", 1, "http"), GONE)
    assert changed["spec"]["rules"][1] == {"name": "b"}
    assert with_value(changed, ("spec", "rules", 0), GONE)["spec"]["rules"] == [{"name": "b"}]
    assert BODY["spec"]["rules"][1]["http"] == {"paths": ["/x"]}  # type: ignore[index]


@pytest.mark.parametrize("kind", KINDS)
def test_every_place_of_a_crd_is_seen(kind: str) -> None:
    shown = [str(f) for f in fields_of(kind)]
    assert shown[0] == "spec"
    assert len(shown) == len(set(shown))
    assert any(path.endswith("from[].kind") for path in shown)
    assert any("{}" in path for path in shown)
