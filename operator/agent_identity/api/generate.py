"""`make generate`: writes what is generated from the types, so that `make check-diff` can compare.

Run from the repository's root; not used by the running operator.
"""

from pathlib import Path

import yaml

from agent_identity.api import conditions, crd

ROOT = Path(__file__).parents[3]
CRDS = (ROOT / "crds", ROOT / "charts" / "agent-identity" / "files" / "crds")
HEAD = "# Generated from operator/agent_identity/api by `make generate`; never edited.\n"


def _table(header: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [f"| {header[0]} | {header[1]} |", "| --- | --- |"]
    return "\n".join(lines + [f"| `{a}` | {b} |" for a, b in rows]) + "\n"


def readme_tables() -> dict[str, str]:
    """Marker → table, as it stands between the marker's comments in README.md."""
    return {
        "conditions": _table(
            ("condition", "what it tells"), [(c.value, c.about) for c in conditions.ConditionType]
        ),
        "reasons": _table(
            ("reason", "what to do"), [(r.value, r.about) for r in conditions.Reason]
        ),
    }


def with_tables(text: str) -> str:
    """README text with each generated table put between its markers."""
    for name, table in readme_tables().items():
        begin, end = f"<!-- generated: {name} -->", "<!-- end -->"
        head, found, rest = text.partition(begin)
        if found:
            text = f"{head}{begin}\n{table}{end}{rest.partition(end)[2]}"
    return text


def main() -> None:
    """Write the CRDs, for kubectl and into the chart, and the README's tables."""
    for name, manifest in crd.custom_resource_definitions().items():
        text = HEAD + yaml.safe_dump(manifest, sort_keys=False, width=100)
        for folder in CRDS:
            (folder / name).write_text(text)
    readme = ROOT / "README.md"
    readme.write_text(with_tables(readme.read_text()))


if __name__ == "__main__":
    main()
