"""Fixtures: a running app, and a page of a real browser that remembers what went wrong in it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

from lflow import cli
from tests.browser import find_or_install_browser, screenshot

# Before torch is loaded: the tests' tensors are small, and threads that wait for each other cost more than
# they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 90_000  # milliseconds; on a busy machine a page or a process takes half a minute to start
START_DEADLINE = 60.0  # seconds; a cold machine imports Streamlit in about ten

expect.set_options(timeout=PATIENCE)

# On an address below the root, Streamlit's page looks for its server there first, and is told 404.
_EXPECTED_404 = ("/_stcore/health", "/_stcore/host-config")


class Server(NamedTuple):
    """A running app."""

    url: str
    log: Path


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The tests keep their decoded data for themselves, and find none of the user's own."""
    os.environ["LFLOW_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ.pop("LFLOW_DATA", None)


class Said(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command in this process."""

    def run(*words: str) -> Said:
        code = cli.main([str(word) for word in words])
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One app for all tests of the session."""
    with running_app(tmp_path_factory.mktemp("server") / "log.txt") as running:
        yield running


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page of scenes_app.py: the player alone, without the app's settings."""
    folder = tmp_path_factory.mktemp("scenes")
    with running_app(folder / "log.txt", ROOT / "tests" / "scenes_app.py", folder) as running:
        yield running


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """An app that nobody has asked anything yet."""
    with running_app(tmp_path / "server-log.txt") as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real browser; the tests fail, and are not skipped, where there is none."""
    path = find_or_install_browser()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path)
        yield running
        running.close()


@pytest.fixture
def page_errors() -> list[str]:
    """What the page of this test has complained of: console errors and uncaught exceptions."""
    return []


@pytest.fixture
def page(browser: Browser, page_errors: list[str]) -> Iterator[Page]:
    """An empty page, in a context of its own."""

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].endswith(_EXPECTED_404):
            page_errors.append(message.text)

    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    opened.on("console", on_console)
    opened.on("pageerror", lambda error: page_errors.append(str(error)))
    yield opened
    context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the server's log, and keep a picture of the page, when a test fails."""
    report = yield
    if report.failed and report.when == "call":
        values = getattr(item, "funcargs", {})
        for name in ("server", "fresh_server", "scenes"):
            if name in values:
                report.sections.append((f"log of {name}", values[name].log.read_text()[-8000:]))
        if "page" in values:
            with contextlib.suppress(Error):  # a page that has crashed cannot be drawn
                report.sections.append(("picture", str(screenshot(values["page"], f"failed-{item.name}"))))
    return report


@contextlib.contextmanager
def running_app(log: Path, script: Path = ROOT / "app.py", folder: Path = ROOT) -> Iterator[Server]:
    """A script served from a folder, whose settings Streamlit reads."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.address", "127.0.0.1"]
    command += [
        "--server.port",
        str(port),
        "--server.headless",
        "true",
        "--browser.gatherUsageStats",
        "false",
    ]
    settings = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    settings["PYTHONPATH"] = str(ROOT)
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, env=settings, stdout=out, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_healthy(url, process, log)
        yield Server(url, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)  # between two polls, within the deadline
    pytest.fail(f"The app did not start within {START_DEADLINE:.0f} s:\n{log.read_text()}")
