"""Files of what a page shows, by its outcome or by `lflow export`: read again, they hold what it computed."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lflow.cli import main
from lflow.loop import Result
from lflow.ui import link
from lflow.ui.files import KINDS, last_frames, npz
from lflow.ui.outcome import Outcome
from lflow.ui.request import Race
from lflow.ui.run import run
from lflow.ui.store import Store
from tests.lab_requests import finished

ROOT = Path(__file__).resolve().parents[1]
LINK = "http://127.0.0.1:8501/particle-lab?lab_version=1&lab_energy=Banana&lab_sampler=mala&lab_h=0.02"
LINK += "&lab_num_chains=50&lab_num_steps=30&lab_start=box&lab_seed=3&lab_hide=energy,sampler"
ARRAYS = ("positions", "steps", "gradient_evaluations", "acceptance", "step_sizes", "diverged", "escaped")


def make_outcome(**results: Result) -> Outcome:
    def no_scene() -> Any:
        raise AssertionError("arrays need no picture")

    return Outcome("name", results, no_scene, "code", '{"asked": "for"}')


def two_runs() -> dict[str, Result]:
    return {"ULA": finished()[1], "MALA": finished(sampler="mala", h=0.5)[1]}


def assert_same(kept: Any, result: Result, start: str = "") -> None:
    for name in ARRAYS:
        expected = getattr(result, name).numpy()
        assert kept[f"{start}{name}"].dtype == expected.dtype
        np.testing.assert_array_equal(kept[f"{start}{name}"], expected)


def test_npz_holds_the_arrays_of_a_run_and_what_was_asked_for() -> None:
    _, result = finished()
    with np.load(io.BytesIO(npz(make_outcome(ULA=result))), allow_pickle=False) as kept:
        assert_same(kept, result)
        assert str(kept["config"]) == '{"asked": "for"}'
        assert set(kept) == {*ARRAYS, "config"}


def test_npz_of_several_runs_numbers_them_and_names_them() -> None:
    results = two_runs()
    with np.load(io.BytesIO(npz(make_outcome(**results))), allow_pickle=False) as kept:
        assert kept["labels"].tolist() == ["ULA", "MALA"]
        assert_same(kept, results["ULA"], "1_")
        assert_same(kept, results["MALA"], "2_")


def test_csv_holds_the_last_frame_to_the_last_digit() -> None:
    results = two_runs()
    one = list(csv.DictReader(io.StringIO(last_frames(make_outcome(ULA=results["ULA"])).decode())))
    assert list(one[0]) == ["particle", "x", "y", "diverged", "escaped"]
    several = list(csv.DictReader(io.StringIO(last_frames(make_outcome(**results)).decode())))
    assert [row["run"] for row in several] == ["ULA"] * 50 + ["MALA"] * 50
    for rows, result in ((one, results["ULA"]), (several[50:], results["MALA"])):
        positions = np.array([[row["x"], row["y"]] for row in rows]).astype(np.float32)
        np.testing.assert_array_equal(positions, result.positions[-1].numpy())
        assert [row["diverged"] == "True" for row in rows] == result.diverged.tolist()
        assert [int(row["particle"]) for row in rows] == list(range(50))


def test_csv_of_images_has_a_column_a_pixel() -> None:
    _, cloud = finished()
    images = torch.arange(24.0).reshape(1, 2, 1, 3, 4) / 7
    result = replace(cloud, positions=images, diverged=torch.tensor([False, True]), escaped=cloud.escaped[:2])
    rows = list(csv.DictReader(io.StringIO(last_frames(make_outcome(ULA=result)).decode())))
    assert [row["image"] for row in rows] == ["0", "1"]
    kept = [[row[f"pixel_{number}"] for number in range(12)] for row in rows]
    np.testing.assert_array_equal(np.array(kept, np.float32), images[0].flatten(1))


@pytest.mark.parametrize("ending", KINDS)
def test_export_makes_every_kind_of_file(
    ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"picture{ending.upper()}"
    assert main(["export", LINK, "--out", str(out), "--width", "480", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    data = out.read_bytes()
    assert said == {
        "out": str(out),
        "bytes": len(data),
        "kind": ending[1:],
        "name": "lflow-banana-mala-constant-seed3",
    }
    assert [file.name for file in tmp_path.iterdir()] == [out.name]
    asked = link.request(LINK)
    assert not isinstance(asked, Race)
    result = run(asked, Store(1))
    if ending == ".npz":
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            assert_same(kept, result)
            assert str(kept["config"]) == asked.key
    elif ending in (".png", ".gif"):
        with Image.open(io.BytesIO(data)) as image:
            assert (image.format, image.width) == (ending[1:].upper(), 480)
            assert getattr(image, "n_frames", 1) == (31 if ending == ".gif" else 1)
    elif ending == ".mp4":
        assert data[4:8] == b"ftyp"
    else:
        assert {".py": b"lflow.simulate(", ".csv": b"particle,x,y"}[ending] in data


def test_what_export_draws_is_what_the_page_shows() -> None:
    with_flow = link.outcome(f"{LINK.replace('=mala', '=ula')}&lab_flow=true").scene()
    assert with_flow.panels[0].flow is not None
    assert link.outcome(LINK).scene().panels[0].flow is None
    race = link.outcome("race_energy=banana&race_gradients=20&race_num_chains=50").scene()
    assert [panel.label for panel in race.panels] == ["ULA", "AniLA, as published"]


def test_an_address_that_sets_nothing_is_the_page_as_it_comes() -> None:
    assert link.request("http://127.0.0.1:8501/particle-lab") == link.lab_request({})
    assert link.request("https://example.org/lab/race/") == link.race_request({})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            [LINK, "--out", "a.tiff"],
            "--out must end in one of .py, .npz, .csv, .png, .gif, .mp4, .safetensors; got 'a.tiff'",
        ),
        ([LINK, "--out", "taken.gif"], "taken.gif exists already"),
        ([LINK, "--out", "nowhere/a.gif"], "in a folder that exists"),
        ([LINK, "--out", "a.gif", "--width", "9999"], "width must be between 0 and 4,096"),
        ([LINK, "--out", "a.gif", "--width", "100"], "needs a width of 240 pixels or more"),
        ([LINK], "--out"),
        (["lab_h=-1", "--out", "a.csv"], "h must be between 1e-12 and 100, got -1"),
        (["lab_sampler=nope", "--out", "a.csv"], "sampler must be one of"),
        (["?lab_bogus=1", "--out", "a.csv"], "a link cannot set 'bogus' here"),
        (["http://127.0.0.1:8501/papers", "--out", "a.csv"], "this is not a link to a picture"),
        (["/anila?anila_view=The+law", "--out", "a.gif"], "only the view 'The clouds' of the page AniLA"),
        (["anila_view=cost", "--out", "a.csv"], "python -m lflow paper anila"),
        (["lab_energy=from_points", "--out", "a.csv"], "a link does not hold points of your own"),
        (["lab_num_steps=20000&lab_num_chains=50000", "--out", "a.csv"], "times what a page may compute"),
    ],
)
def test_a_bad_argument_is_one_line_and_no_file(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken.gif").write_bytes(b"mine")
    assert main(["export", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["taken.gif"]
    assert Path("taken.gif").read_bytes() == b"mine"


def test_force_overwrites(tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    out.write_bytes(b"mine")
    assert main(["export", LINK, "--out", str(out), "--force"]) == 0
    assert out.read_bytes().startswith(b"particle,x,y")


def test_export_needs_nothing_of_the_app(tmp_path: Path) -> None:
    missing = ("streamlit", "altair", "pandas", "plotly", "av")
    code = f"import sys; sys.modules.update(dict.fromkeys({missing}))\n"
    code += f"from lflow.cli import main; sys.exit(main(['export', {LINK!r}, '--out', 'a.gif']))"
    command = [sys.executable, "-c", code]
    settings = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.gif").stat().st_size > 10_000
