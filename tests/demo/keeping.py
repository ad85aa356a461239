"""`--keep`: everything goes on running, for whoever wants to try things by hand."""

import threading

from demo.interrupts import Interrupted
from demo.screen import Screen
from demo.stage import Stage

# The operator's tokens live for an hour, and no kubelet renews them here.
RENEWAL_SECONDS = 1200


def keep_until_interrupted(stage: Stage, screen: Screen) -> None:
    """Being interrupted is the expected end of it."""
    screen.title("All of it keeps running; Ctrl-C stops and removes everything")
    screen.say("Paste this into another terminal, in this directory:")
    for line in stage.exports():
        screen.plain(line)
    screen.say("billing-agent comes back with the quickstart:")
    screen.plain("kubectl apply -f examples/quickstart/3-identities.yaml")
    screen.say("What the operator says:")
    screen.plain(f"tail -f {stage.log_file}")
    never = threading.Event()
    try:
        while not never.wait(RENEWAL_SECONDS):
            stage.renew_tokens()
    except Interrupted:
        return
