"""The program that a reader takes along computes the same arrays, here and in a process of its own."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lflow.ui.program import file_name, python_code
from lflow.ui.request import as_json
from lflow.ui.run import record_every
from tests.lab_requests import FORMULA, POINTS, finished, make_request

ROOT = Path(__file__).resolve().parents[1]
KINDS = {
    "default start": {},
    "point": {"start": "point", "x": 0.5, "y": -0.25, "sampler": "mala"},
    "box": {"start": "box", "sampler": "baoab", "seed": 3},
    "continued": {"more": 2, "rule": "polynomial", "sampler": "hmc"},
    "formula": {"energy": FORMULA, "temperature": 0.5, "rule": "rmsprop"},
    "box on a formula": {"energy": FORMULA, "start": "box", "more": 1},
    "points of your own": {"energy": POINTS, "start": "box"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_program_gives_the_same_arrays(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request, result = finished(**KINDS[kind])
    code = python_code(request, record_every(request.settings))
    found: dict[str, Any] = {}
    exec(compile(ast.parse(code), "shared", "exec"), found)  # noqa: S102  (our own text)
    assert torch.equal(found["r"].positions, result.positions)
    assert torch.equal(found["r"].steps, result.steps)


def test_a_fresh_process_gives_the_same_arrays(tmp_path: Path) -> None:
    expected = {}
    # SVGD multiplies matrices, whose sums depend on the number of threads.
    kinds = (KINDS["points of your own"], KINDS["continued"], {"sampler": "svgd", "num_chains": 700})
    for number, kind in enumerate(kinds):
        request, result = finished(**kind)
        program = python_code(request, record_every(request.settings))
        (tmp_path / f"program{number}.py").write_text(program)
        expected[f"{file_name(request)}.npz"] = result
    run_all = "import runpy, sys; [runpy.run_path(file) for file in sys.argv[1:]]"
    command = [sys.executable, "-c", run_all, *(f"program{number}.py" for number in range(len(kinds)))]
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    settings.pop("OMP_NUM_THREADS", None)
    done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for name, result in expected.items():
        with np.load(tmp_path / name, allow_pickle=False) as arrays:
            assert arrays["positions"].tobytes() == result.positions.numpy().tobytes()
            assert arrays["steps"].tolist() == result.steps.tolist()
        assert name in done.stdout


def test_the_largest_set_of_points_is_written_out_to_the_last_digit() -> None:
    points = np.random.default_rng(1).normal(size=(5000, 2))
    request = make_request(as_json("from_points", points=points.tolist(), bandwidth=1.0))
    written = next(node for node in ast.parse(python_code(request, 1)).body if isinstance(node, ast.Assign))
    assert np.array_equal(np.array(ast.literal_eval(written.value)), points)


def test_file_names_say_what_is_in_them() -> None:
    assert file_name(make_request("rings", "hmc", seed=4)) == "lflow-rings-hmc-constant-seed4"
