"""Real NVP for vectors: couplings whose nets are MLPs. LFLOW's prior is one of them.

References: Dinh et al., Density estimation using Real NVP (2017); for LFLOW, Xie et al., arXiv 2301.09300.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lflow.nets.blocks import mlp
from lflow.nets.flows.actnorm import ActNorm
from lflow.nets.flows.bijection import Bijection, Chain
from lflow.nets.flows.coupling import Coupling, first_half, make_transform, start_at
from lflow.nets.flows.elementwise import Elementwise
from lflow.nets.flows.flow import Flow
from lflow.nets.flows.linear import LULinear


class RealNVP(Flow):
    """A flow of vectors, (n, dim).

    Each step is an activation normalisation, a learned linear map and a coupling; the first two are options.

    Args:
        dim: at least 2: one number has no other to depend on.
        num_couplings: steps.
        hidden: widths of the hidden layers of each coupling's net.
        coupling: "affine", bounded: z = exp(s) x + b with |s| < `bound`; "sigmoid", affine with the scale
            sigmoid(a + 2) of Glow and LFLOW; or "mixture", Flow++'s mixture of logistics.
        actnorm: whether a step begins with one; `initialise` sets them from data.
        linear: a learned dim × dim matrix before each coupling, which then keeps the first half. Without it
            couplings keep the odd and the even components in turn.
        activation: a name in `lflow.nets.ACTIVATIONS`.
        num_components: of a mixture coupling.
        bound: of the logarithm of an affine scale.

    Raises:
        ValueError: dim 1, or an unknown coupling or activation.

    Example:
        >>> flow = lflow.nets.flows.RealNVP(2, num_couplings=8)
        >>> z, log_det = flow.to_latent(torch.randn(100, 2))
    """

    def __init__(
        self,
        dim: int,
        num_couplings: int = 6,
        hidden: Sequence[int] = (64, 64),
        coupling: str = "affine",
        actnorm: bool = True,
        linear: bool = False,
        activation: str = "silu",
        num_components: int = 8,
        bound: float = 3.0,
    ) -> None:
        if dim < 2:
            raise ValueError(f"a coupling flow needs at least 2 dimensions, got {dim}")
        transform = make_transform(coupling, num_components, bound)
        steps: list[Bijection] = []
        for number in range(num_couplings):
            kept = first_half(dim) if linear else torch.arange(dim, device="cpu") % 2 == number % 2
            steps += [ActNorm(dim)] if actnorm else []
            steps += [LULinear(dim)] if linear else []
            steps.append(_dense_coupling(kept, hidden, transform, activation))
        super().__init__((dim,), Chain(steps))


def lflow_prior(dim: int, width: int = 64, num_couplings: int = 5) -> RealNVP:
    """LFLOW's prior of latent vectors, by default as published: five steps of activation normalisation, a
    dim × dim matrix and a coupling with scale sigmoid(a + 2), whose net has two hidden ReLU layers of 64.

    Its authors' code never initialises the activation normalisation; here `initialise` does.
    """
    return RealNVP(dim, num_couplings, (width, width), coupling="sigmoid", linear=True, activation="relu")


def _dense_coupling(kept: Tensor, hidden: Sequence[int], transform: Elementwise, act: str) -> Coupling:
    num_kept = int(kept.sum())
    outputs = (len(kept) - num_kept) * len(transform.start)
    layers = mlp([num_kept, *hidden, outputs], act)
    last = layers[-1]
    assert isinstance(last, nn.Linear)
    start_at(last, transform.start)
    return Coupling(kept, nn.Sequential(*layers), transform)
