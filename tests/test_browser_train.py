"""The page Train in a real browser: a run is started, watched, stopped, resumed; and what may befall one."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, Page, expect

from lflow.training.config import make_config
from lflow.training.folder import GONE, RunFolder
from tests.browser import screenshot
from tests.conftest import ROOT, Server, running_app
from tests.lab_page import Lab

pytestmark = pytest.mark.browser

LONG = 1_000_000  # steps: nothing waits for their end
OFTEN = {"log_every": 5, "sample_every": 20, "validate_every": 20, "checkpoint_every": 20, "batch_size": 64}
SMALL = {"model": "flow", "preset": "two_moons", "training": OFTEN}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where servers and commands look for runs."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("train") / "runs"
        patch.setenv("LFLOW_RUNS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def app(home: Path) -> Iterator[Server]:
    """An app that looks for runs there."""
    with running_app(home.parent / "server-log.txt") as running:
        yield running


@pytest.fixture
def runs(home: Path) -> Iterator[Path]:
    """An empty folder of runs; what still trains there at the end is ended."""
    yield home
    for file in home.rglob("status.json"):
        status = RunFolder(file.parent).status()
        if status.state == "running":
            with contextlib.suppress(ProcessLookupError):
                os.kill(status.facts["pid"], signal.SIGKILL)
    shutil.rmtree(home, ignore_errors=True)


def train(runs: Path, name: str, num_steps: int, **model: Any) -> subprocess.Popen[bytes]:
    """A run of the command line, in a process of its own."""
    folder = RunFolder(runs / name)
    training = {**OFTEN, "num_steps": num_steps}
    folder.create(make_config({**SMALL, "model": {"name": "flow", **model}, "training": training}))
    command = [sys.executable, "-m", "lflow", "resume", str(folder.path)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def open_train(page: Page, server: Server, **settings: Any) -> Lab:
    """Open the page, and wait until it shows a run. While one trains the script never rests for long."""
    page.goto(f"{server.url}/train?{urlencode({f'train_{k}': v for k, v in settings.items()})}")
    expect(badge(page)).to_be_visible()
    expect(page.get_by_text("How it is trained")).to_be_visible()
    return Lab(page, "train", "train")


def badge(page: Page) -> Locator:
    return page.locator(".st-key-train-head .stMarkdownBadge")


def pictures(page: Page) -> int:
    return int(page.get_by_test_id("flipbook").first.get_attribute("data-pictures") or 0)


def wait_for_pictures(page: Page, more_than: int) -> None:
    """Wait until the flipbook has more pictures, and shows the newest."""
    expect(page.get_by_test_id("flipbook").first).to_be_visible()
    page.wait_for_function(
        """least => {
            const find = (root) => root.querySelector("[data-testid=flipbook]")
                ?? [...root.querySelectorAll("*")].map((each) => each.shadowRoot && find(each.shadowRoot))
                    .find(Boolean);
            const book = find(document);
            return book && Number(book.dataset.pictures) > least;
        }""",
        arg=more_than,
    )


def test_a_run_is_started_watched_stopped_resumed_and_ends(
    app: Server, runs: Path, page: Page, page_errors: list[str]
) -> None:
    key = "flow_two_moons_training"
    settings = {f"{key}_{name}": value for name, value in OFTEN.items()}
    opened = open_train(
        page, app, model="flow", flow_preset="two_moons", **settings, **{f"{key}_num_steps": LONG}
    )
    expect(page.get_by_role("heading", level=3)).to_have_text(["An example", "What it makes"])
    page.evaluate("window.neverReloaded = true")
    opened.press("Start a run")
    expect(badge(page)).to_have_text(re.compile("about to begin|running"))
    expect(badge(page)).to_have_text("running")
    expect(page).to_have_url(re.compile("train_run=flow-two_moons"))
    wait_for_pictures(page, 1)
    before = pictures(page)
    progress = page.get_by_test_id("stProgress")
    expect(progress).to_contain_text(re.compile(r"Step [\d,]+ of 1,000,000 steps, about"))
    wait_for_pictures(page, before)  # it grows, and nobody reloads
    expect(page.get_by_test_id("stVegaLiteChart").first).to_be_visible()
    opened.press("Stop")
    expect(badge(page)).to_have_text("stopped")
    expect(page.get_by_test_id("stMain")).to_contain_text(re.compile(r"Stopped at step [\d,]+ of 1,000,000"))
    run = RunFolder(runs / "flow-two_moons")
    stopped_at = run.status().step
    assert (run.status().state, run.last.is_file()) == ("stopped", True)
    opened.press("Resume")
    expect(badge(page)).to_have_text("running")
    wait_for_pictures(page, pictures(page))
    opened.press("Stop")
    expect(badge(page)).to_have_text("stopped")
    assert run.status().step > stopped_at
    assert page.evaluate("window.neverReloaded")
    assert page_errors == []


def test_a_short_run_is_done_is_trained_longer_and_shows_what_it_makes(
    app: Server, runs: Path, page: Page, page_errors: list[str]
) -> None:
    train(runs, "short", 40).wait(timeout=60)
    opened = open_train(page, app)
    expect(badge(page)).to_have_text("done")
    expect(page.get_by_text("40 steps in")).to_be_visible()
    opened.press("Train longer")
    page.get_by_role("spinbutton", name="Up to step").fill("80")
    page.get_by_role("spinbutton", name="Up to step").press("Enter")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("80 steps in")).to_be_visible()
    expect(badge(page)).to_have_text("done")
    opened.press("Show what it makes")
    expect(page.get_by_text("1,600 samples with seed 0, of the best checkpoint")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Checkpoint").click()
    assert download.value.suggested_filename == "short.safetensors"
    opened.press("Delete")
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("heading", level=3).first).to_have_text("An example")
    assert not (runs / "short").exists()
    assert page_errors == []


def test_a_run_of_the_command_line_appears_and_outlives_reload_and_server(
    app: Server, runs: Path, tmp_path: Path, page: Page, page_errors: list[str]
) -> None:
    with running_app(tmp_path / "log.txt") as first:
        opened = open_train(page, first)
        expect(page.get_by_role("heading", level=3).first).to_have_text("An example")
        process = train(runs, "of-the-terminal", LONG)
        opened.press("Look again")
        expect(badge(page)).to_have_text("running")
        wait_for_pictures(page, 0)
        page.reload()
        expect(badge(page)).to_have_text("running")
        page.goto("about:blank")
    assert process.poll() is None  # the server has ended, the run has not
    opened = open_train(page, app, run="of-the-terminal")
    expect(badge(page)).to_have_text("running")
    wait_for_pictures(page, pictures(page))
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    expect(badge(page)).to_have_text("stopped")
    expect(page.get_by_test_id("stMain")).to_contain_text(GONE)
    opened.press("Resume")
    expect(badge(page)).to_have_text("running")
    assert page_errors == []


def test_a_failed_run_tells_its_sentence_and_folds_its_log(
    app: Server, runs: Path, page: Page, page_errors: list[str]
) -> None:
    opened = open_train(
        page,
        app,
        model="flow",
        flow_preset="two_moons",
        flow_two_moons_data="digits",
        flow_two_moons_training_num_steps=50,
        flow_two_moons_training_batch_size=60000,
    )
    opened.press("Start a run")
    expect(badge(page)).to_have_text("failed")
    expect(page.get_by_test_id("stAlert").first).to_contain_text("fewer than a batch of 60000")
    log = page.get_by_test_id("stExpander").filter(has_text="Its log")
    expect(log.locator("code")).not_to_be_visible()
    log.locator("summary").click()
    expect(log.locator("code")).to_contain_text("lflow: digits has")
    assert page_errors == []


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1400), ("dark", 1400), ("light", 420), ("dark", 420)]
)
def test_opens_on_the_example_and_fits(
    app: Server, page: Page, page_errors: list[str], scheme: Literal["light", "dark"], width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 1300})
    open_train(page, app, run="an example")
    book = page.get_by_test_id("flipbook")
    last = book.get_attribute("data-step")
    expect(page.get_by_test_id("stVegaLiteChart").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth <= main.clientWidth")
    screenshot(page, f"train-{scheme}-{width}")
    book.get_by_role("slider").fill("0")
    assert book.get_attribute("data-step") != last
    book.get_by_role("button", name="Play the pictures").click()
    expect(book).to_have_attribute("data-step", last or "")
    expect(book).to_have_attribute("data-playing", "false")
    assert page_errors == []
