"""Reconstruction errors in one column are of one kind, and of as many data as the model's work allows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import lflow
from lflow.evaluation import reconstruction
from lflow.evaluation.subject import Subject
from lflow.models.latent import DRAWN, LatentLearner
from lflow.tasks import Settings, offered, perform
from lflow.training.config import DataChoice
from tests.statistics import one_thread  # noqa: F401  (for every test here)
from tests.test_models import prepared, runnable


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
    assert of_plain.about.endswith(f"at {reconstruction.COMPARED_AT}")
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


def counted(learner: LatentLearner, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often log p(x | z) of a data point is asked for while it is reconstructed: once for a gradient, and
    once more where a chain begins or ends."""
    asked: list[int] = []
    inner = learner.log_likelihood
    monkeypatch.setattr(learner, "log_likelihood", lambda *given: (asked.append(1), inner(*given))[1])
    x = torch.ones(1, *learner.shape)
    learner.reconstruct(x)
    return len(asked)


@pytest.mark.parametrize(("name", "preset"), runnable())
def test_the_gradients_that_a_reconstruction_takes_are_declared(
    name: str, preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, _ = prepared(name, preset)
    if "reconstruct" not in offered(learner) or not isinstance(learner, LatentLearner):
        pytest.skip("it has no z to infer")
    assert abs(learner.reconstruction_gradients - counted(learner, monkeypatch)) <= 1


def test_a_chain_for_each_datum_is_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = learner_of("lae", inference_steps=30)
    assert learner.reconstruction_gradients == 30
    assert abs(counted(learner, monkeypatch) - 30) <= 1


def test_a_dear_chain_is_judged_on_fewer_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruction, "_MOST_WORK", 20 * 64 * 10)
    (score,) = reconstruction.of_data(subject_of(learner_of("latent_flow", num_steps=20)))
    assert "10 test data points" in score.about
    assert f"at {reconstruction.COMPARED_AT}; each takes long" in score.about
