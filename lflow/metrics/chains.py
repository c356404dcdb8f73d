"""Diagnostics of Markov chains: autocorrelation, and effective sample size and R-hat as in arviz-stats.

Chains are (draws, chains) or (draws, chains, dim) tensors, and each coordinate is judged by itself: results
are float64, 0-dim or (dim,). All chains and coordinates are handled at once. Knows nothing of samplers; a
coordinate with a value that is not finite has no diagnostics, and gets NaN.
"""

from __future__ import annotations

import math

import torch

# Chains transformed at a time: bounds the memory of the padded Fourier transforms.
_BLOCK = 256


def autocorrelation(chains: torch.Tensor, max_lag: int | None = None) -> torch.Tensor:
    """Autocorrelation at lags 0 .. max_lag, from all chains together.

    ρ_k = c_k / c_0,  c_k = mean over chains and over t < draws - k of (x_t - μ)(x_{t+k} - μ), with μ the mean
    of *all* chains and draws: many short chains then have no bias of order 1/draws, and chains stuck in
    different places show a correlation that does not decay (`ess` centres each chain by itself, and divides
    by `draws` at every lag, as arviz-stats does).

    chains: (draws, chains) or (draws, chains, dim). max_lag: below `draws`, all lags by default. Returns
    (max_lag + 1,) or (max_lag + 1, dim); NaN for a coordinate that never changes. Raises ValueError for other
    shapes and a max_lag that is negative or not below `draws`.

    >>> autocorrelation(torch.randn(1000, 100), max_lag=2)   # near 1, 0, 0
    """
    values = _by_coordinate(chains)
    draws = values.shape[-1]
    lag = draws - 1 if max_lag is None else max_lag
    if not 0 <= lag < draws:
        raise ValueError(f"max_lag must be at least 0 and below the {draws} draws, not {max_lag}")
    products = _mean_lagged_products(values - values.mean(dim=(1, 2), keepdim=True))[:, : lag + 1]
    covariance = products / (draws - torch.arange(lag + 1))
    # rounding leaves a little of the mean in a coordinate that never changes
    constant = values.amin(dim=(1, 2)) == values.amax(dim=(1, 2))
    return _like(torch.where(constant[:, None], math.nan, covariance / covariance[:, :1]).mT, chains)


def ess(chains: torch.Tensor) -> torch.Tensor:
    """Bulk effective sample size: how many independent draws would locate the middle of the law as well.

    draws · chains / τ,  τ = -1 + 2 Σ_k (ρ̂_2k + ρ̂_2k+1) by Geyer's initial monotone sequence, on the
    rank-normalised half chains. τ is not let below 1/log10(draws · chains), so antithetic chains may exceed
    draws · chains.

    chains: (draws, chains) or (draws, chains, dim), at least 4 draws, else NaN. Returns 0-dim or (dim,).
    Constant chains count in full, as in arviz-stats. Raises ValueError for other shapes.

    Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, Bayesian Analysis 16 (arXiv:1903.08008).

    >>> ess(result.positions)      # of a simulate result: (frames, num_chains, dim) -> (dim,)
    """
    values = _by_coordinate(chains)
    if values.shape[-1] < 4:
        return _undefined(chains)
    return _like(_keep_finite(values, _ess(_rank_normalise(_split(values)))), chains)


