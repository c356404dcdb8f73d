"""A learned energy on a grid, beside closed forms of Gaussians, and where its mass leaves the grid."""

import math

import pytest
import torch
from torch import Tensor

from lflow import energies
from lflow.energies.gaussian import Gaussian
from lflow.evaluation.grid import against

DATA = Gaussian(dim=2, condition_number=4.0)  # variances 1 and ¼
MEAN, VARIANCES = torch.tensor([0.3, -0.2]), torch.tensor([0.8, 0.5])


def model(x: Tensor) -> Tensor:
    """A Gaussian's energy, and 3 more."""
    assert x.dtype == torch.float32  # as networks need it
    return ((x - MEAN).square() / VARIANCES).sum(1) / 2 + 3


def divergence(temperature: float) -> float:
    """KL of the data's Gaussian to the model's, whose variances the temperature scales."""
    ratio = DATA.variances / (temperature * VARIANCES.double())
    shift = MEAN.double().square() / (temperature * VARIANCES.double())
    return float((ratio + shift - 1 - ratio.log()).sum() / 2)


@pytest.mark.parametrize("temperature", [0.5, 1.0])
@pytest.mark.parametrize("size", [100, 400])
def test_a_gaussian_beside_another(temperature: float, size: int) -> None:
    found = against(model, DATA, temperature, size=size)
    log_z = math.log(2 * math.pi * temperature) + float(VARIANCES.double().log().sum()) / 2 - 3 / temperature
    assert float(found.log_z) == pytest.approx(log_z, abs=1e-5)
    assert float(found.kl) == pytest.approx(divergence(temperature), abs=1e-5)
    assert float(found.kl) != pytest.approx(divergence(2 * temperature), abs=0.1)
    assert float(found.edge) < 1e-6
    x = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    density = torch.distributions.Normal(MEAN.double(), (temperature * VARIANCES.double()).sqrt())
    wanted = density.log_prob(x.double()).sum(1).mean()
    torch.testing.assert_close(found.log_likelihood(model, x, temperature), wanted, rtol=0, atol=1e-5)


def test_the_data_s_own_energy_has_no_divergence() -> None:
    for name in ("rings", "two_moons"):
        energy = energies.get(name)
        assert float(against(energy, energy, size=200).kl) == pytest.approx(0, abs=1e-5)


def test_mass_beyond_the_grid_shows_at_its_edge_and_raises_the_divergence() -> None:
    """A density four times as wide as the grid: cut off there it is nearer than it is."""
    wide = 32.0

    def flat(x: Tensor) -> Tensor:
        return x.square().sum(1) / (2 * wide**2)

    found = against(flat, DATA)
    ratio = DATA.variances / wide**2
    assert float(found.edge) > 0.2
    assert float(found.kl) < float((ratio - 1 - ratio.log()).sum() / 2) - 0.5
    whole = against(flat, DATA, bounds=((-200.0, 200.0), (-200.0, 200.0)), size=1600)
    assert float(whole.edge) < 1e-6
    assert float(whole.kl) == pytest.approx(float((ratio - 1 - ratio.log()).sum() / 2), abs=1e-4)


def test_what_cannot_be_on_a_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="in the plane, and gaussian has 3 dimensions"):
        against(model, energies.get("gaussian", dim=3))
    with pytest.raises(ValueError, match="not a number"):
        against(lambda x: x[:, 0].log(), DATA)
