"""What the operator does about one sample identity, while all that can change for it changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.audit import Audit
from bench.operator_run import wait_quiet
from bench.recipe import Recipe, Recorder
from bench.workload import (
    CLASS,
    ROLE,
    SAMPLE,
    manifest,
    other_spec,
    settle,
    with_baseline,
    with_roles,
)
from testbed.bed import Bed
from testbed.operator_process import OperatorProcess
from testbed.tenant import Tenant
from testbed.waiting import wait_until

CREATE, CHANGE = "create", "change"
BASELINE, WITHDRAW, RESTORE = "baseline", "withdraw", "restore"
SECONDS = 30


@dataclass(frozen=True, slots=True)
class Phase:
    """act: what somebody does. done: whether the operator has done its part."""

    name: str
    act: Callable[[], object]
    done: Callable[[], bool]


def record(bed: Bed) -> Mapping[str, Recipe]:
    """A recipe for each phase; the operator is stopped at the end."""
    team = settle(bed)
    with bed.operator() as operator:
        operator.wait_ready()
        team.wait_ready(CLASS, of="AgentIdentityClass")
        return {phase.name: _recipe(bed, team, operator, phase) for phase in _phases(team)}


def _recipe(bed: Bed, team: Tenant, operator: OperatorProcess, phase: Phase) -> Recipe:
    wait_quiet(operator)
    mark = Audit(bed).mark()
    phase.act()
    wait_until(phase.done, timeout=SECONDS, what=f"the sample's {phase.name}")
    wait_quiet(operator)
    uid = (team.get("AgentIdentity", SAMPLE) or {})["metadata"]["uid"]
    return Recorder(bed, uid).recipe(mark)


def _phases(team: Tenant) -> tuple[Phase, ...]:
    def patch_class(patch: dict[str, object]) -> Callable[[], object]:
        return lambda: team.patch("AgentIdentityClass", CLASS, patch)

    def ready(status: str) -> Callable[[], bool]:
        return lambda: team.condition(SAMPLE).get("status") == status

    def change() -> object:
        return team.patch("AgentIdentity", SAMPLE, other_spec(0))

    def has_baseline() -> bool:
        policy = team.get("AuthorizationPolicy", f"agentidentity-{SAMPLE}") or {}
        return len(policy["spec"]["rules"]) == 2

    return (
        Phase(CREATE, lambda: team.create(manifest(SAMPLE)), ready("True")),
        Phase(CHANGE, change, ready("True")),
        Phase(BASELINE, patch_class(with_baseline()), has_baseline),
        Phase(WITHDRAW, patch_class(with_roles()), ready("False")),
        Phase(RESTORE, patch_class(with_roles(ROLE)), ready("True")),
    )
