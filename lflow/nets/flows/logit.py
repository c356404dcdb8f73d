"""From images in [-1, 1] to the whole line, by a logit that keeps away from its ends."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lflow.nets.flows.bijection import Bijection, Mapped

SHRINK = 0.9


class ClampedLogit(Bijection):
    """z = logit((0.9 x + 1) / 2), so that x = ±1 stays finite, and x = (2 sigmoid(z) - 1) / 0.9.

    Data lie in [-1, 1], and latents cover |x| < 1/0.9; beyond, the density is 0 and the log-determinant -∞.

    CoopFlow's code, as released, maps back by 2 sigmoid(z) - 1: without the division its samples are 0.9 of
    what they should be.
    """

    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Mapped:
        ends = torch.finfo(x.dtype).eps
        p = ((SHRINK * x + 1) / 2).clamp(ends, 1 - ends)
        log_slope = math.log(SHRINK / 2) - p.log() - (-p).log1p()
        within = x.abs() < 1 / SHRINK
        return p.logit(), torch.where(within, log_slope, -torch.inf).flatten(1).sum(1)

    def to_data(self, z: Tensor, context: Tensor | None = None) -> Mapped:
        log_slope = math.log(2 / SHRINK) + F.logsigmoid(z) + F.logsigmoid(-z)
        return (z / 2).tanh() / SHRINK, log_slope.flatten(1).sum(1)
