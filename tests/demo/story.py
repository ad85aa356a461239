"""The story in its order; each chapter stands on what the one before left."""

from collections.abc import Callable
from functools import partial

from demo.beginning import apply_quickstart, show_what_was_made
from demo.calling import call_the_agent
from demo.damage import do_damage
from demo.drawing import draw_the_graph
from demo.ending import delete_agent, delete_grant, make_mistake
from demo.granting import grant_and_ask
from demo.logins import use_tokens
from demo.screen import Screen
from demo.shell import Shell
from demo.stage import RESYNC_SECONDS, Stage

Chapter = Callable[[Shell, Screen], None]


def tell(shell: Shell, screen: Screen, stage: Stage) -> None:
    """Raises ExpectationError as soon as something is not as it should be."""
    _say_what_is_real(screen)
    for number, (title, chapter) in enumerate(_chapters(stage), start=1):
        screen.title(f"{number}. {title}")
        chapter(shell, screen)


def _say_what_is_real(screen: Screen) -> None:
    screen.say(
        "Kubernetes, OpenBao, istiod, Istio's sidecar agent and Envoy are the real programs."
    )
    screen.say("There is no node: the demo makes a Pod object and starts a sidecar for it. Nothing")
    screen.say("redirects connections, so whoever calls a pod calls the port of its Envoy.")
    screen.say("OpenBao can't be watched, so the operator looks at everything in it once a period:")
    screen.say(f"{RESYNC_SECONDS} s here, so that nobody needs to wait; 600 s unless it is set.")


def _chapters(stage: Stage) -> tuple[tuple[str, Chapter], ...]:
    return (
        ("The platform team sets ceilings, the agent team asks", apply_quickstart),
        ("What billing-agent got for it", show_what_was_made),
        ("Who may call billing-agent", partial(call_the_agent, stage=stage)),
        ("The service's owner grants, the agent asks", partial(grant_and_ask, stage=stage)),
        ("billing-agent reads its secret, and nobody else does", use_tokens),
        ("Somebody opens billing-agent to everybody, and deletes its Vault role", do_damage),
        ("An agent asks for more than its class lists", make_mistake),
        ("Who may call whom, on one page", draw_the_graph),
        ("billing-agent is deleted", partial(delete_agent, stage=stage)),
        ("The grant is deleted", delete_grant),
    )
