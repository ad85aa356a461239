"""A page of a whole company stays quick: what is shown is what was asked for, not the whole."""

from opened import Opened, Opener

from agent_identity.cli.graph import Edge, Graph, NodeKind, State, node_of
from agent_identity.cli.graph_page import as_page
from agent_identity.core.resource import Key

AGENTS, EDGES = 2_000, 10_000
# Of a machine that is busy with other tests; it takes about a tenth of it.
SLOW_MS = 1_000


def company() -> Graph:
    """Every agent has the same number of callers, but one has as many as there are agents."""
    nodes = [
        node_of(NodeKind.AGENT, Key(f"team-{n % 40}", f"agent-{n}"), account=f"agent-{n}")
        for n in range(AGENTS)
    ]
    ids = [node.id for node in nodes]
    calls = "POST /v1/tasks, /v1/tasks/{*} on port 8080"
    spread = [
        Edge(ids[n % AGENTS], ids[(n * 7 + 1) % AGENTS], f"rule r{n}", calls, State.IN_FORCE)
        for n in range(EDGES - AGENTS)
    ]
    to_one = [Edge(ids[0], other, "rule all", calls, State.IN_FORCE) for other in ids]
    return Graph("files", tuple(sorted(nodes)), tuple(sorted({*spread, *to_one})))


def milliseconds(opened: Opened, what: str) -> float:
    """From the start of something to when the browser has laid it out."""
    script = f"const begun = performance.now(); {what}; document.body.offsetHeight;"
    took: float = opened.page.evaluate(f"(() => {{ {script} return performance.now() - begun }})()")
    return took


def test_two_thousand_agents(opener: Opener) -> None:
    file = opener.directory / "page.html"
    file.write_text(as_page(company()))
    opened = opener.open(file)
    loaded = opened.page.evaluate("performance.getEntriesByType('navigation')[0].duration")
    assert loaded < 3 * SLOW_MS
    assert len(opened.found()) == 100
    assert "2,000 of 2,000; the first 100 are shown" in opened.page.locator("#count").inner_text()
    query = "query.value = 'agent-19'; query.dispatchEvent(new Event('input'))"
    assert milliseconds(opened, query) < SLOW_MS
    assert milliseconds(opened, "location.hash = '#team-0/agent-0'; show()") < SLOW_MS
    opened.tells_of("team-0/agent-0")


def test_a_long_list_is_shown_a_part_at_a_time(opener: Opener) -> None:
    file = opener.directory / "page.html"
    file.write_text(as_page(company()))
    opened = opener.open(file, "#team-0/agent-0")
    assert opened.page.locator("h3").first.inner_text() == "May call it (2,000)"
    assert len(opened.section("May call it")) == 100
    opened.page.get_by_role("button", name="Show more (1,900 left)").click()
    assert len(opened.section("May call it")) == 200
    assert opened.page.locator("svg rect").count() <= 17
    assert opened.page.evaluate("document.activeElement.tagName") == "A"
