"""What `graph` writes is what was meant, whatever the names are: no name ends its quotes."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sets import Program, agent_class, full, identity, namespace, whole

from agent_identity.cli.graph import Edge, Graph, NodeKind, State, node_of
from agent_identity.cli.graph_formats import as_dot, as_mermaid, as_values
from agent_identity.cli.graph_page import as_page
from agent_identity.core.resource import Key

FRAGMENTS = (
    *('"', "'", "\\", "`", "<", ">", "&", "&lt;", "&#60;", "#quot;", "#35;", ";", "|", "%%", "\n"),
    *("</script>", "<!--", "<script>", "]]>", "\u2028", "\u2029", "\ud800", "\x00", "\x1b[31m"),
    *('%%{init: {"securityLevel": "loose"}}%%', "end", "click", "subgraph", "-->", "style:#a;"),
    *("javascript:alert(1)", "{{ data }}", "{{ script }}", "\\N", "\\G", '\\"', "//", "/*", "*/"),
    *("ﬂ°°60¶ß", "__proto__", "constructor", "\u202e", "é", "🦉"),
)
hostile = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=4), max_size=5).map("".join)


def graph_of(namespace: str, name: str, note: str) -> Graph:
    """Every text of a graph is one of these."""
    agents = tuple(
        node_of(kind, Key(namespace, name), trouble=note, account=name, agent_class=note)
        for kind in NodeKind
    )
    ends = (agents[0].id, agents[1].id)
    told = node_of(NodeKind.AGENT, Key(note, note)).name
    edges = tuple(Edge(*ends, told, told, state, told) for state in State)
    return Graph("files", agents, edges, (told,))


graphs = st.builds(graph_of, hostile, hostile, hostile)
worst = example(graph_of("".join(FRAGMENTS), "".join(FRAGMENTS), "".join(FRAGMENTS)))

# --- Mermaid

_KEPT = r"[A-Za-z0-9 ./_,*(){}|\-]|#[0-9]+;"
_TEXT = rf'"(?:{_KEPT})*"'
_ID = r"[a-z]+_[a-z0-9_]*"
_SHAPE = rf"(?:\({_TEXT}\)|\[\[{_TEXT}\]\]|\[{_TEXT}\]|\{{\{{{_TEXT}\}}\}}|\(\({_TEXT}\)\))"
_LINES = (
    r"flowchart LR",
    rf"%% (?:{_KEPT})*",
    rf"  subgraph ns_[0-9a-f]{{8}}\[{_TEXT}\]",
    rf"  (?:  )?{_ID}{_SHAPE}",
    r"  end",
    rf"  {_ID} -(?:-|\.-)>\|{_TEXT}\| {_ID}",
)
MERMAID_LINE = re.compile("|".join(f"(?:{line})" for line in _LINES))


@given(graphs)
@worst
def test_mermaid_is_nothing_but_what_was_meant(drawn: Graph) -> None:
    lines = as_mermaid(drawn).split("\n")
    assert lines.pop() == ""
    for line in lines:
        assert MERMAID_LINE.fullmatch(line), line
    nested = 2 if drawn.nodes[0].namespace else 0
    assert len(lines) == 2 + nested + len(drawn.nodes) + len(drawn.edges)


def test_two_names_that_look_alike_are_two_nodes() -> None:
    twins = [node_of(NodeKind.AGENT, Key("a", name)) for name in ("b-c", "b_c", "b.c")]
    drawn = Graph("files", tuple(twins), ())
    assert len(set(re.findall(r"ai_a_b_c_[0-9a-f]{8}", as_mermaid(drawn)))) == 3


# --- Graphviz

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BESIDE_QUOTES = re.compile(
    r"digraph agents \{|rankdir=LR;|subgraph Q \{|label=Q;|\}"
    r"|Q \[label=Q, shape=(?:box(?:, style=rounded)?|box3d|hexagon|circle)\];"
    r"|Q -> Q \[label=Q, style=(?:solid|dashed)\];"
)


def unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL).replace("&amp;", "&")


@given(graphs)
@worst
def test_dot_is_nothing_but_what_was_meant(drawn: Graph) -> None:
    lines = [line for line in as_dot(drawn).split("\n") if not line.startswith("  // ")]
    assert lines.pop() == ""
    for line in lines:
        assert _BESIDE_QUOTES.fullmatch(_QUOTED.sub("Q", line).lstrip()), line
    texts = {unquoted(t) for line in lines for t in _QUOTED.findall(line)}
    assert {node.id for node in drawn.nodes} <= texts


# --- JSON and the page


@given(graphs)
@worst
def test_json_holds_the_names_as_they_are_told(drawn: Graph) -> None:
    text = json.dumps(as_values(drawn))
    assert text.isascii()
    assert [n["id"] for n in json.loads(text)["nodes"]] == [n.id for n in drawn.nodes]


class Elements(HTMLParser):
    """Tags in their order, and the texts within scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self._in_raw = False
        self.raw: list[str] = []
        self.policy = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._in_raw = tag in ("script", "style")
        self.raw += [""] if self._in_raw else []
        given = dict(attrs)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        self._in_raw = False

    def handle_data(self, data: str) -> None:
        if self._in_raw:
            self.raw[-1] += data


