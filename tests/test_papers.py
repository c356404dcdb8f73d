"""The papers' experiments: closed forms, taking up an interrupted one, and what `lflow paper` writes."""

import json
import math
import multiprocessing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import lflow
from lflow import cli
from lflow.papers import anila, anila_findings, anila_laws, dynamical_system, experiment, figure, workers
from lflow.papers.anila_laws import LAWS, variant_law, within_rings
from lflow.papers.dynamical_system_laws import VARIANCE, WRONG, IndependentMidpoint, curvature_between, target
from lflow.papers.experiment import Config, Findings, Job, Record
from lflow.papers.line import LineLaw


class Toy:
    """Six jobs and an interruption before the fourth, the first time."""

    TITLE = "A toy"

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.worked: list[int] = []
        self.interrupt_at = interrupt_at

    def jobs(self, quick: bool, seeds: int) -> list[Job]:
        return [
            Job({"part": "only", "method": "m", "seed": seed, "quick": quick}, 1.0) for seed in range(seeds)
        ]

    def work(self, config: Config) -> Findings:
        if config["seed"] == self.interrupt_at:
            raise KeyboardInterrupt
        self.worked.append(config["seed"])
        return {"value": config["seed"] ** 0.5}

    def conclude(self, records: Any) -> Findings:
        return {
            **experiment.mean_and_error([each.found["value"] for each in records]),
            "sentences": ["Said."],
        }

    def draw(self, findings: Findings) -> Any:
        drawn = figure.new(2, 2)
        drawn.subplots().plot([0, findings["mean"]])
        return drawn


def carry_out(paper: Any, folder: Path, said: list[str] | None = None) -> dict[str, Any]:
    say = (lambda line: said.append(line)) if said is not None else (lambda line: None)
    return experiment.run(paper, folder, "python -m lflow paper toy", False, 6, say)


def test_an_interrupted_experiment_goes_on_and_finds_the_same(tmp_path: Path) -> None:
    whole = carry_out(Toy(), tmp_path / "whole")
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        carry_out(Toy(interrupt_at=3), tmp_path / "cut", said)
    assert "3 of 6 runs are kept" in said[-1]
    assert "goes on" in said[-1]
    parts = tmp_path / "cut" / "parts.jsonl"
    parts.write_text(parts.read_text() + '{"config": {"cut o')  # as a lost machine leaves it
    paper = Toy()
    again = carry_out(paper, tmp_path / "cut", said)
    assert paper.worked == [3, 4, 5]
    assert again["findings"] == whole["findings"]
    assert [row["config"] for row in again["runs"]] == [row["config"] for row in whole["runs"]]
    assert said[-1].startswith("100 %")
    once_more = Toy()
    carry_out(once_more, tmp_path / "cut")
    assert once_more.worked == []


def test_parts_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "parts.jsonl").write_text("my notes\n")
    with pytest.raises(ValueError, match="name another folder"):
        carry_out(Toy(), tmp_path)
    assert (tmp_path / "parts.jsonl").read_text() == "my notes\n"


def test_progress_tells_the_share_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(experiment.time, "monotonic", lambda: now[0])
    said: list[str] = []
    progress = experiment.Progress(4, [1.0, 3.0, 4.0], said.append)
    for moment, cost in ((100.0, 1.0), (100.1, 3.0), (200.0, 4.0)):
        now[0] = moment
        progress.ended(cost)
    assert said == [
        "1 of 4 runs are kept from before",
        " 12 %, 2 of 4 runs, 11 min 40 s left",
        "100 %, 4 of 4 runs, 0 s left",
    ]


def test_estimates() -> None:
    assert experiment.mean_and_error([1.0, 3.0]) == {"mean": 2.0, "error": 1.0}
    assert experiment.paired([2.0, 4.0, 6.0], [1.0, 3.0, 5.0]) == {"mean": 1.0, "error": 0.0}
    lost = {"mean": None, "error": None}
    for value in (None, float("inf"), float("nan")):
        assert experiment.mean_and_error([1.0, value]) == lost
        assert experiment.paired([2.0, value], [1.0, value]) == lost
    assert experiment.short(lost) == "lost"
    records = [Record({"part": "a", "seed": seed}, {}, 0.0) for seed in range(3)]
    assert experiment.select(records, part="a", seed=2) == [records[2]]


