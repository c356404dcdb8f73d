"""One property test for all flows, and what only some of them have: zuko's weights, published sizes."""

import math

import pytest
import torch
import zuko
from torch import Tensor, nn

import lflow
from lflow.energies import value_and_grad
from lflow.nets.flows import CouplingDesign, Flow, Glow, RealNVP, VariationalDequantisation, lflow_prior
from lflow.nets.flows.actnorm import ActNorm
from lflow.nets.flows.bijection import Bijection, Mapped
from lflow.nets.flows.coupling import Coupling
from lflow.nets.flows.linear import LULinear
from lflow.nets.flows.logit import SHRINK, ClampedLogit
from lflow.nets.flows.mixture import MixtureOfLogistics
from tests.flow_cases import FLOWS, data, jacobian_log_det, made, moved


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_is_a_density(name: str) -> None:
    flow = made(name)
    check_map(flow, data(flow, 2))
    check_rows(flow)
    check_float32(made(name, torch.float32))
    if math.prod(flow.shape) == 2:
        assert total_mass(flow) == pytest.approx(1, abs=1e-3)


def check_map(flow: Bijection, x: Tensor) -> None:
    """Round trip both ways, and both log-determinants against the full Jacobian, in float64."""
    z, log_det = flow.to_latent(x)
    back, log_det_back = flow.to_data(z)
    assert z.shape == x.shape
    assert (log_det.abs() > 1e-3).all(), "a test of nothing"
    torch.testing.assert_close(back, x, rtol=0, atol=1e-9)
    torch.testing.assert_close(flow.to_latent(flow.to_data(z / 2)[0])[0], z / 2, rtol=0, atol=1e-9)
    torch.testing.assert_close(log_det_back, -log_det, rtol=0, atol=1e-9)
    torch.testing.assert_close(jacobian_log_det(flow.to_latent, x), log_det, rtol=0, atol=1e-9)
    torch.testing.assert_close(jacobian_log_det(flow.to_data, z), log_det_back, rtol=0, atol=1e-9)


