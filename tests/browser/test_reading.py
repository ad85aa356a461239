"""Who reads by ear or in other colours has the same of the page: axe-core looks at every view."""

import pytest
from npm_registry import Package, file_of
from opened import DESKTOP, PHONE, Opener

AXE = Package(
    "axe-core",
    "4.14.1",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    ("axe.min.js",),
)
VIEWS = {
    "everybody": "",
    "an agent": "#agents/billing-agent",
    "one that stalls": "#agents/reporter",
    "one that anybody may call": "#agents/shady",
    "one that is not there": "#agents/nobody",
    "a group": "#AllAgentIdentities:research/*",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", VIEWS.values(), ids=VIEWS)
def test_nothing_is_against_the_guidelines(opener: Opener, place: str, scheme: str) -> None:
    for viewport in (DESKTOP, PHONE):
        opened = opener.town(place, color_scheme=scheme, viewport=viewport)
        opened.page.evaluate(file_of(AXE, report=print).read_text())
        found = opened.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        told = [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"]]
        assert told == []
        assert len(found["passes"]) > 15


def test_parts_have_their_names(opener: Opener) -> None:
    opened = opener.town("#agents/billing-agent")
    told = opened.page.locator("body").aria_snapshot()
    for part in (
        "- banner:",
        '- navigation "Agents and callers":',
        "- search:",
        '- searchbox "Find an agent or caller"',
        '- combobox "Show"',
        "- status: 12 of 12",
        "- main:",
        '- heading "May call it (4)" [level=3]',
    ):
        assert part in told, told
