"""What is to be read in the tables of `langevin_vae_findings`, computed from their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from lflow.papers.experiment import Findings, is_lower, number, paired, short, tell

NAMES = {
    "vae": "VAE",
    "iwae": "IWAE, as many passes",
    "hvae": "HVAE",
    "hvae_tempered": "HVAE, T₀ = 2",
    "hvae_fixed": "HVAE, fixed tempering",
    "hvae_free": "HVAE, free tempering",
    "deterministic": "Langevin-VAE, σ = 0",
    "noisy": "Langevin-VAE, σ² = 2ν",
    "reverse_kernel": "reverse kernel",
    "deterministic_0.1": "Langevin-VAE, σ = 0, ν = 0.1",
    "deterministic_0.5": "Langevin-VAE, σ = 0, ν = 0.5",
    "noisy_0.1": "Langevin-VAE, σ² = 2ν, ν = 0.1",
    "noisy_0.5": "Langevin-VAE, σ² = 2ν, ν = 0.5",
    "reverse_kernel_0.5": "reverse kernel, ν = 0.5",
}
LANGEVIN = ("deterministic", "noisy", "reverse_kernel")
STARTS = {"exact": "q the posterior itself", "wide": "q shifted and 1.5 times as wide"}
_DIGITS = 2


def of_correctness(found: Findings) -> list[str]:
    """Determinants, energies, stationary variances."""
    worst = max(abs(each["found"] - each["expected"]) for each in found["determinants"])
    variances = ", ".join(f"{row['variance']:.4f} at ε = {row['h']:g}" for row in found["stationary"])
    return [
        f"The log-determinant of five quasi-symplectic steps in 8 dimensions is -5 νdε by automatic "
        f"differentiation, within {worst:.0e}: the factor d belongs to it.",
        f"Without friction and noise the error of the energy falls with the power "
        f"{found['order']:.2f} of the step; on N(0, 1) with ν = 1 and σ² = 2ν the stationary "
        f"variance is {variances}.",
    ]


# --- the Gaussian -----------------------------------------------------------------------------------------


def of_bounds(rows: Sequence[Findings]) -> list[str]:
    """Gaps with steps that are set, at K = 5, and how they go on as K grows."""
    said = []
    for start, words in STARTS.items():
        of = [row for row in rows if row["start"] == start]
        told = "; ".join(f"{NAMES[row['method']]} {_at(row, 5)}" for row in of)
        said.append(
            f"Linear Gaussian model, d = 8, ε = 0.3, {words}: the mean bound at K = 5 less log p(x), in "
            f"nats: {told}."
        )
    by = {row["method"]: row for row in rows if row["start"] == "wide"}
    noise = [
        f"at ν = {friction} σ² = 2ν lies {_step(by[f'deterministic_{friction}'], by[f'noisy_{friction}'])} "
        f"below σ = 0"
        for friction in ("0.1", "0.5")
    ]
    noisy, credited = by["noisy_0.5"], by["reverse_kernel_0.5"]
    said.append(
        f"From that q, at K = 5, noise in the conditional bound costs: {', '.join(noise)}. From K = "
        f"{noisy['num_steps'][0]} to {noisy['num_steps'][-1]} the noisy bound at ν = 0.5 goes from "
        f"{noisy['gap'][0]:.2f} to {noisy['gap'][-1]:.2f}, the reverse kernel from "
        f"{credited['gap'][0]:.2f} to {credited['gap'][-1]:.2f}."
    )
    above = [NAMES[row["method"]] for row in rows if any(_is_above(*each) for each in _both(row))]
    said.append(
        f"Above log p(x) by more than four standard errors: {', '.join(above)}."
        if above
        else "No bound lies above log p(x) by more than four standard errors."
    )
    return said


def _both(row: Findings) -> list[tuple[float, float]]:
    return list(zip(row["gap"], row["error"], strict=True))


def _is_above(gap: float, error: float) -> bool:
    return gap > 4 * error + 1e-6  # where q is the posterior the error is rounding alone


def _at(row: Findings, num_steps: int) -> str:
    place = row["num_steps"].index(num_steps)
    return short({"mean": row["gap"][place], "error": row["error"][place]}, _DIGITS)


def _step(one: Findings, other: Findings) -> str:
    place = one["num_steps"].index(5)
    return f"{one['gap'][place] - other['gap'][place]:.2f}"


def of_tuned(rows: Sequence[Findings]) -> list[str]:
    """Gaps with steps that have been learned, at K = 5."""
    told = "; ".join(f"{NAMES[row['method']]} {_at(row, 5)}" for row in rows)
    frictions = {row["method"]: row["friction"][row["num_steps"].index(5)] for row in rows}
    learned = ", ".join(f"{NAMES[method]} {frictions[method]:.2f}" for method in LANGEVIN)
    return [
        f"With steps, friction and tempering learned from the same q, K = 5: {told}. Friction that was "
        f"learned from 0.1: {learned}."
    ]


# --- data -------------------------------------------------------------------------------------------------


def of_comparison(table: Findings) -> list[str]:
    """Likelihoods and their order for each K, reconstruction, costs, and the check by annealing."""
    where = (
        "Black and white digits"
        if table["data"] == "digits"
        else "Black and white MNIST, 10,000 and one seed"
    )
    said = []
    for count in table["counts"]:
        rows = _rows(table, count)
        said.append(
            f"{where}, K = {count}: log p(x) of held-out images by importance weights, in nats: "
            f"{_each(rows, 'log_likelihood', _DIGITS)}. {_order(rows)}"
        )
        said.append(
            f"{where}, K = {count}: the model's own bound lies below that by {_looseness(rows)} nats; "
            f"log p(x|z) at its own z: {_each(rows, 'log_conditional', _DIGITS)}."
        )
        said.append(_costs(where, rows, count))
    return [*said, _check(where, table)]


def _rows(table: Findings, count: int) -> list[Findings]:
    return [row for row in table["rows"] if row["num_steps"] in (0, count)]


def _each(rows: Sequence[Findings], name: str, digits: int) -> str:
    return ", ".join(f"{NAMES[row['method']]} {tell(row[name], digits)}" for row in rows)


def _order(rows: Sequence[Findings]) -> str:
    """Every chain against VAE and IWAE, and Langevin-VAE against HVAE, by paired tests."""
    at = {row["method"]: row["by_seed"]["log_likelihood"] for row in rows}
    if len(at["vae"]) < 2:
        return "One seed: no test of the difference."
    chains = [method for method in at if method not in ("vae", "iwae")]
    said = [_against(at, chains, "vae"), _against(at, ["iwae"], "vae"), _against(at, chains, "iwae")]
    said.append(_against(at, list(LANGEVIN), "hvae"))
    higher = [method for method in LANGEVIN if is_lower(at["hvae"], at[method])]
    verdict = (
        f"The paper's order, Langevin-VAE above HVAE, shows for {_names(higher)}."
        if higher
        else "The paper's order, Langevin-VAE above HVAE, does not show."
    )
    return f"Paired, at 99 %: {'; '.join(said)}. {verdict}"


def _against(at: Findings, methods: Sequence[str], other: str) -> str:
    higher = [method for method in methods if is_lower(at[other], at[method])]
    lower = [method for method in methods if is_lower(at[method], at[other])]
    rest = [method for method in methods if method not in higher and method not in lower]
    parts = {"higher": higher, "lower": lower, "not told apart": rest}
    gaps = {method: short(_difference(at[method], at[other]), 3) for method in methods}
    told = [
        f"{how} {', '.join(f'{NAMES[m]} ({gaps[m]})' for m in group)}"
        for how, group in parts.items()
        if group
    ]
    return f"against {NAMES[other]} {', '.join(told)}"


def _names(methods: Sequence[str]) -> str:
    return " and ".join(NAMES[method] for method in methods)


def _difference(values: Findings, others: Findings) -> Findings:
    shared = sorted(values.keys() & others.keys())
    return paired([values[seed] for seed in shared], [others[seed] for seed in shared])


def _looseness(rows: Sequence[Findings]) -> str:
    told = []
    for row in rows:
        seeds = row["by_seed"]
        gap = _difference(seeds["log_likelihood"], seeds["bound"]) if len(seeds["bound"]) > 1 else None
        alone = row["log_likelihood"]["mean"] - row["bound"]["mean"]
        told.append(f"{NAMES[row['method']]} {short(gap, _DIGITS) if gap else number(alone, _DIGITS)}")
    return ", ".join(told)


def _costs(where: str, rows: Sequence[Findings], count: int) -> str:
    """Gradients and seconds of a training step: HVAE with kept gradients, and each Langevin-VAE."""
    at = {row["method"]: row for row in rows}
    told = "; ".join(
        f"{NAMES[row['method']]} {row['gradients']['mean']:.0f} and {tell(row['seconds'], 1, 1000)} ms"
        for row in rows
    )
    hvae, ours = at["hvae"], at["deterministic"]
    return (
        f"{where}, K = {count}: gradients of log p(x, z) a data point in a training step, and the "
        f"processor's time for one of 100: {told}. Two gradients a step, as the paper has it, are leapfrog's "
        f"where none is kept; kept, they are K + 1 in all, so that the quasi-symplectic step saves one of "
        f"{hvae['gradients']['mean']:.0f}, and a training step takes {_share(hvae, ours)} of HVAE's time."
    )


def _share(hvae: Findings, ours: Findings) -> str:
    seconds = [row["by_seed"]["seconds"] for row in (hvae, ours)]
    share = f"{ours['seconds']['mean'] / hvae['seconds']['mean']:.2f}"
    told = is_lower(*seconds) or is_lower(*seconds[::-1])
    return share if told or len(seconds[0]) < 2 else f"{share} (not told from 1)"


def _check(where: str, table: Findings) -> str:
    apart = [abs(c["importance"] - c["annealed"]) for row in table["rows"] for c in row["checked"]]
    return (
        f"{where}: on the points that annealing checks, it and the importance weights lie apart by "
        f"{sum(apart) / len(apart):.2f} nats on average and {max(apart):.2f} at most, over "
        f"{len(apart)} models."
    )
