"""Energy nets, generators, encoders and classifiers: shapes, smoothness, and the sizes that papers print."""

import pytest
import torch
from torch import nn

from lflow import nets

IMAGES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (2, 9, 13)]
SHAPES = [(1,), (2,), *IMAGES]


def size(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def batch(shape: tuple[int, ...], n: int = 3) -> torch.Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def kinds(shape: tuple[int, ...], *of_images: str) -> tuple[str, ...]:
    return ("mlp", *of_images) if len(shape) == 3 else ("mlp",)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape: tuple[int, ...]) -> None:
    x = batch(shape)
    for kind in kinds(shape, "conv", "residual"):
        energy = nets.energy_net(shape, kind, width=4)
        assert energy(x).shape == (3,)
        assert torch.allclose(energy(x)[:1], energy(x[:1]), atol=1e-6), "each point is seen alone"
    for kind in kinds(shape, "conv"):
        assert nets.encoder(shape, 5, kind, width=4)(x).shape == (3, 5)
        image = nets.generator(6, shape, kind, width=4)(100 * torch.randn(3, 6))
        assert image.shape == (3, *shape)
        if len(shape) == 3:
            assert image.abs().max() <= 1
    classifier = nets.classifier(shape, 10, width=4)
    assert classifier(x).shape == (3, 10)
    assert classifier.features(x).shape == (3, classifier.num_features)


def test_default_energies_have_second_derivatives_and_leaky_ones_have_none() -> None:
    x = batch((1, 8, 8))
    for kind in ("mlp", "conv", "residual"):
        for activation, curved in (("silu", True), ("leaky_relu_0.2", False)):
            energy = nets.energy_net((1, 8, 8), kind, width=4, activation=activation)
            hessian = torch.func.hessian(lambda point, energy=energy: energy(point[None])[0])(x[0])
            assert bool(hessian.abs().max() > 0) is curved


def test_residual_net_has_the_published_size() -> None:
    # CPMLA's Table 7 prints 17.13 million for CoopFlow's EBM on CIFAR-10.
    assert round(size(nets.energy_net((3, 32, 32), "residual", width=128)) / 1e6, 2) == 17.13


def test_the_ring_net_of_anila() -> None:
    energy = nets.energy_net((2,), width=(32, 64, 64, 64), activation="leaky_relu_0.05")
    layers = [layer for layer in energy.net if isinstance(layer, nn.Linear)]
    assert [layer.in_features for layer in layers] == [2, 32, 64, 64, 64]
    assert layers[-1].out_features == 1


def test_generator_as_published_for_svhn() -> None:
    net = nets.generator(100, (3, 32, 32), "conv", width=64, activation="leaky_relu_0.2")
    channels = [layer.in_channels for layer in net if isinstance(layer, nn.ConvTranspose2d)]
    assert channels == [100, 512, 256, 128]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nets.energy_net((2,), "conv"), "needs images"),
        (lambda: nets.energy_net((2,), "resnet"), "mlp, conv or residual"),
        (lambda: nets.energy_net((1, 8, 8), "conv", width=(8, 8)), "takes one width"),
        (lambda: nets.energy_net((2,), activation="swish"), "silu"),
        (lambda: nets.generator(4, (1, 4, 4), "conv"), "at least 8 by 8"),
        (lambda: nets.encoder((2,), 3, "residual"), "conv or strided"),
    ],
)
def test_what_cannot_be_built_is_refused(call, words) -> None:
    with pytest.raises(ValueError, match=words):
        call()
