"""Which lines of the operator's log tell of a bug of its own."""

import json
from pathlib import Path

from faults.bugs import bugs_in, logged_bugs

BUG = {
    "level": "error",
    "message": "this is a bug",
    "kind": "identity",
    "namespace": "w00001",
    "name": "agent",
    "exception": "Traceback (most recent call last):\n...\nKeyError: 'spec'",
}


def log(*lines: dict[str, str]) -> list[str]:
    return [json.dumps(line) + "\n" for line in lines]


def test_a_bug_is_told_once_with_whose_it_is() -> None:
    [line] = bugs_in(log(BUG, BUG | {"time": "later"}))
    assert "identity/w00001/agent" in line
    assert "KeyError" in line


def test_another_ones_is_told_too() -> None:
    assert len(bugs_in(log(BUG, BUG | {"name": "planner"}))) == 2


def test_one_whose_line_is_cut_off_is_told_too() -> None:
    assert bugs_in([log(BUG)[0][:60]])


def test_what_else_is_logged_is_none() -> None:
    usual = log({"message": "to be tried again: no answer", "level": "warning"})
    assert bugs_in([*usual, "Killed\n", "\n"]) == []


def test_of_several_operators_each_log_is_read(tmp_path: Path) -> None:
    files = [tmp_path / "one.log", tmp_path / "other.log"]
    files[0].write_text("".join(log({"message": "starts"}, BUG)))
    files[1].write_text("".join(log(BUG | {"kind": "grant"})))
    assert len(logged_bugs(*files)) == 2
