"""Dequantisation: the bound that it gives on a grey value's probability, and the way back."""

import math

import pytest
import torch
from torch import Tensor

from lflow.nets.flows import CouplingDesign, Glow, UniformDequantisation, VariationalDequantisation, quantise
from lflow.nets.flows.actnorm import ActNorm
from tests.flow_cases import moved

LEVELS = 3
DESIGN = CouplingDesign(coupling="mixture", num_components=2, net="gated", width=8, num_blocks=1)
SHAPE = (1, 1, 2)
PIXELS = torch.cartesian_prod(*[torch.linspace(-1, 1, LEVELS, dtype=torch.float64)] * 2).view(-1, *SHAPE)


def dequantisers() -> dict[str, UniformDequantisation | VariationalDequantisation]:
    torch.manual_seed(0)
    variational = moved(VariationalDequantisation(SHAPE, LEVELS, DESIGN), 0.05).double()
    return {"uniform": UniformDequantisation(LEVELS), "variational": variational}


def grid(kind: str, size: int) -> tuple[Tensor, Tensor]:
    """Midpoints that fill the plane of noise, (size², *SHAPE), and the probability of each."""
    side = 1.0 if kind == "uniform" else 14.0
    along = (torch.arange(size, dtype=torch.float64) + 0.5) / size * side
    along = along if kind == "uniform" else along - side / 2
    density = torch.ones_like(along) if kind == "uniform" else torch.exp(-(along**2) / 2) / math.tau**0.5
    noise = torch.cartesian_prod(along, along).view(-1, *SHAPE)
    return noise, torch.outer(density, density).flatten() * (side / size) ** 2


def flow() -> Glow:
    torch.manual_seed(1)
    return moved(Glow(SHAPE, 1, 3, width=8), 0.3).double()


def exact(density: Glow) -> Tensor:
    """P of each of the nine images: the density over its cell, by a fine grid."""
    size = 60
    centres = (torch.arange(LEVELS * size, dtype=torch.float64) + 0.5) / (LEVELS * size) * 2 - 1
    grid = torch.cartesian_prod(centres, centres).view(-1, *SHAPE)
    cells = density.log_prob(grid).exp().view(LEVELS, size, LEVELS, size)
    return cells.sum((1, 3)).flatten() * (2 / (LEVELS * size)) ** 2


@pytest.mark.parametrize("name", ["uniform", "variational"])
@torch.no_grad()
def test_the_weights_average_to_the_probability_of_a_grey_value(name: str) -> None:
    # E[p(x') / q(x' | x)] = P(x) for any q that fills the cell: that needs q, cell and slope all right.
    dequantise, density = dequantisers()[name], flow()
    noise, probability = grid(dequantise.noise, 60)
    for pixels, wanted in zip(PIXELS[::4], exact(density)[::4], strict=True):
        between, log_q = dequantise(pixels.expand_as(noise), noise)
        weights = (density.log_prob(between) - log_q).exp()
        assert (probability * weights).sum() == pytest.approx(wanted.item(), rel=0.01)
        assert (probability * weights.log()).sum() < wanted.log() - 0.001  # the bound


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_grey_values_come_back_from_their_cells(levels: int) -> None:
    x = torch.linspace(-1, 1, levels).view(1, 1, 1, levels).repeat(50, 1, 1, 1)
    place = torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    between, log_q = UniformDequantisation(levels)(x, place)
    assert between.min() >= -1
    assert between.max() <= 1
    torch.testing.assert_close(quantise(between, levels), x)
    assert quantise(torch.tensor([-1.1, 1.1]), levels).tolist() == [-1, 1]
    torch.testing.assert_close(log_q, torch.full((50,), levels * torch.tensor(levels / 2).log().item()))


def test_initialise_sets_the_norms_from_data() -> None:
    dequantise = dequantisers()["variational"]
    x = PIXELS.repeat(20, 1, 1, 1)
    dequantise.initialise(x, 3 + 5 * torch.randn(x.shape, dtype=torch.float64))
    first = next(each for each in dequantise.modules() if isinstance(each, ActNorm))
    torch.testing.assert_close(first.log_scale, torch.full((2,), -1.6, dtype=torch.float64), rtol=0, atol=0.2)


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 3, 3), (3, 3, 3)])
def test_any_shape(shape: tuple[int, int, int]) -> None:
    dequantise = VariationalDequantisation(shape, 256, CouplingDesign(width=4))
    x = quantise(torch.rand(2, *shape) * 2 - 1, 256)
    between, log_q = dequantise(x, torch.randn(x.shape))
    torch.testing.assert_close(quantise(between, 256), x)
    assert log_q.shape == (2,)
