"""The page Images in a real browser: opens finished, in lockstep, with step sizes, and keeps its address."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import Server
from tests.lab_page import Lab

pytestmark = pytest.mark.browser

SMALL = {"num_images": 9, "steps": 20}


def images(page: Page) -> Lab:
    return Lab(page, "images", "images")


def test_opens_on_a_finished_picture(fresh_server: Server, page: Page, page_errors: list[str]) -> None:
    opened = images(page).open(fresh_server.url)
    opened.says("id")
    expect(opened.player.locator("canvas.cloud")).to_have_count(3)
    expect(opened.player).to_have_attribute("data-playing", "true")
    expect(page.get_by_text(re.compile("^64 images, [0-9]+ steps each, from the same noise"))).to_be_visible()
    said = opened.player.get_attribute("aria-label") or ""
    assert "3 grids of 64 small grey images" in said
    charts = [
        chart.get_attribute("aria-label") or "" for chart in opened.player.locator("canvas.chart").all()
    ]
    names = ("Distance to the digits", "Nearest training digit", "Mean energy", "Step size")
    assert [name for name, chart in zip(names, charts, strict=True) if chart.startswith(name)] == [*names]
    assert page_errors == []


def test_lanes_keep_step_and_show_their_step_sizes(
    server: Server, page: Page, page_errors: list[str]
) -> None:
    opened = images(page).open(server.url, **SMALL)
    first = opened.says("id")
    opened.pause("Home")
    grids = opened.player.locator("canvas.cloud")
    starts = [grid.evaluate("grid => grid.toDataURL()") for grid in grids.all()]
    assert len(set(starts)) == 1  # all lanes start from the same images
    page.keyboard.press("End")
    expect(opened.counter).to_have_text("step 20 / 20")
    ends = [grid.evaluate("grid => grid.toDataURL()") for grid in grids.all()]
    assert len({*starts, *ends}) == 4
    switch = page.get_by_test_id("overlay")
    expect(switch).to_have_text("Step size")
    switch.click()
    sizes = [grid.evaluate("grid => grid.toDataURL()") for grid in grids.all()]
    assert len({*sizes, *ends}) == 6
    expect(opened.player.locator(".legend")).to_be_visible()
    opened.player.focus()
    page.keyboard.press("p")
    readings = opened.player.locator(".reading")
    expect(readings.nth(0)).to_have_text(re.compile(r"^Image 1: step size [0-9.]+\.$"))
    expect(readings.nth(1)).to_have_text(re.compile(r"^Image 1: step size [0-9.]+ to [0-9.]+\.$"))
    page.locator(".st-key-images_elementwise label").first.click()
    opened.wait_for_new(first)
    expect(opened.player).to_have_attribute("data-overlay", "true")  # as it was
    expect(readings.nth(1)).to_have_text(re.compile(r"^Image 1: step size [0-9.]+\.$"))  # one an image
    assert page_errors == []


def test_the_address_shows_a_stranger_the_same(
    browser: Browser, server: Server, page: Page, page_errors: list[str]
) -> None:
    opened = images(page).open(server.url, **SMALL)
    old = opened.says("id")
    pills = page.locator(".st-key-images_lanes")
    pills.get_by_role("button", name="MALA").click()
    old = opened.wait_for_new(old)
    pills.get_by_role("button", name="SGLD (ULA)").click()
    old = opened.wait_for_new(old)
    opened.choose("start", "half a digit")
    old = opened.wait_for_new(old)
    opened.enter("steps", 12)
    changed = opened.wait_for_new(old)
    query = parse_qs(urlsplit(page.url).query)
    assert query["images_lanes"] == ["AniLA, as published", "AniLA, corrected", "MALA"]
    assert {"images_start", "images_steps", "images_num_images"} <= query.keys()
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    stranger = images(context.new_page())
    stranger.page.goto(page.url)
    stranger.wait_until_run()
    assert stranger.says("id") == changed
    context.close()
    assert page_errors == []


def test_a_preset_says_what_a_long_run_leads_to_and_a_choice_of_none_is_refused(
    server: Server, page: Page, page_errors: list[str]
) -> None:
    opened = images(page).open(server.url, num_images=9, seed=4)
    old = opened.says("id")
    opened.press("A long run")
    old = opened.wait_for_new(old)
    expect(page.get_by_text(re.compile("as long as in training, SGLD"))).to_be_visible()
    expect(page.get_by_text(re.compile("MALA accepts [0-9.]+ % of its proposals"))).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    expect(opened.control("seed")).to_have_value("4")
    expect(opened.player.locator("canvas.cloud")).to_have_count(2)
    pills = page.locator(".st-key-images_lanes")
    for name in ("SGLD (ULA)", "MALA"):
        pills.get_by_role("button", name=name).click()
        opened.wait_until_run()
    expect(opened.alerts).to_contain_text("Choose one to 4 samplers, not 0")
    expect(opened.player).to_be_visible()  # the last picture stays
    assert page_errors == []


def test_files_are_offered(server: Server, page: Page, page_errors: list[str]) -> None:
    opened = images(page).open(server.url, **SMALL)
    opened.says("id")
    page.get_by_text("Take it with you").click()
    with page.expect_download() as picture:
        page.get_by_role("button", name="Picture (PNG)").click()
    assert picture.value.suggested_filename == "lflow-images-ula-paper-corrected-seed0.png"
    expect(page.locator("code", has_text="lflow.load(assets_dir()")).to_be_visible()
    assert page_errors == []


def test_a_narrow_window_shows_the_grids_first(server: Server, page: Page) -> None:
    page.set_viewport_size({"width": 420, "height": 900})
    opened = images(page).open(server.url, **SMALL)
    opened.says("id")
    grids = [grid.bounding_box() for grid in opened.player.locator("canvas.cloud").all()]
    assert all(box and box["x"] + box["width"] <= 420 and box["width"] > 250 for box in grids)
    control = page.locator(".st-key-images_lanes").bounding_box()
    assert control is not None
    assert grids[0] is not None
    assert grids[0]["y"] < control["y"]
