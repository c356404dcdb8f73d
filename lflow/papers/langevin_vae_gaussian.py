"""Bounds on log p(x) where log p(x) is known: a linear Gaussian model, d = 8, with an encoder that is given.

And what the chains must do whatever the model: determinants, energies, the stationary law. Knows nothing of
training on data and of figures.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from lflow import energies, models, samplers
from lflow.draws import Draws
from lflow.models.langevin_vae import LangevinVAELearner
from lflow.models.variational import VariationalLearner
from lflow.noise import StepNoise
from lflow.papers.experiment import Config, Findings
from lflow.samplers.underdamped import UnderdampedState

DIM = 8
SIGMA = 0.5
STEP_SIZE = 0.3
STARTS = {"exact": (0.0, 1.0), "wide": (0.3, 1.5)}
"""The encoder's law against the posterior: its mean is shifted by so much in each number of z, its standard
deviation so many times as large."""
STATIONARY_STEPS = (0.1, 0.3, 0.6)
HALVED = (0.3, 0.15, 0.075, 0.0375)
TRAJECTORY = 1.2  # time over which energies are compared, at every step size
FRICTIONS = (0.0, 0.001, 0.01)
_TUNING_RATE, _TUNING_BATCH = 0.05, 100


class LinearEncoder(nn.Module):
    """The posterior of the linear model as an encoder's outputs, but for a shift and a factor."""

    weight: Tensor
    raw: Tensor

    def __init__(self, scales: Tensor, shift: float, factor: float) -> None:
        super().__init__()
        precision = 1 + (scales / SIGMA).square()
        self.register_buffer("weight", scales / SIGMA**2 / precision)
        # A number whose softplus is the standard deviation.
        self.register_buffer("raw", (factor / precision.sqrt()).expm1().log())
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        mean = x * self.weight + self.shift
        return torch.cat([mean, self.raw.expand_as(mean)], 1)


class Case(NamedTuple):
    """A learner in float64 on x = scales · z + σε, and its law."""

    learner: VariationalLearner
    law: MultivariateNormal


def linear_case(name: str, start: str = "exact", scales: Tensor | None = None, **settings: Any) -> Case:
    """A model with a linear decoder, one scale (1 if not given) for each number of z, and a known encoder."""
    chosen = {"latent_dim": DIM, "likelihood": "gaussian", "sigma": SIGMA, **settings}
    learner = models.get(name, **chosen).build((DIM,)).double()
    assert isinstance(learner, VariationalLearner)
    size = torch.ones(DIM, dtype=torch.float64) if scales is None else scales.double()
    learner.decoder.net = nn.Linear(DIM, DIM, bias=False, dtype=torch.float64)
    with torch.no_grad():
        learner.decoder.net.weight.copy_(size.diag())
    learner.encoder = LinearEncoder(size, *STARTS[start])
    return Case(learner, MultivariateNormal(torch.zeros_like(size), (size.square() + SIGMA**2).diag()))


def gaps(case: Case, count: int, seed: int) -> Tensor:
    """Draws of the bound less log p(x), (count,), of as many x from the model."""
    x = data_of(case, count, seed)
    with torch.no_grad():
        return case.learner.elbo(x, Draws(seed, 0)) - case.law.log_prob(x)


def data_of(case: Case, count: int, seed: int) -> Tensor:
    """x from the model's own law, (count, DIM)."""
    noise = torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise * case.law.variance.sqrt()


def tune(case: Case, num_steps: int, seed: int) -> None:
    """Let what the chain learns (steps, friction, tempering) ascend the bound; encoder and decoder stay."""
    learner = case.learner
    learner.decoder.requires_grad_(False)
    learned = [each for each in learner.parameters() if each.requires_grad]
    adam = torch.optim.Adam(learned, _TUNING_RATE)
    for step in range(num_steps):
        x = data_of(case, _TUNING_BATCH, 1_000_000 + step)
        # The chain is learned through only where its start asks for a gradient.
        draws = Draws(seed, step)
        loss = -learner.elbo(x.requires_grad_(), draws).mean()
        gradients = torch.autograd.grad(loss, learned)
        for parameter, gradient in zip(learned, gradients, strict=True):
            parameter.grad = gradient
        adam.step()


