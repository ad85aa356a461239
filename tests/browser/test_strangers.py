"""Names of a stranger's pull request are shown as they are, and do nothing."""

from pathlib import Path
from typing import Any

import pytest
from opened import Opener
from playwright.sync_api import expect
from town import identity, written

from agent_identity.cli.graph import Edge, Graph, NodeKind, State, node_of
from agent_identity.cli.graph_page import as_page
from agent_identity.core.resource import Key

NAMES = (
    "<img src=x onerror=window.pwned=1>",
    "</script><script>window.pwned=1</script>",
    "<!--<script>",
    "\"><svg onload='window.pwned=1'>",
    "javascript:window.pwned=1",
    "{{ script }}",
    "__proto__",
    "a/b#c?d=%zz",
    "\u2028\u2029\u202e",
    "#<b>é🦉",
)


def page_of(name: str, directory: Path) -> Path:
    """Every text of it is this name."""
    nodes = [
        node_of(kind, Key(name, name), account=name, agent_class=name, trouble=name, others=name)
        for kind in NodeKind
    ]
    told = nodes[0].name
    edges = [
        Edge(one.id, other.id, told, told, state, told)
        for one in nodes
        for other in nodes
        for state in State
    ]
    file = directory / "page.html"
    file.write_text(as_page(Graph("files", tuple(nodes), tuple(edges), (told,))))
    return file


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_text_and_nothing_else(opener: Opener, name: str) -> None:
    opened = opener.open(page_of(name, opener.directory))
    for link in range(len(NodeKind)):
        opened.page.locator("#found a").nth(link).click()
        expect(opened.page.locator("#found a").nth(link)).to_have_attribute("aria-current", "page")
        assert opened.page.evaluate("window.pwned") is None
        assert opened.page.locator("main :is(img, script, b, iframe, style)").count() == 0
        place = opened.page.evaluate("location.hash")
        heading = opened.page.locator("main h2").inner_text()
        opened.page.reload()
        assert opened.page.evaluate("location.hash") == place
        opened.tells_of(heading)


def test_manifests_with_such_names_come_through_the_program(opener: Opener) -> None:
    manifests = [identity(name, namespace="<i>") for name in NAMES]
    opened = opener.open(written(manifests, opener.directory))
    assert len(opened.found()) == len(NAMES)
    assert opened.found()[0].startswith("<i>/")


def test_what_is_put_into_the_page_later_does_not_run(opener: Opener) -> None:
    opened = opener.town()
    opened.page.evaluate(_INTRUDE)
    assert opened.page.evaluate("window.pwned") is None
    refused = "\n".join(opened.errors)
    assert "Content Security Policy" in refused
    opened.errors.clear()
    assert_nothing_was_sent(opened)


_INTRUDE = """async () => {
  const script = document.createElement("script");
  script.textContent = "window.pwned = 1";
  document.body.append(script);
  const picture = document.createElement("img");
  picture.src = "https://127.0.0.1:1/picture";
  document.body.append(picture);
  const style = document.createElement("style");
  style.textContent = "body { display: none }";
  document.body.append(style);
  await fetch("https://127.0.0.1:1/data").catch(() => {});
}"""


def assert_nothing_was_sent(opened: Any) -> None:
    assert opened.page.locator("body").is_visible()
    opened.requested[:] = [url for url in opened.requested if not url.startswith("https://127")]
