"""The cases of stale and missing events that have found something; `make faults` runs all."""

import asyncio

import pytest

from faults.unseen.campaign import IDS, run

FOUND = (
    "stale/S1/again@acted",
    "stale/S1/again@whole",
    "stale/S2-awake/withdraw+grants-policy",
    "stale/S2-awake/caller-gone+policy",
    "unobserved/U3/binding-gone",
    "unobserved/U3/grants-policy-open",
    "vault/denied-role/delete",
    "vault/neighbour/two-addresses",
    "watch/error-500-ours/create",
    "watch/no-event-others/narrow",
)


@pytest.mark.timeout(600)
def test_what_was_found_stays_mended() -> None:
    missing = [case for case in FOUND if case not in IDS]
    assert not missing, "these are not there any more"
    tally = asyncio.run(run(print, only=FOUND))
    print("\n".join(tally.lines()))
    assert tally.good, "\n".join(tally.lines())
    assert sum(tally.ran.values()) == len(FOUND)
