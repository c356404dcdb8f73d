"""How fast the lab feels: frames a second of a large cloud, and the time from a control to a new frame.

`python -m benchmarks.browser` starts a server and a headless Chromium of its own, prints a table, and with
`--json` one JSON object instead. Software rendering and the machine's other load count: the load is printed
beside the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import find_or_install_browser
from tests.lab_page import Lab

ROOT = Path(__file__).resolve().parents[1]
STEP_SIZES = (0.001, 0.0012, 0.0014, 0.0016, 0.0018, 0.0021, 0.0024, 0.0027, 0.0031, 0.0035)
PREFIXES = {"particle-lab": "lab"}  # where a page's keys do not begin with its address
SETTLE = 3000  # milliseconds of playing before frames are counted, over the second that they are counted in


@contextmanager
def _server() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    command += ["--server.port", url.rsplit(":", 1)[1]]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            _wait_until_healthy(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the app did not start")


@contextmanager
def _lab(browser: Browser, url: str, page: str = "particle-lab", **settings: Any) -> Iterator[Lab]:
    context = browser.new_context(viewport={"width": 1400, "height": 1050})
    lab = Lab(context.new_page(), PREFIXES.get(page, page), page).open(url, **settings)
    lab.says("id")
    yield lab
    context.close()


def frames(browser: Browser, url: str, num_chains: int) -> list[dict[str, Any]]:
    """Pictures drawn a second, and the mean cost of one, of a cloud that plays."""
    found = []
    with _lab(browser, url, num_chains=num_chains, num_steps=60) as lab:
        for between in (False, True):
            if between:
                lab.page.get_by_test_id("between").click()
            lab.page.wait_for_timeout(SETTLE)
            said = lab.player.evaluate("player => ({...player.dataset})")
            found.append(
                {
                    "particles": num_chains,
                    "in_between": between,
                    "recorded_frames": int(said["frames"]),
                    "turns_per_second": float(said["fps"]),
                    "draws_per_second": float(said["draws"]),
                    "draw_ms": float(said["drawMs"]),
                }
            )
    return found


def response(
    browser: Browser, url: str, name: str, field: str, values: Sequence[object], page: str, **settings: Any
) -> dict[str, Any]:
    """Seconds from Enter in a field to the first frame of the new cloud, over distinct values."""
    with _lab(browser, url, page, **settings) as lab:
        took = [_change(lab, field, value) for value in values]
    return {
        "name": name,
        "median": round(statistics.median(took), 3),
        "slowest": round(max(took), 3),
        "seconds": [round(value, 3) for value in took],
    }


def _change(lab: Lab, name: str, value: object) -> float:
    page: Page = lab.page
    old = lab.says("id")
    field = lab.control(name)
    field.fill(str(value))
    field.evaluate(
        """element => element.addEventListener("keydown", (event) => {
            window.pressedAt = performance.timeOrigin + event.timeStamp;
        }, { once: true, capture: true })"""
    )
    field.press("Enter")
    lab.wait_for_new(old)
    pressed = float(page.evaluate("window.pressedAt"))
    return (float(lab.says("moved-at")) - pressed) / 1000


def measure() -> dict[str, Any]:
    """Everything, with the machine's load before and after."""
    load = [os.getloadavg()[0]]
    with _server() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_or_install_browser())
        lab = {"num_chains": 2000, "num_steps": 500, "h": 0.0009}
        responses = [
            response(
                browser,
                url,
                f"lab: {energy} {sampler}",
                "h",
                STEP_SIZES,
                "particle-lab",
                energy=energy,
                sampler=sampler,
                **lab,
            )
            for energy in ("rings", "gaussian_mixture")
            for sampler in ("ula", "mala")
        ]
        responses += [
            response(browser, url, "race: every lane", "gradients", range(290, 300), "race"),
            response(browser, url, "race: four lanes", "gradients", range(290, 300), "race", lanes=4),
            response(
                browser,
                url,
                "AniLA: the clouds",
                "gaussian_b",
                (0.4, 0.6, 0.7, 0.8, 1, 1.2, 1.5, 2, 3, 4),
                "anila",
            ),
        ]
        drawn = frames(browser, url, 50_000)
        browser.close()
    load.append(os.getloadavg()[0])
    return {"cpus": os.cpu_count(), "load": load, "frames": drawn, "response": responses}


def _table(result: dict[str, Any]) -> str:
    before, after = result["load"]
    lines = [f"{result['cpus']} CPUs, load {before:.2f} before and {after:.2f} after", ""]
    lines.append(f"{'frames':28}{'turns/s':>10}{'draws/s':>10}{'ms a draw':>12}")
    for row in result["frames"]:
        name = f"{row['particles']:,} particles{', in between' if row['in_between'] else ''}"
        lines.append(
            f"{name:28}{row['turns_per_second']:10.1f}{row['draws_per_second']:10.1f}{row['draw_ms']:12.2f}"
        )
    lines += ["", f"{'control to first frame (s)':28}{'median':>10}{'slowest':>10}"]
    for row in result["response"]:
        lines.append(f"{row['name']:28}{row['median']:10.3f}{row['slowest']:10.3f}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    result = measure()
    print(json.dumps(result) if chosen.json else _table(result))


if __name__ == "__main__":
    main()
