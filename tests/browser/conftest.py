"""One Chromium for each test process, and a page of its own for each test.

However a test ends, its page must have asked for nothing but itself and have had no error.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import find_chromium
from opened import Opened, Opener
from playwright.sync_api import Browser, sync_playwright

from testbed.golang import REPOSITORY

_ARGUMENTS = ["--disable-gpu", "--disable-quic", "--disable-component-update"]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium = find_chromium()
    home = str(tmp_path_factory.mktemp("home"))
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium.program,
            env={**chromium.environment, "HOME": home},
            args=_ARGUMENTS,
        )
        yield running
        running.close()


@pytest.fixture
def opener(browser: Browser, tmp_path: Path) -> Iterator[Opener]:
    opener = Opener(browser, tmp_path)
    yield opener
    opener.close()


@pytest.fixture
def opened(opener: Opener) -> Opened:
    """The page of the town, as everybody sees it first."""
    return opener.town()


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept for people to look at."""
    directory = REPOSITORY / "build" / "browser"
    directory.mkdir(parents=True, exist_ok=True)
    return directory
