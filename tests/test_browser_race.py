"""The race in a real browser: opens finished, stays in lockstep, keeps its state in the address."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import screenshot
from tests.conftest import Server
from tests.lab_page import Lab

pytestmark = pytest.mark.browser

SMALL = {"num_chains": 100, "gradients": 60}


def race(page: Page) -> Lab:
    return Lab(page, "race", "race")


def lane(page: Page, number: int) -> None:
    """Open the controls of a lane."""
    page.get_by_test_id("stMain").get_by_role("button", name=re.compile(f"^{number} ")).click()


def test_opens_on_a_finished_picture(fresh_server: Server, page: Page, page_errors: list[str]) -> None:
    opened = race(page).open(fresh_server.url)
    opened.says("id")
    expect(opened.player.locator("canvas.cloud")).to_have_count(2)
    expect(opened.player).to_have_attribute("data-playing", "true")
    expect(page.get_by_text("With 1,000 particles and 300 gradients each")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    assert page_errors == []


def test_panels_stay_in_lockstep(server: Server, page: Page, page_errors: list[str]) -> None:
    opened = race(page).open(server.url, **SMALL, lanes=3)
    first = opened.says("id")
    expect(opened.player.locator("canvas.cloud")).to_have_count(3)
    opened.pause("End")
    captions = opened.player.locator(".panel .caption")
    expect(captions.nth(0)).to_contain_text("60 steps, 60 gradients")
    expect(captions.nth(2)).to_contain_text("59 steps, 60 gradients")  # MALA's first gradient moves nothing
    page.get_by_test_id("scrub").fill("30")
    for number in range(3):
        expect(captions.nth(number)).to_contain_text("30 gradients.")
    expect(opened.counter).to_have_text("gradient 30 / 60")
    page.get_by_test_id("speed").select_option("2")
    lane(page, 2)
    opened.choose("2_sampler", "HMC")
    opened.wait_for_new(first)
    page.keyboard.press("Escape")
    # At rest it stays at that part of the way, every panel with it; HMC has gone as far as that pays for.
    expect(opened.player).to_have_attribute("data-frame", "30")
    expect(opened.player).to_have_attribute("data-speed", "2")
    expect(captions.nth(0)).to_contain_text("30 gradients.")
    expect(captions.nth(1)).to_contain_text("2 steps, 21 gradients.")
    opened.player.focus()
    page.keyboard.press("Space")
    opened.wait_for("player.dataset.frame > 40")
    page.keyboard.press("Space")
    counted = int((opened.counter.inner_text()).split()[1])
    expect(captions.nth(0)).to_contain_text(f"{counted} gradients.")
    assert page_errors == []


def test_the_address_shows_a_stranger_the_same(
    browser: Browser, server: Server, page: Page, page_errors: list[str]
) -> None:
    opened = race(page).open(server.url, **SMALL)
    old = opened.says("id")
    lane(page, 2)
    opened.choose("2_sampler", "MALA")
    old = opened.wait_for_new(old)
    page.keyboard.press("Escape")
    opened.enter("gradients", 80)
    old = opened.wait_for_new(old)
    page.locator(".st-key-race_same_noise label").first.click()
    changed = opened.wait_for_new(old)
    query = parse_qs(urlsplit(page.url).query)
    assert {"race_2_sampler", "race_gradients", "race_same_noise"} <= query.keys()
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    stranger = race(context.new_page())
    stranger.page.goto(page.url)
    stranger.wait_until_run()
    assert stranger.says("id") == changed
    context.close()
    assert page_errors == []


def test_a_preset_changes_the_lineup_and_the_words(
    server: Server, page: Page, page_errors: list[str]
) -> None:
    opened = race(page).open(server.url, seed=3)
    old = opened.says("id")
    opened.press("Steep walls")
    opened.wait_for_new(old)
    expect(page.get_by_text(re.compile("ULA lost [0-9,]+ particles"))).to_be_visible()
    expect(opened.control("seed")).to_have_value("3")
    expect(opened.player.locator(".banner").first).to_contain_text("Diverged")
    safe = page.get_by_role("button", name=re.compile("Use a safe step for ULA"))
    old = opened.says("id")
    safe.click()
    opened.wait_for_new(old)
    assert page_errors == []


def test_a_class_link_hides_controls(server: Server, page: Page, page_errors: list[str]) -> None:
    opened = race(page).open(server.url, **SMALL, hide="energy,lanes,1,run", energy="banana")
    opened.says("id")
    expect(page.locator(".st-key-race_energy")).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("^1 "))).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("^2 "))).to_have_count(1)
    assert "Banana" in (opened.player.get_attribute("aria-label") or "")
    old = opened.says("id")
    opened.enter("gradients", 40)
    opened.wait_for_new(old)
    assert "Banana" in (opened.player.get_attribute("aria-label") or "")  # and it stays
    assert "race_hide" in page.url
    assert page_errors == []


def test_the_link_popover_makes_a_link_for_a_class(server: Server, page: Page) -> None:
    opened = race(page).open(server.url, **SMALL, energy="banana")
    opened.press("Link")
    body = page.get_by_test_id("stPopoverBody")
    body.get_by_test_id("stMultiSelect").locator("input").click()
    page.get_by_role("option", name="energy").click()
    expect(body.locator("code")).to_contain_text("race_hide=energy")
    expect(body.locator("code")).to_contain_text("race_energy=banana")


def test_a_drawing_becomes_the_target_and_the_link_holds_it(
    browser: Browser, server: Server, page: Page, page_errors: list[str]
) -> None:
    opened = race(page).open(server.url, **SMALL)
    opened.pause("End")
    old = opened.says("id")
    page.get_by_test_id("draw").click()
    cloud = opened.player.locator("canvas.cloud").first
    cloud.scroll_into_view_if_needed()
    box = cloud.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.6 * box["height"], steps=8)
    page.mouse.up()
    page.get_by_role("button", name="Done").click()
    drawn = opened.wait_for_new(old)
    expect(opened.control("energy")).to_have_value("A drawing of your own")
    assert "race_drawing=" in page.url
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    stranger = race(context.new_page())
    stranger.page.goto(page.url)
    stranger.wait_until_run()
    assert stranger.says("id") == drawn
    context.close()
    assert page_errors == []


@pytest.mark.parametrize(("width", "scheme"), [(1400, "dark"), (420, "light")])
def test_fits_the_window(server: Server, page: Page, page_errors: list[str], width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 1100})
    opened = race(page).open(server.url, **SMALL, lanes=4, energy="gaussian_mixture")
    opened.says("id")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth <= main.clientWidth")
    screenshot(page, f"race-{scheme}-{width}")
    assert page_errors == []
