"""Every place has a seed, every case an id of its own, and samples are always the same."""

import pytest

from faults.fields.cases import Case, all_cases, lacking, sampled, shuffled
from faults.fields.jobs import series, series_of
from faults.fields.schema import KINDS, fields_of
from faults.fields.seeds import SCENE, SEEDS, filled
from faults.fields.silent import SILENT


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return all_cases()


@pytest.mark.parametrize("kind", KINDS)
def test_every_place_has_a_value_in_a_seed(kind: str) -> None:
    assert [str(field) for field in lacking(kind)] == []


def test_every_place_is_changed(cases: list[Case]) -> None:
    changed = {(case.kind, case.field) for case in cases}
    assert changed == {(kind, str(field)) for kind in KINDS for field in fields_of(kind)}


def test_every_case_has_an_id_of_its_own_and_changes_its_seed(cases: list[Case]) -> None:
    assert len({case.id for case in cases}) == len(cases)
    assert [case.id for case in cases if case.body == case.seed.spec] == []
    assert "fields/AgentIdentity/spec.inbound.rules[].ports/empty" in {case.id for case in cases}


def test_a_sample_is_spread_evenly(cases: list[Case]) -> None:
    some = sampled(cases, 30)
    assert len(some) == 30
    assert {case.kind for case in some} == set(KINDS)
    assert some == sampled(all_cases(), 30)
    assert sampled(cases, None) == cases


def test_an_order_is_always_the_same(cases: list[Case]) -> None:
    assert [c.id for c in shuffled(cases)] == [c.id for c in shuffled(reversed(cases))]


def test_a_series_is_the_same_by_its_id() -> None:
    for job in series(2 * len(SEEDS)):
        again = series_of(job.id)
        assert again is not None
        assert (again.id, again.wanted, again.hurried) == (job.id, job.wanted, job.hurried)
        spec = job.seed.spec
        assert [step(spec) for step in again.steps] == [step(spec) for step in job.steps]
    assert series_of("fields/AgentIdentity/spec/delete") is None


def test_no_reason_for_silence_is_left_over(cases: list[Case]) -> None:
    """Each is about some case, and about a field that there is."""
    for silent in SILENT:
        about = {field: Case("x", "", "", "", SEEDS[0], {}) for field in silent.fields}
        assert any(silent.covers(case) for case in cases), silent
        for field in about:
            ends = (f" {field}", f".{field}")
            assert any(f" {c.kind} {c.field}".endswith(ends) for c in cases), field


def test_words_are_filled_in_everywhere() -> None:
    template = {SCENE: [f"{SCENE}-shop", 1, {"a": SCENE}]}
    assert filled(template, {SCENE: "w1"}) == {"w1": ["w1-shop", 1, {"a": "w1"}]}
