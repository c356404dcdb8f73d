"""Where must a chain start to end at what is seen? Gradient descent through all of its steps.

CoopFlow's reconstruction and inpainting: x₀ is a point of data space that the flow proposed, and what is
descended is |x_K(x₀) - y|² over what is visible. Knows nothing of the chain.
(Xie, Zhu, Li & Li 2022, arXiv 2205.06924)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lflow.models.restoring import Seen
from lflow.samplers.base import per_chain, squared_norm

NUM_STEPS, RATE = 200, 0.05
"""As the authors coded it: plain descent."""


def matched(
    chain: Callable[[Tensor], Tensor], start: Tensor, seen: Seen, reach: float, num_steps: int = NUM_STEPS
) -> tuple[Tensor, Tensor]:
    """x₀, in [-reach, reach], and where its chain ends, (n, *shape) both, without a gradient.

    Of all that the descent passed, for each row the x₀ that came nearest: far from linear, a step may miss.
    """
    x = start.detach()
    best, ends, least = x, x, torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    for _ in range(num_steps + 1):
        with torch.enable_grad():
            at = x.clone().requires_grad_()
            end = chain(at)
            error = squared_norm((end - seen.y) * seen.visible)
            (gradient,) = torch.autograd.grad(error.sum(), at)
        end, error = end.detach(), error.detach()
        nearer = per_chain(error < least, x)
        best, ends, least = (
            torch.where(nearer, x, best),
            torch.where(nearer, end, ends),
            torch.fmin(error, least),
        )
        x = (x - RATE * gradient).clamp(-reach, reach)
    return best, ends
