"""Variational autoencoders: their chains, and learning through them, against autograd and differences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from lflow import models, samplers
from lflow.draws import Draws
from lflow.energies import from_callable
from lflow.models.hvae import HVAELearner
from lflow.models.langevin_vae import LangevinVAELearner, refreshment
from lflow.models.variational import VariationalLearner
from lflow.nets import ACTIVATIONS
from lflow.noise import StepNoise
from lflow.papers.langevin_vae_gaussian import (
    DIM,
    curved_case,
    determinant,
    energy_errors,
    linear_case,
)
from lflow.samplers.underdamped import UnderdampedState
from lflow.short_run import frozen
from lflow.spec import parameters
from tests.statistics import LIMIT, one_thread, z_of_mean  # noqa: F401  (a fixture)


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# --- the steps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("friction", [0.0, 0.7, 3.0])
def test_volume_of_the_samplers_own_step(friction: float) -> None:
    """log|det| = -νdh by autograd, on an energy that is not quadratic, d = 8."""
    energy = from_callable(lambda x: (x.square() + x.cos()).sum(1), dim=DIM)
    sampler = samplers.get("quasi_symplectic", friction=friction)
    noise = StepNoise(torch.randn(1, DIM, dtype=torch.float64))

    def step(state: Tensor) -> Tensor:
        x, p = state[None, :DIM], state[None, DIM:]
        after = sampler.step(UnderdampedState(x, p, x), energy, 0.3, 1.0, noise)[0]
        return torch.cat([after.x, after.momentum], 1)[0]

    jacobian = torch.autograd.functional.jacobian(step, torch.randn(2 * DIM, dtype=torch.float64))
    assert float(torch.linalg.slogdet(jacobian)[1]) == pytest.approx(-friction * DIM * 0.3, abs=1e-9)


def test_little_friction_has_a_gradient() -> None:
    """Of a = e^{-νε} and √(1 - a²) where 1 - a² is zero in float32, against float64."""
    small = [
        torch.tensor([1e-9, 1e-5, 0.3], dtype=t, requires_grad=True) for t in (torch.float32, torch.float64)
    ]
    found = [torch.autograd.grad(sum(x.sum() for x in refreshment(at)), at)[0] for at in small]
    assert bool(found[0].isfinite().all())
    torch.testing.assert_close(found[0].double(), found[1], rtol=1e-4, atol=0)
    wrong = torch.autograd.grad((1 - (-small[0]).exp().square()).sqrt().sum(), small[0])[0]
    assert not bool(wrong.isfinite().all())


@pytest.mark.parametrize("mode", ["noisy", "reverse_kernel"])
def test_learned_friction_stays_above_its_floor(mode: str) -> None:
    learner = models.get("langevin_vae", mode=mode).build((5,))
    with torch.no_grad():
        learner.friction.raw.fill_(-200.0)
    assert float(learner.friction().detach()) == pytest.approx(1e-4)
    (-learner.elbo(torch.randn(4, 5), Draws(0, 0)).mean()).backward()
    assert all(bool(p.grad.isfinite().all()) for p in learner.parameters() if p.grad is not None)


@pytest.mark.parametrize("friction", [0.1, 0.7])
def test_volume_of_a_langevin_chain(friction: float) -> None:
    found = determinant(friction, 1)
    assert found["found"] == pytest.approx(found["expected"], abs=1e-5)
    assert found["expected"] == pytest.approx(-5 * friction * DIM * 0.3)
    learner = curved_case(mode="deterministic", friction=friction, num_steps=5, step_size=0.3)
    x, z = torch.zeros(2, DIM).double(), torch.zeros(2, DIM).double()
    assert float(learner.chain(x, z, z, Draws(0, 0)).log_ratio) == pytest.approx(found["expected"], abs=1e-5)


def test_energy_errors_are_of_second_order_as_friction_goes_to_zero() -> None:
    still, damped = (energy_errors(friction, 0) for friction in (0.0, 1e-3))
    orders = [math.log2(a / b) for a, b in pairwise(still)]
    assert all(order == pytest.approx(2, abs=0.1) for order in orders)
    assert math.log2(damped[-2] / damped[-1]) < 0.5  # friction that stays leaves an error of its own
    less = energy_errors(1e-6, 0)
    assert less == pytest.approx(still, rel=0.02)


def hamiltonian(tempering: str = "none", **settings: Any) -> HVAELearner:
    torch.manual_seed(0)
    learner = models.get("hvae", latent_dim=4, width=16, tempering=tempering, num_steps=3, **settings)
    built = learner.build((5,)).double()
    assert isinstance(built, HVAELearner)
    return built


def state(n: int = 1, dim: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x, z, p = (torch.randn(n, k, generator=generator, dtype=torch.float64) for k in (5, dim, dim))
    return x, z, p


def test_leapfrog_comes_back() -> None:
    learner, (x, z, p) = hamiltonian(), state(6)
    with torch.no_grad():
        end, momentum = learner.chain(x, z, p, Draws(0, 0))[:2]
        back, reversed_momentum = learner.chain(x, end, -momentum, Draws(0, 0))[:2]
    assert (end - z).abs().max() > 0.1
    torch.testing.assert_close(back, z, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(reversed_momentum, -p, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("tempering", ["none", "fixed", "free"])
def test_volume_of_a_hamiltonian_chain(tempering: str) -> None:
    learner, (x, z, p) = hamiltonian(tempering), state()
    factors = learner.tempering(z).detach()

    def steps(both: Tensor) -> Tensor:
        return torch.cat(learner.chain(x, both[None, :4], both[None, 4:], Draws(0, 0))[:2], 1)[0]

    jacobian = torch.autograd.functional.jacobian(steps, torch.cat([z, p], 1)[0])
    assert float(torch.linalg.slogdet(jacobian)[1]) == pytest.approx(0, abs=1e-9)
    # From the momentum p_0 itself the schedule's determinant is left.
    scaled = torch.autograd.functional.jacobian(
        lambda both: steps(torch.cat([both[:4], both[4:] * factors.prod()])), torch.cat([z, p], 1)[0]
    )
    log_factors = float(factors.log().sum())
    assert float(torch.linalg.slogdet(scaled)[1]) == pytest.approx(4 * log_factors, abs=1e-9)
    temperature = {"none": 1.0, "fixed": 1.5, "free": 0.9**-6}[tempering]
    assert float(factors.square().prod()) == pytest.approx(1 / temperature, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [
        ("hvae", {"tempering": "none"}, 6),
        ("hvae", {"tempering": "free"}, 6),
        ("langevin_vae", {"mode": "deterministic"}, 5),
        ("langevin_vae", {"mode": "noisy"}, 5),
        ("langevin_vae", {"mode": "reverse_kernel"}, 6),
    ],
)
def test_gradients_of_a_chain(
    name: str, mode: dict[str, Any], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = linear_case(name, num_steps=5, **mode).learner
    taken = []
    ours = learner.energy_gradient

    def counted(x: Tensor) -> Any:
        gradient = ours(x)
        return lambda z: (taken.append(1), gradient(z))[1]

    monkeypatch.setattr(learner, "energy_gradient", counted)
    learner.elbo(torch.zeros(2, DIM, dtype=torch.float64), Draws(0, 0))
    assert len(taken) == learner.gradient_evaluations == expected


# --- learning through the chain ---------------------------------------------------------------------------

LEARNERS: list[tuple[str, dict[str, Any]]] = [
    ("vae", {}),
    ("vae", {"objective": "iwae", "num_importance": 3}),
    ("hvae", {"tempering": "none"}),
    ("hvae", {"tempering": "fixed"}),
    ("hvae", {"tempering": "free"}),
    ("langevin_vae", {"mode": "deterministic"}),
    ("langevin_vae", {"mode": "noisy"}),
    ("langevin_vae", {"mode": "reverse_kernel"}),
]


def small(name: str, settings: dict[str, Any]) -> VariationalLearner:
    torch.manual_seed(0)
    learner = models.get(name, latent_dim=3, width=8, depth=1, **settings).build((1, 8, 8), 2)
    assert isinstance(learner, VariationalLearner)
    return learner


def slope(learner: VariationalLearner, x: Tensor, along: list[Tensor]) -> tuple[float, float]:
    """The derivative of the mean bound along a direction of all weights: by autograd, and by differences."""
    parameters = list(learner.parameters())
    gradients = torch.autograd.grad(learner.elbo(x, Draws(0, 0)).mean(), parameters)
    found = sum(float((g * a).sum()) for g, a in zip(gradients, along, strict=True))
    values = []
    for side in (1e-5, -2e-5):
        with torch.no_grad():
            for parameter, a in zip(parameters, along, strict=True):
                parameter += side * a
            values.append(float(learner.elbo(x, Draws(0, 0)).mean()))
    return found, (values[0] - values[1]) / 2e-5


@pytest.mark.parametrize(("name", "settings"), LEARNERS)
def test_gradient_through_the_chain(
    name: str, settings: dict[str, Any], float64: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = small(name, settings)
    x = torch.randn(5, 1, 8, 8)
    along = [torch.randn_like(parameter) for parameter in learner.parameters()]
    found, expected = slope(learner, x, along)
    assert found == pytest.approx(expected, rel=1e-5)
    if name == "vae":
        return
    ours = learner.energy_gradient
    monkeypatch.setattr(learner, "energy_gradient", lambda x: lambda z: ours(x)(z).detach())
    found, expected = slope(learner, x, along)
    assert found != pytest.approx(expected, rel=1e-3)  # without the second derivatives


@pytest.mark.parametrize(("name", "settings"), LEARNERS)
def test_what_is_learned(name: str, settings: dict[str, Any]) -> None:
    learner, x = small(name, settings), torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.stack(list(learner.training_step(x, Draws(0, 0)).losses.values())).sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in learner.parameters())
    (part,) = learner.parts().values()
    assert sum(1 for _ in part.module.parameters()) == len(list(learner.parameters()))
    found = learner.validate(x, Draws(0, 1))
    assert learner.best == "nelbo"
    assert found["nelbo"] > 64 * math.log(2) * 0.9  # nothing has been learned of 64 numbers
    assert not learner.infer(x, 3).requires_grad
    torch.testing.assert_close(learner.infer(x, 3), learner.infer(x, 3), rtol=0, atol=0)
    assert torch.equal(learner.infer(x, 3), learner.infer(x, 4)) is (name == "vae")


def test_steps_are_fixed_where_they_are_not_learned() -> None:
    for learn, count in ((True, 2), (False, 0)):
        learner = models.get("langevin_vae", learn_step_size=learn, learn_friction=learn).build((5,))
        assert isinstance(learner, LangevinVAELearner)
        chain = [*learner.step_sizes.parameters(), *learner.friction.parameters()]
        assert len(chain) == count
        assert float(learner.friction().detach()) == pytest.approx(0.1)
        torch.testing.assert_close(learner.step_sizes(), torch.full((16,), 0.2))
    steps = hamiltonian().step_sizes
    steps.raw.data.fill_(50.0)  # however far learning goes
    assert float(steps().detach().max()) <= 0.5


def test_inference_is_the_mean_or_the_end_of_the_chain() -> None:
    vae, x = small("vae", {}), torch.randn(4, 1, 8, 8)
    assert torch.equal(vae.infer(x), vae.posterior(x).mean)
    learner, (x, _, _) = hamiltonian(), state(4)
    draws = Draws(5, 0, use=102)
    with torch.no_grad():
        z = learner.posterior(x).draw(draws)
        end = learner.chain(x, z, draws.normal(z.shape).double(), draws).z
    torch.testing.assert_close(learner.infer(x, 5), end)


def test_a_frozen_decoder_leaves_the_chain_differentiable() -> None:
    learner, x = small("langevin_vae", {"mode": "noisy"}), torch.randn(4, 1, 8, 8)
    with frozen(learner.decoder):
        learner.elbo(x, Draws(0, 0)).mean().backward()
    assert all(p.grad is None for p in learner.decoder.parameters())
    assert all(p.grad is not None for p in learner.encoder.parameters())


# --- settings ---------------------------------------------------------------------------------------------


def test_published_settings() -> None:
    preset = models.get_class("hvae").presets["mnist_paper"]
    learner = models.get("hvae", **preset.model).build((1, 28, 28), 2)
    assert isinstance(learner, HVAELearner)
    down = [tuple(p.shape) for p in learner.encoder.parameters() if p.ndim > 1]
    assert down == [(16, 1, 5, 5), (32, 16, 5, 5), (32, 32, 5, 5), (450, 512), (128, 450)]
    up = [tuple(p.shape) for p in learner.decoder.net.parameters() if p.ndim > 1]
    assert up == [(450, 64), (512, 450), (32, 32, 5, 5), (32, 16, 5, 5), (16, 1, 5, 5)]
    (part,) = learner.parts().values()
    assert (part.optimiser, part.learning_rate) == ("adamax", 5e-4)
    assert float(learner.step_sizes().detach().mean()) == pytest.approx(0.2)
    assert float(learner.tempering(torch.zeros(1)).detach().prod() ** -2) == pytest.approx(1.5, rel=1e-5)
    x = torch.ones(2, 1, 28, 28)
    learner.training_step(x, Draws(0, 0)).losses["nelbo"].backward()
    assert all(p.grad is not None for p in learner.parameters())


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 15)])
def test_the_published_networks_take_other_images(shape: tuple[int, int, int]) -> None:
    chosen = models.get("vae", encoder="strided", generator="strided", width=2, latent_dim=3)
    learner = chosen.build(shape)
    assert learner.reconstruct(torch.zeros(2, *shape)).shape == (2, *shape)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"noise takes a friction above 0\.0001"):
        models.get("langevin_vae", mode="noisy", friction=0.0, learn_friction=False).build((5,))
    with pytest.raises(ValueError, match="friction must be between 0 and 10, ends left out, where"):
        models.get("langevin_vae", friction=0.0).build((5,))
    with pytest.raises(ValueError, match=r"step_size must be between 0 and 0\.5, ends left out"):
        models.get("hvae", step_size=0.5).build((5,))
    assert models.get("hvae", step_size=0.5, learn_step_size=False).build((5,))
    with pytest.raises(ValueError, match="step_size must be between"):
        models.get("hvae", step_size=0.7)
    assert models.get("langevin_vae", friction=0.0, learn_friction=False).build((5,))


@pytest.mark.parametrize("name", ["hvae", "langevin_vae"])
def test_a_chain_that_is_learned_through_remarks_on_what_has_no_second_derivative(name: str) -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    for activation in ACTIVATIONS:
        (slope,) = torch.autograd.grad(ACTIVATIONS[activation]()(x).sum(), x, create_graph=True)
        bends = slope.requires_grad and bool(torch.autograd.grad(slope.sum(), x)[0].any())
        remark = models.get(name, activation=activation).remark(100)
        assert bool(remark) is not bends, activation
        assert bends or remark.startswith(f"{activation} has no second derivative")


def test_each_mode_of_the_langevin_vae_has_its_own_equation() -> None:
    def equation(mode: str, **settings: Any) -> str:
        return models.get("langevin_vae", mode=mode, **settings).equation

    still, noisy, credited = (equation(mode) for mode in ("deterministic", "noisy", "reverse_kernel"))
    assert r"R = -K\,\nu\,\sum_{i=1}^{d} \varepsilon_i" in still
    assert r"R = -K\,\nu\,\sum_{i=1}^{d} \varepsilon_i" in noisy
    assert r"R = -K\,\nu\,d\,\varepsilon" in equation("noisy", learn_step_size=False)
    assert r"\xi" in noisy
    assert r"\xi" not in still
    assert "-K" not in credited
    assert "leapfrog" in credited
    assert all(models.get_class("langevin_vae").formula in each for each in (still, noisy, credited))
    assert models.get("hvae").equation == models.get_class("hvae").formula


def test_what_is_not_the_papers_own_says_so() -> None:
    about = models.get_class("hvae").presets["mnist_paper"].about
    for difference in ("anew for each batch", "log odds", "stops early", "weights and biases start as torch"):
        assert difference in about
    chosen = models.get_class("langevin_vae")
    assert chosen.reference.startswith("What runs here")
    assert not any("published" in choice for p in parameters(chosen) for choice in p.choices or ())
