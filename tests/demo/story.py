"""The story in its order; each chapter stands on what the one before left."""

from demo.beginning import apply_quickstart, show_what_was_made
from demo.damage import do_damage
from demo.ending import delete_agent, make_mistake
from demo.logins import use_tokens
from demo.screen import Screen
from demo.shell import Shell
from demo.stage import RESYNC_SECONDS

CHAPTERS = (
    ("1. The platform team sets ceilings, the agent team asks", apply_quickstart),
    ("2. What billing-agent got for it", show_what_was_made),
    ("3. billing-agent reads its secret, and nobody else does", use_tokens),
    ("4. Somebody opens billing-agent to everybody, and deletes its Vault role", do_damage),
    ("5. An agent asks for more than its class lists", make_mistake),
    ("6. billing-agent is deleted", delete_agent),
)


def tell(shell: Shell, screen: Screen) -> None:
    """Raises ExpectationError as soon as something is not as it should be."""
    screen.say("Kubernetes and OpenBao are the real programs. Pods do not run here, and no mesh:")
    screen.say("Istio's policies are written as for a mesh, and nothing here enforces them.")
    screen.say("OpenBao can't be watched, so the operator looks at everything in it once a period:")
    screen.say(f"{RESYNC_SECONDS} s here, so that nobody needs to wait; 600 s unless it is set.")
    for title, chapter in CHAPTERS:
        screen.title(title)
        chapter(shell, screen)
