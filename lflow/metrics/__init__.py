"""How good is a sample? Distances between clouds, kernel discrepancies, and diagnostics of chains.

Nothing here knows how a sample was made. Points are (n, dim) tensors, chains (draws, chains) or
(draws, chains, dim); every result is a float64 tensor on the CPU. POT is imported by the one function that
needs it.
"""

from lflow.metrics.chains import autocorrelation, ess, ess_tail, rhat
from lflow.metrics.distances import (
    exact_floor,
    ksd,
    mmd,
    mode_mass,
    sliced_wasserstein2,
    sliced_wasserstein2_frames,
    wasserstein2,
)
from lflow.metrics.grid import kl_floor, kl_on_grid

__all__ = [
    "autocorrelation",
    "ess",
    "ess_tail",
    "exact_floor",
    "kl_floor",
    "kl_on_grid",
    "ksd",
    "mmd",
    "mode_mass",
    "rhat",
    "sliced_wasserstein2",
    "sliced_wasserstein2_frames",
    "wasserstein2",
]
