"""Drawing a target in a real browser: by mouse, by finger and by keyboard alone, and what Python is sent."""

import json
import math
from itertools import pairwise

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import Server
from tests.lab_page import Lab

pytestmark = pytest.mark.browser

Point = tuple[float, float]


@pytest.fixture
def lab(page: Page, scenes: Server) -> Lab:
    return opened(page, scenes)


def opened(page: Page, scenes: Server) -> Lab:
    """Two panels, at rest."""
    page.goto(scenes.url)
    lab = Lab(page)
    lab.wait_until_run()
    lab.says("id")
    lab.pause()
    return lab


def button(lab: Lab, name: str) -> Locator:
    return lab.player.get_by_test_id(name)


def sent(lab: Lab) -> Locator:
    return lab.page.locator(".st-key-sent")


def strokes_sent(lab: Lab) -> list[list[Point]]:
    expect(sent(lab)).to_contain_text("drawn")
    return [[(x, y) for x, y in stroke] for stroke in json.loads(sent(lab).inner_text())["drawn"]]


def at(lab: Lab, point: Point, panel: int = 0) -> Point:
    """Where a point of the unit square of the view lies on the screen."""
    cloud = lab.player.locator("canvas.cloud").nth(panel)
    cloud.scroll_into_view_if_needed()
    box = lab.player.locator("canvas.overlay").nth(panel).bounding_box()
    assert box is not None
    return box["x"] + point[0] * box["width"], box["y"] + (1 - point[1]) * box["height"]


def drag(lab: Lab, corners: list[Point], panel: int = 0) -> None:
    mouse = lab.page.mouse
    mouse.move(*at(lab, corners[0], panel))
    mouse.down()
    for corner in corners[1:]:
        mouse.move(*at(lab, corner, panel), steps=8)
    mouse.up()


def pictures(lab: Lab) -> list[str]:
    """What lies over each cloud."""
    layers = lab.player.locator("canvas.overlay")
    return [layer.evaluate("canvas => canvas.toDataURL()") for layer in layers.all()]


def test_strokes_by_mouse_are_seen_everywhere_and_sent_when_done(lab: Lab, page_errors: list[str]) -> None:
    button(lab, "draw").click()
    expect(lab.player.locator(".mode-bar")).to_contain_text("Draw the target")
    expect(button(lab, "draw-done")).to_be_disabled()
    empty = pictures(lab)
    corners = [(0.2, 0.2), (0.8, 0.2), (0.5, 0.9)]
    drag(lab, corners)
    drag(lab, [(0.3, 0.5), (0.3, 0.6)], panel=1)
    x, y = at(lab, (0.9, 0.9))
    lab.page.mouse.click(x, y)
    expect(button(lab, "ink-status")).to_have_text("3 strokes, pen up")
    first, second = pictures(lab)
    assert first == second  # panels have the same size and the same paper
    assert first != empty[0]
    button(lab, "draw-done").click()
    found = strokes_sent(lab)
    assert [len(stroke) > 1 for stroke in found] == [True, True, False]
    for corner in corners:
        assert min(math.dist(corner, point) for point in found[0]) < 0.01
    assert math.dist(found[1][-1], (0.3, 0.6)) < 0.01
    assert math.dist(found[2][0], (0.9, 0.9)) < 0.01
    assert all(math.dist(a, b) >= 0.0049 for stroke in found for a, b in pairwise(stroke))
    expect(lab.player.locator("canvas.overlay").first).to_be_hidden()
    assert page_errors == []


