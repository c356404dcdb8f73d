"""`paper anila --train`: its jobs, what a run finds, and that its sentences follow from the numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lflow import cli, models
from lflow.evaluation.extractor import Extractor
from lflow.models.ebm import EBMLearner
from lflow.papers import anila_training as paper
from lflow.papers import figure
from lflow.papers.anila_training_findings import METHODS, RADII
from lflow.papers.experiment import Config, Findings, Job, Record, key
from lflow.papers.learn import WeightsLost
from tests.statistics import one_thread  # noqa: F401  (a fixture)


class Bowl(nn.Module):
    """U(x) = |x|²/2."""

    def __init__(self) -> None:
        super().__init__()
        self.precision = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.precision * x.square().sum(1) / 2


def bowl(threshold: float) -> EBMLearner:
    found = models.get("ebm", sampler="anila", variant="paper", threshold=threshold).build((2,))
    assert isinstance(found, EBMLearner)
    found.net = Bowl()  # type: ignore[assignment]
    return found


def test_the_law_of_printed_anila_on_an_energy() -> None:
    x = torch.tensor([[0.3, 0.4], [3.0, 4.0]])
    torch.testing.assert_close(paper._own_law(bowl(2.0))(x), torch.tensor([0.125, 12.5 - math.log(2.5)]))


def test_the_density_of_the_radius() -> None:
    """Of N(0, I) in the plane: r exp(-r²/2)."""
    found = torch.tensor(paper._radial(bowl(1.0), math.log(2 * math.pi)))
    r = torch.tensor(RADII)
    torch.testing.assert_close(found, r * torch.exp(-r.square() / 2), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("quick", [True, False])
def test_methods_share_all_but_the_sampler(quick: bool) -> None:
    jobs = paper.jobs(quick, 5)
    assert len({key(job.config) for job in jobs}) == len(jobs)
    for part in METHODS:
        rest = [
            {k: v for k, v in job.config.items() if k not in ("method", "b", "gradients")} for job in jobs
        ]
        rest = [config for config in rest if config["part"] == part]
        assert all(rest.count(config) == len(METHODS[part]) for config in rest)


def test_the_command_trains_and_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every = paper.jobs
    small = {"steps": 5, "gradients": 4, "chains": 40}
    monkeypatch.setattr(paper, "jobs", lambda q, s: [Job(j.config | small, 1.0) for j in every(q, s)])
    pixels = Extractor("pixels", (1, 8, 8), lambda x: x.flatten(1))
    monkeypatch.setattr(paper, "_GRID", 40)
    monkeypatch.setattr(paper, "classifier_features", lambda name, device: pixels)
    command = [
        "paper",
        "anila",
        "--train",
        "--quick",
        "--seeds",
        "2",
        "--workers",
        "1",
        "--out",
        str(tmp_path),
        "--json",
    ]
    assert cli.main(command) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["command"].startswith("python -m lflow paper anila-train --quick --seeds 2")
    assert len(results["runs"]) == 2 * (4 + 4)
    run = next(run for run in results["runs"] if run["config"]["method"] == "paper")
    assert run["found"]["at"] == [1, 2, 3, 4, 5]
    assert run["found"]["kl_own"] > 0
    assert paper.work(run["config"]) == run["found"]
    assert (tmp_path / "figure.svg").is_file()


def test_lost_weights_and_chains_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """At h = 100 a chain on |x|²/2 grows 99-fold a step."""

    def learn(config: Any, every: int, look: Any) -> None:
        learner = models.get("ebm", **{k: v for k, v in config["model"].items() if k != "name"}).build((2,))
        learner.net = Bowl()
        look(5, learner)
        raise WeightsLost

    monkeypatch.setattr(paper, "learn", learn)
    config = {"method": "ula", "seed": 0, "h": 100.0, "b": None, "steps": 5, "gradients": 60, "chains": 20}
    found = paper.work(config | {"part": "rings"})
    assert (found["lost"], found["w2"], found["kl"]) == (1.0, [None], [None])


LEVELS = {"ula": 0.30, "ula_half": 0.30, "paper": 0.20, "corrected": 0.30, "mala": 0.40}


def made_up(config: Config, own: float = 0.1, edge: float = 0.0) -> Findings:
    """What a run might find: the method's level, at all looks, and a little by the seed and the method."""
    torch.manual_seed(len(key(config)) + 7 * config["seed"])
    level = LEVELS[config["method"]] + 0.001 * float(torch.randn(()))
    found: dict[str, Any] = {"at": [10, 20, 30, 40, 50], "lost": 0.0, "floor": 0.05}
    if config["part"] == "digits":
        return found | {"frechet": [level] * 5}
    found |= {"w2": [level] * 5, "kl": [level] * 5, "radial": [0.1] * len(RADII), "edge": edge}
    return found | {"kl_own": own + 0.01 * level if config["method"] == "paper" else None}


def concluded(changed: dict[str, Any] | None = None, **rest: float) -> tuple[Findings, str]:
    records = [Record(job.config, made_up(job.config, **rest), 1.0) for job in paper.jobs(False, 5)]
    if changed:
        records[1] = records[1]._replace(found=records[1].found | changed)
    findings = paper.conclude(records)
    return findings, " ".join(json.loads(json.dumps(findings, allow_nan=False))["sentences"])


def test_the_order_is_that_of_the_numbers(tmp_path: Path) -> None:
    findings, said = concluded()
    assert "rings is: ULA 0.300 ± 0.0" in said
    assert "(worst seed 0.30" in said
    assert said.count("lower for printed AniLA and higher for MALA") == 4  # W2 and KL, early and at the end
    assert said.count("lower for printed AniLA.") == 2  # of the digits, without MALA
    assert "(a paired test at 99 %, 5 seeds)" in said
    assert "(a paired test at 99 %, 3 seeds)" in said
    assert "is nearer to the rings: KL 0.10" in said
    assert "is not seen nearer" in concluded(own=0.5)[1]
    assert "edge of the grid" not in said
    assert "mass at the edge of the grid" in concluded(edge=0.1)[1]
    figure.save(lambda: paper.draw(findings), tmp_path)


def test_a_lost_run_is_said_and_left_out_of_the_figure(tmp_path: Path) -> None:
    nothing = {
        "w2": [0.3] * 4 + [None],
        "kl": [0.3] * 4 + [None],
        "radial": None,
        "kl_own": None,
        "lost": 1.0,
    }
    findings, said = concluded(nothing)
    assert "printed AniLA lost" in said
    assert "in 1 of 32 runs: printed AniLA (rings)." in said
    assert "KL lost" in said
    figure.save(lambda: paper.draw(findings), tmp_path)


def test_an_energy_that_runs_away_is_said_and_leaves_the_figure(tmp_path: Path) -> None:
    away = {"w2": [0.3, 0.3, 0.3, 5.0, 1e6], "kl": [0.3, 0.3, 40.0, 1e5, 1e9]}
    findings, said = concluded(away)
    assert said.count("printed AniLA ran away in 1 of 5 seeds") == 2
    assert "seen first, in iterations, with printed AniLA at 30 (KL above 10 nats" in said
    assert findings["radial"]["paper"] is None
    assert "run away" not in concluded()[1]
    figure.save(lambda: paper.draw(findings), tmp_path)
