"""Decoders: p(x | z), a generator's output as the law of a datum. They know nothing of priors and inference.

Each gives the log density (of grey values: the log probability) of x, over all of it or over what is visible.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lflow.draws import Draws
from lflow.nets.blocks import Shape

_MOST_NUMBERS = 2**22  # of coordinates times grey values


class Decoder(nn.Module):
    """Base: p(x | z) = Π over the coordinates of x of a law that `net`, (n, latent_dim) -> (n, *shape), sets.

    bounded: whether the generator of images is to end in a tanh.
    """

    bounded: ClassVar[bool] = True
    levels: int
    """Grey values that a coordinate may have, from -1 to 1, of a law of such."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def output(self, z: Tensor) -> Tensor:
        """What the generator gives, (n, *shape), in float32 whatever autocast does inside."""
        found: Tensor = self.net(z)
        return found.float() if found.dtype in (torch.bfloat16, torch.float16) else found

    def log_prob(self, x: Tensor, z: Tensor, visible: Tensor | None = None) -> Tensor:
        """log p(x | z), (n,). visible: of ones and zeros like x or one of it; what is zero has no say."""
        each = self.log_prob_each(x, self.output(z))
        return (each if visible is None else each * visible).flatten(1).sum(1)

    def log_prob_each(self, x: Tensor, output: Tensor) -> Tensor:
        """Of every coordinate, (n, *shape)."""
        raise NotImplementedError

    def noisy_each(self, y: Tensor, output: Tensor, noise: float) -> tuple[Tensor, Tensor]:
        """log p(y | z) and E[x | y, z] of every coordinate of y = x + noise·ε, (n, *shape) both.

        A sum over the grey values that x may have, of as many coordinates at once as fit into memory: what
        their gradient takes is computed a second time, and not kept.
        """
        size = max(1, _MOST_NUMBERS // self.levels)
        if y.numel() <= size:
            log_prob, mean = self._noisy(y.flatten(), output.flatten(), noise)
        else:
            rows = zip(y.flatten().split(size), output.flatten().split(size), strict=True)
            found = [checkpoint(self._noisy, *row, noise, use_reentrant=False) for row in rows]
            log_prob, mean = (torch.cat(each) for each in zip(*found, strict=True))
        return log_prob.view_as(y), mean.view_as(y)

    def _noisy(self, y: Tensor, output: Tensor, noise: float) -> tuple[Tensor, Tensor]:
        values = torch.linspace(-1, 1, self.levels, device=y.device, dtype=y.dtype)
        logits = self.log_prob_of_all(output) - ((y[:, None] - values) / noise).square() / 2
        log_prob = logits.logsumexp(-1) - math.log(2 * math.pi * noise**2) / 2
        return log_prob, (logits.softmax(-1) * values).sum(-1)

    def log_prob_of_all(self, output: Tensor) -> Tensor:
        """Of every grey value, (n,) -> (n, levels)."""
        values = torch.linspace(-1, 1, self.levels, device=output.device, dtype=output.dtype)
        return self.log_prob_each(values.expand(len(output), -1), output[:, None])

    def mean(self, z: Tensor) -> Tensor:
        """E[x | z], (n, *shape)."""
        return self.output(z)

    def draw(self, z: Tensor, draws: Draws) -> Tensor:
        """x ~ p(x | z), (n, *shape)."""
        raise NotImplementedError


class GaussianDecoder(Decoder):
    """x = net(z) + σε: a density, in the space of [-1, 1]."""

    def __init__(self, net: nn.Module, sigma: float) -> None:
        super().__init__(net)
        self.sigma = sigma

    def log_prob_each(self, x: Tensor, output: Tensor) -> Tensor:
        constant = math.log(2 * math.pi * self.sigma**2)
        return -((x - output).square() / self.sigma**2 + constant) / 2

    def noisy_each(self, y: Tensor, output: Tensor, noise: float) -> tuple[Tensor, Tensor]:
        own, variance = self.sigma**2, self.sigma**2 + noise**2
        log_prob = -((y - output).square() / variance + math.log(2 * math.pi * variance)) / 2
        return log_prob, (own * y + noise**2 * output) / variance

    def draw(self, z: Tensor, draws: Draws) -> Tensor:
        mean = self.mean(z)
        return mean + self.sigma * draws.normal(mean.shape)


class BernoulliDecoder(Decoder):
    """x is black, -1, or white, +1, with the log odds net(z)."""

    bounded = False
    levels = 2

    def log_prob_each(self, x: Tensor, output: Tensor) -> Tensor:
        return F.logsigmoid(x * output)

    def mean(self, z: Tensor) -> Tensor:
        return torch.tanh(self.output(z) / 2)

    def draw(self, z: Tensor, draws: Draws) -> Tensor:
        mean = self.mean(z)
        white = draws.uniform(mean.shape) < (1 + mean) / 2
        return torch.where(white, 1.0, -1.0)


class LogisticDecoder(Decoder):
    """x is a grey value: a logistic variable about net(z), of a scale that is learned, in the cell of x.

    P(x | z) = F(x + δ) - F(x - δ), δ = 1/(levels - 1), F the logistic law's distribution function, with open
    ends at black and at white. (Salimans et al. 2017, arXiv 1701.05517, with one component)
    """

    def __init__(self, net: nn.Module, levels: int) -> None:
        super().__init__(net)
        self.levels = levels
        self.log_scale = nn.Parameter(torch.tensor(math.log(0.2)))

    def log_prob_each(self, x: Tensor, output: Tensor) -> Tensor:
        half = 1 / (self.levels - 1)
        scale = self.log_scale.exp()
        above, below = (x + half - output) / scale, (x - half - output) / scale
        # log(F(a) - F(b)) = log F(a) + log F(-b) + log(1 - e^{b - a}), in which nothing cancels.
        inside = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(-2 * half / scale))
        low = torch.where(x <= -1 + half, F.logsigmoid(above), inside)
        return torch.where(x >= 1 - half, F.logsigmoid(-below), low)

    def log_prob_of_all(self, output: Tensor) -> Tensor:
        # Two cells share an edge: log F(e) and log F(-e) once for each.
        inner = torch.linspace(-1, 1, self.levels, device=output.device, dtype=output.dtype)[1:]
        half, scale = 1 / (self.levels - 1), self.log_scale.exp()
        edges = (inner - half - output[:, None]) / scale
        below = F.logsigmoid(edges)
        above = below - edges
        inside = below[:, 1:] + above[:, :-1] + torch.log(-torch.expm1(-2 * half / scale))
        return torch.cat([below[:, :1], inside, above[:, -1:]], 1)

    def draw(self, z: Tensor, draws: Draws) -> Tensor:
        mean = self.mean(z)
        uniform = draws.uniform(mean.shape).clamp(1e-7, 1 - 1e-7)
        drawn = mean + self.log_scale.exp() * torch.logit(uniform)
        steps = (self.levels - 1) / 2
        return (((drawn + 1) * steps).round() / steps - 1).clamp(-1, 1)


DECODERS: dict[str, type[Decoder]] = {
    "gaussian": GaussianDecoder,
    "bernoulli": BernoulliDecoder,
    "logistic": LogisticDecoder,
}


def make_decoder(kind: str, net: nn.Module, shape: Shape, levels: int | None, sigma: float) -> Decoder:
    """The decoder of that kind. ValueError where the data are not of the kind that it is for."""
    if kind == "gaussian":
        return GaussianDecoder(net, sigma)
    if kind == "bernoulli":
        if levels is None:
            raise ValueError(
                f"a bernoulli likelihood is for black and white images, and data of shape {shape} "
                "are points: choose another likelihood"
            )
        if levels != 2:
            raise ValueError("a bernoulli decoder is for black and white data: set binary for the data")
        return BernoulliDecoder(net)
    if levels is None:
        raise ValueError(
            f"a {kind} likelihood is for grey values, and data of shape {shape} are points: "
            "choose another likelihood"
        )
    return LogisticDecoder(net, levels)
