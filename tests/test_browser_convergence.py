"""The page of convergence in a browser: what it opens on, in both themes and widths, and Stop and Go on."""

import re
from typing import Any, Literal
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from lflow.ui.convergence import page as convergence
from tests.browser import screenshot
from tests.conftest import Server

pytestmark = pytest.mark.browser

FIGURES = "[data-testid=stVegaLiteChart], [data-testid=stPlotlyChart]"


def open_view(page: Page, server: Server, view: str, **settings: Any) -> None:
    """Open a view, and wait until its script has come to its end."""
    pairs = {"view": view, **settings}
    query = urlencode({f"convergence_{name}": value for name, value in pairs.items()}, doseq=True)
    page.goto(f"{server.url}/convergence?{query}")
    expect(page.get_by_role("heading", level=5)).to_have_text(convergence.VIEWS[view].QUESTION)


def wait_until_run(page: Page) -> None:
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1400), ("dark", 420)])
@pytest.mark.parametrize("view", list(convergence.VIEWS))
def test_a_view_opens_finished_and_fits(
    server: Server,
    page: Page,
    page_errors: list[str],
    view: str,
    scheme: Literal["light", "dark"],
    width: int,
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 1400})
    open_view(page, server, view)
    figures = page.locator(FIGURES)
    expect(figures.first).to_be_visible()
    wait_until_run(page)
    expect(page.get_by_test_id("stProgress")).to_have_count(0)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    for figure in figures.all():
        expect(figure).to_have_attribute("aria-label", re.compile("^[^*]{30,}$"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth <= main.clientWidth")
    screenshot(page, f"convergence-{view}-{scheme}-{width}")
    assert page_errors == []


def test_stop_keeps_what_is_done_and_going_on_finishes(
    server: Server, page: Page, page_errors: list[str]
) -> None:
    open_view(page, server, "last", last_samplers="ula", last_gradients=4001)
    expect(page.get_by_test_id("stProgress")).to_contain_text("of 15 runs")
    page.get_by_role("button", name="Stop", exact=True).click()
    alert = page.get_by_test_id("stAlert").filter(has_text="Stopped")
    expect(alert).to_contain_text(re.compile(r"Stopped: \d+ of 15 runs are done"))
    wait_until_run(page)
    (done,) = re.findall(r"(\d+) of 15", alert.inner_text())
    assert 5 <= int(done) < 15  # exact draws are shipped
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("After 4,001 gradients")).to_be_visible()
    wait_until_run(page)
    expect(alert).to_have_count(0)
    expect(page.get_by_test_id("stProgress")).to_have_count(0)
    assert page_errors == []


def test_stop_ends_a_long_run_within_it(server: Server, page: Page, page_errors: list[str]) -> None:
    # The first of six runs takes more than five seconds; what it had done is not kept.
    open_view(page, server, "bias", bias_samplers="proximal", bias_chains=15_000)
    progress = page.get_by_test_id("stProgress")
    expect(progress).to_contain_text("0 of 6 runs")
    page.get_by_role("button", name="Stop", exact=True).click()
    alert = page.get_by_test_id("stAlert").filter(has_text="Stopped")
    expect(alert).to_contain_text("Stopped: 0 of 6 runs are done")
    wait_until_run(page)
    expect(progress).to_have_count(0)
    assert page_errors == []


def test_a_choice_lives_in_the_address_and_comes_back(
    server: Server, page: Page, page_errors: list[str]
) -> None:
    open_view(page, server, "bias")
    words = page.get_by_test_id("stMarkdown").filter(has_text="E[x²] of the stationary law")
    expect(words).to_contain_text("SRK")
    page.get_by_role("button", name="Stochastic Runge-Kutta (SRK)").click()
    expect(words).not_to_contain_text("SRK")
    expect(page).to_have_url(re.compile("convergence_bias_samplers=ULA"))
    page.reload()
    expect(words).to_contain_text("ORMM")
    expect(words).not_to_contain_text("SRK")
    page.get_by_role("button", name="Reset").click()
    expect(words).to_contain_text("SRK")
    assert page_errors == []


def test_the_best_cell_opens_in_the_lab(server: Server, page: Page, page_errors: list[str]) -> None:
    open_view(page, server, "map")
    page.get_by_role("link", name="Open the best cell in the particle lab").click()
    expect(page).to_have_url(re.compile("/particle-lab[?].*lab_hmc_num_leapfrog="))
    expect(page.locator(".st-key-lab_sampler input").first).to_have_value("HMC")
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    assert page_errors == []


def test_the_charts_follow_a_change_of_theme(server: Server, page: Page) -> None:
    open_view(page, server, "bias")
    figure = page.locator(FIGURES).first
    expect(figure).to_be_visible()
    wait_until_run(page)
    page.emulate_media(color_scheme="dark")
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", "rgb(18, 19, 20)")
    names = figure.locator("text", has_text=re.compile("^(ULA|noise floor)$"))
    expect(names).to_have_count(2)
    for name in names.all():
        expect(name).to_have_css("fill", "rgb(232, 230, 225)")
    screenshot(page, "convergence-theme-changed")
