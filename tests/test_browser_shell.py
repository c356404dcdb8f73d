"""The frame in a real browser: every address on a fresh server, the typeface, the two themes."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from lflow.ui import shell
from tests.conftest import Server

pytestmark = pytest.mark.browser

GROUNDS = {"light": "rgb(251, 250, 247)", "dark": "rgb(18, 19, 20)"}


def wait_until_run(page: Page) -> None:
    """Wait until the page's script has come to its end once."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()


@pytest.mark.parametrize(("file", "title", "address"), shell.PAGES)
def test_first_request_to_a_fresh_server(
    fresh_server: Server, page: Page, page_errors: list[str], file: str, title: str, address: str
) -> None:
    page.goto(f"{fresh_server.url}/{address}")
    wait_until_run(page)
    expect(page).to_have_title(f"{title} · lflow")
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    links = page.get_by_test_id("stTopNavLink")
    expect(links).to_have_text([title for _, title, _ in shell.PAGES])
    expect(page).to_have_url(re.compile(f"^{fresh_server.url}/{address}([?].*)?$"))
    expect(page.get_by_role("dialog")).to_have_count(0)  # "Page not found" is one
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert page_errors == []


def test_navigation_leads_to_every_address(server: Server, page: Page, page_errors: list[str]) -> None:
    page.goto(server.url)
    wait_until_run(page)
    for _, title, address in reversed(shell.PAGES):
        page.get_by_test_id("stTopNavLink").filter(has_text=re.compile(f"^{title}$")).click()
        expect(page).to_have_title(f"{title} · lflow")
        expect(page).to_have_url(re.compile(f"^{server.url}/{address}([?].*)?$"))
    assert page_errors == []


def test_typeface_is_ours_and_nothing_is_fetched_elsewhere(server: Server, page: Page) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(server.url)
    wait_until_run(page)
    page.wait_for_function("document.fonts.check('16px Inter')")
    family = page.locator("h1").first.evaluate("element => getComputedStyle(element).fontFamily")
    assert family.split(",")[0].strip("\"' ") == "Inter"
    assert f"{server.url}/app/static/inter-latin.woff2" in requests
    assert [url for url in requests if not url.startswith((f"{server.url}/", "data:", "blob:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_theme_follows_the_system(server: Server, page: Page, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(server.url)
    wait_until_run(page)
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", GROUNDS[scheme])
    expect(page.get_by_test_id("stAppDeployButton")).to_have_count(0)


def test_unknown_address_says_so_and_shows_home(server: Server, page: Page) -> None:
    page.goto(f"{server.url}/no-such-page")
    expect(page.get_by_role("dialog")).to_contain_text("does not seem to exist")
    expect(page).to_have_title(f"{shell.PAGES[0][1]} · lflow")