EMPTY = Elements(as_page(Graph("files", (), ())))


@given(graphs)
@worst
def test_the_page_has_the_same_elements_whatever_the_names(drawn: Graph) -> None:
    page = as_page(drawn)
    found = Elements(page)
    assert found.tags == EMPTY.tags
    style, data, script = found.raw
    assert json.loads(data) == json.loads(json.dumps(as_values(drawn)))
    assert data.isascii()
    assert not set(data) & set("<>&")
    assert [style, script] == [EMPTY.raw[0], EMPTY.raw[2]]
    assert found.policy == EMPTY.policy


def test_the_policy_lets_in_what_the_page_brings_and_nothing_else() -> None:
    style, _, script = EMPTY.raw
    rules = dict(rule.split(" ", 1) for rule in EMPTY.policy.split("; "))
    assert rules == {
        "default-src": "'none'",
        "script-src": hashed(script),
        "style-src": hashed(style),
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_page_names_nothing_outside_itself() -> None:
    page = as_page(Graph("files", (), ()))
    # The name of a namespace of XML, which nobody asks for.
    assert set(re.findall(r"\w+://[^\"'\s]+", page)) <= {"http://www.w3.org/2000/svg"}
    for word in (
        " src=",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "eval(",
        "document.write",
    ):
        assert word not in page


# --- as a whole


@pytest.mark.parametrize(("form", "suffix"), [("mermaid", "mmd"), ("dot", "dot"), ("json", "json")])
def test_the_texts_stay_the_same(program: Program, golden: Any, form: str, suffix: str) -> None:
    gateway = {"kind": "ServiceAccount", "namespace": "web", "name": "gateway"}
    agent = full()
    agent["spec"]["inbound"]["rules"][0]["from"].append(gateway)
    manifests = [agent_class(), namespace(), identity("planner"), agent]
    code, out, _ = program("graph", program.file("all.yaml", manifests), "--output", form)
    assert code == 0
    golden(f"graph.{suffix}", out)


def test_mermaid_that_would_not_be_drawn_is_told(program: Program) -> None:
    callers = [{"kind": "ServiceAccount", "namespace": "w", "name": f"a{n}"} for n in range(60)]
    rule = full()["spec"]["inbound"]["rules"][0]
    rules = [rule | {"name": f"r{n}", "from": callers} for n in range(10)]
    agent = full(inbound={"enforcement": "Enforce", "rules": rules})
    file = program.file("all.yaml", [*whole()[:3], agent])
    assert "600 edges, and Mermaid draws 500" in program("graph", file)[2]
    assert program("graph", file, "-o", "html")[2] == ""


def test_to_a_file(program: Program, tmp_path: Path) -> None:
    file = program.file("all.yaml", whole())
    target = tmp_path / "graph.html"
    code, out, err = program("graph", file, "-o", "html", "--file", str(target))
    assert (code, out, err) == (0, "", "")
    assert target.read_text() == program("graph", file, "-o", "html")[1]