def ess_tail(chains: torch.Tensor, probability: float = 0.95) -> torch.Tensor:
    """Tail effective sample size: the smaller of those for the `probability` and 1 - `probability` quantiles.

    Each is the effective sample size of the indicators 1[x <= quantile], the quantile taken over all draws.

    chains, result and errors as for `ess`; probability in (0, 1), else ValueError.

    Vehtari et al. 2021 (arXiv:1903.08008), section 4.3.

    >>> ess_tail(torch.randn(1000, 4))     # near 4000
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability must lie between 0 and 1, not {probability}")
    values = _by_coordinate(chains)
    if values.shape[-1] < 4:
        return _undefined(chains)
    ordered = values.flatten(1).sort(dim=1).values
    sizes = []
    for level in (1 - probability, probability):
        indicator = values <= _quantile(ordered, level)[:, None, None]
        sizes.append(_ess(_split(indicator.double())))
    return _like(_keep_finite(values, torch.minimum(*sizes)), chains)


def rhat(chains: torch.Tensor) -> torch.Tensor:
    """Rank-normalised split R-hat: near 1 where all half chains agree, in place and in spread.

    R̂ = ((B/W + n - 1)/n)^½ with n the draws of a half chain, W the mean of the half chains' variances and B
    = n times the variance of their means; the greater of that of the rank-normalised draws and of their
    distances to the median.

    chains: (draws, chains) or (draws, chains, dim), at least 4 draws and 2 chains, else NaN, as for constant
    chains. Returns 0-dim or (dim,). Raises ValueError for other shapes.

    Vehtari et al. 2021 (arXiv:1903.08008), section 4.

    >>> rhat(torch.randn(1000, 4))     # near 1
    """
    values = _by_coordinate(chains)
    if values.shape[-1] < 4 or values.shape[1] < 2:
        return _undefined(chains)
    halves = _split(values)
    ordered = halves.flatten(1).sort(dim=1).values
    size = ordered.shape[1]
    # Rounded as in arviz-stats: whether the two middle draws tie in distance to it hangs on the last bit.
    median = (ordered[:, (size - 1) // 2] + ordered[:, size // 2]) / 2
    bulk = _plain_rhat(_rank_normalise(halves))
    spread = _plain_rhat(_rank_normalise((halves - median[:, None, None]).abs()))
    # fmax: two values at equal distances from the median have a bulk and no spread to speak of
    return _like(_keep_finite(values, torch.fmax(bulk, spread)), chains)


def _by_coordinate(chains: torch.Tensor) -> torch.Tensor:
    """(dim, chains, draws) in float64, draws contiguous."""
    if chains.ndim not in (2, 3) or chains.numel() == 0:
        raise ValueError(
            "chains must be a non-empty tensor of shape (draws, chains) or (draws, chains, dim), "
            f"not {tuple(chains.shape)}"
        )
    values = chains.detach().cpu().double()
    return (values if values.ndim == 3 else values[..., None]).permute(2, 1, 0).contiguous()


def _like(result: torch.Tensor, chains: torch.Tensor) -> torch.Tensor:
    return result if chains.ndim == 3 else result[..., 0]


def _undefined(chains: torch.Tensor) -> torch.Tensor:
    return torch.full(chains.shape[2:], math.nan, dtype=torch.float64)


def _keep_finite(values: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
    return torch.where(values.isfinite().all(dim=2).all(dim=1), result, math.nan)


def _split(values: torch.Tensor) -> torch.Tensor:
    """Half chains as chains of their own; the middle draw of an odd number is dropped."""
    half = values.shape[-1] // 2
    return torch.cat([values[..., :half], values[..., -half:]], dim=1)


def _rank_normalise(values: torch.Tensor) -> torch.Tensor:
    """Normal quantiles of the ranks among all draws and chains; ties share their mean rank (Blom's 3/8)."""
    ordered, order = values.flatten(1).sort(dim=1)
    size = ordered.shape[1]
    position = torch.arange(size).expand_as(ordered)
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    ends = starts.roll(-1, dims=1)
    first = torch.where(starts, position, 0).cummax(dim=1).values
    last = torch.where(ends, position, size - 1).flip(1).cummin(dim=1).values.flip(1)
    rank = torch.empty_like(ordered).scatter_(1, order, (first + last).double() / 2 + 1)
    return torch.special.ndtri((rank - 3 / 8) / (size + 1 / 4)).reshape(values.shape)


def _quantile(ordered: torch.Tensor, level: float) -> torch.Tensor:
    """Linear quantile of sorted rows (torch.quantile refuses more than 2^24 numbers)."""
    position = (ordered.shape[1] - 1) * level
    below = math.floor(position)
    above = min(below + 1, ordered.shape[1] - 1)
    return torch.lerp(ordered[:, below], ordered[:, above], position - below)


def _mean_lagged_products(centred: torch.Tensor) -> torch.Tensor:
    """Mean over chains of Σ_t x_t x_{t+k}, for every lag k: (dim, chains, draws) -> (dim, draws).

    Power spectra are averaged before they are transformed back, so one inverse transform serves all chains.
    """
    draws = centred.shape[-1]
    padded = 2 ** math.ceil(math.log2(2 * draws))
    spectrum = torch.zeros(len(centred), padded // 2 + 1, dtype=torch.float64)
    for block in centred.split(_BLOCK, dim=1):
        transform = torch.fft.rfft(block, n=padded)
        spectrum += (transform.real.square() + transform.imag.square()).sum(dim=1)
    return torch.fft.irfft(spectrum / centred.shape[1], n=padded)[:, :draws]


def _plain_rhat(values: torch.Tensor) -> torch.Tensor:
    draws = values.shape[-1]
    between = draws * values.mean(dim=2).var(dim=1)
    within = values.var(dim=2).mean(dim=1)
    return ((between / within + draws - 1) / draws).sqrt()


def _ess(values: torch.Tensor) -> torch.Tensor:
    """Effective sample size by Geyer's initial monotone sequence: (dim, chains, draws) -> (dim,)."""
    _, chains, draws = values.shape
    means = values.mean(dim=2)
    covariance = _mean_lagged_products(values - means[..., None]) / draws
    within = covariance[:, :1] * draws / (draws - 1)
    total = covariance[:, :1] + means.var(dim=1)[:, None]
    rho = 1 - (within - covariance) / total
    rho[:, 0] = 1.0
    # Sums of neighbouring lags are positive and decreasing for a reversible chain: stop where they are not
    # positive, and let none exceed the one before.
    most = max((draws - 3) // 2, 0)
    even = rho[:, : 2 * most + 2 : 2]
    pairs = even + rho[:, 1 : 2 * most + 2 : 2]
    stop = (pairs > 0).cumprod(dim=1).sum(dim=1).clamp_max(most)[:, None]
    kept = torch.where(torch.arange(most + 1) < stop, pairs.cummin(dim=1).values, 0.0)
    # The pair at which the sums stop counts once, by its even lag: antithetic chains need it.
    last_even, last_pair = even.gather(1, stop)[:, 0], pairs.gather(1, stop)[:, 0]
    last = torch.where(last_pair >= 0, last_even, last_even.clamp_min(0))
    size = chains * draws
    tau = (-1 + 2 * kept.sum(dim=1) + last).clamp_min(1 / math.log10(size))
    constant = values.flatten(1).amax(dim=1) - values.flatten(1).amin(dim=1) < 1e-15
    return torch.where(constant, float(size), size / tau)
