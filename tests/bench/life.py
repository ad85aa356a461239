"""A contender's life on one bed: identities come, some change, it restarts, all change, they go."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bench.class_changes import change_class
from bench.contender import Contender
from bench.creation import Creation, create_all
from bench.deletion import delete_some
from bench.restart import Rest, Restart, restart, stay
from bench.scene import Scene, Took
from bench.single_changes import Changes, change_some
from bench.stages import Stage
from bench.workload import CLASS, SAMPLE, manifest, settle
from testbed.operator_process import OperatorProcess

T = TypeVar("T")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Life:
    """None for what was not measured. of_class: phase → until all had it."""

    count: int
    creation: Creation
    changes: Changes | None
    restart: Restart | None
    rest: Rest | None
    of_class: Mapping[str, Took]
    deletion: Took | None


@dataclass(frozen=True, slots=True)
class Course:
    """What one contender has to do on one bed. how_many: single changes."""

    scene: Scene
    contender: Contender
    stages: Collection[Stage]
    how_many: int
    say: Say

    def run(self) -> Life:
        """Raises TimeoutError past the scene's limit."""
        scene, contender = self.scene, self.contender
        with contender.make(scene.bed) as first:
            self._settle(first)
            creation = self._measure(Stage.COLD, lambda: create_all(scene, first))
            assert creation is not None
            changes = self._measure(Stage.CHANGE, lambda: change_some(scene, first, self.how_many))
        again = self._measure(Stage.RESTART, lambda: restart(scene, contender))
        rest = self._measure(Stage.REST, lambda: stay(scene, contender))
        of_class = self._measure(Stage.CLASS, lambda: self._anew(change_class)) or {}
        deletion = self._measure(Stage.DELETE, lambda: self._anew(delete_some))
        return Life(scene.count, creation, changes, again, rest, of_class, deletion)

    def _anew(self, measure: Callable[[Scene, OperatorProcess], T]) -> T:
        """By a process that has nothing left to say of what was measured before."""
        with self.contender.make(self.scene.bed) as process:
            process.wait_ready()
            return measure(self.scene, process)

    def _settle(self, operator: OperatorProcess) -> None:
        """One sample first, so that discovery, logins and caches are warm."""
        team = settle(self.scene.bed)
        operator.wait_ready()
        team.wait_ready(CLASS, of="AgentIdentityClass")
        team.create(manifest(SAMPLE))
        team.wait_ready(SAMPLE)

    def _measure(self, stage: Stage, measure: Callable[[], T]) -> T | None:
        if stage not in self.stages or stage not in self.contender.does:
            return None
        self.say(f"{self.contender.name}, {self.scene.count:,} identities: {stage}")
        return measure()
