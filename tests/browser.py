"""The browser that the tests drive: find one, or install one, and say so.

`python -m tests.browser` does this ahead of the tests, so that a download is seen and not mistaken for a
slow test. It knows nothing of the app.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

SCREENSHOTS = Path(__file__).parent / "screenshots"

_INSTALLED = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def find_or_install_browser() -> str:
    """The path of a Chromium or Chrome that runs; installs one if there is none."""
    if chosen := os.environ.get("LFLOW_BROWSER"):
        if not _runs(chosen):
            raise RuntimeError(f"LFLOW_BROWSER is {chosen!r}, which does not run.")
        return chosen
    return (
        _find_installed()
        or _find_playwrights()
        or _install_playwrights()
        or _install_system_package()
        or _give_up()
    )


def screenshot(page: Page, name: str) -> Path:
    """Write what the page shows to tests/screenshots/<name>.png."""
    SCREENSHOTS.mkdir(exist_ok=True)
    path = SCREENSHOTS / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)}.png"
    page.screenshot(path=path)
    return path


def _runs(path: str) -> bool:
    """Whether it starts at all: a downloaded browser may lack the system's libraries."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _find_installed() -> str | None:
    found = (shutil.which(name) for name in _INSTALLED)
    return next((path for path in found if path and _runs(path)), None)


def _find_playwrights() -> str | None:
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if _runs(path) else None


def _install_playwrights() -> str | None:
    print("No Chromium or Chrome here; asking Playwright for its own.", flush=True)
    settings = {"PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "10000", **os.environ}  # milliseconds
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], env=settings, check=False)
    return _find_playwrights()


def _install_system_package() -> str | None:
    if not (shutil.which("apt-get") and os.geteuid() == 0):
        return None
    print("Installing the system's chromium.", flush=True)
    settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", "-q", *command], env=settings, check=False)
    return _find_installed()


def _give_up() -> str:
    raise RuntimeError(
        "The browser tests need Chromium or Chrome, and none could be installed. Install one "
        "(`apt install chromium`, or Chrome from its site), or name one: LFLOW_BROWSER=/path/to/chrome."
    )


if __name__ == "__main__":
    try:
        print(f"Browser for the tests: {find_or_install_browser()}")
    except RuntimeError as error:
        sys.exit(str(error))
