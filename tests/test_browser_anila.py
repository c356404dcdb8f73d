"""The page AniLA in a real browser: each view opens finished, fits, and answers, by keyboard too."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from lflow.ui.anila import keys as anila_keys
from tests.browser import screenshot
from tests.conftest import Server
from tests.lab_page import Lab

pytestmark = pytest.mark.browser

CHARTS = {
    anila_keys.CLOUDS: 4,
    anila_keys.LAW: 6,
    anila_keys.BIAS: 1,
    anila_keys.EDGE: 2,
    anila_keys.COST: 1,
}
"""How many figures each view draws, beside the player."""


def charts(page: Page) -> Locator:
    return page.get_by_test_id("stVegaLiteChart")


def open_view(page: Page, url: str, view: str, **settings: Any) -> Lab:
    """Open a view with these settings, and wait until it is drawn."""
    query = urlencode({f"anila_{name}": value for name, value in {"view": view, **settings}.items()})
    page.goto(f"{url}/anila?{query}")
    Lab(page).wait_until_run()
    expect(page.get_by_role("radio", name=anila_keys.VIEW.title(view))).to_be_checked()
    return Lab(page)


def field(page: Page, name: str) -> Locator:
    return page.locator(f".st-key-anila_{name} input").first


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (420, "dark")])
@pytest.mark.parametrize("view", CHARTS)
def test_each_view_opens_finished_and_fits(
    server: Server, page: Page, page_errors: list[str], view: str, width: int, scheme: Any
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 1100})
    lab = open_view(page, server.url, view)
    expect(charts(page)).to_have_count(CHARTS[view])
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)  # nothing is computed
    for chart in charts(page).all():
        expect(chart.locator("svg")).to_be_visible()
        assert len(chart.get_attribute("aria-label") or "") > 40
    for table in page.locator("table").all():
        assert table.get_attribute("aria-label")
    if view == anila_keys.CLOUDS:
        lab.says("id")
        expect(lab.player).to_have_attribute("data-playing", "true")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth <= main.clientWidth")
    inside = charts(page).first.locator("svg").evaluate("svg => svg.getBoundingClientRect().right")
    assert inside <= width
    screenshot(page, f"anila-{view}-{scheme}-{width}")
    assert page_errors == []


def test_another_threshold_is_another_law_and_another_address(
    server: Server, page: Page, page_errors: list[str]
) -> None:
    open_view(page, server.url, anila_keys.LAW, variants="as published")
    expect(page.get_by_text("is above b = 0.5 in 62 %")).to_be_visible()
    field(page, "gaussian_b").fill("1.5")
    field(page, "gaussian_b").press("Enter")
    expect(page.get_by_text("is above b = 1.5 in 13 %")).to_be_visible()
    expect(charts(page)).to_have_count(2)
    settings = {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
    assert settings["anila_gaussian_b"] == "1.5"
    assert settings["anila_variants"] == "as published"
    page.reload()
    expect(page.get_by_text("is above b = 1.5 in 13 %")).to_be_visible()
    assert page_errors == []


def test_views_and_targets_are_chosen_by_keyboard(server: Server, page: Page, page_errors: list[str]) -> None:
    open_view(page, server.url, anila_keys.LAW)
    page.get_by_role("radio", name=anila_keys.VIEW.title(anila_keys.LAW)).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.get_by_role("radio", name=anila_keys.VIEW.title(anila_keys.BIAS))).to_be_checked()
    expect(page.get_by_text("On N(0,1) no AniLA variant is seen to beat ULA")).to_be_visible()
    field(page, "target").focus()
    page.keyboard.type("rings")
    page.keyboard.press("Enter")
    expect(page.get_by_text("On the four rings no AniLA variant is seen to beat ULA")).to_be_visible()
    assert page_errors == []


def test_clouds_of_another_step_play(server: Server, page: Page, page_errors: list[str]) -> None:
    lab = open_view(page, server.url, anila_keys.CLOUDS)
    old = lab.says("id")
    field(page, "spend").fill("60")
    field(page, "spend").press("Enter")
    lab.wait_for_new(old)
    lab.pause("End")
    expect(lab.player).to_contain_text("60 / 60")
    expect(lab.player).to_contain_text("As published")
    assert page_errors == []
