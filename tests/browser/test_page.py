"""The page of `agent-identity graph` in a real browser: finding, reading, going on."""

from pathlib import Path

import pytest
from opened import DESKTOP, PHONE, Opened, Opener
from town import identity, written


def test_an_agent_is_found_and_its_access_is_shown(opened: Opened) -> None:
    opened.page.get_by_label("Find an agent").fill("billing")
    assert opened.found() == ["agents/billing-agent"]
    opened.page.locator("#found a").click()
    opened.tells_of("agents/billing-agent")
    assert opened.page.url.endswith("#agents/billing-agent")
    planner, group, prometheus, gateway = opened.section("May call it")
    assert planner.startswith("agents/planner an agent")
    assert "in force: GET|POST /v1/tasks, /v1/tasks/{*} on port 8080 by rule tasks" in planner
    assert "in force: gRPC shop.v1.Orders: Get, List on port 9000 by rule rpc" in planner
    assert group.startswith("every agent of research")
    assert "by class default's rule scrape" in prometheus
    assert gateway.startswith("web/gateway a workload that is no agent")
    assert opened.page.get_by_text("Nobody else.").is_visible()


def test_what_is_named_and_not_let_in_is_told_apart(opened: Opened) -> None:
    opened.go("#agents/billing-agent")
    (ghost,) = opened.section("Named as callers, but not let in")
    assert "not there: GET|POST" in ghost
    assert "there is no such agent among the files" in ghost
    opened.go("#agents/planner")
    (reporter,) = opened.section("It is named by, but may not call")
    assert reporter.startswith("agents/reporter")
    assert "closed: GET|POST" in reporter
    assert "NotInClass" in reporter


def test_an_agent_has_what_every_agent_of_its_namespace_has(opened: Opened) -> None:
    opened.go("#research/reader")
    (billing,) = opened.section("It may call")
    assert billing.startswith("agents/billing-agent")
    assert "by rule tasks, for every agent of research" in billing


@pytest.mark.parametrize("name", ["agents/shady", "web/legacy"])
def test_whom_anybody_may_call_is_told(opened: Opened, name: str) -> None:
    opened.go(f"#{name}")
    assert opened.section("May call it")[0].startswith("anybody")
    opened.page.get_by_label("Show", exact=True).select_option(label="whom anybody may call")
    assert opened.found() == ["agents/shady", "web/legacy"]


def test_one_goes_on_by_the_names_in_the_lists_and_in_the_drawing(opened: Opened) -> None:
    opened.go("#agents/billing-agent")
    opened.page.locator("main .ends a", has_text="agents/planner").click()
    opened.tells_of("agents/planner")
    opened.page.locator("svg a", has_text="agents/billing-agent").click()
    opened.tells_of("agents/billing-agent")
    opened.page.go_back()
    opened.tells_of("agents/planner")
    assert opened.page.title() == "agents/planner: who may call whom"


def test_the_keyboard_alone_will_do(opened: Opened) -> None:
    keys = opened.page.keyboard
    keys.press("/")
    keys.type("research")
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    keys.press("Enter")
    opened.tells_of("research/writer")
    assert opened.page.evaluate("document.activeElement.tagName") == "H2"
    keys.press("/")
    keys.press("Control+a")
    keys.type("legacy")
    keys.press("Enter")
    opened.tells_of("web/legacy")


_FOCUSED = """() => {
  const focused = document.activeElement;
  return [focused.tagName, getComputedStyle(focused).outlineStyle];
}"""


def test_every_part_that_can_be_worked_has_a_visible_focus(opened: Opened) -> None:
    opened.go("#agents/billing-agent")
    outlines = {}
    for _ in range(24):
        opened.page.keyboard.press("Tab")
        tag, outline = opened.page.evaluate(_FOCUSED)
        outlines[tag] = outline
    # After the last part it is the browser's own turn.
    outlines.pop("BODY", None)
    assert outlines == dict.fromkeys(("A", "INPUT", "SELECT", "SUMMARY"), "solid")


def test_what_is_not_there_is_said(opened: Opened) -> None:
    opened.go("#agents/nobody")
    assert opened.page.get_by_role("alert").inner_text() == "agents/nobody is not in this graph."
    opened.page.get_by_label("Find an agent").fill("no such thing")
    assert opened.found() == []
    assert "Nobody matches" in opened.page.get_by_role("status").inner_text()


def test_an_agent_that_nobody_names(opener: Opener) -> None:
    file = written([identity("alone")], opener.directory)
    opened = opener.open(file, "#agents/alone")
    assert opened.section("May call it") == []
    assert opened.page.locator("svg").count() == 0
    assert opened.page.get_by_text("Nobody.").is_visible()
    assert opened.page.get_by_text("Nothing.").is_visible()
    opened.page.get_by_text("2 things assumed, or not to be read").click()
    assert opened.page.get_by_text("class default is not among the files").is_visible()


def test_nothing_is_cut_off_on_a_phone(opener: Opener) -> None:
    for place in ("", "#agents/billing-agent"):
        opened = opener.town(place, viewport=PHONE)
        wide = opened.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"]
        smallest = opened.page.evaluate(
            "Math.min(...[...document.querySelectorAll('svg text')]"
            ".map((text) => text.getBoundingClientRect().height))"
        )
        assert smallest is None or smallest >= 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_looks_as_it_should(
    opener: Opener, pictures: Path, scheme: str, viewport: dict[str, int]
) -> None:
    opened = opener.town("#agents/billing-agent", color_scheme=scheme, viewport=viewport)
    name = f"graph-{scheme}-{viewport['width']}.png"
    opened.page.screenshot(path=pictures / name, full_page=True)
    seen = looked_at(opener, opened)
    assert seen["drawing"]["colours"] > 20
    assert seen["lists"]["colours"] > 20
    assert seen["nav"]["colours"] > 10
    assert (seen["whole"]["brightness"] > 160) == (scheme == "light")
    nav, lists = (opened.page.locator(part).bounding_box() for part in ("nav", "main"))
    assert nav
    assert lists
    beside = lists["x"] >= nav["x"] + nav["width"]
    assert beside == (viewport == DESKTOP)


def looked_at(opener: Opener, opened: Opened) -> dict[str, dict[str, float]]:
    """Of each region of the page how many colours it has, and how bright it is on average (by its
    green; 255 is white), by its pixels."""
    regions = {"drawing": "svg", "lists": "main .ends", "nav": "nav", "whole": "body"}
    eye = opener.context().new_page()
    seen = {}
    for name, selector in regions.items():
        picture = opened.page.locator(selector).first.screenshot()
        seen[name] = eye.evaluate(_LOOK, list(picture))
    return seen


_LOOK = """async (bytes) => {
  const picture = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const pixels = new Uint32Array(
    context.getImageData(0, 0, picture.width, picture.height).data.buffer);
  const colours = new Set(pixels);
  let sum = 0;
  for (const pixel of pixels) sum += (pixel >> 8) & 255;
  return { colours: colours.size, brightness: sum / pixels.length };
}"""
