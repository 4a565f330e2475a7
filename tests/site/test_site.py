"""Every page of the documentation opens in chromium without an error: run by `make test-site`."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

SITE = Path(__file__).resolve().parents[2] / "build" / "site"
PAGES = sorted(path.relative_to(SITE).parent.as_posix() for path in SITE.rglob("index.html"))
WIDTHS = (1280, 390)  # a laptop and a telephone
BROKEN_PICTURES = """() => Promise.all(Array.from(document.images, picture => {
    picture.loading = "eager"
    return picture.decode().then(() => null, () => picture.src)
})).then(found => found.filter(source => source !== null))"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: a page that is missing shows in the browser."""


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The site, served on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    assert chromium, "install chromium (Debian: chromium)"
    with sync_playwright() as playwright:
        # Root, as in a container, has no sandbox.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """A page of the browser, and what went wrong on it."""

    def __init__(self, browser: Browser, width: int, address: str) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900})
        self.faults: list[str] = []
        self.address = address
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.faults.append(f"fetched from elsewhere: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")

    def open(self, where: str) -> None:
        self.page.goto(self.address + where, wait_until="networkidle")


@pytest.fixture(params=WIDTHS)
def watched(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Watched]:
    watched = Watched(browser, request.param, address)
    yield watched
    watched.page.close()


def test_the_site_has_its_parts() -> None:
    parts = {
        "tutorials",
        "concepts",
        "results/core",
        "environments",
        "reference",
        "reference/settings/consensus-gossip",
    }
    assert parts <= set(PAGES)


@pytest.mark.parametrize("where", PAGES)
def test_a_page_opens_without_an_error(watched: Watched, where: str) -> None:
    watched.open(f"{where}/")
    assert watched.faults == []
    assert watched.page.locator("h1").first.inner_text().strip("¶ ")
    wide, seen = watched.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= seen, f"the page is {wide} px wide in a window of {seen} px"
    pictures = watched.page.evaluate(BROKEN_PICTURES)
    assert pictures == []


def test_a_search_finds_a_method(watched: Watched) -> None:
    watched.open("")
    if watched.page.viewport_size == {"width": WIDTHS[1], "height": 900}:
        watched.page.locator("label.md-header__button[for=__search]").click()
    watched.page.locator("input.md-search__input").press_sequentially("consensus-gossip")
    found = watched.page.locator(".md-search-result__item a").first
    found.wait_for()
    assert "gossip" in watched.page.locator(".md-search-result__list").inner_text()
    assert watched.faults == []


def test_a_page_that_is_missing_is_an_error(watched: Watched) -> None:
    """The checks above can fail."""
    watched.open("no/such/page/")
    assert any("404" in fault for fault in watched.faults)