def check_rows(flow: Flow) -> None:
    """A batch of one, and a smaller last batch, give what the whole gives."""
    x = data(flow, 5)
    torch.testing.assert_close(
        torch.cat([flow.log_prob(rows) for rows in x.split([1, 3, 1])]), flow.log_prob(x)
    )
    draws = [flow.sample(5, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*draws)
    assert draws[0].shape == x.shape
    assert flow.sample(1).shape == (1, *flow.shape)


def check_float32(flow: Flow) -> None:
    """Single precision, and inputs that no data has: finite latents, and never NaN."""
    x = data(flow, 50, torch.float32)
    torch.testing.assert_close(flow.to_data(flow.to_latent(x)[0])[0], x, rtol=0, atol=2e-5)
    for far in (-1e4, 1e4):
        z, log_det = flow.to_latent(x * far)
        assert z.isfinite().all()
        assert not log_det.isnan().any()
        score = value_and_grad(flow.log_prob, x * far)[1]
        assert not score.isnan().any()
        assert flow.to_data(x.sign() * 10)[0].isfinite().all()


def total_mass(flow: Flow) -> Tensor:
    """∫ p over the plane: the sum over a fine grid, which for a smooth density is all but exact."""
    logit = any(isinstance(each, ClampedLogit) for each in flow.modules())
    size, side = (240, 1 / SHRINK) if logit else (240, 12.0)
    centres = side * ((torch.arange(size, dtype=torch.float64) + 0.5) / size * 2 - 1)
    grid = torch.cartesian_prod(centres, centres).view(-1, *flow.shape)
    with torch.no_grad():
        return flow.log_prob(grid).exp().sum() * (2 * side / size) ** 2


class ActNormCountedOnce(ActNorm):
    """Wrong: the log-determinant of one pixel, for all."""

    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Mapped:
        z, log_det = super().to_latent(x)
        return z, log_det / math.prod(x.shape[2:])


class LogitAsReleased(ClampedLogit):
    """Wrong: CoopFlow's way back, which does not undo the 0.9."""

    def to_data(self, z: Tensor, context: Tensor | None = None) -> Mapped:
        x, log_det = super().to_data(z)
        return SHRINK * x, log_det + x[0].numel() * math.log(SHRINK)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [(lambda: moved(ActNorm(2)), lambda: moved(ActNormCountedOnce(2))), (ClampedLogit, LogitAsReleased)],
)
def test_the_property_test_finds_wrong_maps(right: type[Bijection], wrong: type[Bijection]) -> None:
    x = torch.rand(3, 2, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    check_map(right().double(), x)
    with pytest.raises(AssertionError, match="Tensor-likes"):
        check_map(wrong().double(), x)


def test_logit_keeps_data_at_the_ends_and_refuses_what_lies_beyond() -> None:
    logit = ClampedLogit()
    ends = torch.tensor([[-1.0], [1.0]])
    torch.testing.assert_close(logit.to_data(logit.to_latent(ends)[0])[0], ends)
    torch.testing.assert_close(logit.to_latent(ends)[0], torch.tensor([0.05, 0.95]).logit()[:, None])
    assert (logit.to_latent(torch.tensor([[1.2], [-1e9]]))[1] == -torch.inf).all()


@pytest.mark.parametrize("name", ["vector, three", "LFLOW, five", "image", "Flow++"])
def test_initialise_is_explicit_and_normalises_every_channel(name: str) -> None:
    torch.manual_seed(0)
    flow = moved(FLOWS[name]().double())
    x = 0.3 * data(flow, 200) + 0.5
    seen: list[Tensor] = []
    for norm in (each for each in flow.modules() if isinstance(each, ActNorm)):
        norm.initialise = watched(norm, seen)  # type: ignore[method-assign]
    before = {key: value.clone() for key, value in flow.state_dict().items()}
    flow.to_latent(x)
    assert all(torch.equal(value, before[key]) for key, value in flow.state_dict().items())
    flow.initialise(x)
    assert seen
    for z in seen:
        std, mean = torch.std_mean(z.movedim(1, 0).flatten(1), dim=1, correction=0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-9)
        torch.testing.assert_close(std, torch.ones_like(std))


def watched(norm: ActNorm, seen: list[Tensor]):
    def initialise(x: Tensor, context: Tensor | None = None) -> Tensor:
        seen.append(ActNorm.initialise(norm, x))
        return seen[-1]

    return initialise


def test_initialise_leaves_what_hardly_varies() -> None:
    flow = RealNVP(2, 2)
    flow.initialise(torch.full((10, 2), 7.0))
    assert flow.log_prob(torch.full((3, 2), 7.0)).isfinite().all()


# --- another library ----------------------------------------------------------------------------------


def test_same_weights_same_density_and_draws_as_zuko() -> None:
    torch.manual_seed(0)
    theirs = moved(zuko.flows.RealNVP(3, transforms=4, hidden_features=(16, 16))).double()
    ours = RealNVP(3, 4, hidden=(16, 16), actnorm=False, activation="relu", bound=math.log(1e3)).double()
    for coupling, transform in zip(ours.inner.maps, theirs.transform.transforms, strict=True):
        weights = nn.utils.parameters_to_vector(transform.hyper.parameters())
        nn.utils.vector_to_parameters(weights, coupling.net.parameters())
    x = 3 * torch.randn(200, 3, dtype=torch.float64)
    distribution = theirs()
    torch.testing.assert_close(ours.log_prob(x), distribution.log_prob(x))
    torch.testing.assert_close(ours.to_data(x)[0], distribution.transform.inv(x))


def test_lflow_prior_is_what_zuko_composes() -> None:
    ours = made("LFLOW, five")
    transforms: list[torch.distributions.Transform] = []
    for each in ours.inner.maps:
        transforms += composed(each)
    theirs = zuko.transforms.ComposedTransform(*transforms)
    x = 3 * torch.randn(200, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    z, log_det = theirs.call_and_ladj(x)
    torch.testing.assert_close(ours.to_latent(x), (z, log_det))
    torch.testing.assert_close(ours.to_data(x)[0], theirs.inv(x))


def composed(each: Bijection) -> list[torch.distributions.Transform]:
    """A map of a RealNVP flow, of zuko's transforms."""
    affine = torch.distributions.AffineTransform
    if isinstance(each, ActNorm):
        return [zuko.transforms.DependentTransform(affine(each.shift, each.log_scale.exp()), 1)]
    if isinstance(each, LULinear):
        lower, upper = torch.linalg.lu(each.weight)[1:]
        scale = upper.diagonal()
        order = torch.linalg.lu(each.weight)[0].argmax(1)
        lu = (lower * scale).tril() + (upper / scale[:, None]).triu(1)
        return [zuko.transforms.LULinearTransform(lu), zuko.transforms.PermutationTransform(order)]
    assert isinstance(each, Coupling)

    def of_kept(kept: Tensor) -> torch.distributions.Transform:
        outputs = each.net(kept)
        scale = torch.sigmoid(outputs[:, 1::2] + 2)
        return zuko.transforms.DependentTransform(affine(outputs[:, 0::2], scale), 1)

    mask = torch.zeros(5, dtype=torch.bool)
    mask[each.kept] = True
    return [zuko.transforms.CouplingTransform(of_kept, mask)]


def test_mixture_is_the_distribution_function_that_torch_has() -> None:
    generator = torch.Generator().manual_seed(0)
    transform = MixtureOfLogistics(4)
    parameters = torch.randn(6, 3, 14, generator=generator, dtype=torch.float64)
    x = 3 * torch.randn(6, 3, generator=generator, dtype=torch.float64)
    shift, raw, weights, means, raw_scales = parameters.split([1, 1, 4, 4, 4], dim=2)
    scales = (raw_scales / (1 + raw_scales.abs() / 7)).exp()
    components = torch.distributions.TransformedDistribution(
        torch.distributions.Uniform(torch.zeros_like(means), torch.ones_like(means)),
        [torch.distributions.SigmoidTransform().inv, torch.distributions.AffineTransform(means, scales)],
    )
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=weights), components, validate_args=False
    )
    log_scale = (raw / (1 + raw.abs() / 3)).squeeze(2)
    z, log_slope = transform.to_latent(x, parameters)
    torch.testing.assert_close(z, mixture.cdf(x).logit() * log_scale.exp() + shift.squeeze(2))
    expected = mixture.log_prob(x) - mixture.cdf(x).log() - (1 - mixture.cdf(x)).log() + log_scale
    torch.testing.assert_close(log_slope, expected)


