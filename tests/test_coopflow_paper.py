"""The experiment on CoopFlow: what it measures, what it says of made-up numbers, and that it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lflow import cli, energies
from lflow.evaluation import extractor
from lflow.papers import coopflow, experiment, figure
from lflow.papers.coopflow_findings import LEARNED, LONG, TESTED, conclude
from lflow.papers.coopflow_measures import SHOWN, GridLaw, distances, draw_data, shares_shown
from lflow.papers.experiment import Config, Findings, Job, Record
from tests.statistics import (
    LIMIT,
    one_thread,  # noqa: F401  (for every test here)
    z_of_two_samples,
)

COUNTS = (*TESTED, LONG)
SEEDS = 5


# --- what is measured -----------------------------------------------------------------------------------


def test_draws_on_a_grid_have_their_law() -> None:
    """10,000 draws of each; a law a fifth too cold lies beyond."""
    energy = energies.get("gaussian")
    exact = energy.sample(10_000, torch.Generator().manual_seed(0))
    right, cold = (GridLaw.of(lambda x, k=k: k * energy(x), energy.name).draw(10_000, 1) for k in (1.0, 1.2))
    assert z_of_two_samples(right, exact) < LIMIT < z_of_two_samples(cold, exact)


def test_what_the_figure_shows_of_a_law_is_what_its_draws_show() -> None:
    """Shares of a quarter of the picture, to within five standard errors of 20,000 draws."""
    law = GridLaw.of(energies.get("rings"), "rings")
    exact = torch.tensor(law.shown()).reshape(SHOWN, SHOWN)
    drawn = torch.tensor(shares_shown(law.draw(20_000, 0), "rings")).reshape(SHOWN, SHOWN)
    assert float(exact.sum()) == pytest.approx(1, abs=0.01)
    half = SHOWN // 2
    for rows in (slice(half), slice(half, None)):
        for columns in (slice(half), slice(half, None)):
            assert float(drawn[rows, columns].sum()) == pytest.approx(
                float(exact[rows, columns].sum()), abs=0.016
            )
    assert float(exact[:half].T[:half].sum()) == pytest.approx(0.25, abs=0.002)


def test_a_lost_point_has_no_distance() -> None:
    data = draw_data("rings", 50, 0)
    assert distances(data, data) == {"mmd": 0.0, "w2": 0.0}
    assert distances(torch.full((3, 2), torch.nan), data) == {"mmd": None, "w2": None}


def test_what_is_compared_is_learned_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same networks, chain and schedule: only what the method is differs."""
    taught: dict[str, Any] = {}
    monkeypatch.setattr(coopflow, "learn", lambda config: taught.update({str(len(taught)): config}))
    for method in ("scratch", "scratch_as_coded", "flow", "ebm_noise"):
        config = {"part": "digits", "data": "digits", "method": method, "seed": 3, "steps": 12, "chains": 9}
        coopflow.learned(config)
    pair, coded, flow, energy = (each.model.config() for each in taught.values())
    assert {key for key in coded if coded[key] != pair[key]} == {"noise"}
    assert {flow[key] for key in ("flow_depth", "flow_width")} == {
        pair[key] for key in ("flow_depth", "flow_width")
    }
    assert energy["step_size"] * energy["temperature"] == pytest.approx(pair["step_size"])
    assert (energy["sampler"], energy["noise"], energy["data_noise"]) == ("ula", "uniform", 0.0)
    assert len({each.training for each in taught.values()}) == 1


# --- what is said ---------------------------------------------------------------------------------------


def record(data: str, method: str, seed: int, **found: Any) -> Record:
    return Record({"part": "plane", "data": data, "method": method, "seed": seed}, found, 0.0)


