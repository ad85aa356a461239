"""What the mesh makes of calls, as `call` tells it."""

import re
from collections.abc import Mapping

from demo.shell import Shell
from testbed.workload_calls import Verdict

LET_IN, DENIED, CUT_OFF = Verdict.LET_IN.value, Verdict.DENIED.value, Verdict.CUT_OFF.value
# From the operator to istiod, and from there to Envoy.
PROPAGATION_SECONDS = 30


def expect_calls(
    shell: Shell, sentence: str, request: str, expected: Mapping[str, str], *, of: object
) -> str:
    """The table of one request by several callers; expected: a verdict for each. of: the pod."""
    line = f"call {of} {request} --as {' '.join(expected)}"
    table = shell.run_until(
        line, lambda r: _verdicts(r.text) == expected, timeout=PROPAGATION_SECONDS
    )
    shell.expect(sentence, holds=True)
    return table


def _verdicts(table: str) -> dict[str, str]:
    rows = (re.split(r"\s{2,}", line) for line in table.splitlines()[1:])
    return {caller: verdict for caller, _, verdict, *_ in rows}
