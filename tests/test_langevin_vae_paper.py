"""`paper langevin-vae`: its jobs, what one of them finds, and that its sentences follow from the numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lflow import data
from lflow.papers import figure, langevin_vae, one_protocol
from lflow.papers.experiment import Config, Findings, Record, key
from lflow.papers.langevin_vae_gaussian import correctness
from lflow.papers.protocol_findings import LOST
from tests import protocol_runs
from tests.statistics import one_thread  # noqa: F401  (a fixture)

CORRECT = correctness({"seed": 0})
GAIN = "the gain that the paper is after, Langevin-VAE above every HVAE here,"


def made_up(config: Config, levels: dict[str, float]) -> Findings:
    """What a run might find: set levels, and a little that depends on the seed."""
    if config["part"] == "correct":
        return CORRECT
    if config["part"] in ("bound", "tuned"):
        chain = config["num_steps"] + ("hvae" in config["method"])
        gap = -0.5 - chain * (2 if config["method"].startswith("noisy") else 0.1)
        return {"gap": gap, "error": 0.02, "gradients": chain, "step_sizes": 0.3, "friction": 0.25}
    found = protocol_runs.made_up(config, levels)
    if config["part"] == "plain":
        return found
    found["gradients"] += config["method"] == "hvae"
    return found


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
    learned = r"Langevin-VAE, σ = 0 +-0.60 ± 0.02 +-1.00 ± 0.02 +-1.50 ± 0.02 +0.30 +0.25"
    assert re.search(learned, said)
    assert "K = 5: log p(x), paired tests at 99 % for all 20 together (Holm):" in said
    assert re.search(r"IWAE, as many passes - VAE +(1\.00|0\.99)\d ± 0.0\d\d +higher", said)
    assert said.count(f"{GAIN} does not show.") == 3  # it is above HVAE, and tempered HVAE is no lower
    assert re.search(r"Langevin-VAE, σ = 0 - HVAE +0\.\d+ ± 0\.\d+ +higher", said)
    assert re.search(r"Langevin-VAE, σ² = 2ν - HVAE +-1\.\d+ ± 0\.\d+ +lower", said)
    assert "they are K + 1 in all, 6 here, and the quasi-symplectic steps take 5." in said
    assert "in nats, mean ± standard error over draws" in said
    assert "ν = 0.1: the bound given the noise -10.50 ± 0.02, without it -1.00 ± 0.02" in said
    assert "what it finds less what the weights find is 0.25 to 0.25 nats, 0.25 on average" in said
    assert "on a few images of 110 models" in said
    assert "digits: 5 seeds, 2,000 steps of training, 100 test images; ± is the standard error" in said
    assert "10,000 images: 1 seed, 2,000 steps of training, 100 test images." in said
    assert "10,000 images, K = 5: with 1 seed no difference can be told from chance" in said
    assert re.search(r"independent pixels +-29\.00", said)
    assert "Below independent pixels" not in said
    files = figure.save(lambda: langevin_vae.draw(findings), tmp_path)
    assert all(file.stat().st_size > 10_000 for file in files)


def test_the_gain_shows_where_every_hvae_is_lower_and_for_no_other_chain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(one_protocol, "is_at_hand", lambda name: False)
    lower = {"hvae": -21.0, "hvae_fixed": -21.0, "hvae_free": -22.0}
    said = " ".join(concluded(False, lower | {"noisy": -23.0})["sentences"])
    assert f"{GAIN} shows for Langevin-VAE, σ = 0." in said
    behind = {"deterministic": -21.0, "noisy": -22.0, "reverse_kernel": -15.0}
    assert f"{GAIN} does not show." in " ".join(concluded(False, lower | behind)["sentences"])


def test_where_nothing_differs_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_protocol, "is_at_hand", lambda name: False)
    said = " ".join(concluded(False, {})["sentences"])
    assert " higher\n" not in said
    assert said.count(f"{GAIN} does not show.") == 3
    assert "MNIST is left out" in said


def test_a_bound_above_is_named() -> None:
    jobs = langevin_vae.jobs(True, 2)
    records = [Record(job.config, made_up(job.config, {}), 1.0) for job in jobs]
    broken = [
        each._replace(found=each.found | {"gap": 0.5}) if each.config.get("method") == "noisy_0.1" else each
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
    said = " ".join(findings["sentences"])
    assert "A first look: 40 steps are no training." in said
    assert "with 2 seeds no difference can be told from chance" in said
    assert "above every HVAE here" not in said
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


def test_lost_weights_are_a_finding(tmp_path: Path) -> None:
    jobs = langevin_vae.jobs(True, 2)
    records = [
        Record(job.config, LOST if job.config["seed"] == 1 else made_up(job.config, {}), 1.0) for job in jobs
    ]
    findings = langevin_vae.conclude(records)
    assert re.search(r"HVAE +5 +lost +lost +lost", " ".join(findings["sentences"]))
    assert all(file.exists() for file in figure.save(lambda: langevin_vae.draw(findings), tmp_path))


def test_a_comparison_is_the_protocols(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_protocol, "work", lambda run: {"run": run})
    jobs = [job.config for job in langevin_vae.jobs(True, 2) if job.config["part"] == "compare"]
    assert langevin_vae.work(jobs[0]) == {"run": jobs[0]}