def test_undo_clear_and_cancel(lab: Lab, page_errors: list[str]) -> None:
    button(lab, "draw").click()
    for height in (0.2, 0.4, 0.6):
        drag(lab, [(0.2, height), (0.8, height)])
    before = pictures(lab)
    button(lab, "draw-undo").click()
    expect(lab.player).to_have_attribute("data-strokes", "2")
    assert pictures(lab) != before
    button(lab, "draw-clear").click()
    expect(lab.player).to_have_attribute("data-strokes", "0")
    drag(lab, [(0.2, 0.5), (1.3, 0.5)])  # past the edge: kept within the view
    expect(lab.player).to_have_attribute("data-strokes", "1")
    button(lab, "draw-cancel").click()
    expect(lab.player.locator(".mode-bar")).to_be_hidden()
    expect(sent(lab)).to_have_text("null")
    # Placing is a mode of its own: a click places, and draws nothing.
    button(lab, "draw").click()
    x, y = at(lab, (0.75, 0.5))
    button(lab, "draw-cancel").click()
    expect(button(lab, "draw")).to_have_attribute("aria-pressed", "false")
    button(lab, "place").click()
    lab.page.mouse.click(x, y)
    expect(sent(lab)).to_contain_text("placed")
    placed = json.loads(sent(lab).inner_text())
    assert placed["drawn"] is None
    assert math.dist(placed["placed"], (1.0, 0.0)) < 0.02
    assert page_errors == []


def test_by_keyboard_alone(lab: Lab, page_errors: list[str]) -> None:
    button(lab, "draw").focus()
    press = lab.page.keyboard.press
    press("Enter")
    press("Enter")  # nothing is drawn: there is nothing to be done with
    expect(button(lab, "draw")).to_have_attribute("aria-pressed", "true")
    for key in ("Space", *["Shift+ArrowRight"] * 2, "ArrowUp", "Space"):
        press(key)
    for key in ("Shift+ArrowDown", "Space", "Space", "Shift+ArrowDown", "Space", "Space", "Backspace"):
        press(key)
    expect(button(lab, "ink-status")).to_have_text("2 strokes, pen up")
    press("Enter")
    line, dot = strokes_sent(lab)
    assert line == [(0.5, 0.5), (0.6, 0.5), (0.7, 0.5), (0.7, 0.52)]
    assert dot == [(0.7, 0.42)]
    button(lab, "draw").focus()
    press("Enter")
    press("Space")
    press("Escape")
    expect(lab.player.locator(".mode-bar")).to_be_hidden()
    assert strokes_sent(lab) == [line, dot]
    lab.player.focus()
    press("Space")  # which plays again
    expect(lab.player).to_have_attribute("data-playing", "true")
    assert page_errors == []


def test_the_clock_waits_and_the_ink_outlives_new_data(lab: Lab, page_errors: list[str]) -> None:
    button(lab, "play").click()
    lab.wait_for("player.dataset.frame > 2")
    button(lab, "draw").click()
    frame = lab.says("frame")
    expect(button(lab, "play")).to_be_hidden()
    drag(lab, [(0.2, 0.2), (0.7, 0.7)])
    old = lab.says("id")
    lab.page.get_by_role("button", name="3 panels").click()
    lab.wait_for("player.dataset.id !== argument", old)
    expect(lab.player).to_have_attribute("data-strokes", "1")
    assert len(set(pictures(lab))) == 1
    still = lab.says("frame")
    lab.page.evaluate(
        "async () => { for (let k = 0; k < 10; k++) await new Promise(requestAnimationFrame); }"
    )
    assert lab.says("frame") == still
    assert int(frame) > 2
    button(lab, "draw-cancel").click()
    lab.wait_for("player.dataset.frame !== argument", still)
    assert page_errors == []


def test_a_finger_draws_and_does_not_scroll(browser: Browser, scenes: Server) -> None:
    context = browser.new_context(has_touch=True, viewport={"width": 420, "height": 700})
    lab = opened(context.new_page(), scenes)
    button(lab, "draw").tap()
    top = at(lab, (0.3, 0.9))
    touch = context.new_cdp_session(lab.page)
    for kind, height in (("touchStart", 0.9), ("touchMove", 0.7), ("touchMove", 0.5), ("touchMove", 0.3)):
        x, y = top[0], top[1] + (at(lab, (0.3, height))[1] - at(lab, (0.3, 0.9))[1])
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(button(lab, "ink-status")).to_have_text("1 stroke, pen up")
    assert at(lab, (0.3, 0.9)) == top  # nothing moved under the finger
    button(lab, "draw-done").tap()
    (stroke,) = strokes_sent(lab)
    assert math.dist(stroke[0], (0.3, 0.9)) < 0.01
    assert math.dist(stroke[-1], (0.3, 0.3)) < 0.01
    context.close()
