"""Energy-based models: the gradient that they learn by, what they learn from each sampler, their chains.

A quadratic energy in the network's place has everything in closed form: the gradient is a difference of
moments, and the likelihood is greatest where the model's moments are the data's.
"""

from __future__ import annotations

import dataclasses
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lflow
from lflow import models
from lflow.draws import Draws
from lflow.models.ebm import RULES, SAMPLERS, EBMLearner
from lflow.papers.anila_laws import LineLaw
from lflow.paths import assets_dir
from lflow.training.config import make_config
from lflow.training.loop import resume, train
from tests.statistics import one_thread  # noqa: F401  (for every test here)

PRESETS = models.get_class("ebm").presets


class Quadratic(nn.Module):
    """U(x) = ½ Σ p_i (x_i - m_i)²."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.precision = nn.Parameter(torch.full((dim,), 1.3))
        self.mean = nn.Parameter(torch.full((dim,), 0.2))

    def forward(self, x: Tensor) -> Tensor:
        return (self.precision * (x - self.mean).square()).sum(1) / 2


def learner(shape: tuple[int, ...], energy: nn.Module | None = None, **settings: Any) -> EBMLearner:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = models.get("ebm", **{"width": 8, "chain_steps": 3, **settings}).build(shape)
    assert isinstance(found, EBMLearner)
    if energy is not None:
        found.net = energy  # type: ignore[assignment]
    return found


def loaded(path: Path) -> EBMLearner:
    found = lflow.load(path)
    assert isinstance(found, EBMLearner)
    return found


def points(n: int, dim: int, seed: int = 0) -> Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_the_gradient_is_the_difference_of_moments(temperature: float) -> None:
    """Of -log p: ∂/∂p_i = ½ (E_data - E_chains)(x_i - m_i)²/T, ∂/∂m_i = -p_i (E_data - E_chains) x_i/T."""
    net = Quadratic(3)
    model = learner((3,), net, temperature=temperature, noise="normal", data_noise=0.0)
    x, draws = points(50, 3), (Draws(0, 5), Draws(0, 5))
    model.training_step(x, draws[0]).losses["energy_gap"].backward()
    ends = model.chain(model.noise(50, draws[1]), draws[1]).x
    p, m = net.precision.double(), net.mean.double()

    def gap(of: Any) -> Tensor:
        return (of(x.double()).mean(0) - of(ends.double()).mean(0)) / temperature

    expected = {"precision": gap(lambda each: (each - m).square()) / 2, "mean": -p * gap(lambda each: each)}
    for name, wanted in expected.items():
        found = getattr(net, name).grad.double()
        torch.testing.assert_close(found, wanted.detach(), rtol=1e-4, atol=1e-5, msg=name)


def test_the_gradient_is_autograd_s_at_fixed_ends() -> None:
    """Of a network, beside the same one in float64; where the chains end is no function of the weights."""
    model = learner((1, 8, 8), net="conv", width=4, data_noise=0.1, penalty=0.3)
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found = model.training_step(x, Draws(1, 2))
    torch.stack(list(found.losses.values())).sum().backward()
    draws = Draws(1, 2)
    data = x + 0.1 * draws.normal(x.shape)
    ends = model.chain(model.noise(6, draws), draws).x
    exact = deepcopy(model.net).double()
    at_data, at_ends = exact(data.double()), exact(ends.double())
    loss = at_data.mean() - at_ends.mean() + 0.3 * (at_data.square().mean() + at_ends.square().mean())
    gradients = torch.autograd.grad(loss, list(exact.parameters()))
    for parameter, wanted in zip(model.net.parameters(), gradients, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad.double(), wanted, rtol=1e-3, atol=1e-6)


def learned_precision(sampler: dict[str, Any], threshold: float, steps: int = 250) -> float:
    """Of persistent chains, on data of variance one exactly: the mean over half of the learning."""
    chains = {"start": "persistent", "num_kept": 2000, "rejuvenation": 0.0, "noise": "normal"}
    net = Quadratic(1)
    model = learner((1,), net, **chains, **sampler, threshold=threshold, chain_steps=5, learning_rate=0.03)
    data = points(2000, 1)
    data = (data - data.mean()) / data.std(correction=0)
    model.initialise(data, Draws(0, 0))
    optimiser = torch.optim.Adam(net.parameters(), 0.03)
    kept = []
    for step in range(steps):
        optimiser.zero_grad()
        model.training_step(data, Draws(0, step)).losses["energy_gap"].backward()
        optimiser.step()
        kept.append(float(net.precision.detach()))
    return sum(kept[steps // 2 :]) / len(kept[steps // 2 :])


def printed_precision(b: float) -> float:
    """The p at which the law e^{-U} max(1, |U'|/b) of U = p x²/2 has variance one, by bisection."""
    x = torch.linspace(-8, 8, 40_001, dtype=torch.float64)

    def variance(p: float) -> float:
        return LineLaw.from_log(x, -p * x.square() / 2 + (p * x.abs() / b).clamp_min(1).log()).variance()

    low, high = 0.5, 4.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if variance(middle) > 1 else (low, middle)
    return low


def test_the_precision_is_learned_with_mala_and_not_with_printed_anila() -> None:
    """The data's precision is 1; printed AniLA learns that of the energy whose biased law is the data's."""
    step = {"step_size": 0.4}
    assert learned_precision({"sampler": "mala", **step}, 1.0) == pytest.approx(1.0, abs=0.06)
    printed = learned_precision({"sampler": "anila", "variant": "paper", "step_size": 0.03}, 0.5)
    assert printed == pytest.approx(printed_precision(0.5), abs=0.1)
    assert printed > 1.5
    accepted = {"sampler": "anila", "variant": "metropolis", "step_size": 0.4}
    assert learned_precision(accepted, 0.5) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("start", ["noise", "persistent", "data"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_from_every_start_takes_a_step(sampler: str, start: str) -> None:
    for shape in ((2,), (1, 8, 8)):
        model = learner(shape, sampler=sampler, start=start, num_kept=8, chain_steps=2)
        x = torch.rand(4, *shape)
        model.initialise(x, Draws(0, 0))
        found = model.training_step(x, Draws(0, 1))
        found.losses["energy_gap"].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.net.parameters())
        assert ("acceptance" in found.metrics) == model.sampler.has_accept_step
        assert model.synthesize(3).shape == (3, *shape)
        assert model.anomaly_score(x).shape == (4,)


@pytest.mark.parametrize("variant", ["paper", "toy_code", "flowers_code", "corrected", "metropolis"])
@pytest.mark.parametrize("elementwise", [False, True])
def test_every_variant_of_anila_takes_a_step(variant: str, elementwise: bool) -> None:
    for rule, smooth in product(RULES if variant != "metropolis" else RULES[:3], (False, True)):
        chosen = {"variant": variant, "elementwise": elementwise, "smooth": smooth, "rule": rule}
        model = learner((2,), sampler="anila", threshold=0.1, **chosen)
        assert model.training_step(torch.rand(4, 2), Draws(0, 1)).losses["energy_gap"].isfinite()
    with pytest.raises(ValueError, match="detailed balance"):
        models.get("ebm", sampler="anila", variant="metropolis", rule="rmsprop")


def test_the_papers_scales_are_those_of_the_docstring() -> None:
    """A step of ebm-anatomy, x - ∇U + ε ξ, and of the toy code, x - s∇U + sε ξ with s = b/max(b, |∇U|)."""
    epsilon, b = 0.1, 0.05
    common: dict[str, Any] = {
        "step_size": 1.0,
        "temperature": epsilon**2 / 2,
        "chain_steps": 1,
        "threshold": b,
    }
    x = points(20, 2)
    for sampler in ({"sampler": "ula"}, {"sampler": "anila", "variant": "toy_code"}):
        model = learner((2,), **(common | sampler))
        draws = Draws(3, 0)
        draws.normal(x.shape)  # what a sampler draws at its start
        noise = draws.normal(x.shape)
        point = x.clone().requires_grad_(True)
        slope = torch.autograd.grad(model.energy(point).sum(), point)[0]
        s = b / slope.norm(dim=1, keepdim=True).clamp_min(b) if "variant" in sampler else torch.ones(20, 1)
        torch.testing.assert_close(model.chain(x, Draws(3, 0)).x, x - s * slope + s * epsilon * noise)
        assert "variant" not in sampler or (s < 1).any()


def test_temperature_is_only_the_scale_of_the_energy() -> None:
    """(U, h, T) and (U/T, hT, 1) are the same chain."""
    hot, cold = (learner((2,), step_size=h, temperature=t) for h, t in ((0.02, 1.0), (0.02 / 0.05, 0.05)))
    with torch.no_grad():
        last = cold.net.net[-1]  # type: ignore[index]
        last.weight.mul_(0.05)
        last.bias.mul_(0.05)
    x = points(10, 2)
    torch.testing.assert_close(
        hot.chain(x, Draws(0, 0)).x, cold.chain(x, Draws(0, 0)).x, rtol=1e-4, atol=1e-5
    )
    one, other = (model.training_step(x, Draws(0, 0)).losses["energy_gap"] for model in (hot, cold))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def persistent(num_steps: int) -> Any:
    model = {"name": "ebm", "start": "persistent", "num_kept": 24, "chain_steps": 2, "width": 8}
    training = {"num_steps": num_steps, "batch_size": 10, "checkpoint_every": 2, "ema": 0.9}
    return make_config({"model": model, "data": {"source": "rings", "limit": 100}, "training": training})


def test_persistent_chains_are_saved_and_resumed(tmp_path: Path) -> None:
    train(persistent(6), tmp_path / "whole", "cpu")
    train(persistent(3), tmp_path / "pieces", "cpu")
    resume(tmp_path / "pieces", 6, "cpu")
    whole, pieces = (
        loaded(tmp_path / each / "checkpoints" / "last.safetensors") for each in ("whole", "pieces")
    )
    assert torch.equal(whole.chains, pieces.chains)
    begun = learner((2,), start="persistent", num_kept=24)
    begun.initialise(torch.zeros(10, 2), Draws(0, 0))
    moved = torch.ne(begun.chains, whole.chains).any(1)
    assert moved.all()  # six batches of ten are more than two rounds
    first = whole.synthesize(50, num_steps=0)
    assert torch.equal(first[:24].sort(0).values, whole.chains.sort(0).values)
    assert torch.equal(first[:24], first[24:48])  # each once, before any comes again


def test_the_chains_that_have_waited_longest_go_on() -> None:
    model = learner((2,), start="persistent", num_kept=7, rejuvenation=0.0)
    model.initialise(torch.zeros(3, 2), Draws(0, 0))
    turns = []
    for step in range(7):
        before = model.chains.clone()
        model.training_step(torch.zeros(3, 2), Draws(0, step))
        turns.append(torch.ne(before, model.chains).any(1).nonzero().flatten().tolist())
    assert sorted(row for turn in turns for row in turn) == sorted([*range(7)] * 3)
    assert turns[:3] == [[0, 1, 2], [3, 4, 5], [0, 1, 6]]
    with pytest.raises(ValueError, match="at least the batch size"):
        model.initialise(torch.zeros(8, 2), Draws(0, 0))


def test_two_processes_keep_the_chains_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(rank: int, world_size: int) -> tuple[Tensor, Tensor]:
        seen: list[Tensor] = []

        def gather(self: Draws, x: Tensor) -> Tensor:
            seen.append(x)
            return x.repeat(world_size, 1)

        monkeypatch.setattr(Draws, "gather", gather)
        model = learner((2,), start="persistent", num_kept=8, rejuvenation=0.3)
        model.initialise(torch.zeros(4, 2), Draws(0, 0))
        each = 4 // world_size
        model.training_step(
            points(4, 2)[rank * each : (rank + 1) * each], Draws(0, 1, rank=rank, world_size=world_size)
        )
        return seen[0], model.chains

    (alone, kept), first, second = ends(0, 1), ends(0, 2), ends(1, 2)
    torch.testing.assert_close(torch.cat([first[0], second[0]]), alone)
    assert torch.equal(kept[4:], alone)
    assert torch.equal(kept[:4], first[1][:4])


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_builds_and_takes_a_small_step(preset: str) -> None:
    shape = {"mnist": (1, 28, 28), "digits": (1, 8, 8), "flowers": (3, 32, 32), "cifar10": (3, 32, 32)}
    config = make_config({"model": "ebm", "preset": preset})
    settings = dataclasses.replace(config.model, chain_steps=1)  # type: ignore[type-var]
    model = settings.build(shape.get(config.data.source, (2,)), None)
    assert model.training_step(torch.rand(2, *model.shape), Draws(0, 0)).losses["energy_gap"].isfinite()


def test_the_papers_settings() -> None:
    rings, photographs = (
        make_config({"model": "ebm", "preset": name}) for name in ("rings_paper", "cifar10_paper")
    )
    shapes = [tuple(p.shape) for p in rings.model.build((2,)).parameters() if p.ndim == 2]
    assert shapes == [(32, 2), (64, 32), (64, 64), (64, 64), (1, 64)]
    chosen = photographs.model
    assert (chosen.chain_steps, chosen.threshold, chosen.learning_rate) == (100, 2e-4, 1e-4)  # type: ignore[attr-defined]
    assert chosen.temperature == pytest.approx(0.01**2 / 2)  # type: ignore[attr-defined]
    sizes = sum(p.numel() for p in chosen.build((3, 32, 32)).parameters())
    kernels = [(3, 64, 3), (64, 128, 4), (128, 256, 4), (256, 512, 4), (512, 1, 4)]
    assert sizes == sum(a * b * k * k + b for a, b, k in kernels)


def test_bad_settings_are_refused_in_a_sentence() -> None:
    for layers in ("32,x", "32,,64", "0,4", "9999"):
        with pytest.raises(ValueError, match="layers must be widths"):
            models.get("ebm", layers=layers)
    with pytest.raises(ValueError, match="too many to keep"):
        models.get("ebm", start="persistent", num_kept=100_000).build((3, 4096, 4096))


def test_a_lost_chain_is_the_worst_validation() -> None:
    model = learner((2,), Quadratic(2), step_size=100.0, chain_steps=60)
    found = model.validate(points(5, 2), Draws(0, 0))
    assert float(found["sliced_w2"]) == float("inf")
    assert float(learner((2,)).validate(points(5, 2), Draws(0, 0))["sliced_w2"]) < 2


def test_the_shipped_energy_makes_digits() -> None:
    """Harder to tell from held-out digits than a Gaussian with the training digits' mean and covariance."""
    model = loaded(assets_dir() / "models" / "digits-ebm")
    training, test = (lflow.data.load("digits", split).x for split in ("train", "test"))
    flat = training.flatten(1)
    root = torch.linalg.cholesky(flat.T.cov() + 1e-4 * torch.eye(64))
    gaussian = flat.mean(0) + points(len(test), 64) @ root.T
    like, unlike = (
        lflow.metrics.nearest_neighbour_accuracy(x.view_as(test).clamp(-1, 1), test).value
        for x in (model.synthesize(len(test), seed=0), gaussian)
    )
    assert like < 0.8 < unlike  # at chance both would be 0.5
    noise = model.noise(100, Draws(0, 0))
    assert model.anomaly_score(test).mean() < model.anomaly_score(noise).mean() - 1
