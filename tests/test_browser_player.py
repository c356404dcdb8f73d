"""The player in a real browser, on the lab: keys, buttons, slider, and what it says to a screen reader."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import Server
from tests.lab_page import Lab

pytestmark = pytest.mark.browser

SMALL = {"num_chains": 200, "num_steps": 100}  # 101 frames


@pytest.fixture
def lab(page: Page, server: Server) -> Lab:
    """The lab with a small cloud that plays."""
    opened = Lab(page).open(server.url, **SMALL)
    opened.says("id")
    return opened


def test_plays_on_load_and_loops(lab: Lab, page_errors: list[str]) -> None:
    expect(lab.player).to_have_attribute("data-playing", "true")
    lab.wait_for("player.dataset.frame > 5")
    lab.page.get_by_test_id("speed").select_option("4")
    lab.wait_for("player.dataset.frame > 90")
    lab.wait_for("player.dataset.frame < 50")
    assert lab.says("playing") == "true"
    assert page_errors == []


def test_pause_button_and_space_stop_the_clock(lab: Lab, page_errors: list[str]) -> None:
    play = lab.page.get_by_test_id("play")
    expect(play).to_have_attribute("aria-label", "Pause (space)")
    play.click()
    expect(lab.player).to_have_attribute("data-playing", "false")
    expect(play).to_have_attribute("aria-label", "Play (space)")
    frame = lab.says("frame")
    # Ten turns of the browser's own clock: it moved on, the player did not.
    lab.page.evaluate(
        "async () => { for (let k = 0; k < 10; k++) await new Promise(requestAnimationFrame); }"
    )
    assert lab.says("frame") == frame
    lab.player.focus()
    lab.page.keyboard.press("Space")
    expect(lab.player).to_have_attribute("data-playing", "true")
    lab.wait_for("player.dataset.frame !== argument", frame)
    lab.page.keyboard.press("Space")
    expect(lab.player).to_have_attribute("data-playing", "false")
    play.focus()
    lab.page.keyboard.press("Space")  # acts once: as the button's own key, not as the player's as well
    expect(lab.player).to_have_attribute("data-playing", "true")
    assert page_errors == []


def test_arrows_home_and_end_choose_the_frame(lab: Lab, page_errors: list[str]) -> None:
    lab.pause()
    moves = [
        ("ArrowRight", 1),
        ("Shift+ArrowRight", 11),
        ("ArrowLeft", 10),
        ("Shift+ArrowLeft", 0),
        ("ArrowLeft", 0),
        ("End", 100),
        ("ArrowRight", 100),
        ("Home", 0),
    ]
    for key, frame in moves:
        lab.page.keyboard.press(key)
        expect(lab.player).to_have_attribute("data-frame", str(frame))
    for button, frame in (("forward", 1), ("forward", 2), ("back", 1), ("first", 0)):
        lab.page.get_by_test_id(button).click()
        expect(lab.player).to_have_attribute("data-frame", str(frame))
    assert page_errors == []


def test_scrub_moves_frame_counter_and_caption(lab: Lab, page_errors: list[str]) -> None:
    lab.page.get_by_test_id("scrub").fill("77")  # sets the value and dispatches what a drag would
    expect(lab.player).to_have_attribute("data-frame", "77")
    expect(lab.player).to_have_attribute("data-step", "77")
    expect(lab.player).to_have_attribute("data-playing", "false")
    expect(lab.counter).to_have_text("step 77 / 100")
    expect(lab.player.locator(".caption")).to_contain_text("200 particles after 77 steps (77 gradients each)")
    assert page_errors == []


def test_speed_and_switches(lab: Lab, page_errors: list[str]) -> None:
    lab.pause()
    lab.page.get_by_test_id("speed").select_option("0.25")
    expect(lab.player).to_have_attribute("data-speed", "0.25")
    trails = lab.page.get_by_test_id("trails")
    expect(trails).to_have_attribute("aria-checked", "true")
    trails.click()
    expect(lab.player).to_have_attribute("data-trails", "false")
    lab.player.focus()
    lab.page.keyboard.press("t")
    expect(trails).to_have_attribute("aria-checked", "true")
    for name in ("marginals", "between"):
        switch = lab.page.get_by_test_id(name)
        before = switch.get_attribute("aria-checked")
        switch.click()
        expect(switch).not_to_have_attribute("aria-checked", str(before))
    assert page_errors == []


def test_keys_do_not_act_while_typing_elsewhere(lab: Lab, page_errors: list[str]) -> None:
    lab.pause("End")
    lab.control("seed").focus()
    for key in ("Space", "Home", "ArrowLeft", "t"):
        lab.page.keyboard.press(key)
    assert lab.says("frame") == "100"
    assert (lab.says("playing"), lab.says("trails")) == ("false", "true")
    assert page_errors == []


def test_reached_and_played_by_keyboard_alone(lab: Lab, page_errors: list[str]) -> None:
    lab.pause()
    lab.control("num_steps").focus()
    focused = "document.activeElement?.shadowRoot?.activeElement?.dataset.testid ?? ''"
    for _ in range(12):
        lab.page.keyboard.press("Tab")
        if lab.page.evaluate(focused) == "player":
            break
    reached = [lab.page.evaluate(focused)]
    while reached[-1] != "play" and len(reached) < 6:
        lab.page.keyboard.press("Tab")
        reached.append(lab.page.evaluate(focused))
    assert reached == ["player", "first", "back", "play"]
    lab.page.keyboard.press("Enter")
    expect(lab.player).to_have_attribute("data-playing", "true")
    assert page_errors == []


def test_says_in_words_what_is_seen(lab: Lab, page_errors: list[str]) -> None:
    lab.pause("End")
    said = lab.player.get_attribute("aria-label") or ""
    assert "200 particles of ULA" in said
    assert "Rings" in said
    assert lab.player.locator("canvas.cloud").get_attribute("aria-label")
    charts = lab.player.locator("canvas.chart")
    assert charts.count() >= 3
    for chart in charts.all():
        assert chart.get_attribute("aria-label"), chart
    for button in lab.player.get_by_role("button").all():
        assert button.get_attribute("aria-label") or button.inner_text()
    expect(lab.player.locator(".caption")).to_contain_text("200 particles after 100 steps")
    expect(lab.player.locator(".caption")).to_have_attribute("aria-live", "polite")
    assert page_errors == []


def test_reduced_motion_starts_at_rest_on_the_last_frame(browser: Browser, server: Server) -> None:
    context = browser.new_context(reduced_motion="reduce", viewport={"width": 1400, "height": 900})
    lab = Lab(context.new_page()).open(server.url, **SMALL)
    lab.says("id")
    expect(lab.player).to_have_attribute("data-playing", "false")
    expect(lab.player).to_have_attribute("data-frame", "100")  # on the finished picture
    lab.page.get_by_test_id("play").click()
    expect(lab.player).to_have_attribute("data-playing", "true")
    lab.wait_for("player.dataset.frame < 100")
    context.close()
