"""What a latent vector is drawn from: N(0, I), a normalizing flow of it, or an energy that tilts it.

Every prior is p(z) = base(z) e^{tilt(z)} / Z with a base that has a density and exact draws; only the tilt of
an energy is not zero. Knows nothing of what is generated from z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from lflow import samplers, steps
from lflow.draws import Draws
from lflow.nets import energy_net
from lflow.nets.flows import lflow_prior
from lflow.nets.flows.flow import standard_normal
from lflow.short_run import frozen, short_run


class Prior(nn.Module):
    """N(0, I), which learns nothing; and what the other priors change of it."""

    normalised: ClassVar[bool] = True
    """Whether Z = 1, so that `log_prob` is a density."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def log_base(self, z: Tensor) -> Tensor:
        """Log density of the base, (n, dim) -> (n,)."""
        return standard_normal(z)

    def draw_base(self, n: int, draws: Draws) -> Tensor:
        """n exact draws from the base, (n, dim)."""
        return draws.normal((n, self.dim))

    def tilt(self, z: Tensor) -> Tensor:
        """What the log density has beyond the base's, (n,)."""
        return z.new_zeros(len(z))

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z), (n,); without -log Z where the prior is not normalised."""
        return self.log_base(z)

    def sample(self, n: int, draws: Draws) -> Tensor:
        """n draws, (n, dim), without a gradient."""
        return self.draw_base(n, draws)

    def initialise(self, z: Tensor) -> None:
        """Set what depends on latent vectors, from the first ones that were inferred."""

    def losses(self, z: Tensor, draws: Draws) -> dict[str, Tensor]:
        """What is descended to fit the prior to inferred z."""
        return {}


class FlowPrior(Prior):
    """z = F(z₀), z₀ ~ N(0, I), fitted to inferred z by its exact likelihood (Xie et al., arXiv 2301.09300).

    The authors' code adds log 2π once to log p(z), where the density has -(dim/2) log 2π: the gradients are
    right and the likelihoods that it prints are not. Here they are densities.
    """

    def __init__(self, dim: int, num_couplings: int, width: int) -> None:
        super().__init__(dim)
        self.flow = lflow_prior(dim, width, num_couplings)

    def log_base(self, z: Tensor) -> Tensor:
        return self.flow.log_prob(z)

    def draw_base(self, n: int, draws: Draws) -> Tensor:
        with frozen(self):
            z, _ = self.flow.to_data(draws.normal((n, self.dim)))
        return z

    def initialise(self, z: Tensor) -> None:
        if len(z) > 1:  # the spread of a single vector says nothing
            self.flow.initialise(z)

    def losses(self, z: Tensor, draws: Draws) -> dict[str, Tensor]:
        return {"prior": -self.log_base(z).mean()}


@dataclass(frozen=True)
class PriorChain:
    """The chain that an energy prior is drawn with: h in the house's convention, and its steps."""

    step_size: float
    num_steps: int


class TiltedPrior(Prior):
    """p(z) = N(z; 0, I) e^{-E(z)} / Z, whose Z is not known. How it is drawn from is a subclass's own."""

    normalised = False

    def __init__(self, dim: int, width: int) -> None:
        super().__init__(dim)
        self.energy = energy_net((dim,), width=(width, width), activation="gelu")

    def tilt(self, z: Tensor) -> Tensor:
        tilt: Tensor = -self.energy(z)
        return tilt

    def log_prob(self, z: Tensor) -> Tensor:
        return self.log_base(z) + self.tilt(z)


class EnergyPrior(TiltedPrior):
    """The latent EBM, LEBM (Pang et al. 2020, arXiv 2006.08205).

    Learns by mean E(z) over inferred z less mean E(z⁻) over ends z⁻ of its own chains, each from N(0, I)
    anew. The chains are short: 60 steps of the authors' s = 0.4, that is h = s²/2 = 0.08.
    """

    def __init__(self, dim: int, width: int, chain: PriorChain) -> None:
        super().__init__(dim, width)
        self.chain = chain

    def sample(self, n: int, draws: Draws) -> Tensor:
        ula, rule = samplers.get("ula"), steps.get("constant", step_size=self.chain.step_size)
        start = self.draw_base(n, draws)
        with frozen(self):
            return short_run(lambda z: -self.log_prob(z), start, ula, rule, self.chain.num_steps, draws).x

    def losses(self, z: Tensor, draws: Draws) -> dict[str, Tensor]:
        return {"prior": self.energy(z).mean() - self.energy(self.sample(len(z), draws)).mean()}