def test_a_law_on_the_line() -> None:
    points = torch.linspace(-9, 9, 40_001, dtype=torch.float64)
    law = LineLaw.from_log(points, -points.square() / 2)
    assert law.variance() == pytest.approx(1, abs=1e-6)
    assert law.mass(lambda x: x.abs() < 1) == pytest.approx(0.6827, abs=2e-4)
    assert float(law.quantile(torch.tensor([0.975]).double())) == pytest.approx(1.95996, abs=1e-3)
    draws = law.draw(100_000, seed=1)
    assert law.w2(draws) < 0.02
    assert law.w2(draws + 0.5) == pytest.approx(0.5, abs=0.02)
    energy = law.energy(torch.tensor([[0.0], [2.0]]))
    assert float(energy[1] - energy[0]) == pytest.approx(2, abs=1e-4)


# papers.md, section 1: the table of stationary variances on N(0,1).
TABLE = {
    "ula": (1.0526, 1.1429, 1.3333),
    "proximal": (0.9524, 0.8889, 0.8),
    "rmm": (1.0002, 1.0033, 1.0345),
    "ormm": (0.9978, 0.9891, 0.9828),
    "srk": (0.9983, 0.9891, 0.9573),
    WRONG: (1.11, 1.32, 1.86),
}


@pytest.mark.parametrize("method", TABLE)
def test_closed_forms_of_the_variance(method: str) -> None:
    found = [VARIANCE[method](h) for h in (0.1, 0.25, 0.5)]
    assert found == pytest.approx(TABLE[method], abs=6e-3 if method == WRONG else 6e-5)


def test_the_wrong_midpoint_has_its_variance() -> None:
    start = torch.randn(60_000, 1, generator=torch.Generator().manual_seed(0))
    energy = lflow.energies.get("gaussian", dim=1)
    result = lflow.simulate(
        energy, IndependentMidpoint(), step_size=0.5, num_steps=40, init=start, device="cpu"
    )
    # 60,000 draws: a standard error of 1.86·√(2/60,000) = 0.011.
    assert float(result.positions[-1].var()) == pytest.approx(VARIANCE[WRONG](0.5), abs=0.05)


def test_the_pair_of_modes_is_what_its_energy_says() -> None:
    energy, law = target()
    nearby = energy.grad(torch.tensor([[-1e-4], [1e-4]]).double())
    assert float(nearby[1] - nearby[0]) / 2e-4 == pytest.approx(curvature_between(), rel=1e-4)
    assert law.w2(energy.sample(100_000, torch.Generator().manual_seed(0))[:, 0]) < 0.05
    x = torch.linspace(-3, 3, 7).double()[:, None]
    ratio = law.at(x[:, 0]) * energy(x).exp()
    assert ratio.tolist() == pytest.approx([1.0] * 7, rel=1e-3)


def test_laws_of_anila_on_the_line() -> None:
    """papers.md, section 6: variances and central masses at b = 0.5, by quadrature."""
    laws = {method: variant_law("line", method, 0.5) for method in ("truth", *LAWS)}
    variances = {
        "truth": 1,
        "paper": 1.79,
        "toy_code": 1.02,
        "flowers_code": 0.59,
        "corrected": 1,
        "metropolis": 1,
    }
    for method, variance in variances.items():
        assert laws[method].variance() == pytest.approx(variance, abs=0.006), method
    core = {m: law.mass(lambda x: x.abs() < 0.25) for m, law in laws.items()}
    assert (core["truth"], core["paper"]) == (pytest.approx(0.197, abs=1e-3), pytest.approx(0.110, abs=1e-3))


def test_laws_on_the_rings_hold_a_quarter_each() -> None:
    for method in ("truth", "paper", "toy_code", "flowers_code"):
        law = variant_law("rings", method, 2.0)
        assert law.mass(lambda r: r < 1.5) == pytest.approx(0.25, abs=1e-6)
        assert law.mass(lambda r: r > 0) == pytest.approx(1, abs=1e-6)
    radius = lflow.energies.get("rings").sample(20_000, torch.Generator().manual_seed(0)).double().norm(dim=1)
    assert within_rings(radius) < 0.01
    assert within_rings(radius + 0.05) == pytest.approx(0.05, abs=0.01)