# --- what models rely on ------------------------------------------------------------------------------


def test_a_flow_is_its_state() -> None:
    flow, other = made("LFLOW, five"), FLOWS["LFLOW, five"]().double()
    other.load_state_dict(flow.state_dict())
    assert torch.equal(flow.log_prob(data(flow, 4)), other.log_prob(data(flow, 4)))


def test_second_derivatives_of_a_density() -> None:
    flow = made("vector, three")
    x, v = data(flow, 2), torch.ones(2, 3, dtype=torch.float64)
    product = torch.func.jvp(torch.func.grad(lambda point: flow.log_prob(point).sum()), (x,), (v,))[1]
    hessians = [
        torch.autograd.functional.hessian(lambda point: flow.log_prob(point[None])[0], one) for one in x
    ]
    torch.testing.assert_close(product, torch.stack([hessian.sum(1) for hessian in hessians]))


def test_autocast_costs_no_invertibility() -> None:
    for name in ("LFLOW, five", "image", "Flow++"):
        flow = made(name, torch.float32)
        x = data(flow, 20, torch.float32)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z, _ = flow.to_latent(x)
            back, _ = flow.to_data(z)
        assert z.dtype == torch.float32
        torch.testing.assert_close(back, x, rtol=0, atol=1e-4)


def test_levels_follow_the_shape() -> None:
    # A number of latents that leave at each level: half of what comes, until a side is odd.
    def depth(flow: Flow) -> int:
        return len({each.log_scale.numel() for each in flow.modules() if isinstance(each, ActNorm)})

    shapes = {(1, 8, 8): 3, (1, 28, 28): 2, (3, 32, 32): 4, (3, 15, 15): 1, (1, 9, 9): 1}
    assert {shape: depth(Glow(shape, 4, 1, width=4)) for shape in shapes} == shapes


def test_flow_plus_plus_has_the_published_size() -> None:
    # CPMLA's Table 7 prints 28.78 million for CoopFlow's flow on CIFAR-10.
    of_both = {"coupling": "mixture", "num_components": 32, "net": "gated", "width": 96, "attention": True}
    flow = Glow((3, 32, 32), scales=((0, 4), (2, 3)), num_blocks=10, **of_both)
    dequantisation = VariationalDequantisation((3, 32, 32), 256, CouplingDesign(num_blocks=2, **of_both))
    size = sum(weight.numel() for net in (flow, dequantisation) for weight in net.parameters())
    assert round(size / 1e6, 2) == 28.78


def test_couplings_take_turns() -> None:
    kept = [each.kept.tolist() for each in RealNVP(4, 3).modules() if isinstance(each, Coupling)]
    assert kept == [[0, 2], [1, 3], [0, 2]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: lflow.nets.flows.RealNVP(1), "at least 2 dimensions"),
        (lambda: RealNVP(2, coupling="spline"), "affine, sigmoid or mixture"),
        (lambda: RealNVP(2, activation="swish"), "silu"),
        (lambda: Glow((1, 1, 1)), "two numbers or more"),
        (lambda: Glow((4,)), r"\(c, h, w\)"),
        (lambda: Glow((1, 4, 4), net="dense"), "conv or gated"),
        (lambda: Glow((1, 3, 3), scales=((0, 1),)), "even width"),
        (lambda: Glow((1, 3, 4), scales=((0, 1), (0, 1))), "even sides"),
        (lambda: Glow((1, 4, 4), scales=((1, 1),)), "two channels"),
        (lambda: Glow((1, 4, 4), net="gated", attention=True, width=6), "heads"),
    ],
)
def test_what_cannot_be_built_is_refused(call, words) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_lflow_prior_as_published() -> None:
    flow = lflow_prior(8)
    couplings = [each for each in flow.modules() if isinstance(each, Coupling)]
    assert len(couplings) == 5
    sizes = [layer.weight.shape for layer in couplings[0].net if isinstance(layer, nn.Linear)]
    assert sizes == [(64, 4), (64, 64), (8, 64)]
    assert all(not layer.weight.any() for each in couplings for layer in [each.net[-1]])
