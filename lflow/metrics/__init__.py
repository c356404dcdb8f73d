"""How good is a sample? Distances between clouds, kernel discrepancies, diagnostics of chains, and anomalies.

Nothing here knows how a sample was made. Points are (n, dim) tensors, chains (draws, chains) or
(draws, chains, dim); every result is a float64 tensor on the CPU. POT is imported by the one function that
needs it.
"""

from lflow.metrics.anomaly import Ranking, auprc, auroc, knn_score, pca_score
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
from lflow.metrics.quality import Estimate, NeighbourAccuracy, frechet, kid, nearest_neighbour_accuracy

__all__ = [
    "Estimate",
    "NeighbourAccuracy",
    "Ranking",
    "auprc",
    "auroc",
    "autocorrelation",
    "ess",
    "ess_tail",
    "exact_floor",
    "frechet",
    "kid",
    "kl_floor",
    "kl_on_grid",
    "knn_score",
    "ksd",
    "mmd",
    "mode_mass",
    "nearest_neighbour_accuracy",
    "pca_score",
    "rhat",
    "sliced_wasserstein2",
    "sliced_wasserstein2_frames",
    "wasserstein2",
]
