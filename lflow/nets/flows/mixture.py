"""Flow++'s map of a number: the distribution function of a mixture of logistics, brought back to the line.

Reference: Ho et al., Flow++ (2019), section 3.2.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lflow.nets.flows.bijection import Mapped
from lflow.nets.flows.elementwise import soft_clip

LARGEST_LOG_SCALE = 7.0


class MixtureOfLogistics:
    """z = exp(a) logit F(x) + b, where F(x) = Σ_k π_k sigmoid((x - μ_k) exp(-s_k)).

    a and s are soft-clipped, so that no slope is 0 or infinite. Everything is computed from log F and
    log (1 - F), each accurate in its own tail.
    """

    def __init__(self, num_components: int = 8, bound: float = 3.0) -> None:
        self.num_components, self.bound = num_components, bound

    @property
    def start(self) -> tuple[float, ...]:
        gap = 4 / (self.num_components + 1)
        spread = [gap * (k + 1) - 2 for k in range(self.num_components)]  # equal ones would stay equal
        return (0.0, 0.0, *[0.0] * self.num_components, *spread, *[0.0] * self.num_components)

    def to_latent(self, x: Tensor, parameters: Tensor) -> Mapped:
        shift, log_scale, mixture = self._split(parameters)
        log_odds, log_slope = mixture.log_odds(x), mixture.log_slope(x)
        return log_odds * log_scale.exp() + shift, log_slope + log_scale

    def to_data(self, z: Tensor, parameters: Tensor) -> Mapped:
        shift, log_scale, mixture = self._split(parameters)
        x = mixture.quantile((z - shift) * (-log_scale).exp())
        return x, -(mixture.log_slope(x) + log_scale)

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor, _Mixture]:
        sizes = (1, 1, *[self.num_components] * 3)
        shift, raw, weights, means, log_scales = parameters.split(sizes, dim=2)
        mixture = _Mixture(weights, means, soft_clip(log_scales, LARGEST_LOG_SCALE))
        return shift.squeeze(2), soft_clip(raw, self.bound).squeeze(2), mixture


class _Mixture:
    """A mixture of logistics for each number; its components lie in dimension 2."""

    def __init__(self, weights: Tensor, means: Tensor, log_scales: Tensor) -> None:
        self.log_weights = F.log_softmax(weights, dim=2)
        self.means, self.log_scales = means, log_scales

    def log_odds(self, x: Tensor) -> Tensor:
        """log F(x) - log (1 - F(x))."""
        u = self._standardised(x)
        below = torch.logsumexp(self.log_weights + F.logsigmoid(u), dim=2)
        above = torch.logsumexp(self.log_weights + F.logsigmoid(-u), dim=2)
        return below - above

    def log_slope(self, x: Tensor) -> Tensor:
        """log d(log odds)/dx = log (f/F + f/(1 - F)).

        Each ratio is a mean over components of positive terms: nothing cancels far out in a tail.
        """
        u = self._standardised(x)
        below, above = F.logsigmoid(u), F.logsigmoid(-u)
        down = F.log_softmax(self.log_weights + below, dim=2) + above
        up = F.log_softmax(self.log_weights + above, dim=2) + below
        return torch.logsumexp(torch.logaddexp(down, up) - self.log_scales, dim=2)

    def quantile(self, log_odds: Tensor) -> Tensor:
        """The x whose log odds are given, to float precision; its gradient is the implicit function's."""
        with torch.no_grad():
            x = self._bisect(log_odds)
        miss = self.log_odds(x) - log_odds
        newton = miss * (-self.log_slope(x).detach()).exp()
        return x - (newton - newton.detach())

    def _bisect(self, log_odds: Tensor) -> Tensor:
        # Where every component has passed the odds, the mixture has, and where none has, it has not.
        of_each = self.means + log_odds.unsqueeze(2) * self.log_scales.exp()
        low, high = of_each.amin(2), of_each.amax(2)
        digits = round(-math.log2(torch.finfo(log_odds.dtype).eps))
        for _ in range(digits + 25):  # from a bracket some 2²⁵ wide to the last binary digit
            middle = (low + high) / 2
            too_low = self.log_odds(middle) < log_odds
            low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
        return (low + high) / 2

    def _standardised(self, x: Tensor) -> Tensor:
        return (x.unsqueeze(2) - self.means) * (-self.log_scales).exp()
