"""Runs of the lab in a real browser: refused, too long, diverging ones, and what one takes along."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from tests.conftest import ROOT, Server
from tests.lab_page import Lab

pytestmark = pytest.mark.browser

SMALL = {"num_chains": 100, "num_steps": 60}
NEAR = np.random.default_rng(0).normal(size=(50, 2))


def test_a_bad_address_is_told_and_the_page_runs(server: Server, page: Page, page_errors: list[str]) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    lab = Lab(page).open(
        server.url,
        bogus="![picture](http://example.org/a.png)",
        h="nan",
        temperature="inf",
        num_steps="1e9",
        sampler="nope",
        num_chains="0",
        seed="![picture](http://example.org/b.png)",
    )
    lab.says("id")
    for name in ("bogus", "h", "temperature", "num_steps", "sampler", "num_chains", "seed"):
        expect(lab.alerts.filter(has_text=re.compile(rf"The link sets lab_{name}\b"))).to_have_count(1)
    for name, default in (("h", "0.009"), ("num_steps", "500"), ("sampler", "ULA"), ("seed", "0")):
        expect(lab.control(name)).to_have_value(default)
    expect(lab.player.locator(".caption")).to_contain_text("2,000 particles")
    assert [url for url in requests if not url.startswith((server.url, "data:", "blob:"))] == []
    assert page_errors == []


def test_a_fraction_of_a_particle_gives_what_the_sentence_says(
    server: Server, page: Page, page_errors: list[str]
) -> None:
    lab = Lab(page).open(server.url, num_chains="2.5", num_steps=60)
    expect(lab.alerts).to_contain_text("num_chains must be a whole number, got 2.5. The default is used.")
    expect(lab.player.locator(".caption")).to_contain_text("2,000 particles")
    assert page_errors == []


def test_formulas(server: Server, page: Page, page_errors: list[str]) -> None:
    lab = Lab(page).open(server.url, energy="from_expression", formula="x**2 + y**2", **SMALL)
    old = lab.says("id")
    refused = {
        "import os": "not known here",
        "1/x": "not finite",
        "-x**2": "does not rise",
        "": "write for instance x**2 + y**2",
    }
    for text, sentence in refused.items():
        lab.enter("formula", text)
        expect(lab.alerts).to_have_count(1)
        expect(lab.alerts).to_contain_text(sentence)
        assert lab.says("id") == old  # the last picture stays
    lab.enter("formula", "x**4 + y**2")
    lab.wait_for_new(old)
    expect(lab.alerts).to_have_count(0)
    assert page_errors == []


def test_a_formula_without_curvature_plays(server: Server, page: Page, page_errors: list[str]) -> None:
    lab = Lab(page).open(server.url, energy="from_expression", formula="abs(x) + abs(y)", **SMALL)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    lab.says("id")
    assert page_errors == []


def test_a_formula_that_is_too_long(server: Server, page: Page, page_errors: list[str]) -> None:
    lab = Lab(page).open(server.url, energy="from_expression", formula="x" * 600)
    expect(lab.alerts.first).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    lab.enter("formula", "x**2 + y**2")
    lab.says("id")
    assert page_errors == []


def csv(*lines: str) -> FilePayload:
    table = [f"{x:.4f},{y:.4f}" for x, y in NEAR]
    return {"name": "mine.csv", "mimeType": "text/csv", "buffer": "\n".join([*table, *lines]).encode()}


def npy(array: np.ndarray) -> FilePayload:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return {"name": "mine.npy", "mimeType": "application/octet-stream", "buffer": buffer.getvalue()}


def test_uploads(server: Server, page: Page, page_errors: list[str]) -> None:
    lab = Lab(page).open(server.url, energy="from_points", **SMALL)
    expect(lab.alerts).to_contain_text("Choose a file")
    upload = page.locator(".st-key-lab_file input[type=file]")
    upload.set_input_files(csv())
    old = lab.says("id")
    expect(lab.alerts).to_have_count(0)
    one_column: FilePayload = {"name": "mine.csv", "mimeType": "text/csv", "buffer": b"1\n2\n" * 20}
    refused = {
        "the text 'hello' in row 51": csv("hello,1"),
        "NaN or infinity in row 51": csv("nan,1"),
        "one column": one_column,
        "Python objects, which are never loaded": npy(np.array([{}] * 20, dtype=object)),
    }
    for sentence, file in refused.items():
        upload.set_input_files(file)
        expect(lab.alerts).to_contain_text(sentence)
        assert lab.says("id") == old
    upload.set_input_files(npy(NEAR + 1))
    lab.wait_for_new(old)
    expect(lab.alerts).to_have_count(0)
    assert page_errors == []


def test_a_rule_that_does_not_fit_is_refused_in_a_sentence(
    server: Server, page: Page, page_errors: list[str]
) -> None:
    lab = Lab(page).open(server.url, sampler="mala", **SMALL)
    old = lab.says("id")
    lab.choose("step", "anisotropic")
    expect(lab.alerts).to_contain_text("detailed balance")
    assert lab.says("id") == old
    lab.choose("sampler", "ULA")
    lab.wait_for_new(old)
    expect(lab.alerts).to_have_count(0)
    assert page_errors == []


def test_over_budget_is_trimmed_by_a_button(server: Server, page: Page, page_errors: list[str]) -> None:
    lab = Lab(page).open(server.url, sampler="mala", num_chains=50_000, num_steps=20_000)
    expect(lab.alerts).to_contain_text("10 times what a page may compute")
    expect(page.get_by_text("Shown here: the first 200 steps.")).to_be_visible()
    short = lab.says("id")
    lab.press("steps instead")
    expect(lab.control("num_steps")).not_to_have_value("20000")
    stop = page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True)
    expect(page.get_by_test_id("stProgress")).to_contain_text("of 2,000")
    stop.dispatch_event("click")  # a click would wait until the progress beside it stands still
    expect(lab.alerts).to_contain_text("Stopped.")
    expect(page.get_by_role("button", name="Run it again")).to_be_visible()
    lab.enter("num_steps", 20)
    lab.wait_for_new(short)
    expect(lab.alerts).to_have_count(0)
    expect(stop).to_have_count(0)
    assert page_errors == []


def test_stopping_keeps_the_picture(server: Server, page: Page, page_errors: list[str]) -> None:
    lab = Lab(page).open(server.url, num_chains=20_000, num_steps=20, sampler="mala")
    old = lab.says("id")
    lab.enter("num_steps", 4000)  # far longer than a click takes
    expect(page.get_by_test_id("stProgress")).to_contain_text("of 4,000")
    expect(lab.player).to_be_visible()
    assert lab.says("id") == old
    lab.press("Stop")
    expect(lab.alerts).to_contain_text("Stopped.")
    assert lab.says("id") == old
    lab.player.focus()
    page.keyboard.press("End")
    expect(lab.player).to_have_attribute("data-frame", "20")
    assert page_errors == []


def test_too_large_a_step_is_named_and_made_safe(server: Server, page: Page, page_errors: list[str]) -> None:
    lab = Lab(page).open(server.url, h=1.0, num_chains=100, num_steps=100)
    old = lab.says("id")
    banner = lab.player.locator(".banner")
    lab.pause()
    expect(banner).to_be_hidden()
    page.keyboard.press("End")
    expect(banner).to_contain_text(re.compile(r"Diverged .* step 1 is above ULA's edge 2/L = 0\.0\d+ here"))
    expect(lab.player.locator(".caption")).to_contain_text(re.compile(r"ha(s|ve) left for good|overflowed"))
    lab.press("Use a safe step")
    lab.wait_for_new(old)
    expect(banner).to_be_hidden()
    expect(page.get_by_role("button", name="Use a safe step")).to_have_count(0)
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    assert page_errors == []


def test_what_one_takes_along_is_the_same_everywhere(
    server: Server, page: Page, page_errors: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lab = Lab(page).open(server.url, energy="banana", sampler="mala", start="box", seed=7, more=1, **SMALL)
    lab.says("id")
    folder = tmp_path_factory.mktemp("taken")
    expander = page.get_by_test_id("stExpander").filter(has_text="Take it with you")
    expander.locator("summary").click()
    expander.get_by_role("button", name="Make the GIF").click()
    kinds = {"All frames (NPZ)": "run.npz", "Last frame (CSV)": "run.csv", "Film (GIF)": "run.gif"}
    for label, name in (kinds | {"Python program": "run.py", "Picture (PNG)": "run.png"}).items():
        with page.expect_download() as download:
            expander.get_by_role("button", name=label).click()
        download.value.save_as(folder / name)
        assert download.value.suggested_filename == f"lflow-banana-mala-constant-seed7{Path(name).suffix}"
    with np.load(folder / "run.npz", allow_pickle=False) as arrays:
        positions = arrays["positions"]
    assert positions.shape == (61, 100, 2)
    table = pd.read_csv(folder / "run.csv")
    assert list(table.columns) == ["particle", "x", "y", "diverged", "escaped"]
    np.testing.assert_allclose(table[["x", "y"]].to_numpy(), positions[-1], rtol=1e-6)
    code = (folder / "run.py").read_text()
    assert expander.locator("code").first.inner_text().strip() == code.strip()
    with Image.open(folder / "run.gif") as film, Image.open(folder / "run.png") as picture:
        assert (film.n_frames, picture.format) == (61, "PNG")
        assert picture.width > film.width > 700
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "run.py"], cwd=folder, env=settings, check=True, timeout=60)
    with np.load(folder / "lflow-banana-mala-constant-seed7.npz", allow_pickle=False) as arrays:
        again = arrays["positions"]
    assert again.tobytes() == positions.tobytes()
    assert page_errors == []
