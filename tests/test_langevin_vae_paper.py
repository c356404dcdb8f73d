"""`paper langevin-vae`: its jobs, what one of them finds, and that its sentences follow from the numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lflow import data, models
from lflow.papers import figure, langevin_vae, one_protocol
from lflow.papers.experiment import Config, Findings, Record, key
from lflow.papers.langevin_vae_findings import MEASURES, METHODS
from lflow.papers.langevin_vae_gaussian import correctness
from lflow.papers.learn import learn
from lflow.training.config import make_config
from tests.statistics import one_thread  # noqa: F401  (a fixture)

CORRECT = correctness({"seed": 0})
SECONDS = {"hvae": 0.012, "deterministic": 0.009}


def made_up(config: Config, levels: dict[str, float]) -> Findings:
    """What a run might find: set levels, and a little that depends on the seed."""
    jitter = 0.01 * np.random.default_rng(len(key(config)) + config["seed"]).standard_normal()
    if config["part"] == "correct":
        return CORRECT
    if config["part"] in ("bound", "tuned"):
        chain = config["num_steps"] + ("hvae" in config["method"])
        gap = -0.5 - chain * (2 if config["method"].startswith("noisy") else 0.1)
        return {"gap": gap, "error": 0.02, "gradients": chain, "step_sizes": 0.3, "friction": 0.25}
    method = config["method"]
    found: Findings = dict.fromkeys(MEASURES, levels.get(method, -20.0) + jitter)
    found |= {"bound": found["log_likelihood"] - 1.0, "gradients": config["num_steps"] + (method == "hvae")}
    found["seconds"] = SECONDS.get(method, 0.01) + 1e-4 * jitter
    return found | {"checked": {"importance": -20.0, "annealed": -20.25, "error": 0.1}}


def concluded(quick: bool, levels: dict[str, float]) -> Findings:
    jobs = langevin_vae.jobs(quick, 5)
    assert len({key(job.config) for job in jobs}) == len(jobs)
    return langevin_vae.conclude([Record(job.config, made_up(job.config, levels), 1.0) for job in jobs])


def test_sentences_say_what_the_numbers_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(one_protocol, "is_at_hand", lambda name: True)
    findings = concluded(False, {"iwae": -19.0, "hvae": -20.5, "noisy": -22.0})
    said = " ".join(findings["sentences"])
    assert "1.0008 at ε = 0.1, 1.0080 at ε = 0.3, 1.0385 at ε = 0.6" in said
    assert "falls with the power 2.00 of the step" in said
    assert "No bound lies above log p(x)" in said
    assert "Friction that was learned from 0.1: Langevin-VAE, σ = 0 0.25" in said
    assert "against VAE higher IWAE, as many passes (" in said
    order = "The paper's order, Langevin-VAE above HVAE, shows for"
    assert f"{order} Langevin-VAE, σ = 0 and reverse kernel." in said
    assert "against HVAE higher Langevin-VAE, σ = 0 (0." in said
    assert "lower Langevin-VAE, σ² = 2ν (-1." in said
    assert "saves one of 11, and a training step takes 0.75 of HVAE's time" in said
    assert "lie apart by 0.25 nats on average and 0.25 at most" in said
    assert "MNIST, 10,000 and one seed, K = 5" in said
    assert "One seed: no test of the difference." in said
    files = figure.save(lambda: langevin_vae.draw(findings), tmp_path)
    assert all(file.stat().st_size > 10_000 for file in files)


def test_where_nothing_differs_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_protocol, "is_at_hand", lambda name: False)
    monkeypatch.setitem(SECONDS, "hvae", 0.01)
    monkeypatch.setitem(SECONDS, "deterministic", 0.01)
    said = " ".join(concluded(False, {})["sentences"])
    assert "higher" not in said.replace("against", "")
    assert "The paper's order, Langevin-VAE above HVAE, does not show." in said
    assert "1.00 (not told from 1) of HVAE's time" in said
    assert "MNIST is left out" in said


def test_a_bound_above_is_named() -> None:
    jobs = langevin_vae.jobs(True, 2)
    records = [Record(job.config, made_up(job.config, {}), 1.0) for job in jobs]
    broken = [
        each._replace(found=each.found | {"gap": 0.5}) if each.config["method"] == "noisy_0.1" else each
        for each in records[1:]
    ]
    said = " ".join(langevin_vae.conclude([records[0], *broken])["sentences"])
    assert "Above log p(x) by more than four standard errors: Langevin-VAE, σ² = 2ν, ν = 0.1" in said


def test_a_first_look_leaves_mnist_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def never(name: str) -> bool:
        raise AssertionError("a first look asks for no files")

    monkeypatch.setattr(one_protocol, "is_at_hand", never)
    findings = concluded(True, {})
    assert "MNIST is left out" in findings["sentences"][-1]
    assert all(file.exists() for file in figure.save(lambda: langevin_vae.draw(findings), tmp_path))


def test_where_mnist_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object) -> None:
        raise OSError("mnist is not on this machine")

    monkeypatch.setattr(data, "open", nowhere)
    assert {job.config["data"] for job in langevin_vae.jobs(False, 2) if "data" in job.config} == {"digits"}


def test_a_bound_that_is_tuned_is_tighter() -> None:
    jobs = [job for job in langevin_vae.jobs(True, 2) if job.config["part"] == "tuned"]
    (job,) = [job for job in jobs if job.config["method"] == "hvae_free"]
    assert job.config["start"] == "wide"
    before, after = (langevin_vae.work(job.config | {"tuning": steps, "count": 4000}) for steps in (0, 20))
    assert before["gap"] + 0.2 < after["gap"] < 0
    assert after["gradients"] == 6
    assert after["friction"] is None


@pytest.mark.parametrize("method", ["iwae", "reverse_kernel"])
def test_a_comparison(method: str) -> None:
    config: Config = {"part": "compare", "data": "digits", "quick": True, "seed": 0, "steps": 2}
    found = langevin_vae.work({**config, "method": method, "num_steps": 1})
    assert set(found) == {*MEASURES, "checked"}
    assert found["bound"] - 0.5 < found["log_likelihood"] < -20
    assert found["checked"]["annealed"] == pytest.approx(found["checked"]["importance"], abs=3)
    assert found["gradients"] == (0 if method == "iwae" else 2)
    assert 0 < found["effective"] <= 1
    assert found["seconds"] > 0


def test_matched_passes() -> None:
    name, settings = langevin_vae.model_of("iwae", 5)
    assert (name, settings["num_importance"]) == ("vae", 13)
    # Of HVAE: six gradients of two passes and what is learned through them, and log p(x, z_K).
    assert 3 * 13 == 6 * (2 + 4) + 3


def test_every_method_has_the_networks_of_the_protocol() -> None:
    shapes = set()
    for method in METHODS:
        name, settings = langevin_vae.model_of(method, 2)
        config = make_config(one_protocol.settings(name, settings, "digits", 1, 0))
        assert (config.data.binary, config.training.batch_size) == (True, one_protocol.BATCH)
        assert config.training.num_steps == 1
        learner = config.model.build((1, 8, 8), 2)
        nets = [*learner.decoder.parameters(), *learner.encoder.parameters()]  # type: ignore[attr-defined]
        shapes.add(tuple(tuple(parameter.shape) for parameter in nets))
    assert len(shapes) == 1


def test_measuring_leaves_the_model_as_it_is() -> None:
    learner = learn(one_protocol.settings("latent_flow", {"num_steps": 2}, "digits", 1, 0))
    assert isinstance(learner, models.latent_flow.LatentFlowLearner)
    before = {name: weight.clone() for name, weight in learner.state_dict().items()}
    effort = one_protocol.Effort(points=5, weights=50, checked=2, temperatures=5)
    x = one_protocol.held_out("digits", 5)
    assert set(x.unique().tolist()) == {-1.0, 1.0}
    found = one_protocol.measure(learner, x, 0, effort)
    assert (found["bound"], found["gradients"]) == (None, 2)  # a model without a bound of its own
    assert all(torch.equal(weight, before[name]) for name, weight in learner.state_dict().items())