def gap(config: Config) -> Findings:
    """The gap of one bound, its mean over draws; its standard error, gradients, and the chain's own numbers.

    config: model and settings as `linear_case` has them, start, count, seed, and how many steps of tuning.
    """
    case = linear_case(config["model"], config["start"], **config["settings"])
    if config["tuning"]:
        tune(case, config["tuning"], config["seed"])
    found = gaps(case, config["count"], config["seed"])
    return {
        "gap": float(found.mean()),
        "error": float(found.std()) / len(found) ** 0.5,
        "gradients": case.learner.gradient_evaluations,
    } | _learned(case.learner)


def _learned(learner: VariationalLearner) -> Findings:
    modules = dict(learner.named_modules())
    with torch.no_grad():
        return {
            name: float(modules[name]().mean()) if name in modules else None
            for name in ("step_sizes", "friction")
        }


# --- what must hold ---------------------------------------------------------------------------------------


def correctness(config: Config) -> Findings:
    """Log-determinants by automatic differentiation, energy errors over halved steps, stationary variances.

    order: the power of the step with which the error of the energy falls in the last halving, at ν = 0.
    """
    errors = {friction: energy_errors(friction, config["seed"]) for friction in FRICTIONS}
    return {
        "determinants": [determinant(friction, config["seed"]) for friction in (0.1, 0.7, 2.0)],
        "energies": {str(friction): found for friction, found in errors.items()},
        "order": math.log2(errors[0.0][-2] / errors[0.0][-1]),
        "stationary": [stationary_variance(h) for h in STATIONARY_STEPS],
    }


def curved_case(**settings: Any) -> LangevinVAELearner:
    """A Langevin VAE in float64 whose decoder is not linear, with fixed steps; the same for all settings."""
    fixed = {"learn_step_size": False, "learn_friction": False, "latent_dim": DIM, "width": 16}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        learner = models.get("langevin_vae", **(fixed | settings)).build((DIM,)).double()
    assert isinstance(learner, LangevinVAELearner)
    return learner


def determinant(friction: float, seed: int) -> Findings:
    """log|det| of five steps with noise, at one point, beside -K νdε."""
    learner = curved_case(mode="noisy", friction=friction, step_size=STEP_SIZE, num_steps=5)
    x, z, p = _points(3, 1, seed)

    def steps(state: Tensor) -> Tensor:
        end = learner.chain(x, state[None, :DIM], state[None, DIM:], Draws(seed, 0))
        return torch.cat([end.z, end.p], 1)[0]

    jacobian = torch.autograd.functional.jacobian(steps, torch.cat([z, p], 1)[0])
    found = float(torch.linalg.slogdet(jacobian)[1])
    return {"friction": friction, "found": found, "expected": -5 * friction * DIM * STEP_SIZE}


def energy_errors(friction: float, seed: int) -> list[float]:
    """The mean |H - H_0| over a trajectory of one length, without noise, for each of the halved steps."""
    found = []
    for h in HALVED:
        count = round(TRAJECTORY / h)
        learner = curved_case(mode="deterministic", friction=friction, step_size=h, num_steps=count)
        x, z, p = _points(3, 500, seed)
        with torch.no_grad():
            end = learner.chain(x, z, p, Draws(seed, 0))
            before = p.square().sum(1) / 2 - learner.log_joint(x, z)
            after = end.p.square().sum(1) / 2 - learner.log_joint(x, end.z)
        found.append(float((after - before).abs().mean()))
    return found


def _points(many: int, count: int, seed: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(count, DIM, generator=generator, dtype=torch.float64) for _ in range(many))


def stationary_variance(h: float) -> Findings:
    """E[x²] of the quasi-symplectic step on N(0, 1) with ν = 1 and σ² = 2ν, exactly.

    The step is linear, s' = A s + b ξ: A and b are read off the sampler's own step, and the covariance is the
    fixed point S = A S Aᵀ + b bᵀ.
    """
    energy, sampler = energies.get("gaussian", dim=1), samplers.get("quasi_symplectic", friction=1.0)
    unit = torch.eye(3, dtype=torch.float64)[:, :, None]
    state = UnderdampedState(unit[0], unit[1], energy.grad(unit[0]))
    after, _ = sampler.step(state, energy, h, 1.0, StepNoise(unit[2]))
    x, p = after.x[:, 0], after.momentum[:, 0]
    matrix, push = torch.stack([x[:2], p[:2]]), torch.stack([x[2], p[2]])
    system = torch.eye(4, dtype=torch.float64) - torch.kron(matrix, matrix)
    covariance = torch.linalg.solve(system, torch.outer(push, push).flatten())
    return {"h": h, "variance": float(covariance[0])}
