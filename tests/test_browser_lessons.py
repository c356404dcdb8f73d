"""The lessons in a real browser: predict, watch, read the answer off the runs; with the mouse and without."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import screenshot
from tests.conftest import Server
from tests.lab_page import Lab

pytestmark = pytest.mark.browser

QUESTION = "Can a large step be made exact?"  # of the lesson accept-step


def open_lesson(page: Page, server: Server, query: str = "") -> Lab:
    """Open the lessons at an address, and wait until the picture plays."""
    page.goto(f"{server.url}/lessons{query}")
    lessons = Lab(page)
    lessons.wait_until_run()
    lessons.says("id")
    return lessons


def show_answer(page: Page) -> Locator:
    return page.get_by_role("button", name="Show the answer")


def choose(page: Page, place: int) -> None:
    """Make a prediction, and wait until the answer can be asked for."""
    page.get_by_test_id("stRadio").locator("label:has(input)").nth(place).click()
    expect(show_answer(page)).to_be_enabled()


def answer(page: Page, place: int) -> Locator:
    """Predict and open the answer; the table of its numbers."""
    choose(page, place)
    show_answer(page).click()
    table = page.locator(".st-key-lesson-numbers table")
    expect(table).to_be_visible()
    return table


def test_opens_predicts_and_answers(server: Server, page: Page, page_errors: list[str]) -> None:
    lessons = open_lesson(page, server)
    expect(page.get_by_role("heading", level=2)).to_have_text("No particle ever comes to rest. What does?")
    expect(lessons.player.locator(".caption")).to_contain_text("1,000 particles after")
    expect(page.get_by_role("radio", checked=True)).to_have_count(0)
    expect(show_answer(page)).to_be_disabled()
    first = lessons.says("id")
    table = answer(page, 1)
    expect(page.get_by_test_id("stAlert")).to_contain_text("As you predicted")
    rows = table.locator("tbody tr")
    expect(rows.nth(1)).to_have_text(re.compile(r"distance to the target\s*0\.\d+"))
    distance = rows.nth(1).locator("td").last.inner_text()
    lessons.pause("End")
    expect(lessons.player.locator(".caption")).to_contain_text(f"Distance to the target {distance}")
    expect(page.get_by_text(f"At the end its distance is {distance}")).to_be_visible()
    assert lessons.says("id") == first  # the answer is about the very picture that was seen
    assert page_errors == []


def test_the_next_lesson_and_its_address(
    browser: Browser, server: Server, page: Page, page_errors: list[str]
) -> None:
    lessons = open_lesson(page, server)
    first = lessons.says("id")
    page.get_by_role("button", name="Next: step too large").click()
    second = lessons.wait_for_new(first)
    expect(page).to_have_url(re.compile("lessons_lesson=step-too-large"))
    expect(page.get_by_role("heading", level=2)).to_have_text("How large may a step be?")
    expect(show_answer(page)).to_be_disabled()
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    stranger = Lab(context.new_page())
    stranger.page.goto(page.url)
    stranger.wait_for_id(second)
    context.close()
    page.get_by_role("button", name="14. Too steep").click()
    lessons.wait_for_new(second)
    expect(page).to_have_url(re.compile("lessons_lesson=too-steep"))
    expect(page.get_by_role("button", name=re.compile("^Next"))).to_have_count(0)
    assert page_errors == []


def test_a_new_seed_gives_new_numbers(server: Server, page: Page, page_errors: list[str]) -> None:
    lessons = open_lesson(page, server, "?lessons_lesson=accept-step")
    expect(page.get_by_role("heading", level=2)).to_have_text(QUESTION)
    numbers = answer(page, 0)
    expect(page.get_by_test_id("stAlert")).to_contain_text("Not as you predicted")
    before, old = numbers.inner_text(), lessons.says("id")
    lessons.press("New seed")
    lessons.wait_for_new(old)
    expect(page).to_have_url(re.compile("lessons_seed=1"))
    expect(numbers).not_to_have_text(before, use_inner_text=True)
    expect(page.get_by_role("radio", checked=True)).to_have_count(1)  # the prediction stays
    assert page_errors == []


def test_a_link_to_no_lesson_says_so(server: Server, page: Page, page_errors: list[str]) -> None:
    open_lesson(page, server, "?lessons_lesson=no-such-lesson")
    expect(page.get_by_test_id("stAlert")).to_contain_text("no-such-lesson")
    expect(page.get_by_role("heading", level=2)).to_have_text("No particle ever comes to rest. What does?")
    assert page_errors == []


def test_a_way_leads_to_the_lab_and_hides_what_it_says(
    server: Server, page: Page, page_errors: list[str]
) -> None:
    lessons = open_lesson(page, server, "?lessons_lesson=step-too-large")
    shown = lessons.says("id")
    answer(page, 1)
    page.get_by_role("link", name="Halve the step").click()
    expect(page).to_have_url(re.compile("/particle-lab[?]"))
    lessons.wait_for_new(shown)
    expect(lessons.control("h")).to_have_value("0.5")
    expect(lessons.control("energy")).to_have_count(0)
    expect(lessons.player.locator(".panel-title")).to_contain_text("ULA on gaussian")
    assert page_errors == []


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until something has the focus."""
    for _ in range(60):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {wanted}")


def test_by_keyboard_alone(server: Server, page: Page, page_errors: list[str]) -> None:
    lessons = open_lesson(page, server)
    first = lessons.says("id")
    tab_to(page, page.get_by_role("button", name="5. An accept step"))
    page.keyboard.press("Enter")
    lessons.wait_for_new(first)
    expect(page.get_by_role("heading", level=2)).to_have_text(QUESTION)
    tab_to(page, page.get_by_role("radio").first)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio").nth(1)).to_be_checked()
    expect(show_answer(page)).to_be_enabled()
    tab_to(page, show_answer(page))
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stAlert")).to_contain_text("As you predicted")
    assert page_errors == []


@pytest.mark.parametrize("width", [1400, 420])
def test_fits_the_window_in_the_dark(server: Server, page: Page, page_errors: list[str], width: int) -> None:
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": width, "height": 1100})
    lessons = open_lesson(page, server, "?lessons_lesson=gradient-better-spent")
    answer(page, 2)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth <= main.clientWidth")
    lessons.player.scroll_into_view_if_needed()
    lessons.wait_for("player.classList.contains('dark')")
    screenshot(page, f"lessons-dark-{width}")
    assert page_errors == []
