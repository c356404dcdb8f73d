"""The particle lab in a real browser: the address holds the whole state, and controls do what they say."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from lflow.ui.presets import PRESETS
from tests.browser import screenshot
from tests.conftest import Server
from tests.lab_page import Lab

pytestmark = pytest.mark.browser

SMALL = {"num_chains": 100, "num_steps": 60}


def address(lab: Lab) -> dict[str, str]:
    """What the address sets, without the prefix."""
    query = parse_qs(urlsplit(lab.page.url).query)
    return {name.removeprefix("lab_"): values[0] for name, values in query.items()}


def open_elsewhere(browser: Browser, *urls: str) -> list[str]:
    """The names of the clouds that a stranger sees at some addresses."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    lab = Lab(context.new_page())
    names = []
    for url in urls:
        lab.page.goto(url)
        lab.wait_until_run()
        names.append(lab.says("id"))
    context.close()
    return names


def test_cold_deep_link_by_library_names(fresh_server: Server, page: Page, page_errors: list[str]) -> None:
    lab = Lab(page).open(fresh_server.url, energy="gaussian_mixture", sampler="mala", seed=3, **SMALL)
    lab.says("id")
    expect(lab.control("energy")).to_have_value("Gaussian mixture")
    expect(lab.control("sampler")).to_have_value("MALA")
    expect(lab.control("seed")).to_have_value("3")
    expect(lab.control("num_steps")).to_have_value("60")
    expect(lab.player.locator(".caption")).to_contain_text("100 particles")
    expect(lab.alerts).to_have_count(0)
    assert page_errors == []


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "a rule with a parameter": {"step": "polynomial", "polynomial_power": 0.8, "seed": 5},
    "temperature": {
        "energy": "double_well",
        "sampler": "baoab",
        "temperature": 0.5,
        "double_well_barrier": 2,
    },
    "a placed start": {
        "energy": "banana",
        "sampler": "hmc",
        "start": "point",
        "x": 1.5,
        "y": -0.25,
        "h": 0.03,
    },
    "a formula": {"energy": "from_expression", "formula": "x**4 + (y - 1)**2", "reach": 3, "start": "box"},
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_address_after_a_change_shows_a_stranger_the_same(
    browser: Browser, server: Server, page: Page, page_errors: list[str], name: str
) -> None:
    lab = Lab(page).open(server.url, **SMALL, **CONFIGURATIONS[name])
    old = lab.says("id")
    lab.enter("num_steps", 75)
    changed = lab.wait_for_new(old)
    assert address(lab)["num_steps"] == "75"
    assert open_elsewhere(browser, page.url) == [changed]
    assert page_errors == []


def test_a_link_means_the_same_whatever_was_seen_before(
    server: Server, page: Page, page_errors: list[str]
) -> None:
    lab = Lab(page).open(server.url, energy="gaussian", sampler="mala", seed=7, bogus=1, **SMALL)
    old = lab.says("id")
    expect(lab.alerts).to_contain_text("lab_bogus")
    lab.enter("num_steps", 70)
    old = lab.wait_for_new(old)
    expect(lab.alerts).to_have_count(0)  # it was about the link, and the reader has moved on
    lab.choose("sampler", "HMC")  # the next link names the sampler that is the default
    lab.wait_for_new(old)
    page.get_by_test_id("stTopNavLink").filter(has_text="Home").click()
    preset = next(preset for preset in PRESETS if preset.title == "Eight modes")
    page.get_by_role("link", name=preset.question).click()
    expect(lab.control("energy")).to_have_value("Gaussian mixture")
    lab.wait_until_run()
    for name, value in (("sampler", "ULA"), ("seed", "0"), ("num_steps", "500"), ("num_chains", "2000")):
        if name == "num_chains":
            lab.press("Particles, temperature, start")
        expect(lab.control(name)).to_have_value(value)
    assert page_errors == []


def test_back_and_forward_after_a_link(server: Server, page: Page, page_errors: list[str]) -> None:
    lab = Lab(page).open(server.url, energy="banana", sampler="mala", **SMALL)
    first = lab.says("id")
    lab.choose("sampler", "HMC")
    second = lab.wait_for_new(first)
    for move, sampler, cloud in ((page.go_back, "MALA", first), (page.go_forward, "HMC", second)) * 2:
        move()
        lab.wait_for_id(cloud)
        expect(lab.control("sampler")).to_have_value(sampler)
        expect(lab.control("energy")).to_have_value("Banana")
        # The address is whole again, so that it shows a stranger the same.
        page.wait_for_url(lambda url, of=sampler: "lab_energy=Banana" in url and f"lab_sampler={of}" in url)
        lab.wait_until_run()
        expect(page.get_by_test_id("stException")).to_have_count(0)
    assert page_errors == []


