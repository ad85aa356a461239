"""When an operator has nothing left to do."""

import re

from testbed.operator_process import OperatorProcess
from testbed.waiting import wait_until

# An operator that has done nothing for so long is done.
QUIET_SECONDS = 1.0
GIVE_UP_SECONDS = 900
# Watches and the Lease go on.
IDLE_SHARE = 0.05
RECONCILED = re.compile(r'^agent_identity_reconciles_total{kind="identity".*} (.+)$', re.MULTILINE)


def reconciles(operator: OperatorProcess) -> float:
    """Of identities, since it was started."""
    return sum(float(value) for value in RECONCILED.findall(operator.metrics()))


def wait_quiet(operator: OperatorProcess) -> None:
    """Until nothing has been reconciled for QUIET_SECONDS."""
    counts = [-1.0]

    def quiet() -> bool:
        counts.append(reconciles(operator))
        return counts[-1] == counts[-2]

    wait_until(quiet, timeout=GIVE_UP_SECONDS, what="a quiet operator", interval=QUIET_SECONDS)


def wait_idle(operator: OperatorProcess) -> None:
    """Until it has used next to no processor for QUIET_SECONDS: any program, with or without
    metrics."""
    spent = [-1.0]

    def idle() -> bool:
        spent.append(operator.cpu_seconds())
        return spent[-1] - spent[-2] < IDLE_SHARE * QUIET_SECONDS

    wait_until(idle, timeout=GIVE_UP_SECONDS, what="an idle operator", interval=QUIET_SECONDS)
