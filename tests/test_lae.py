"""Amortised Langevin dynamics against its exact laws, and the losses of its two autoencoders.

The laws are those of independent chains: 1,000 to 4,000 of them, all first and second moments.
"""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal
from torch.func import functional_call

from lflow.draws import Draws
from lflow.models import get, get_class
from lflow.models.amortised import WeightChain, condition_number, images, move_weights
from lflow.models.clae import CLAELearner
from lflow.models.lae import LAELearner, different
from lflow.nets import activated, start_orthogonal
from lflow.papers.lae_laws import Conjugate, Law, after, conjugate, marginal_error, of_draws, slowest
from tests.statistics import LIMIT, largest, one_thread, z_of_mean, z_of_variance  # noqa: F401

N, SIZE = 4, 2
RATIOS = (0.5, 1, 2, 8)


def seeded(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear_case() -> Conjugate:
    """Four data of three numbers, two in z."""
    noise = 0.3 * torch.tensor([[1.0, 0.3, 0.0], [0.3, 0.8, 0.1], [0.0, 0.1, 1.2]]).double()
    return conjugate(seeded(0, N, 3), 0.6 * seeded(1, 3, SIZE), noise)


def features_of(ratio: float) -> Tensor:
    width = int(ratio * N)
    return seeded(30, N, width) / width**0.5


def edge(case: Conjugate, features: Tensor) -> float:
    """1/L, L the largest curvature of V."""
    along = torch.linalg.eigvalsh(features @ features.T).max()
    return float(1 / (along * torch.linalg.eigvalsh(case.precision).max()))


def run(features: Tensor, chains: int, **chain: object) -> tuple[Tensor, Tensor, float | None]:
    """Z, (chains, n, d_z), and Φ where chains from Φ = 0 end, and how many proposals were accepted."""
    start = torch.zeros(chains, SIZE, features.shape[1], dtype=torch.float64)
    found = move_weights(linear_case().potential, features, start, WeightChain(**chain), Draws(3, 4))
    return images(features, found.x), found.x, None if found.acceptance is None else float(found.acceptance)


def away(z: Tensor, law: Law) -> float:
    """The largest distance of a first or second moment from the law's, in standard errors."""
    rows = z.flatten(1) - law.mean
    pairs = (rows[:, :, None] * rows[:, None, :] - law.covariance).flatten(1)
    return max(largest(z_of_mean(rows, 0.0)), largest(z_of_mean(pairs, 0.0)))


def test_the_posterior_is_that_of_another_library() -> None:
    """log p(x, z) by torch's distributions differs from -U by a constant in z."""
    observed, loading, noise = seeded(0, N, 3), seeded(1, 3, SIZE), torch.eye(3).double() / 2
    case, z = conjugate(observed, loading, noise), seeded(2, 50, N, SIZE)
    joint = MultivariateNormal(z @ loading.T, noise).log_prob(observed) + Independent(
        Normal(torch.zeros_like(z), 1.0), 1
    ).log_prob(z)
    assert float((joint + case.potential(z)).std(0).max()) < 1e-12


@pytest.mark.parametrize("ratio", RATIOS)
def test_steps_have_the_law_of_the_preconditioned_recursion(ratio: float) -> None:
    case, features, count = linear_case(), features_of(ratio), 6
    h = 0.3 * edge(case, features)
    z, _, _ = run(features, 4000, step_size=h, num_steps=count)
    assert away(z, after(case, features, h, count)) < LIMIT
    # Other steps, and without the preconditioner.
    wrong = [after(case, features, factor * h, count) for factor in (0.5, 2.0)]
    wrong.append(after(case, torch.eye(N).double(), h, count))
    assert min(away(z, law) for law in wrong) > 2 * LIMIT


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_closed_form_is_the_recursion_of_matrices(ratio: float) -> None:
    case, features, h = linear_case(), features_of(ratio), 0.01
    kernel = torch.kron(features @ features.T, torch.eye(SIZE).double())
    step = torch.eye(N * SIZE).double() - h * torch.kron(features @ features.T, case.precision)
    mean, covariance = torch.zeros(N * SIZE).double(), torch.zeros(N * SIZE, N * SIZE).double()
    for _ in range(200):
        mean = case.means.flatten() + step @ (mean - case.means.flatten())
        covariance = step @ covariance @ step.T + 2 * h * kernel
    law = after(case, features, h, 200)
    torch.testing.assert_close(law.mean, mean)
    torch.testing.assert_close(law.covariance, covariance)
    assert slowest(case, features, h) == pytest.approx(float(torch.linalg.eigvals(step).abs().max()))


@pytest.mark.parametrize("metropolis", [False, True])
@pytest.mark.parametrize("ratio", [0.5, 2, 8])
def test_long_chains_have_the_posteriors_law_where_there_are_weights_enough(
    ratio: float, metropolis: bool
) -> None:
    case, features = linear_case(), features_of(ratio)
    # ULA's variances are 1/(1 - h/2 · curvature) too wide: 1.5 % at most here, a third of their error.
    h = (0.3 if metropolis else 0.03) * edge(case, features)
    count = int(5 / (1 - slowest(case, features, h))) if ratio >= 1 else 200
    z, _, accepted = run(features, 1000, step_size=h, num_steps=count, metropolis=metropolis)
    found = away(z, case.exact())
    assert found < LIMIT if ratio >= 1 else found > 4 * LIMIT
    assert accepted is None or 0.5 < accepted < 0.999


def test_metropolis_mends_a_step_that_is_too_long() -> None:
    case, features = linear_case(), features_of(8)
    h = edge(case, features)
    right, _, accepted = run(features, 2000, step_size=h, num_steps=150, metropolis=True)
    wrong, _, _ = run(features, 2000, step_size=h, num_steps=150)
    assert away(right, case.exact()) < LIMIT < away(wrong, case.exact()) / 2
    assert accepted is not None
    assert 0.05 < accepted < 0.95


def test_the_condition_of_the_preconditioner_says_what_is_slow_at_equal_numbers() -> None:
    """At T = 0 the error shrinks by the recursion's spectral radius; at d = n that is next to one."""
    case = linear_case()
    left = {}
    for ratio in (1, 8):
        features = features_of(ratio)
        h = 0.3 * edge(case, features)
        norms = []
        for count in (1200, 1250) if ratio == 1 else (1200,):
            z, _, _ = run(features, 1, step_size=h, num_steps=count, temperature=0.0)
            norms.append(float((z[0] - case.means).norm()))
        left[ratio] = norms[0]
        if ratio == 1:  # at 8 nothing is left by then
            assert (norms[1] / norms[0]) ** (1 / 50) == pytest.approx(slowest(case, features, h), abs=3e-5)
    assert condition_number(features_of(1)) > 30 * condition_number(features_of(8))
    assert left[1] > 0.01 > 1e4 * left[8]


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_condition_number_is_numpys(ratio: float) -> None:
    features = features_of(ratio)
    if ratio < 1:
        assert condition_number(features) > 1e30
    else:
        expected = torch.linalg.cond(features @ features.T)
        torch.testing.assert_close(condition_number(features), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("metropolis", [False, True])
def test_weights_that_no_datum_sees_diffuse(metropolis: bool) -> None:
    """Each as N(0, 2hk); with the test, fewer steps count, and they count the less."""
    case, features, count = linear_case(), features_of(8), 50
    h = 0.1 * edge(case, features)
    _, weights, accepted = run(features, 2000, step_size=h, num_steps=count, metropolis=metropolis)
    unseen = torch.linalg.svd(features).Vh[N:]
    free = (weights @ unseen.T).flatten()
    expected = 2 * h * count
    if not metropolis:
        assert largest(z_of_variance(free, expected)) < LIMIT < largest(z_of_variance(free, 1.05 * expected))
    else:
        assert accepted is not None
        assert 0.5 * accepted * expected < float(free.var()) < expected


def test_distances_of_marginals_and_of_draws() -> None:
    exact = linear_case().exact()
    assert marginal_error(exact, exact, SIZE) < 1e-6
    moved = Law(exact.mean + 0.5, exact.covariance)
    unit = float(exact.covariance.diagonal().mean().sqrt())
    assert marginal_error(moved, exact, SIZE) == pytest.approx(0.5 / unit)
    assert marginal_error(Law(exact.mean, 4 * exact.covariance), exact, SIZE) == pytest.approx(1.0)
    z = seeded(5, 20_000, N, SIZE)
    assert marginal_error(of_draws(z), Law(torch.zeros(8).double(), torch.eye(8).double()), SIZE) < 0.02


# --- the Langevin autoencoder -----------------------------------------------------------------------------

DATA = torch.where(seeded(7, 6, 1, 8, 8) > 0, 1.0, -1.0).float()


def lae_of(**settings: object) -> LAELearner:
    torch.manual_seed(0)
    chosen = {"latent_dim": 3, "likelihood": "bernoulli", "width": 16, "features": 12, "step_size": 0.003}
    found = get("lae", **(chosen | settings)).build((1, 8, 8), 2)
    assert isinstance(found, LAELearner)
    return found


def potential(learner: LAELearner, weights: Tensor, x: Tensor = DATA) -> Tensor:
    """V, by torch's own distributions."""
    z = learner.features(x.to(weights)) @ weights.T
    odds = learner.decoder.output(z)
    likelihood = Bernoulli(logits=odds).log_prob((x.to(z) + 1) / 2).flatten(1).sum(1)
    return -(likelihood + Normal(0.0, 1.0).log_prob(z).sum(1)).sum()


@pytest.mark.parametrize("warm", ["off", "coded"])
def test_a_step_is_that_of_the_paper(warm: str) -> None:
    """Φ moves by Φ - h∇V + √(2h) ξ, and θ and ψ descend (1/T) Σ V_t of where the steps began."""
    learner, draws = lae_of(num_steps=3, warm_step=warm).double(), Draws(1, 2)
    found = learner.training_step(DATA.double(), Draws(1, 2))
    found.losses["potential"].backward()
    other = lae_of(num_steps=3, warm_step=warm).double()
    draws.normal((1, 3, 12))  # ULA's start draws what it does not use
    weights, began = other.weights[0], []
    for _ in range(4 if warm == "coded" else 3):
        began.append(weights)
        weights = weights.clone().requires_grad_()
        (grad,) = torch.autograd.grad(potential(other, weights), weights)
        noise = draws.normal((1, 3, 12))[0]
        weights = (weights - 0.003 * grad + math.sqrt(2 * 0.003) * noise).detach()
    torch.testing.assert_close(learner.weights[0], weights)
    expected = sum(potential(other, each) for each in began[-3:]) / 3 / len(DATA)
    torch.testing.assert_close(found.losses["potential"], expected)
    expected.backward()
    for parameter, wanted in zip(learner.parameters(), other.parameters(), strict=True):
        if parameter is learner.weights:
            continue
        torch.testing.assert_close(parameter.grad, wanted.grad)


def test_only_its_chain_moves_the_last_layer() -> None:
    learner = lae_of(temperature=0.0)
    assert "weights" in learner.state_dict()
    listed = [each for part in learner.parts().values() for each in part.module.parameters()]
    assert not any(each is learner.weights for each in listed)
    before = learner.weights.clone()
    values = [float(potential(learner, learner.weights[0]).detach())]
    for step in range(20):
        assert not learner.training_step(DATA, Draws(0, step)).losses["potential"].isnan()
        values.append(float(potential(learner, learner.weights[0]).detach()))
    assert values == sorted(values, reverse=True)  # at T = 0 V falls: a plain autoencoder
    assert not torch.equal(learner.weights, before)
    assert not learner.weights.requires_grad


def test_what_is_different_keeps_its_order() -> None:
    """Sorted, the first rows would be neighbours; numpy finds where each came first."""
    rows = torch.randint(0, 3, (200, 1, 2, 2), generator=torch.Generator().manual_seed(0)) - 1.0
    found = different(rows)
    _, first = np.unique(rows.flatten(1).numpy(), axis=0, return_index=True)
    assert torch.equal(found, rows[np.sort(first)])
    assert len(found) < 82
    assert not torch.equal(found, rows.unique(dim=0))
    assert torch.equal(different(found), found)


def test_equal_data_do_not_make_the_condition_infinite() -> None:
    learner = lae_of(features=24)
    once = learner.validate(DATA, Draws(0, 0))["condition_number"]
    assert condition_number(learner.features(torch.cat([DATA, DATA])).detach()) > 1e20
    torch.testing.assert_close(
        learner.validate(torch.cat([DATA, DATA]), Draws(0, 0))["condition_number"], once
    )


def test_the_test_of_metropolis_is_reported() -> None:
    assert "acceptance" not in lae_of().training_step(DATA, Draws(0, 0)).metrics
    accepted = lae_of(metropolis=True).training_step(DATA, Draws(0, 0)).metrics["acceptance"]
    assert 0 < float(accepted) <= 1


def test_inference_is_the_encoder_or_steps_of_an_own_last_layer() -> None:
    """A step of a datum's own last layer is one of size h|g|² for its z; other data have no say."""
    learner = lae_of(temperature=0.0).double()
    x = DATA.double()
    g = learner.features(x).detach()
    z = learner.infer(x)
    torch.testing.assert_close(z, g @ learner.weights[0].T)
    assert not z.requires_grad
    for _ in range(5):
        z = z.clone().requires_grad_()
        (grad,) = torch.autograd.grad(-learner.log_joint(x, z).sum(), z)
        z = (z - 0.003 * g.square().sum(1, keepdim=True) * grad).detach()
    torch.testing.assert_close(learner.infer(x, 0, 5), z)
    torch.testing.assert_close(learner.infer(x[2:3], 0, 5), z[2:3])
    by_settings = lae_of(temperature=0.0, inference_steps=5).double()
    torch.testing.assert_close(by_settings.infer(x), z)


@pytest.mark.parametrize("name", ["lae", "clae"])
def test_what_the_papers_settings_build(name: str) -> None:
    presets = get_class(name).presets
    if name == "clae":
        assert set(presets) == {"digits", "mnist"}
        return
    settings = {"latent_dim": 8} | dict(presets["mnist_paper"].model)
    with torch.device("meta"):
        learner = get("lae", **settings).build((1, 28, 28), 256)
    net = 784 * 1024 + 2 * 1024 * 1024 + 3 * 1024 + 6 * 1024  # weights, biases, norms
    assert sum(p.numel() for p in learner.features.parameters()) == net
    generator = 8 * 1024 + 2 * 1024 * 1024 + 3 * 1024 + 6 * 1024 + 1024 * 784 + 784
    assert sum(p.numel() for p in learner.decoder.net.parameters()) == generator
    assert learner.weights.shape == (1, 8, 1024)
    assert isinstance(learner.decoder.net[-1], nn.Tanh)
    assert "without the tanh that is here" in presets["mnist_paper"].about
    small = get("lae", **(settings | {"width": 32, "features": 64})).build((1, 28, 28), 256)
    x = (torch.randint(256, (4, 1, 28, 28), generator=torch.Generator().manual_seed(0)) / 127.5) - 1
    assert bool(small.training_step(x, Draws(0, 0)).losses["potential"].isfinite())


def test_orthogonal_starts_and_norms() -> None:
    net = nn.Sequential(nn.Linear(5, 9), *activated(9, "relu", layer_norm=True), nn.Conv2d(3, 3, 1))
    start_orthogonal(net)
    torch.testing.assert_close(net[0].weight.T @ net[0].weight, torch.eye(5), atol=1e-6, rtol=0)
    assert float(net[0].bias.detach().abs().max()) == 0.0
    assert [type(layer) for layer in activated(9, "relu")] == [nn.ReLU]
    with pytest.raises(ValueError, match="layer norm is for an mlp"):
        lae_of(encoder="conv", encoder_norm=True)


# --- the contrastive one ----------------------------------------------------------------------------------


def clae_of(noise: str) -> CLAELearner:
    torch.manual_seed(0)
    settings = {"latent_dim": 3, "likelihood": "bernoulli", "width": 16, "energy_width": 8, "noise": noise}
    found = get("clae", num_inputs=9, learning_rate=0.02, **settings).build((1, 8, 8), 2)
    assert isinstance(found, CLAELearner)
    return found


def gradients(learner: CLAELearner, x: Tensor, draws: Draws) -> dict[str, Tensor]:
    torch.stack([*learner.training_step(x, draws).losses.values()]).sum().backward()
    return {name: p.grad for name, p in learner.named_parameters() if p.grad is not None}


def test_losses_are_those_of_the_formula() -> None:
    """Minus the gradient of L for the sampler, plus that for all else, over the batch's size."""
    learner, x = clae_of("off").double(), DATA.double()
    found = gradients(learner, x, Draws(2, 3))
    weights = {name: p.detach().clone().requires_grad_() for name, p in learner.named_parameters()}
    u = learner.prior.inputs[Draws(2, 3).integers(9, (len(x),))]

    def call(module: nn.Module, prefix: str, given: Tensor) -> Tensor:
        own = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        output: Tensor = functional_call(module, own, (given,))
        return output

    def f_z(z: Tensor) -> Tensor:
        return z.square().sum(1) / 2 + call(learner.prior.energy, "prior.energy.", z)

    z = call(learner.encoder, "encoder.", x)
    odds = call(learner.decoder.net, "decoder.net.", z)
    likelihood = Bernoulli(logits=odds).log_prob((x + 1) / 2).flatten(1).sum(1)
    total = (f_z(z) - f_z(call(learner.prior.sampler, "prior.sampler.", u)) - likelihood).sum()
    wanted = dict(zip(weights, torch.autograd.grad(total / len(x), list(weights.values())), strict=True))
    assert found.keys() == wanted.keys()
    for name, grad in wanted.items():
        sign = -1 if name.startswith("prior.sampler.") else 1
        torch.testing.assert_close(found[name], sign * grad, msg=name)


def test_every_update_has_the_papers_noise() -> None:
    """Plain descent at r on the mean is η = r/n on the sum, with N(0, 2η): over some 4,000 weights."""
    with_noise, without = (gradients(clae_of(noise), DATA, Draws(2, 3)) for noise in ("published", "off"))
    moved = torch.cat([(0.02 * (with_noise[k] - without[k])).flatten() for k in without])
    assert len(moved) > 3000
    expected = 2 * 0.02 / len(DATA)
    assert largest(z_of_variance(moved, expected)) < LIMIT < largest(z_of_variance(moved, 1.2 * expected))
    assert largest(z_of_mean(moved, 0.0)) < LIMIT
    again = gradients(clae_of("published"), DATA, Draws(2, 4))
    other = torch.cat([(0.02 * (again[k] - without[k])).flatten() for k in without])
    # Other numbers at the next step; the batch's part of the gradient is the same but for the sampler's u.
    assert abs(float(torch.corrcoef(torch.stack([moved, other]))[0, 1])) < 0.1


def test_its_prior_is_a_tilted_base_and_is_drawn_by_its_network() -> None:
    prior = clae_of("off").prior
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(prior.log_prob(z), prior.log_base(z) + prior.tilt(z))
    torch.testing.assert_close(prior.log_base(z), Independent(Normal(torch.zeros(3), 1.0), 1).log_prob(z))
    assert not prior.normalised
    drawn = prior.sample(4, Draws(0, 0))
    torch.testing.assert_close(drawn, prior.sampler(Draws(0, 0).normal((4, 3))).detach())
    assert not drawn.requires_grad
