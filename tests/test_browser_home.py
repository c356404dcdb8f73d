"""Home in a real browser: it plays without computing, and leads to the lab."""

import re
import subprocess
import sys

import pytest
from playwright.sync_api import Page, expect

from lflow.ui.presets import PRESETS
from tests.browser import screenshot
from tests.conftest import ROOT, Server
from tests.lab_page import Lab

pytestmark = pytest.mark.browser


def test_plays_on_load(server: Server, page: Page, page_errors: list[str]) -> None:
    page.goto(server.url)
    home = Lab(page)
    home.says("id")
    expect(home.player).to_have_attribute("data-playing", "true")
    home.wait_for("player.dataset.frame > 5")
    expect(home.player.locator(".caption")).to_contain_text("1,500 particles after")
    expect(page.get_by_test_id("place")).to_be_hidden()  # there is nothing to compute anew
    assert page_errors == []


def test_needs_no_torch() -> None:
    code = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("lflow/ui/shell.py", default_timeout=60).run()
assert not app.exception and app.title
print([name for name in ("torch", "scipy", "sklearn", "pandas.plotting") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "torch" not in ran.stdout


def test_a_question_leads_to_its_preset(server: Server, page: Page, page_errors: list[str]) -> None:
    preset = next(preset for preset in PRESETS if preset.title == "Narrow valley")
    page.goto(server.url)
    home = Lab(page)
    first = home.says("id")
    page.get_by_role("link", name=preset.question).click()
    expect(page).to_have_url(re.compile("/particle-lab[?]"))
    home.wait_for_new(first)
    expect(home.control("energy")).to_have_value("Gaussian")
    expect(home.control("gaussian_condition_number")).to_have_value("100")
    expect(home.control("h")).to_have_value("0.01")
    expect(home.alerts).to_have_count(0)
    assert page_errors == []


@pytest.mark.parametrize("width", [1400, 420])
def test_fits_the_window(server: Server, page: Page, page_errors: list[str], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 1100})
    page.goto(server.url)
    home = Lab(page)
    home.says("id")
    home.wait_until_run()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth <= main.clientWidth")
    screenshot(page, f"home-light-{width}")
    assert page_errors == []
