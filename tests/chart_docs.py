"""`make generate`: the table of values in the chart's README, from the comments in values.yaml.

Every value must have a comment: one of its own, or one of the mapping that it is in.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[1] / "charts" / "agent-identity"
BEGIN, END = "<!-- generated: values -->", "<!-- end -->"
_KEY = re.compile(r"( *)([A-Za-z][A-Za-z0-9]*):( |$)")
_HEADING = "# ---"


@dataclass(frozen=True, slots=True)
class Value:
    """One row: where it is, what it is by default, and what its comment says."""

    path: str
    default: Any
    comment: str


def comments(text: str) -> dict[str, str]:
    """Path → the comment right above its key; keys without one are left out."""
    found: dict[str, str] = {}
    above: list[str] = []
    parents: list[tuple[int, str]] = []
    for line in text.splitlines():
        stripped = line.strip()
        key = _KEY.match(line)
        if key:
            depth = len(key[1])
            parents = [(d, name) for d, name in parents if d < depth] + [(depth, key[2])]
            if above:
                found[".".join(name for _, name in parents)] = " ".join(above)
        is_comment = stripped.startswith("#") and not stripped.startswith(_HEADING)
        above = [*above, stripped.lstrip("# ")] if is_comment else []
    return found


def values(text: str) -> list[Value]:
    """Every value, in the file's order; `comment` is empty where there is none."""
    return list(_walk(yaml.safe_load(text), "", comments(text)))


def _walk(tree: Mapping[str, Any], prefix: str, told: Mapping[str, str]) -> Iterator[Value]:
    for key, value in tree.items():
        path = prefix + key
        spelt_out = any(name.startswith(f"{path}.") for name in told)
        # Told of as a whole, or, where a comment or nothing is said inside, each for itself.
        if isinstance(value, Mapping) and value and (spelt_out or path not in told):
            yield from _walk(value, f"{path}.", told)
        else:
            yield Value(path, value, told.get(path, ""))


def table(rows: list[Value]) -> str:
    lines = ["| value | default | what it is |", "| --- | --- | --- |"]
    lines += [f"| `{v.path}` | `{json.dumps(v.default)}` | {_cell(v.comment)} |" for v in rows]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def with_table(readme: str, text_of_values: str) -> str:
    """The README with the table between its markers."""
    head, found, rest = readme.partition(BEGIN)
    if not found:
        raise ValueError(f"the chart's README has no {BEGIN}")
    return f"{head}{BEGIN}\n{table(values(text_of_values))}{END}{rest.partition(END)[2]}"


def main() -> None:
    """Write the table anew."""
    readme = CHART / "README.md"
    readme.write_text(with_table(readme.read_text(), (CHART / "values.yaml").read_text()))


if __name__ == "__main__":
    main()
