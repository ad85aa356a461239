"""`--keep`: everything goes on running, for whoever wants to try things by hand."""

import threading

from demo.interrupts import Interrupted
from demo.names import (
    ADD_TASK,
    APPLY_GRANT,
    APPLY_IDENTITIES,
    BILLING,
    BILLING_POD,
    FRONTEND,
    ORDERS_POD,
    PLANNER,
    READ_ORDER,
)
from demo.screen import Screen
from demo.shell import Shell
from demo.stage import Stage

# The operator's tokens live for an hour, and no kubelet renews them here.
RENEWAL_SECONDS = 1200


def bring_back(shell: Shell, screen: Screen, stage: Stage) -> None:
    """What the story took away in its last chapters."""
    screen.title("billing-agent and the grant come back")
    shell.run(APPLY_IDENTITIES)
    shell.run(APPLY_GRANT)
    ready = "kubectl wait --for=condition=Ready --timeout=60s"
    shell.run(f"{ready} agentidentity billing-agent -n agents")
    shell.run(f"{ready} agentaccessgrant orders -n shop")
    stage.run(BILLING_POD)


def keep_until_interrupted(stage: Stage, screen: Screen) -> None:
    """Being interrupted is the expected end of it."""
    screen.title("All of it keeps running; Ctrl-C stops and removes everything")
    screen.say("Paste this into another terminal, in this directory:")
    for line in stage.exports():
        screen.plain(line)
    screen.say("Calls over the mesh, which you can allow and refuse by manifests:")
    screen.plain(f"call {BILLING_POD} {ADD_TASK} --as {PLANNER} plaintext")
    screen.plain(f"call {ORDERS_POD} {READ_ORDER} --as {BILLING} {FRONTEND} {PLANNER}")
    screen.say(
        "You are system:masters, whom the guards exempt here; as shipped they exempt nobody."
    )
    screen.say("What the operator says:")
    screen.plain(f"tail -f {stage.log_file}")
    never = threading.Event()
    try:
        while not never.wait(RENEWAL_SECONDS):
            stage.renew_tokens()
    except Interrupted:
        return
