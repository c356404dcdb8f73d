"""What is to be read in the tables of `langevin_vae_findings`, computed from their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from lflow.papers import protocol_findings as protocol
from lflow.papers.experiment import Findings, is_lower, number, short, tell

NAMES = {
    **protocol.NAMES,
    "hvae_tempered": "HVAE, T₀ = 2",
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
        f"at ν = {nu} {_at(by[f'noisy_{nu}'], 5)} against {_at(by[f'deterministic_{nu}'], 5)}"
        for nu in ("0.1", "0.5")
    ]
    noisy, credited = by["noisy_0.5"], by["reverse_kernel_0.5"]
    first, last = noisy["num_steps"][0], noisy["num_steps"][-1]
    said.append(
        f"From that q, at K = 5, the conditional bound with noise stands against the one without: "
        f"{', '.join(noise)}. From K = {first} to {last} the noisy bound at ν = 0.5 "
        f"goes from {_at(noisy, first)} to {_at(noisy, last)}, the reverse kernel from "
        f"{_at(credited, first)} to {_at(credited, last)}."
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
    """Choices, likelihoods and their order for each K, reconstruction, costs, and the check by annealing."""
    where = protocol.TITLES[table["data"]]
    said = protocol.say_choices(table)
    for count in table["counts"]:
        rows = [row for row in table["rows"] if row["num_steps"] in (0, count)]
        said.append(
            f"{where}, K = {count}: log p(x) of test images by importance weights, in nats: "
            f"{protocol.each(rows, 'log_likelihood', _DIGITS)}. {_order(rows)}"
        )
        said.append(
            f"{where}, K = {count}: the model's own bound lies below that by {_looseness(rows)} nats; "
            f"log p(x|z) at a draw of its own z: {protocol.each(rows, 'log_conditional', _DIGITS)}; squared "
            f"error of a pixel there: {protocol.each(rows, 'squared_error', 3)}."
        )
        said += _costs(where, rows, count)
    return [*said, protocol.say_check(table)]


def _order(rows: Sequence[Findings]) -> str:
    """Every chain against VAE and IWAE, and Langevin-VAE against HVAE, by paired tests."""
    if not protocol.is_tested(rows):
        return "One seed: no test of the difference."
    methods = [row["method"] for row in rows]
    chains = [method for method in methods if method not in ("vae", "iwae")]
    pairs = [(one, other) for other in ("vae", "iwae") for one in chains]
    pairs += [("iwae", "vae"), *((method, "hvae") for method in LANGEVIN if method in methods)]
    found = protocol.compare(rows, "log_likelihood", pairs)
    said = "; ".join(_against(found, other) for other in ("vae", "iwae", "hvae"))
    higher = [one for (one, other), each in found.items() if other == "hvae" and each.verdict == "higher"]
    verdict = (
        f"The order that the paper claims, Langevin-VAE above HVAE, shows for {_names(higher)}."
        if higher
        else "The order that the paper claims, Langevin-VAE above HVAE, does not show."
    )
    return f"Paired, at 99 % for all {len(pairs)} tests together (Holm): {said}. {verdict}"


def _against(found: dict[tuple[str, str], protocol.Comparison], other: str) -> str:
    of = {one: each for (one, against), each in found.items() if against == other}
    told = []
    for verdict in ("higher", "lower", "not told apart"):
        group = [
            f"{NAMES[one]} ({protocol.say_gap(each.gap, 3)})"
            for one, each in of.items()
            if each.verdict == verdict
        ]
        if group:
            told.append(f"{verdict} {', '.join(group)}")
    return f"against {NAMES[other]} {', '.join(told)}"


def _names(methods: Sequence[str]) -> str:
    return " and ".join(NAMES[method] for method in methods)


def _looseness(rows: Sequence[Findings]) -> str:
    told = []
    for row in rows:
        gap = protocol.difference(row["by_seed"]["log_likelihood"], row["by_seed"]["bound"])
        told.append(f"{NAMES[row['method']]} {protocol.say_gap(gap, _DIGITS)}")
    return ", ".join(told)


def _costs(where: str, rows: Sequence[Findings], count: int) -> list[str]:
    """Gradients and seconds of a training step: HVAE with kept gradients, and each Langevin-VAE."""
    at = {row["method"]: row for row in rows}
    told = "; ".join(
        f"{NAMES[row['method']]} {number(row['gradients']['mean'], 0)} and {tell(row['seconds'], 1, 1000)} ms"
        for row in rows
    )
    said = [
        f"{where}, K = {count}: gradients of log p(x, z) a data point in a training step, and the "
        f"processor's time for one of 100: {told}."
    ]
    hvae, ours = at["hvae"], at["deterministic"]
    if None in (hvae["seconds"]["mean"], ours["seconds"]["mean"]):
        return said
    return [
        f"{said[0]} Two gradients a step, as the paper has it, are leapfrog's where none is kept; kept, they "
        f"are K + 1 in all, so that the quasi-symplectic step saves one of {hvae['gradients']['mean']:.0f}, "
        f"and a training step takes {_share(hvae, ours)} of HVAE's time."
    ]


def _share(hvae: Findings, ours: Findings) -> str:
    seconds = [row["by_seed"]["seconds"] for row in (hvae, ours)]
    share = f"{ours['seconds']['mean'] / hvae['seconds']['mean']:.2f}"
    told = is_lower(*seconds) or is_lower(*seconds[::-1])
    return share if told or len(seconds[0]) < 2 else f"{share} (not told from 1)"
