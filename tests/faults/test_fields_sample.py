"""Some of the campaign over every field of every kind; `make faults` runs all of it."""

from pathlib import Path

import pytest

from faults.fields.campaign import run
from faults.fields.ground import VALUES
from testbed.bed import Bed

COUNT = 40


@pytest.mark.timeout(600)
def test_some_fields_of_every_kind(tmp_path: Path) -> None:
    with Bed(tmp_path, values=VALUES) as bed:
        results = run(bed, sample=COUNT)
    told = [f"{o.id}: {'; '.join(o.failures)}" for o in results.failed] + results.general
    assert not told, "\n".join(told)
    assert len(results.outcomes) == COUNT
