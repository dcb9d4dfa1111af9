"""A real Chromium without any network, and the report of five minutes in it."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from chaos.cli.images import find_browser
from chaos.errors import MissingToolError
from chaos.report import page as report
from chaos.report.page import Chapter
from tests.support import long_run

ROOT = Path(__file__).parent.parent.parent
SUMMARY = {
    "scenarios": 1,
    "held": 0,
    "refuted": 1,
    "invalid": 0,
    "inconclusive": 0,
    "wall_s": 300.0,
    "workers": 1,
    "provenance": {"commit": "0" * 40, "chaos-lab": "0.1.0"},
}


@pytest.fixture(scope="session")
def browser_path() -> Path:
    """The browser's program; without one the test is skipped and says how to get it."""
    try:
        return find_browser()
    except MissingToolError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def browser(browser_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, for a module: Playwright keeps an event loop running, in which others could not start theirs."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    home = str(tmp_path_factory.mktemp("home"))
    elsewhere = os.environ | {"XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser_path, args=sandbox, env=elsewhere)
        yield running
        running.close()


@pytest.fixture(scope="session")
def chapter(tmp_path_factory: pytest.TempPathFactory) -> Chapter:
    """Five minutes of a run, with a folder of its own."""
    run = long_run.run()
    folder = tmp_path_factory.mktemp("run") / run.result.id
    folder.mkdir()
    result = replace(run.result, folder=folder)
    return Chapter(result, replace(run, result=result))


@pytest.fixture(scope="session")
def written(chapter: Chapter) -> Path:
    """The report's file."""
    return report.write(chapter.result.folder.parent, [chapter], SUMMARY)


class Opened:
    """A page, and what went wrong on it or asked for the network."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, path: Path) -> None:
        """Load the file and wait until the first picture is there."""
        self.page.goto(path.as_uri())
        self.page.wait_for_function("document.querySelector('.lanes .main-svg') !== null")


@pytest.fixture
def opened(browser: Browser, written: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """The report in a fresh, offline context 1280 wide; ``theme`` and ``width`` may be given as a parameter."""
    theme, width = getattr(request, "param", ("light", 1280))
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, offline=True)
    tab = Opened(context.new_page())
    tab.open(written)
    yield tab
    context.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where screenshots are kept."""
    folder = ROOT / "results" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
