"""Chapter 8: who may call whom in this very cluster, on a page that outlives the demo."""

from pathlib import Path

from demo.names import BILLING
from demo.screen import Screen
from demo.shell import Shell
from testbed.operator_process import REPOSITORY

PAGE = Path("build/graph.html")
GRAPH = ".venv/bin/agent-identity graph"
DRAWN = (
    "POST /v1/tasks on port 8080 (rule tasks)",
    "GET /v1/orders/{*} on port 8080 (rule read)",
    "not asked for",
)
ON_THE_PAGE = (
    *("AgentIdentity agents/planner", "AgentIdentity agents/reporter", f"AgentIdentity {BILLING}"),
    *("AgentAccessGrant shop/orders", "ServiceAccount web/frontend"),
)


def draw_the_graph(shell: Shell, screen: Screen) -> None:
    screen.say("What is around billing-agent, as Mermaid, which wikis and merge requests draw:")
    drawn = shell.run(f"{GRAPH} --identity {BILLING}")
    shell.expect(
        "it shows who may call it, what it may call, and what is granted in vain",
        holds=all(edge in drawn for edge in DRAWN),
    )
    screen.say(
        "And all of it as one page, which stays when the demo is over. Open it in a browser:"
    )
    shell.run(f"mkdir -p {PAGE.parent} && {GRAPH} --output html --file {PAGE}")
    page = (REPOSITORY / PAGE).read_text()
    shell.expect(
        f"agents, callers and the grant are in {PAGE}",
        holds=all(name in page for name in ON_THE_PAGE),
    )
