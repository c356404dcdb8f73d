"""Reconstruction errors in one column are of one kind, and of as many data as the model's work allows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import lflow
from lflow.evaluation import reconstruction
from lflow.evaluation.subject import Subject
from lflow.models.latent import DRAWN, LatentLearner
from lflow.tasks import Settings, perform
from lflow.training.config import DataChoice
from tests.statistics import one_thread  # noqa: F401  (for every test here)


def learner_of(name: str, **changes: Any) -> LatentLearner:
    """With the same weights whatever the name, where they have the same."""
    torch.manual_seed(0)
    chosen = lflow.models.get(name, likelihood="bernoulli", latent_dim=4, width=16, **changes)
    learner = chosen.build((1, 8, 8), 2).eval()
    assert isinstance(learner, LatentLearner)
    return learner


def subject_of(learner: LatentLearner, **more: Any) -> Subject:
    return Subject(learner, DataChoice(source="digits", binary=True, limit=50), limit=30, **more)


def test_a_vae_and_a_chain_that_hardly_moves_are_compared_at_draws() -> None:
    chain = learner_of("hvae", num_steps=1, step_size=1e-6, learn_step_size=False)
    plain = learner_of("vae")
    plain.load_state_dict(chain.state_dict(), strict=False)
    with torch.no_grad():
        for learner in (chain, plain):  # so that z has a say in what is made of it
            [*learner.decoder.net.parameters()][-2].mul_(20)
    (of_chain,), (of_plain,) = (reconstruction.of_data(subject_of(learner)) for learner in (chain, plain))
    assert of_plain.value == pytest.approx(of_chain.value, rel=1e-4)
    (at_mean,) = perform("reconstruct", subject_of(plain), Settings(num=30)).scores
    assert abs(at_mean.value - of_plain.value) > 0.05 * of_plain.value
    assert of_plain.about == of_chain.about
    assert of_plain.about.endswith(f"at {DRAWN}")
    assert at_mean.about.endswith("at the mean of q(z|x)")
    (ends,) = perform("reconstruct", subject_of(chain), Settings(num=30)).scores
    assert ends.about.endswith(f"at {DRAWN}")


def test_draws_are_of_the_seed_and_of_the_part(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = learner_of("vae")
    one, again, other = (
        reconstruction.of_data(subject_of(learner, seed=seed))[0].value for seed in (0, 0, 1)
    )
    assert one == again
    assert one != other
    sizes: list[int] = []
    draw = learner.draw_posterior
    monkeypatch.setattr(learner, "draw_posterior", lambda x, draws: (sizes.append(len(x)), draw(x, draws))[1])
    monkeypatch.setattr(type(learner), "rows_at_once", 12)
    reconstruction.of_data(subject_of(learner))
    assert sizes == [12, 12, 6]
