"""Which figures of the soak are beyond its bounds."""

import pytest

from faults.soak import (
    AT_REST,
    FIRST_TURNS,
    GIVE_UP_SECONDS,
    MEMORY_GROWTH,
    MOMENT_SECONDS,
    SETTLED_SECONDS,
    SILENT_SECONDS,
    SLOWER,
    STORM,
    TURN_SECONDS,
    Felt,
    verdict,
)

BROKEN = "and 3000 broken"
PACE = 60.0


def felt(*, slowest: float = 0.04, oldest: float = 0.0, mib: tuple[float, ...] = (87.0,)) -> Felt:
    memory = [(float(n), m) for n, m in enumerate(mib)]
    # Two of a hundred: one may be an accident of the machine.
    return Felt(seconds=[0.01] * 98 + [slowest] * 2, memory=memory, oldest=[0.0, oldest])


def phases(rest: Felt | None = None, **others: Felt) -> dict[str, Felt]:
    found = {AT_REST: rest or felt(), BROKEN: felt(), STORM: felt()}
    return found | {{"broken": BROKEN, "storm": STORM}[name]: one for name, one in others.items()}


def test_what_was_measured_of_a_good_operator_is_good() -> None:
    broken = felt(slowest=0.12, oldest=68.9, mib=(102, 106, 110, 114))
    storm = felt(slowest=0.11, oldest=5.7, mib=(122, 120, 118, 118))
    assert verdict(phases(broken=broken, storm=storm), PACE) == []


def test_memory_that_grows_is_told() -> None:
    """As it did when lists were taken in whole."""
    [line] = verdict(phases(storm=felt(mib=(122, 140, 150, 161))), PACE)
    assert "1.85 times the memory" in line


def test_it_is_the_end_that_counts_and_not_a_peak_on_the_way() -> None:
    peak = 87 * MEMORY_GROWTH + 50
    assert verdict(phases(storm=felt(mib=(peak, peak, peak, 118))), PACE) == []


def test_who_waits_ever_longer_is_told() -> None:
    [line] = verdict(phases(storm=felt(oldest=TURN_SECONDS + 1)), PACE)
    assert line.startswith(STORM)
    assert verdict(phases(broken=felt(oldest=TURN_SECONDS + 1)), PACE) == []
    [line] = verdict(phases(broken=felt(oldest=PACE * FIRST_TURNS + 1)), PACE)
    assert line.startswith(BROKEN)


@pytest.mark.parametrize("at_rest", [0.001, MOMENT_SECONDS, 0.2])
def test_a_bystander_that_feels_the_others_is_told(at_rest: float) -> None:
    limit = SLOWER * max(MOMENT_SECONDS, at_rest)
    rest = felt(slowest=at_rest)
    assert verdict(phases(rest, storm=felt(slowest=limit * 0.9)), PACE) == []
    [line] = verdict(phases(rest, storm=felt(slowest=limit * 1.1)), PACE)
    assert "bystander" in line


def test_a_process_that_answers_nobody_is_told() -> None:
    silent = felt()
    silent.silent = SILENT_SECONDS
    assert verdict(phases(storm=silent), PACE) == []
    silent.silent += 0.1
    [line] = verdict(phases(storm=silent), PACE)
    assert line == f"{STORM}: the process was silent for 2.6 s"


def test_a_phase_lasts_until_all_that_waits_has_had_its_turn() -> None:
    assert felt(oldest=SETTLED_SECONDS + 1).waits(200)
    assert not felt(oldest=SETTLED_SECONDS + 1).waits(GIVE_UP_SECONDS)
    assert not felt(oldest=SETTLED_SECONDS).waits(200)
    assert not Felt().waits(0), "before the first look"
