"""The command line: exit codes, one-line errors, and runs equal to those of `lflow.simulate`."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lflow
from lflow import cli
from lflow.bench import sampling
from lflow.commands import app as app_command
from lflow.spec import Parameter
from tests.conftest import Said
from tests.test_house import ROOT, loaded_after

QUICK = ("--num-steps", "20", "--num-chains", "30")


def answer(said: Said) -> Any:
    """The one JSON object on standard output."""
    assert said.code == 0, said.err

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    return json.loads(said.out, parse_constant=refuse)


def test_help_is_light_and_names_the_commands() -> None:
    code = """
import contextlib, io
from lflow.cli import main
with contextlib.redirect_stdout(io.StringIO()) as out:
    assert main(["--help"]) == 0
assert all(name in out.getvalue() for name in ("sample", "bench", "app"))
"""
    assert loaded_after(code, ("torch", "numpy", "streamlit")) == set()


def test_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lflow", "--version"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.strip()) == (0, lflow.__version__)


def test_help_of_a_sampler_lists_its_parameters(say: Any) -> None:
    said = say("sample", "--energy", "gaussian", "--sampler", "hmc", "--step", "cyclical", "--help")
    assert said.code == 0
    for words in (
        "--num-leapfrog INT",
        "1 to 200",
        "default 10",
        "--cycle-length",
        "steps",
        "--step-size FLOAT",
    ):
        assert words in said.out
    assert "--num-leapfrog" not in say("sample", "--sampler", "ula", "--help").out


BAD = [
    ([], "command"),
    (["smaple"], "smaple"),
    (["sample"], "--energy"),
    (["sample", "--energy", "rngs"], "Did you mean 'rings'"),
    (["sample", "--energy", "rings", "--formula", "x**2"], "not allowed with"),
    (["sample", "--energy", "rings", "--sampler", "nuts"], "no sampler named 'nuts'"),
    (["sample", "--energy", "rings", "--step", "huge"], "no step rule named 'huge'"),
    (["sample", "--energy", "rings", "--width", "9"], "width must be between 0.02 and 1, got 9"),
    (["sample", "--energy", "rings", "--width", "wide"], "width must be a number"),
    (["sample", "--energy", "rings", "--num-rings", "1.5"], "whole number"),
    (["sample", "--energy", "rings", "--energy-param", "width"], "name=value"),
    (["sample", "--energy", "rings", "--energy-param", "hight=2"], "width, num_rings"),
    (["sample", "--energy", "rings", "--width", "0.1", "--energy-param", "width=0.1"], "given twice"),
    (["sample", "--energy", "rings", "--sampler", "ula", "--num-leapfrog", "3"], "--num-leapfrog"),
    (["sample", "--energy", "rings", "--step-size", "0"], "step_size"),
    (["sample", "--energy", "rings", "--step-size", "nan"], "step_size"),
    (["sample", "--energy", "rings", "--num-steps", "0"], "num_steps"),
    (["sample", "--energy", "rings", "--num-st", "10"], "--num-st"),
    (["sample", "--energy", "rings", "--temperature", "-1"], "temperature"),
    (["sample", "--energy", "rings", "--temperature", "inf"], "temperature"),
    (["sample", "--energy", "rings", "--seed", "-3"], "seed"),
    (["sample", "--energy", "rings", "--device", "abacus"], "'abacus'"),
    (["sample", "--energy", "rings", "--sampler", "mala", "--step", "anisotropic"], "detailed balance"),
    (["sample", "--energy", "rings", "--step", "target_acceptance"], "acceptance"),
    (["sample", "--formula", "x**2 +"], ""),
    (["sample", "--formula", "__import__('os')"], ""),
    (["sample", "--formula", "x**2"], "rise"),
    (["sample", "--points", "/no/such.csv"], "such.csv"),
    (["sample", "--energy", "rings", "--out", "/no/such/folder/a.npz"], "folder"),
    (["app", "--port", "99999"], "port"),
    (["bench", "--chains", "0"], "--chains"),
]


@pytest.mark.parametrize(("words", "why"), BAD, ids=[" ".join(words) or "nothing" for words, _ in BAD])
def test_a_bad_argument_is_one_line_and_2(say: Any, words: list[str], why: str) -> None:
    said = say(*words)
    assert said.code == 2
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("lflow: ")
    assert why in said.err


def test_a_failure_is_one_line_and_1_and_debug_shows_more(say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("the machine\nis on fire")

    monkeypatch.setattr(lflow, "simulate", fail)
    said = say("sample", "--energy", "rings", *QUICK)
    assert said == (1, "", "lflow: the machine is on fire\n")
    told = say("sample", "--energy", "rings", *QUICK, "--debug")
    assert told.code == 1
    assert "Traceback" in told.err


def test_the_file_holds_what_simulate_returns(say: Any, tmp_path: Path) -> None:
    out = tmp_path / "rings.npz"
    words = ["sample", "--energy", "rings", "--width", "0.2", "--sampler", "hmc", "--num-leapfrog", "4"]
    words += ["--step", "polynomial", "--step-size", "0.1", "--step-param", "power=0.3", "--num-steps", "25"]
    words += ["--num-chains", "40", "--temperature", "0.8", "--record-every", "10", "--seed", "5"]
    report = answer(say(*words, "--device", "cpu", "--out", out, "--json"))
    expected = lflow.simulate(
        lflow.energies.get("rings", width=0.2),
        sampler=lflow.samplers.get("hmc", num_leapfrog=4),
        step=lflow.steps.get("polynomial", step_size=0.1, power=0.3),
        num_steps=25,
        num_chains=40,
        temperature=0.8,
        record_every=10,
        seed=5,
        device="cpu",
    )
    with np.load(out, allow_pickle=False) as file:
        arrays = dict(file)
    config = json.loads(str(arrays.pop("config")))
    names = "positions", "steps", "gradient_evaluations", "acceptance", "step_sizes", "diverged", "escaped"
    assert set(arrays) == set(names)
    for name in names:
        np.testing.assert_array_equal(arrays[name], getattr(expected, name).numpy())
    assert config == report["config"]
    assert list(tmp_path.iterdir()) == [out]


def test_the_configuration_reproduces_the_run(say: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    say(
        "sample",
        "--energy",
        "funnel",
        "--sampler",
        "baoab",
        "--friction",
        "2",
        *QUICK,
        "--seed",
        "9",
        "--out",
        out,
    )
    with np.load(out) as file:
        positions, config = file["positions"], json.loads(str(file["config"]))
    parts = {
        kind: lflow_kind.get(**config.pop(kind))
        for kind, lflow_kind in (
            ("sampler", lflow.samplers),
            ("step", lflow.steps),
            ("energy", lflow.energies),
        )
    }
    assert (config.pop("version"), config.pop("lflow")) == (1, lflow.__version__)
    np.testing.assert_array_equal(lflow.simulate(**parts, **config).positions.numpy(), positions)


def test_the_report(say: Any) -> None:
    report = answer(
        say("sample", "--energy", "gaussian", "--sampler", "mala", "--step-size", "0.5", "--json")
    )
    assert set(report) == {
        *("config", "out", "seconds", "particle_steps_per_second", "gradients_per_chain", "acceptance"),
        *("diverged", "escaped", "mean", "variance", "sliced_w2", "notes"),
    }
    r = lflow.simulate(lflow.energies.get("gaussian"), "mala", step_size=0.5)
    assert report["gradients_per_chain"] == int(r.gradient_evaluations[-1])
    assert report["acceptance"] == pytest.approx(float(r.acceptance[1:].mean()), abs=1e-6)
    assert report["mean"] == pytest.approx(r.positions[-1].mean(0).tolist(), abs=1e-5)
    assert report["variance"] == pytest.approx(r.positions[-1].var(0).tolist(), abs=1e-5)
    distance = report["sliced_w2"]
    assert distance["distance"] < distance["floor"] + 6 * distance["floor_std"]
    assert (report["out"], report["notes"]) == (None, [])


def test_people_get_a_table_and_no_progress_unasked(say: Any) -> None:
    said = say("sample", "--energy", "two_moons", *QUICK)
    assert (said.code, said.err) == (0, "")
    for word in ("two_moons", "variance", "sliced w2", "floor", "gradients per chain"):
        assert word in said.out
    assert say("sample", "--energy", "two_moons", *QUICK, "--progress").err == "20 of 20 steps\n"


def test_divergence_is_said_and_is_no_failure(say: Any) -> None:
    words = [
        "sample",
        "--energy",
        "gaussian",
        "--step-size",
        "2.5",
        "--num-steps",
        "400",
        "--num-chains",
        "20",
    ]
    report = answer(say(*words, "--json"))
    assert (report["diverged"], report["mean"], report["sliced_w2"]) == (20, None, None)
    assert "2 for ula" in report["notes"][0]
    assert "2/L" in say(*words).out


def test_no_exact_draws_no_distance(say: Any) -> None:
    words = ["sample", "--energy", "gaussian", *QUICK, "--temperature", "0", "--json"]
    assert answer(say(*words))["sliced_w2"] is None


def test_formula_and_points(say: Any, tmp_path: Path) -> None:
    report = answer(say("sample", "--formula", "x**2 + (y-1)**4", *QUICK, "--json"))
    assert report["config"]["energy"] == {"name": "from_expression", "formula": "x**2 + (y-1)**4"}
    points = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).numpy()
    np.savetxt(tmp_path / "cloud.csv", points, delimiter=",", header="x,y")
    out = tmp_path / "cloud.npz"
    words = ["sample", "--points", tmp_path / "cloud.csv", "--bandwidth", "2", *QUICK, "--out", out, "--json"]
    assert answer(say(*words))["config"]["energy"] == {
        "name": "from_points",
        "bandwidth": 2.0,
        "points": "cloud.csv",
    }
    with np.load(out) as file:
        again = lflow.simulate(lflow.energies.from_points(file["points"], 2.0), num_steps=20, num_chains=30)
        np.testing.assert_array_equal(file["positions"], again.positions.numpy())


def test_nothing_is_overwritten_unasked(say: Any, tmp_path: Path) -> None:
    out = tmp_path / "kept.npz"
    out.write_text("precious")
    words = ["sample", "--energy", "rings", *QUICK, "--out", out]
    said = say(*words)
    assert said.code == 2
    assert "--force" in said.err
    assert out.read_text() == "precious"
    assert say(*words, "--force").code == 0
    with np.load(out) as file:
        assert len(file["positions"]) == 3


def test_a_name_that_is_taken_gets_its_role() -> None:
    parser = cli.Parser()
    cli.add_parameters(parser, [Parameter("dim", 2, 1)], "energy", "a")
    cli.add_parameters(parser, [Parameter("dim", 3, 1), Parameter("smooth", False)], "sampler", "b")
    found = vars(parser.parse_args(["--dim", "4", "--sampler-dim", "5", "--smooth"]))
    assert found == {"energy.dim": 4, "sampler.dim": 5, "sampler.smooth": True}


def test_every_declared_parameter_has_a_flag(say: Any) -> None:
    for kind, role in ((lflow.samplers, "sampler"), (lflow.steps, "step"), (lflow.energies, "energy")):
        for name in kind.names():
            declared = lflow.spec.parameters(kind.get_class(name))
            shown = say("sample", f"--{role}", name, "--help").out
            assert all(f"{p.name.replace('_', '-')} " in shown for p in declared), name


def test_bench(say: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    words = ["bench", "--quick", "--chains", "16", "--turn", "0.001", "--no-compile", "--write", "--json"]
    report = answer(say(*words))
    assert {row["contender"] for row in report["mixture"]} >= {sampling.PLAIN, sampling.EAGER}
    assert all(row["particle_steps_per_second"] > 0 for row in report["mixture"])
    assert [row["contender"] for row in report["samplers"]] == list(lflow.samplers.names())
    assert next(row["per_gradient"] for row in report["samplers"] if row["contender"] == "ula") == 1
    assert all(aim["ratio"] is None for aim in report["aims"])
    assert torch.get_num_threads() == threads
    text = (tmp_path / "benchmarks" / "RESULTS.md").read_text()
    assert report["machine"]["cpu"] in text
    assert socket.gethostname() not in text
    assert str(Path.home()) not in text


def test_the_plain_loop_samples_what_lflow_samples() -> None:
    torch.manual_seed(0)
    end = sampling.plain_autograd(sampling.mixture(), torch.randn(4000, 2), 200)
    start = torch.randn(4000, 2, generator=torch.Generator().manual_seed(1))
    target = lflow.energies.get("gaussian_mixture")
    ours = lflow.simulate(target, step_size=sampling.STEP_SIZE, num_steps=200, init=start).positions[-1]
    floor, spread = lflow.metrics.exact_floor(lflow.metrics.sliced_wasserstein2, target.sample, 4000)
    assert lflow.metrics.sliced_wasserstein2(end, ours) < floor + 6 * spread


def test_app_without_streamlit_and_on_a_taken_port(say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = say("app", "--port", str(port))
    assert said.code == 1
    assert f"port {port}" in said.err
    monkeypatch.setattr(app_command, "find_spec", lambda name: None)
    said = say("app")
    assert said.code == 1
    assert "pip install" in said.err


def test_app_serves_until_it_is_told_to_stop() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "lflow", "app", "--port", str(port), "--headless", "--json"]
    settings = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    app = subprocess.Popen(
        command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert app.stdout is not None
        assert app.stderr is not None
        url = json.loads(app.stdout.readline())["url"]
        for line in app.stderr:  # Streamlit says where it listens once it does
            if "URL" in line:
                break
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=20) as health:
            assert health.status == 200
    finally:
        app.send_signal(signal.SIGTERM)
        said = app.communicate(timeout=20)[1]
    assert app.returncode in (0, 128 + signal.SIGTERM), said
