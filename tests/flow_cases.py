"""Small flows of every kind and option, with weights away from where they start."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from lflow.nets.flows import Flow, Glow, RealNVP, lflow_prior

Net = TypeVar("Net", bound=torch.nn.Module)

SMALL: dict[str, Any] = {"hidden": (8, 8), "num_components": 3}
GATED: dict[str, Any] = {"net": "gated", "width": 8, "coupling": "mixture", "num_components": 3}

FLOWS: dict[str, Callable[[], Flow]] = {
    "vector": lambda: RealNVP(2, 4, **SMALL),
    "vector, three": lambda: RealNVP(3, 4, **SMALL),
    "vector, matrices": lambda: RealNVP(5, 3, linear=True, **SMALL),
    "vector, plain": lambda: RealNVP(4, 3, actnorm=False, activation="relu", **SMALL),
    "vector, sigmoid": lambda: RealNVP(2, 4, coupling="sigmoid", **SMALL),
    "vector, mixture": lambda: RealNVP(2, 3, coupling="mixture", **SMALL),
    "vector, mixture, matrices": lambda: RealNVP(3, 3, coupling="mixture", linear=True, **SMALL),
    "LFLOW": lambda: lflow_prior(2, width=8),
    "LFLOW, five": lambda: lflow_prior(5, width=8),
    "image": lambda: Glow((1, 4, 4), 3, 2, width=8),
    "image, colour": lambda: Glow((3, 4, 2), 2, 2, width=8),
    "image, one odd side": lambda: Glow((1, 3, 4), 2, 2, width=8),
    "image, odd sides": lambda: Glow((1, 3, 5), 2, 2, width=8),
    "image, odd sides, colour": lambda: Glow((3, 3, 3), 2, 2, width=8),
    "image, two pixels": lambda: Glow((1, 1, 2), 2, 3, width=8),
    "image, two channels": lambda: Glow((2, 1, 1), 2, 3, width=8),
    "image, no logit": lambda: Glow((2, 1, 1), 2, 3, width=8, logit=False),
    "image, sigmoid": lambda: Glow((1, 4, 4), 2, 2, width=8, coupling="sigmoid"),
    "image, mixture": lambda: Glow((1, 2, 4), 2, 2, width=8, coupling="mixture", num_components=3),
    "Flow++": lambda: Glow((1, 2, 4), scales=((0, 1), (1, 1)), **GATED),
    "Flow++, attention": lambda: Glow((3, 2, 2), scales=((1, 1),), attention=True, dropout=0.2, **GATED),
    "Flow++, two pixels": lambda: Glow((1, 1, 2), scales=((0, 2),), **GATED),
}


def made(name: str, dtype: torch.dtype = torch.float64) -> Flow:
    """The flow of that name, ready to use: initialised from data, weights moved at random."""
    torch.manual_seed(0)
    flow = FLOWS[name]().to(dtype).eval()
    flow.initialise(data(flow, 64, dtype))
    return moved(flow)


def moved(net: Net, by: float = 0.1) -> Net:
    """The net with noise on all its weights."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(by * torch.randn(weight.shape, generator=generator, dtype=weight.dtype))
    return net


def data(flow: Flow, n: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """n points like those that the flow is for: in [-1, 1], where it is of images."""
    return torch.rand(n, *flow.shape, generator=torch.Generator().manual_seed(2), dtype=dtype) * 2 - 1


def jacobian_log_det(function: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor) -> Tensor:
    """log |det| of the full Jacobian at each point, by automatic differentiation."""
    rows = [torch.autograd.functional.jacobian(lambda one: function(one[None])[0][0], point) for point in x]
    size = x[0].numel()
    return torch.stack([torch.linalg.slogdet(row.reshape(size, size))[1] for row in rows])
