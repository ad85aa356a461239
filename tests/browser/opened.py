"""A page in the browser, watched: what it asks for, and what goes wrong in it."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect
from town import TOWN, written

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 740}


class Opened:
    """page: Playwright's. requested: every address that was asked for. errors: of the console, and
    exceptions that nobody caught."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.page: Page = context.new_page()
        self.address = address
        self.requested: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def go(self, place: str = "") -> "Opened":
        self.page.goto(self.address + place)
        return self

    def section(self, title: str) -> list[str]:
        """The items below a heading, each as its text; empty where there is no such heading."""
        return self.page.evaluate(_ITEMS_BELOW, title)

    def tells_of(self, name: str) -> None:
        """Waits until the page is about somebody."""
        expect(self.page.locator("main h2")).to_have_text(name)

    def found(self) -> list[str]:
        """What the list on the left holds."""
        return self.page.locator("#found a").all_inner_texts()


_ITEMS_BELOW = """(title) => {
  const headings = [...document.querySelectorAll("main h3")];
  const heading = headings.find((one) => one.textContent.replace(/ \\(.*/, "") === title);
  const items = [];
  for (let at = heading?.nextElementSibling; at && at.tagName !== "H3"; at = at.nextElementSibling)
    items.push(...at.querySelectorAll(".ends > li"));
  return items.map((item) => item.innerText.replaceAll(/\\s+/g, " "));
}"""


class Opener:
    """Opens pages for one test, and looks at the end whether any of them misbehaved."""

    def __init__(self, browser: Browser, directory: Path) -> None:
        self._browser = browser
        self.directory = directory
        self._contexts: list[BrowserContext] = []
        self._opened: list[Opened] = []

    def town(self, place: str = "", **options: Any) -> Opened:
        return self.open(written(TOWN, self.directory), place, **options)

    def open(self, file: Path, place: str = "", **options: Any) -> Opened:
        """options: of the browser's context; a phone is another viewport, say."""
        opened = Opened(self.context(**options), file.as_uri())
        self._opened.append(opened)
        return opened.go(place)

    def context(self, **options: Any) -> BrowserContext:
        context = self._browser.new_context(**({"viewport": DESKTOP} | options))
        self._contexts.append(context)
        return context

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        for opened in self._opened:
            assert opened.errors == []
            assert {url.partition("#")[0] for url in opened.requested} == {opened.address}
