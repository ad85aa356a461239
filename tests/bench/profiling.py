"""Where the operator's own time goes."""

import io
import pstats
import shutil
from pathlib import Path

from bench.contender import profiled
from bench.creation import create_all
from bench.scene import Scene
from bench.workload import CLASS, settle

SHOWN = 30


def profile(scene: Scene, file: Path) -> str:
    """What took most while all identities were made, by what it called and by itself. file: to
    look closer, with `pstats` or any viewer of its format."""
    process = profiled(scene.bed)
    with process:
        team = settle(scene.bed)
        process.wait_ready()
        team.wait_ready(CLASS, of="AgentIdentityClass")
        creation = create_all(scene, process)
    shutil.copy(process.profile, file)
    used = f"{creation.seconds:.1f} s until all were Ready, under the profiler\n"
    return used + "\n".join(_shown(file, order) for order in ("cumulative", "tottime"))


def _shown(file: Path, order: str) -> str:
    text = io.StringIO()
    pstats.Stats(str(file), stream=text).sort_stats(order).print_stats(SHOWN)
    return text.getvalue()
