"""What is written as Mermaid and DOT goes through the real Mermaid and the real Graphviz, and comes
out as it was meant."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from npm_registry import Package, file_of
from playwright.sync_api import Browser, Page
from test_strangers import NAMES
from town import TOWN, written

from agent_identity.cli.graph import Edge, Graph, NodeKind, State, node_of
from agent_identity.cli.graph_formats import as_dot, as_mermaid
from agent_identity.core.resource import Key

MERMAID = Package(
    "mermaid",
    "11.17.2",
    "V6K3C8EBdEsPFZXSKMJe6ppQOENxuHARr9GvHX4hh47lAbhMRD9qf4oEK7LoaRQxULMa80/qt5gHO73aCleBBg==",
    ("mermaid.min.js",),
)
GRAPHVIZ = Package(
    "@viz-js/viz",
    "3.31.0",
    "r7zlQdRvcwvIpjHGgs+KNWHeE/P5/Dq7k8ZAKaMCbZqomxCBJV78gVuQYaHzFVca+kB0mX0fMW9UFevCOBG50A==",
    ("viz-global.js",),
)
WORST = (*NAMES, '%%{init: {"securityLevel": "loose"}}%%', "end", '"]; click a', "style:#a;", "\\")


def hostile() -> Graph:
    agents = tuple(sorted(node_of(NodeKind.AGENT, Key(name, name)) for name in WORST))
    ids = [agent.id for agent in agents]
    texts = [agent.name for agent in agents]
    edges = (
        Edge(one, other, text, text, State.IN_FORCE)
        for one, other, text in zip(ids, [*ids[1:], ids[0]], texts, strict=True)
    )
    return Graph("files", agents, tuple(sorted(edges)))


@pytest.fixture(scope="module")
def board(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """An empty page that has both programs; one of them wants it to have an address."""
    empty = tmp_path_factory.mktemp("board") / "empty.html"
    empty.write_text("<!doctype html><title>Board</title>")
    page = browser.new_page()
    page.goto(empty.as_uri())
    for package in (MERMAID, GRAPHVIZ):
        page.add_script_tag(content=file_of(package, report=print).read_text())
    yield page
    page.close()


def mermaid(board: Page, text: str) -> Any:
    """Labels that Mermaid drew, of nodes and groups and of edges."""
    return board.evaluate(
        """async (text) => {
          const { svg } = await mermaid.render("drawn", text);
          const holder = document.createElement("div");
          holder.innerHTML = svg;
          const texts = (of) => [...holder.querySelectorAll(of)].map((e) => e.textContent.trim());
          return { nodes: texts(".nodeLabel"), edges: texts(".edgeLabel .edgeLabel") };
        }""",
        text,
    )


def graphviz(board: Page, text: str) -> Any:
    """Titles and labels that Graphviz drew, of nodes, of groups and of edges."""
    return board.evaluate(
        """async (text) => {
          const drawn = (await Viz.instance()).renderSVGElement(text);
          const of = (what) => [...drawn.querySelectorAll(`g.${what}`)].map((one) => ({
            title: one.querySelector("title").textContent,
            label: [...one.querySelectorAll("text")].map((e) => e.textContent).join(""),
          }));
          return { nodes: of("node"), groups: of("cluster"), edges: of("edge") };
        }""",
        text,
    )


def test_mermaid_draws_the_town(board: Page, tmp_path: Path) -> None:
    found = mermaid(board, written(TOWN, tmp_path, "mermaid").read_text())
    assert {"billing-agent", "every agent of research", "anybody"} <= set(found["nodes"])
    assert "GET /metrics on port 8080 (class default's rule scrape)" in found["edges"]


def test_mermaid_takes_no_name_for_anything_else(board: Page) -> None:
    drawn = hostile()
    found = mermaid(board, as_mermaid(drawn))
    assert {spaced(n.name) for n in drawn.nodes} == {spaced(text) for text in found["nodes"]}
    assert len(found["edges"]) == len(drawn.edges)
    assert board.evaluate("window.pwned") is None


def spaced(text: str) -> str:
    """Space at either end and runs of it are no matter to a drawing."""
    return " ".join(text.split())


def test_graphviz_draws_the_town(board: Page, tmp_path: Path) -> None:
    found = graphviz(board, written(TOWN, tmp_path, "dot").read_text())
    drawn = {one["title"]: one["label"] for one in found["nodes"]}
    assert drawn["AgentIdentity agents/billing-agent"] == "billing-agent"
    assert drawn["Anybody"] == "anybody"
    assert "cluster_research" in {one["title"] for one in found["groups"]}


def test_graphviz_takes_no_name_for_anything_else(board: Page) -> None:
    drawn = hostile()
    found = graphviz(board, as_dot(drawn))
    names = {spaced(node.name) for node in drawn.nodes}
    assert {spaced(one["label"]) for one in found["nodes"]} == names
    assert {spaced(one["label"]) for one in found["groups"]} == names
    assert {spaced(one["label"]) for one in found["edges"]} == {f"{n} ({n})" for n in names}
    assert board.evaluate("window.pwned") is None
