"""Posteriors of a random decoder with two numbers in z: on a grid, and by what is to draw from them.

The setting of the text of 2021: z ~ N(0, I), x = f(z) + ε, ε ~ N(0, Σ), three data, networks of 3 × 128 ReLU,
steps of 4e-4, 3,000 of them of which 1,000 are left out. Σ is printed [[.7, .6], [.7, .8]], which is no
covariance: a typo, for which .6 is taken. Knows nothing of the paper's other parts.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lflow import samplers, steps
from lflow.draws import Draws
from lflow.metrics import sliced_wasserstein2
from lflow.models.amortised import WeightChain, condition_number, images, move_weights
from lflow.nets import encoder, generator, start_orthogonal
from lflow.papers.experiment import Config, Findings
from lflow.short_run import frozen, short_run

SIGMA = torch.tensor([[0.7, 0.6], [0.6, 0.8]])
DATA, WIDTH, STEP = 3, 128, 4e-4
METHODS = ("variational", "langevin", "amortised", "evened")
SHOWN_METHODS = METHODS[:3]
REACH, CELLS, SHOWN = 4.0, 160, 40  # of the grid: from -REACH to REACH; cells an axis, and of the picture
_GAIN = 2.0  # of the decoder's layers: enough that posteriors are no ellipses
_DRAWS = 112  # a use of random numbers, beside those of lflow.draws


class Toy:
    """A random decoder and data that it draws."""

    def __init__(self, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.decoder = generator(2, (2,), width=[WIDTH] * 3, activation="relu")
            self.features = nn.Sequential(
                encoder((2,), WIDTH, width=[WIDTH] * 2, activation="relu", layer_norm=True),
                nn.LayerNorm(WIDTH),
                nn.ReLU(),
            )
            for net in (self.decoder, self.features):
                start_orthogonal(net)
            for layer in self.decoder.modules():
                if isinstance(layer, nn.Linear):
                    layer.weight.data.mul_(_GAIN)
                    layer.bias.data.normal_()
        self.draws = Draws(seed, 0, use=_DRAWS)
        self.precision = SIGMA.inverse()
        with torch.no_grad():
            noise = self.draws.normal((DATA, 2)) @ torch.linalg.cholesky(SIGMA).T
            self.x = self.decoder(self.draws.normal((DATA, 2))) + noise

    def potential(self, z: Tensor) -> Tensor:
        """-log p(x_i, z_i) but for a constant, (..., DATA, 2) -> (..., DATA)."""
        away = self.x - self.decoder(z.reshape(-1, 2)).view(z.shape)
        return ((away @ self.precision * away).sum(-1) + z.square().sum(-1)) / 2


def on_grid(toy: Toy) -> tuple[Tensor, Tensor]:
    """The posteriors' probabilities of cells, (DATA, CELLS²), and the cells' centres, (CELLS², 2)."""
    width = 2 * REACH / CELLS
    axis = -REACH + width * (torch.arange(CELLS) + 0.5)
    centres = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        energy = toy.potential(centres[:, None].expand(-1, DATA, -1).contiguous())
    return torch.softmax(-energy.double().T, 1), centres


def from_grid(probabilities: Tensor, centres: Tensor, count: int, draws: Draws) -> Tensor:
    """Draws of a posterior, (count, 2), exact but for the cells' width."""
    cumulated = probabilities.cumsum(0)
    uniform = draws.uniform((count,)).double() * cumulated[-1]
    found = centres[torch.searchsorted(cumulated, uniform).clamp_max(len(centres) - 1)]
    return found + (2 * REACH / CELLS) * (draws.uniform((count, 2)) - 0.5)


def variational(toy: Toy, count: int, num_steps: int) -> Tensor:
    """Draws of the normal law with independent coordinates that is fitted to each datum, (DATA, count, 2)."""
    mean = torch.zeros(DATA, 2, requires_grad=True)
    log_scale = torch.zeros(DATA, 2, requires_grad=True)
    adam = torch.optim.Adam([mean, log_scale], lr=0.05)
    with frozen(toy.decoder):
        for _ in range(num_steps):
            z = mean + log_scale.exp() * toy.draws.normal((32, DATA, 2))
            loss = toy.potential(z).mean(0).sum() - log_scale.sum()
            adam.zero_grad()
            loss.backward()
            adam.step()
    drawn = mean + log_scale.exp() * toy.draws.normal((count, DATA, 2))
    return drawn.detach().transpose(0, 1)


