"""Decoders: their laws against torch's own, and what is not visible has no say."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, Normal

from lflow import data
from lflow.draws import Draws
from lflow.models.latent import LatentSettings
from lflow.nets.decoders import BernoulliDecoder, Decoder, GaussianDecoder, LogisticDecoder, make_decoder


class Fixed(nn.Module):
    """The same output for every z."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.values = output

    def forward(self, z: Tensor) -> Tensor:
        return self.values.expand(len(z), -1)


def output(*values: float) -> Fixed:
    return Fixed(torch.tensor([values]))


Z = torch.zeros(3, 2)


def test_gaussian_is_torchs() -> None:
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    expected = Independent(Normal(torch.tensor([0.5, -0.2]), 0.3), 1).log_prob(x)
    torch.testing.assert_close(GaussianDecoder(output(0.5, -0.2), 0.3).log_prob(x, Z), expected)


def test_bernoulli_is_torchs() -> None:
    x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    law = Independent(Bernoulli(logits=torch.tensor([0.7, -3.0])), 1)
    torch.testing.assert_close(BernoulliDecoder(output(0.7, -3.0)).log_prob(x, Z), law.log_prob((x + 1) / 2))


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("centre", [-1.0, 0.1, 1.3])
def test_logistic_is_a_law_of_grey_values(levels: int, centre: float) -> None:
    decoder = LogisticDecoder(output(centre), levels)
    shades = torch.linspace(-1, 1, levels)[:, None]
    log_probs = decoder.log_prob(shades, torch.zeros(levels, 2)).double().detach()
    assert float(log_probs.exp().sum()) == pytest.approx(1, abs=1e-4)
    # By differences of the distribution function, in float64.
    scale, half = float(decoder.log_scale.exp().detach()), 1 / (levels - 1)
    edges = (torch.linspace(-1, 1, levels).double()[:-1] + half - torch.tensor(centre).double()) / scale
    below = torch.cat([torch.zeros(1), edges.sigmoid(), torch.ones(1)]).double()
    torch.testing.assert_close(log_probs.exp(), below.diff(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "logistic"])
def test_draws_have_the_mean(kind: str) -> None:
    levels = {"gaussian": None, "bernoulli": 2, "logistic": 17}[kind]
    decoder = make_decoder(kind, output(0.3, -0.1), (2,), levels, 0.3)
    z = torch.zeros(20_000, 2)
    error = (decoder.draw(z, Draws(0, 0)).mean(0) - decoder.mean(z[:1])[0]).abs().max()
    assert float(error) < 5 / 20_000**0.5  # five standard errors of at most 1
    if levels:
        assert set(decoder.draw(z, Draws(0, 0)).unique().tolist()) <= set(
            torch.linspace(-1, 1, levels).tolist()
        ) | {0.0}


def test_what_is_hidden_has_no_say() -> None:
    decoder: Decoder = GaussianDecoder(output(0.5, -0.2), 0.3)
    x, other = torch.zeros(3, 2), torch.tensor([[0.0, 9.0]]).expand(3, 2)
    visible = torch.tensor([[1.0, 0.0]])
    assert torch.equal(decoder.log_prob(x, Z, visible), decoder.log_prob(other, Z, visible))
    assert not torch.equal(decoder.log_prob(x, Z), decoder.log_prob(other, Z))


def test_data_that_are_not_of_the_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="set binary"):
        LatentSettings(likelihood="bernoulli").make_decoder((1, 8, 8), 17)
    with pytest.raises(ValueError, match="grey values"):
        LatentSettings(likelihood="logistic").make_decoder((2,), None)
    with pytest.raises(ValueError, match="no black and white"):
        data.open("rings", binary=True)


def test_black_and_white_is_white_from_half_on() -> None:
    grey, white = data.open("digits"), data.open("digits", binary=True)
    assert white.levels == 2
    x = white.batch(slice(None))
    assert torch.equal(x, torch.where(grey.batch(slice(None)) >= 0, 1.0, -1.0))
