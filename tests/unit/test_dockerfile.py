"""The image as it is written. tests/cluster/test_image.py runs its steps."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()


def instructions(text: str) -> list[tuple[str, str]]:
    """(instruction, rest), continued lines joined and comments gone."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    words = (line.split(None, 1) for line in joined.splitlines() if line.strip())
    return [(word, " ".join(rest.split())) for word, rest in words]


def stages() -> list[list[tuple[str, str]]]:
    """What comes after each FROM, that included."""
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions(TEXT):
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found


BUILD, FINAL = stages()


def of(stage: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for w, rest in stage if w == word]


def test_both_stages_have_one_base_of_an_exact_version() -> None:
    [base] = [rest for word, rest in instructions(TEXT)[:1] if word == "ARG"]
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.11\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", base)
    assert of(BUILD, "FROM") == ["${PYTHON_IMAGE} AS build"]
    assert of(FINAL, "FROM") == ["${PYTHON_IMAGE}"]


def test_dependencies_come_from_the_lock_file_with_hashes_and_nothing_else() -> None:
    [locked] = [run for run in of(BUILD, "RUN") if "requirements.lock" in run]
    assert "--require-hashes" in locked
    assert "--only-binary :all:" in locked
    [own] = [run for run in of(BUILD, "RUN") if run.endswith(" agent-identity-operator")]
    assert "--no-deps" in own
    assert "--no-index" in own


def test_the_final_stage_has_what_runs_and_nothing_that_installs() -> None:
    assert of(FINAL, "COPY") == ["--from=build /venv /venv"]
    [run] = of(FINAL, "RUN")
    assert run.startswith("pip uninstall --yes pip")
    assert "ensurepip" in run
    assert any("--without-pip" in run for run in of(BUILD, "RUN"))


def test_it_starts_without_a_shell_and_not_as_root() -> None:
    assert of(FINAL, "ENTRYPOINT") == ['["agent-identity-operator"]']
    [user] = of(FINAL, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    values = (ROOT / "charts" / "agent-identity" / "values.yaml").read_text()
    assert f"runAsUser: {user.partition(':')[0]}\n" in values
    [variables] = of(FINAL, "ENV")
    assert variables.startswith("PATH=/venv/bin:")


def test_it_has_the_version_of_the_chart() -> None:
    chart = (ROOT / "charts" / "agent-identity" / "Chart.yaml").read_text()
    [version] = re.findall(r"^appVersion: (.+)$", chart, re.MULTILINE)
    assert f"VERSION={version}" in of(FINAL, "ARG")


def test_the_labels_say_what_it_is() -> None:
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", *of(FINAL, "LABEL")))
    assert labels >= {"title", "description", "licenses", "version", "revision"}


def test_nothing_gets_into_the_build_but_what_it_copies() -> None:
    assert "*" in IGNORED
    let_in = {line[1:] for line in IGNORED if line.startswith("!")}
    copied = {name for rest in of(BUILD, "COPY") for name in rest.split()[:-1]}
    assert let_in == copied
    assert all((ROOT / name).exists() for name in copied)