def records(flow: float, pair: float, energy: float, kl: float = 0.9) -> list[Record]:
    """Runs in which these are the distances of the flow, of the pair and of the energy's density."""
    made, picture = [], {key: [0.0] for key in ("flow_x", "flow_y", "pair_x", "pair_y")}
    picture |= {key: [1 / SHOWN**2] * SHOWN**2 for key in ("pair_density", "energy_density")}
    for seed in range(SEEDS):
        wobble = 0.001 * seed
        after = [{0: flow, LEARNED: pair}.get(count, 0.3) + wobble for count in COUNTS]
        rest = {"mmd": after, "w2": after, "kl_flow": 0.4, "kl_energy": kl + wobble, "edge_energy": 0.0}
        rest |= {"mmd_energy": energy - wobble, "w2_energy": energy}
        for method in ("scratch", "pretrained", "scratch_as_coded", "flow", "ebm_noise", "ebm_persistent"):
            shown = picture if method == "scratch" and seed == 0 else {}
            made.append(record("rings", method, seed, **rest, **shown))
            if method != "pretrained":
                made.append(
                    record("digits", method, seed, frechet=after[:-1], name="Fréchet distance (ours)")
                )
        made.append(record("rings", "exact", seed, mmd=0.02 + wobble / 2, w2=0.1))
        made.append(record("digits", "exact", seed, frechet=0.01))
    return made


def told(runs: list[Record]) -> str:
    findings = json.loads(json.dumps(conclude(runs), allow_nan=False))
    return " ".join(findings["sentences"])


def test_what_holds_is_said() -> None:
    said = told(records(flow=0.1, pair=0.05, energy=0.2))
    assert "by the MMD the pair is nearer than its flow (paired, 99 %)" in said
    assert "in every seed it is another density than the data's" in said
    assert "and its draws are farther from them than the pair's" in said
    assert "; it is nearer in 5 of 5 seeds" in said
    assert "the long run leaves the data" in said
    assert "(its flow alone 0.10 ± 0.00: the pair is nearer)" in said
    assert "Fréchet distance (ours), which is not FID" in said


def test_what_does_not_hold_is_said() -> None:
    said = told(records(flow=0.05, pair=0.05, energy=0.02, kl=0.01))
    assert "it is not told at 99 % that the pair is nearer than its flow" in said
    assert "it is not told from the data's density" in said
    assert "it is not told that the pair is nearer)" in said


LOST = [{"data": "rings", "method": "scratch"}, {"data": "rings", "method": "flow"}, {"data": "digits"}]


@pytest.mark.parametrize("wanted", LOST)
def test_a_lost_run_is_said_and_left_out_of_the_figure(wanted: Config, tmp_path: Path) -> None:
    runs = []
    for each in records(flow=0.1, pair=0.05, energy=0.2):
        found = dict(each.found)
        if each.config["seed"] == 0 and wanted.items() <= each.config.items():
            found = {
                key: [None] * len(value) if isinstance(value, list) else None for key, value in found.items()
            }
        runs.append(Record(each.config, found, 0.0))
    said = told(runs)
    assert "lost" in said
    assert not {"inf", "nan", "None"} & set(said.split())
    figure.save(lambda: coopflow.draw(conclude(runs)), tmp_path)


# --- and that it runs -----------------------------------------------------------------------------------


def test_no_two_jobs_are_the_same() -> None:
    for quick in (True, False):
        keys = [json.dumps(job.config, sort_keys=True) for job in coopflow.jobs(quick, SEEDS)]
        assert len(set(keys)) == len(keys)


def small_jobs(quick: bool, seeds: int) -> list[Job]:
    """A few of the jobs, of few steps and points."""
    kept = [job.config | {"steps": 6, "chains": 30} for job in EVERY(quick, seeds)]
    return [Job(config, 1.0) for config in kept if config["method"] in ("scratch", "flow", "exact")]


EVERY = coopflow.jobs


def test_the_command_writes_numbers_and_a_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(coopflow, "jobs", small_jobs)
    monkeypatch.setattr(coopflow, "LONG", 10)
    monkeypatch.setattr(coopflow, "_MANY", 500)
    monkeypatch.setattr(extractor, "_STEPS", 20)
    assert (
        cli.main(
            [
                "paper",
                "coopflow",
                "--quick",
                "--seeds",
                "2",
                "--workers",
                "1",
                "--out",
                str(tmp_path),
                "--json",
            ]
        )
        == 0
    )
    results: Findings = json.loads(capsys.readouterr().out)
    assert results == json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert len(results["findings"]["pictures"]["gaussian_mixture"]["pair_density"]) == SHOWN**2
    assert (tmp_path / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    run = next(run for run in results["runs"] if run["config"]["data"] == "digits")
    assert experiment.finite(coopflow.work(run["config"])) == run["found"]