def test_one_back_undoes_one_thing(server: Server, page: Page, page_errors: list[str]) -> None:
    lab = Lab(page).open(server.url, **SMALL)
    shown = [lab.says("id")]
    for does in ("Narrow valley", "Momentum", "Reset"):  # each sets several controls
        page.get_by_role("button", name=does, exact=True).click()
        shown.append(lab.wait_for_new(shown[-1]))
    for cloud in reversed(shown[:-1]):
        page.go_back()
        lab.wait_for_id(cloud)
        lab.wait_until_run()
    page.go_forward()
    lab.wait_for_id(shown[1])
    lab.wait_until_run()
    page.get_by_test_id("stTopNavLink").filter(has_text="Home").click()
    expect(page.get_by_role("link", name=PRESETS[0].question)).to_be_visible()
    lab.wait_until_run()
    page.go_back()
    lab.wait_for_id(shown[1])
    assert page_errors == []


MISTAKES = {  # what a link sets, a word of what it is told, and a control that a list or a field shows
    "names and more": ({"version": 1, "energy": "Banana", "sampler": "nuts", "bogus": 1}, "lab_bogus"),
    "nothing known": ({"bogus": 1}, "lab_bogus"),
    "hidden names": ({"version": 1, "sampler": "mala", "energy": "banana", "hide": "sampler"}, ""),
    "hidden mistakes": ({"sampler": "nuts", "energy": "banana", "hide": "sampler"}, "lab_sampler"),
    "a drawing": ({"energy": "drawing", "drawing": "x" * 1600}, "lab_drawing"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_back_to_a_link_that_the_page_mended(
    browser: Browser, server: Server, page: Page, page_errors: list[str], name: str
) -> None:
    settings, said = MISTAKES[name]
    lab = Lab(page).open(server.url, **SMALL | settings)
    first, steps = lab.says("id"), lab.control("num_steps").input_value()
    lab.enter("num_steps", 75)
    second = lab.wait_for_new(first)
    expect(lab.alerts).to_have_count(0)
    page.go_back()
    lab.wait_for_id(first)
    expect(lab.control("num_steps")).to_have_value(steps)
    expect(lab.alerts if said else lab.player).to_contain_text(said)
    page.wait_for_url(lambda url: not any(wrong in url for wrong in ("bogus", "nuts", "banana", "xxx")))
    assert open_elsewhere(browser, page.url) == [first]
    page.get_by_role("button", name="New seed").click()  # a change by a callback is kept
    expect(lab.control("seed")).to_have_value("1")
    lab.enter("seed", 0)
    lab.enter("num_steps", 75)
    lab.wait_for_id(second)
    assert page_errors == []


def test_presets_run_and_their_addresses_show_the_same(
    browser: Browser, server: Server, page: Page, page_errors: list[str]
) -> None:
    lab = Lab(page).open(server.url, **SMALL)
    shown = {}
    old = lab.says("id")
    for preset in PRESETS:
        lab.press(preset.title)
        old = lab.wait_for_new(old)
        expect(lab.alerts).to_have_count(0)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(lab.player).to_have_attribute("data-playing", "true")
        shown[preset.title] = page.url, old
    elsewhere = open_elsewhere(browser, *(url for url, _ in shown.values()))
    assert [title for title, seen in zip(shown, elsewhere, strict=True) if shown[title][1] != seen] == []
    assert page_errors == []


def test_the_link_popover_names_what_is_shown(server: Server, page: Page, page_errors: list[str]) -> None:
    lab = Lab(page).open(server.url, energy="banana", sampler="mala", seed=3, **SMALL)
    old = lab.says("id")

    def link() -> dict[str, str]:
        lab.press("Link")
        body = page.get_by_test_id("stPopoverBody")
        text = body.locator("code").inner_text()
        page.keyboard.press("Escape")
        expect(body).to_have_count(0)
        return {name: values[0] for name, values in parse_qs(urlsplit(text).query).items()}

    shown = {"lab_energy": "banana", "lab_sampler": "mala", "lab_seed": "3"}
    assert shown.items() <= link().items()
    lab.choose("sampler", "HMC")
    lab.wait_for_new(old)
    assert (shown | {"lab_sampler": "hmc"}).items() <= link().items()
    assert "None" not in link().values()
    assert page_errors == []


def test_a_new_sampler_is_a_new_cloud_and_playing_is_kept(
    server: Server, page: Page, page_errors: list[str]
) -> None:
    lab = Lab(page).open(server.url, **SMALL)
    first = lab.says("id")
    lab.choose("sampler", "MALA")
    second = lab.wait_for_new(first)
    expect(lab.player).to_have_attribute("data-playing", "true")
    lab.pause("End")
    lab.choose("sampler", "BAOAB")
    lab.wait_for_new(second)
    expect(lab.player).to_have_attribute("data-playing", "false")
    expect(lab.player).to_have_attribute("data-frame", "60")
    assert page_errors == []


def test_seeds_and_reset(server: Server, page: Page, page_errors: list[str]) -> None:
    lab = Lab(page).open(server.url, **SMALL, seed=4)
    first = lab.says("id")
    lab.press("New seed")
    second = lab.wait_for_new(first)
    expect(lab.control("seed")).to_have_value("5")
    assert address(lab)["seed"] == "5"
    lab.enter("seed", 4)
    lab.wait_for_id(first)
    lab.enter("seed", 5)
    lab.wait_for_id(second)
    lab.press("Reset")
    third = lab.wait_for_new(second)
    assert address(lab) == {"seed": "5"}
    expect(lab.control("num_steps")).to_have_value("500")
    lab.choose("energy", "Gaussian mixture")
    lab.wait_for_new(third)
    lab.press("Reset")  # from an energy that suggests another step size
    lab.wait_for_id(third)
    assert address(lab) == {"seed": "5"}
    assert page_errors == []


def test_the_start_is_placed_by_a_click(
    browser: Browser, server: Server, page: Page, page_errors: list[str]
) -> None:
    lab = Lab(page).open(server.url, **SMALL)
    old = lab.says("id")
    place = page.get_by_test_id("place")
    place.click()
    expect(place).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(place).to_have_attribute("aria-pressed", "false")
    cloud = lab.player.locator("canvas.cloud")
    cloud.click()  # outside of the mode a click only takes the focus
    assert lab.says("id") == old
    place.click()
    box = cloud.bounding_box()
    assert box is not None
    cloud.click(position={"x": 0.7 * box["width"], "y": 0.4 * box["height"]})
    placed = lab.wait_for_new(old)
    settings = address(lab)
    assert settings["start"] == "point"
    assert {"x", "y"} <= settings.keys()
    lab.pause()
    expect(lab.player.locator(".caption")).to_contain_text("after 0 steps")
    traced = lab.player.locator(".metric", has_text="Traces").locator(".metric-value").all_inner_texts()
    assert len(traced) == 3
    assert len(set(traced)) == 1  # all particles at one point
    lab.press("Particles, temperature, start")
    expect(lab.control("start")).to_have_value("point")
    assert open_elsewhere(browser, page.url) == [placed]
    assert page_errors == []


def test_continue_goes_on_from_the_end(
    browser: Browser, server: Server, page: Page, page_errors: list[str]
) -> None:
    lab = Lab(page).open(server.url, **SMALL)
    old = lab.says("id")
    lab.press("Continue for 60 steps")
    further = lab.wait_for_new(old)
    lab.pause()
    expect(lab.counter).to_have_text("step 60 / 120")
    assert open_elsewhere(browser, page.url) == [further]
    lab.press("Continue for 60 steps")
    lab.wait_for_new(further)
    lab.pause()
    expect(lab.counter).to_have_text("step 120 / 180")
    lab.enter("seed", 9)  # another run begins at its beginning
    lab.wait_for_new(further)
    lab.pause()
    expect(lab.counter).to_have_text("step 0 / 60")
    assert page_errors == []


def test_the_exact_flow_brings_its_switch(server: Server, page: Page, page_errors: list[str]) -> None:
    lab = Lab(page).open(server.url, **SMALL)
    old = lab.says("id")
    switch = page.get_by_test_id("flow")
    expect(switch).to_be_hidden()
    page.locator(".st-key-lab_flow label").first.click()
    shown = lab.wait_for_new(old)
    expect(switch).to_be_visible()
    assert address(lab)["flow"] == "true"
    lab.choose("sampler", "HMC")  # which does not follow that flow
    lab.wait_for_new(shown)
    expect(switch).to_be_hidden()
    expect(page.get_by_text(re.compile("The exact flow is the overdamped one"))).to_be_visible()
    assert page_errors == []


@pytest.mark.parametrize("width", [1400, 420])
def test_fits_the_window_in_the_dark(server: Server, page: Page, page_errors: list[str], width: int) -> None:
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": width, "height": 1100})
    lab = Lab(page).open(server.url, energy="gaussian_mixture", flow="true", **SMALL)
    lab.says("id")
    for expander in page.get_by_test_id("stExpander").all():
        expander.locator("summary").click()
    expect(page.get_by_text("import lflow")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth <= main.clientWidth")
    right = lab.player.evaluate("player => player.getBoundingClientRect().right")
    assert right <= width
    lab.player.scroll_into_view_if_needed()
    lab.wait_for("player.classList.contains('dark')")
    screenshot(page, f"lab-dark-{width}")
    assert page_errors == []
