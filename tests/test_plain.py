"""What stands beside a model and takes none: here, how well noise is taken out again without one."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from lflow import data
from lflow.evaluation.plain import denoised
from lflow.evaluation.subject import Subject
from lflow.models import get
from lflow.tasks import Settings, perform
from lflow.tasks.picture import rows_picture
from lflow.training.config import DataChoice

NOISE = 0.5


def test_independent_pixels_take_noise_out_as_bayes_law_says() -> None:
    known = data.open("digits", "train", binary=True)
    x = data.load("digits", "test", limit=20, binary=True).x.double()
    y = x + NOISE * torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (found,) = denoised(known, y, NOISE).values()
    white = ((known.all().x > 0).double().sum(0) + 0.5) / (len(known) + 1)
    odds = [
        share * stats.norm(grey, NOISE).pdf(y.numpy())
        for grey, share in ((1, white.numpy()), (-1, 1 - white.numpy()))
    ]
    expected = (odds[0] - odds[1]) / (odds[0] + odds[1])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)
    assert (found - x).square().mean() < 0.5 * (y.sign() - x).square().mean() < (y - x).square().mean()
    far = denoised(known, 1000 * torch.ones(1, 1, 8, 8, dtype=torch.float64), NOISE)["independent pixels"]
    assert torch.equal(far, torch.ones_like(far))


def test_points_go_to_the_mean_of_the_known_ones_weighted() -> None:
    known = data.open("two_moons", "train", limit=50)
    y = torch.tensor([[0.3, 0.2], [-2.0, 1.0]], dtype=torch.float64)
    (found,) = denoised(known, y, NOISE).values()
    points = known.all().x.double()
    for each, at in zip(found, y, strict=True):
        weight = torch.exp(torch.distributions.Normal(points, NOISE).log_prob(at).sum(1))
        torch.testing.assert_close(each, weight @ points / weight.sum(), rtol=1e-5, atol=1e-6)


def test_a_recovery_stands_beside_it() -> None:
    learner = get("vae", likelihood="bernoulli", latent_dim=2).build((1, 8, 8), 2)
    asked = Subject(learner, DataChoice(source="digits", binary=True))
    score = perform("recover", asked, Settings(num=4, num_chains=2, chain_steps=2)).scores[0]
    assert 0 < score.beside["independent pixels"] < score.beside["what was seen"]


def test_an_interpolation_names_the_places_on_its_way() -> None:
    learner = get("vae", likelihood="bernoulli", latent_dim=2).build((1, 8, 8), 2)
    asked = Subject(learner, DataChoice(source="digits", binary=True))
    rows = perform("interpolate", asked, Settings(num=2, num_points=3)).rows
    assert list(rows) == ["from", "at 0%", "at 50%", "at 100%", "to"]


def test_what_was_held_out_is_framed() -> None:
    learner = get("vae", likelihood="bernoulli", latent_dim=2).build((1, 8, 8), 2)
    asked = Subject(learner, DataChoice(source="digits", binary=True, held_out=4))
    outcome = perform("anomaly", asked, Settings(num=30))
    assert outcome.marked is not None
    framed, plain = (
        np.asarray(rows_picture(each, lambda: torch.empty(0)))
        for each in (outcome, outcome._replace(marked=None))
    )
    orange = (framed == (213, 94, 0)).all(2)
    side = 64
    assert orange.sum() == int(outcome.marked.sum()) * (side**2 - (side - 6) ** 2)
    assert not (plain == (213, 94, 0)).all(2).any()