def langevin(toy: Toy, num_steps: int, skipped: int, step_size: float) -> Tensor:
    """The states of a chain of ULA on each datum's z, from 0: (DATA, num_steps - skipped, 2)."""
    ula, rule = samplers.get("ula"), steps.get("constant", step_size=step_size)
    with frozen(toy.decoder):
        found = short_run(toy.potential, torch.zeros(DATA, 2), ula, rule, num_steps, toy.draws, keep=True)
    assert found.starts is not None
    return found.starts[skipped:].transpose(0, 1)


def amortised(toy: Toy, features: Tensor, num_steps: int, skipped: int) -> Tensor:
    """The same of z = Φ g, one chain on Φ for all data, features (DATA, WIDTH)."""
    chain = WeightChain(step_size=STEP, num_steps=num_steps)
    with frozen(toy.decoder):
        start = torch.zeros(1, 2, WIDTH)
        found = move_weights(toy.potential, features, start, chain, toy.draws, keep=True)
    assert found.starts is not None
    return images(features, found.starts[skipped:, 0]).transpose(0, 1)


def evened(features: Tensor) -> Tensor:
    """The nearest features, but for a factor, with GGᵀ = c I; c keeps the mean of |g|²."""
    left, _, right = torch.linalg.svd(features, full_matrices=False)
    return features.square().sum(1).mean().sqrt() * (left @ right)


def work(config: Config) -> Findings:
    """Distances to the grid posterior, a mean over the data, in units of its standard deviation; the points
    of the first seed."""
    toy = Toy(config["seed"])
    count, skipped = config["steps"], config["steps"] // 3
    probabilities, centres = on_grid(toy)
    with torch.no_grad():
        features = toy.features(toy.x)
    # Plain Langevin on z with a step as long as the mean of those that ALD takes there, h|g|².
    step = STEP * float(features.square().sum(1).mean())
    clouds = {
        "variational": variational(toy, count - skipped, config["fit"]),
        "langevin": langevin(toy, count, skipped, step),
        "amortised": amortised(toy, features, count, skipped),
        "evened": amortised(toy, evened(features), count, skipped),
    }
    exact, again = (
        torch.stack([from_grid(p, centres, count - skipped, toy.draws) for p in probabilities])
        for _ in range(2)
    )
    found: Findings = {name: _distance(cloud, exact) for name, cloud in clouds.items()}
    found |= {"floor": _distance(again, exact), "condition": float(condition_number(features))}
    found |= {"step": step, "outside": _outside(probabilities)}
    if config["seed"] == 0:
        found["points"] = {name: _thinned(clouds[name]) for name in SHOWN_METHODS}
        found["grid"] = _coarse(probabilities)
    return found


def _distance(cloud: Tensor, exact: Tensor) -> float:
    """The mean over data of the sliced W₂ of (n, m, 2) samples of z, in exact standard deviations.

    A shift by the same in each of d numbers is 1/√d of its length in sliced W₂; so are units here.
    """
    spread = exact.var(1).mean(1).sqrt()
    each = [float(sliced_wasserstein2(a, b)) for a, b in zip(cloud, exact, strict=True)]
    return sum(d / float(s) for d, s in zip(each, spread, strict=True)) / DATA


def _outside(probabilities: Tensor) -> float:
    """The probability of the outermost cells, which says what the grid may cut off."""
    square = probabilities.view(DATA, CELLS, CELLS)
    return float((1 - square[:, 2:-2, 2:-2].sum((1, 2))).max())


def _thinned(cloud: Tensor) -> list[Any]:
    kept: list[Any] = cloud[:, :: max(1, cloud.shape[1] // 250)].mul(100).round().div(100).tolist()
    return kept


def _coarse(probabilities: Tensor) -> list[Any]:
    """Probabilities of the picture's cells relative to the largest, rows along z₂, the lowest first."""
    each = CELLS // SHOWN
    cells = probabilities.view(DATA, SHOWN, each, SHOWN, each).sum((2, 4)).transpose(1, 2)
    found: list[Any] = (cells / cells.amax((1, 2), keepdim=True)).mul(1000).round().div(1000).tolist()
    assert math.isclose(float(cells.sum()), DATA, rel_tol=1e-6)
    return found