def tiny(paper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick experiment with few chains, few steps and few of the tuned steps."""
    every = paper.jobs

    def jobs(quick: bool, seeds: int) -> list[Job]:
        kept = []
        for job in every(True, seeds):
            config = job.config | {"chains": 60}
            if "burn" in config:
                config |= {"burn": 4, "gap": 2}
            for key, most in (("gradients", 60), ("steps", 20)):
                config |= {key: min(config[key], most)} if key in config else {}
            config |= {"budgets": [12, 24]} if "budgets" in config else {}
            kept.append(Job(config, 1.0))
        return kept

    monkeypatch.setattr(paper, "jobs", jobs)


# Of chains alone; the experiments that train models have tests of their own.
TOLD = {
    "dynamical-system": (dynamical_system, ("closed form", "independent noises", "floor", "falling steps")),
    "anila": (anila, ("printed AniLA", "closed form", "ridges", "KL", "loses")),
}


@pytest.mark.parametrize("name", TOLD)
def test_the_command_writes_numbers_and_a_figure(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paper, words = TOLD[name]
    tiny(paper, monkeypatch)
    command = ["paper", name, "--quick", "--seeds", "2", "--workers", "1", "--out", str(tmp_path), "--json"]
    assert cli.main(command) == 0
    out, err = capsys.readouterr()
    results = json.loads(out, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    assert results == json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert "%" in err
    assert "left" in err
    said = " ".join(results["findings"]["sentences"])
    assert all(word in said for word in words), said
    assert results["command"].startswith(f"python -m lflow paper {name} --quick --seeds 2")
    assert {"lflow", "torch"} <= set(results["versions"])
    assert (tmp_path / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "<svg" in (tmp_path / "figure.svg").read_text(encoding="utf-8")
    keys = [json.dumps(run["config"], sort_keys=True) for run in results["runs"]]
    assert len(set(keys)) == len(keys)
    # A run is what its configuration says: it can be made again alone.
    run = results["runs"][0]
    assert paper.work(run["config"]) == run["found"]


LOST = {
    "dynamical-system": [
        {"part": "variance", "method": "rmm", "h": 0.5},
        {"part": "budget", "method": "rmm"},
        {"part": "budget", "method": "ula"},
        {"part": "decay", "method": "srk"},
    ],
    "anila": [
        {"part": "line", "method": "paper"},
        {"part": "rings", "method": "corrected"},
        {"part": "threshold", "method": "hmc"},
        {"part": "threshold", "method": "paper", "b": 0.5},
        {"part": "threshold", "method": "paper"},
        {"part": "quartic", "method": "corrected"},
    ],
}


@pytest.mark.parametrize("name", TOLD)
def test_a_lost_chain_is_said_and_left_out_of_the_figure(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = TOLD[name][0]
    tiny(paper, monkeypatch)
    runs = experiment.run(paper, tmp_path, "", True, 2, lambda line: None)["runs"]
    for number, wanted in enumerate(LOST[name]):
        records = []
        for run in runs:
            found = dict(run["found"])
            if run["config"]["seed"] == 0 and wanted.items() <= run["config"].items():
                for key in found.keys() - {"gradients"}:
                    many = isinstance(found[key], list) and key != "histogram"
                    found[key] = [None] * len(found[key]) if many else None
                found |= {"lost": 0.5} if "lost" in found else {}
            records.append(Record(run["config"], found, 0.0))
        findings = paper.conclude(records)
        said = " ".join(json.loads(json.dumps(findings, allow_nan=False))["sentences"])
        assert "lost" in said or "loses 25 %" in said, wanted
        assert "inf" not in said.split(), wanted
        assert "nan" not in said.split(), wanted
        folder = tmp_path / str(number)
        folder.mkdir()
        figure.save(lambda found=findings: paper.draw(found), folder)  # type: ignore[misc]


def test_what_is_not_finite_is_kept_as_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paper = Toy()
    monkeypatch.setattr(paper, "work", lambda config: {"value": float("inf"), "all": [float("nan"), 1.0]})
    monkeypatch.setattr(paper, "draw", lambda findings: figure.new(1, 1))
    results = carry_out(paper, tmp_path)
    assert results["runs"][0]["found"] == {"value": None, "all": [None, 1.0]}
    assert results["findings"]["mean"] is None


def test_runs_that_lose_chains_find_nothing_else() -> None:
    common = {"method": "ula", "seed": 0, "chains": 20}
    assert dynamical_system.work(common | {"part": "variance", "h": 3.5}) == {"variance": None}
    decay = {"decay": {"step_size": 3.5}, "gradients": 60, "rule": "constant"}
    assert set(dynamical_system.work(common | {"part": "decay"} | decay)["w2"]) == {None}
    law = anila.work(common | {"part": "line", "h": 30.0, "b": 0.5, "burn": 5, "gap": 2})
    assert set(law.values()) == {None}


def test_the_threshold_is_the_tuning_seed_s_choice() -> None:
    """And a best step at an end of the grid, and where corrected is worse than printed, are said."""
    row = {"h": 0.5, "h_at_end": False, "error": 0.001, "tuned": 0.2, "mean": 0.2}
    rows: list[Findings] = [row | {"method": m, "b": None} for m in anila_laws.REFERENCES]
    for method in anila_laws.VARIANTS:
        rows.append(row | {"method": method, "b": 1.0, "tuned": 0.1, "mean": 0.3})
        rows.append(row | {"method": method, "b": 2.0, "tuned": 0.2, "mean": 0.1})
    worse = next(row for row in rows if row["method"] == "corrected" and row["b"] == 1.0)
    worse |= {"mean": 0.4, "h_at_end": True}
    best, _, end, kink = anila_findings._say_threshold(rows, {"mean": 0.01, "error": 0.001})
    assert "paper 0.3000 ± 0.0010 (h 0.5, b 1)" in best
    assert "at h 0.5: corrected (b 1)." in end
    assert "at b 1 (0.4000 ± 0.0010 against 0.3000 ± 0.0010): it" in kink


@pytest.mark.parametrize("name", TOLD)
def test_no_two_jobs_are_the_same(name: str) -> None:
    paper = TOLD[name][0]
    for quick in (True, False):
        keys = [json.dumps(job.config, sort_keys=True) for job in paper.jobs(quick, 5)]
        assert len(set(keys)) == len(keys)


BAD = [
    (["paper"], "PAPER"),
    (["paper", "anilla"], "Did you mean 'anila'"),
    (["paper", "anila", "--seeds", "1"], "seeds must be between 2"),
    (["paper", "anila", "--seeds", "many"], "seeds must be a number"),
    (["paper", "anila", "--out", __file__], "is a file"),
    (["paper", "anila", "--slow"], "--slow"),
    (["paper", "dynamical-system", "--train"], "no paper named 'dynamical-system-train'"),
]


@pytest.mark.parametrize(("words", "why"), BAD, ids=[" ".join(words[1:3]) for words, _ in BAD])
def test_a_bad_argument_is_one_line_and_2(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert why in err


def test_an_interrupted_command_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(config: Config) -> Findings:
        raise KeyboardInterrupt

    monkeypatch.setattr(dynamical_system, "work", interrupt)
    assert cli.main(["paper", "dynamical_system", "--workers", "1", "--out", str(tmp_path)]) == 130
    assert "goes on from there" in capsys.readouterr().err


def test_fresh_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lflow.papers.anila.jobs", lambda quick, seeds: [])
    monkeypatch.setattr("lflow.papers.anila.conclude", lambda records: {"sentences": []})
    monkeypatch.setattr("lflow.papers.anila.draw", lambda findings: figure.new(1, 1))
    (tmp_path / "parts.jsonl").write_text("my notes\n")
    assert cli.main(["paper", "anila", "--out", str(tmp_path)]) == 2
    assert cli.main(["paper", "anila", "--out", str(tmp_path), "--fresh"]) == 0


def test_names_that_crowd_are_moved_apart() -> None:
    axes = figure.new(3, 2).subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    figure.label_ends(axes, [(1, y, str(y), "black") for y in (0.5, 0.51, 0.52, 0.9, 0.0, 0.001)], gap=0.1)
    heights = [text.get_position()[1] for text in axes.texts]
    assert all(high - low > 0.0999 for low, high in pairwise(heights))
    assert heights[0] >= 0
    assert heights[-1] == pytest.approx(0.9)


def test_several_processes_find_what_one_does(tmp_path: Path) -> None:
    jobs = [4.0, 9.0, 16.0]
    alone = [(done.place, done.found) for done in workers.carry_out(math.sqrt, jobs, 1)]
    shared = sorted((done.place, done.found) for done in workers.carry_out(math.sqrt, jobs, 2))
    assert alone == shared == [(0, 2.0), (1, 3.0), (2, 4.0)]


def test_an_error_in_another_process_ends_all(tmp_path: Path) -> None:
    before = set(multiprocessing.active_children())
    with pytest.raises(ValueError, match=r"domain|nonnegative"):
        list(workers.carry_out(math.sqrt, [-1.0, 4.0], 2))
    assert set(multiprocessing.active_children()) <= before
