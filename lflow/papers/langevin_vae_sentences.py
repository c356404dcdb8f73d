"""What is to be read in the tables of `langevin_vae_findings`, computed from their numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from lflow.columns import aligned
from lflow.papers import protocol_findings as protocol
from lflow.papers.experiment import Findings, number, short

NAMES = {
    **protocol.NAMES,
    "hvae_tempered": "HVAE, T₀ = 2",
    "deterministic_0.1": "Langevin-VAE, σ = 0, ν = 0.1",
    "deterministic_0.5": "Langevin-VAE, σ = 0, ν = 0.5",
    "noisy_0.1": "Langevin-VAE, σ² = 2ν, ν = 0.1",
    "noisy_0.5": "Langevin-VAE, σ² = 2ν, ν = 0.5",
    "reverse_kernel_0.5": "Langevin-VAE, reverse kernel, ν = 0.5",
}
LANGEVIN, HVAES = ("deterministic", "noisy"), ("hvae", "hvae_fixed", "hvae_free")
STARTS = {"exact": "q exact", "wide": "q shifted, 1.5 times as wide"}
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
    """Gaps with steps that are set, from both starts; what noise does, and that no bound lies above."""
    said = [
        "Linear Gaussian model, d = 8, where log p(x) is known; ε = 0.3 is set. A bound less log p(x), in "
        "nats, mean ± standard error over draws."
    ]
    said += [
        _as_text([row for row in rows if row["start"] == start], words) for start, words in STARTS.items()
    ]
    by = {row["method"]: row for row in rows if row["start"] == "wide"}
    for nu in ("0.1", "0.5"):
        noisy, still = by[f"noisy_{nu}"], by[f"deterministic_{nu}"]
        said.append(
            f"Noise, from the wide q at K = 5 and ν = {nu}: the bound given the noise {_at(noisy, 5)}, "
            f"without it {_at(still, 5)}."
        )
    noisy, credited = by["noisy_0.5"], by["reverse_kernel_0.5"]
    first, last = noisy["num_steps"][0], noisy["num_steps"][-1]
    said.append(
        f"From K = {first} to {last} the noisy bound at ν = 0.5 goes from {_at(noisy, first)} to "
        f"{_at(noisy, last)}; the reverse kernel, which credits the noise, from {_at(credited, first)} to "
        f"{_at(credited, last)}."
    )
    above = [NAMES[row["method"]] for row in rows if any(_is_above(*each) for each in _both(row))]
    said.append(
        f"Above log p(x) by more than four standard errors: {', '.join(above)}."
        if above
        else "No bound lies above log p(x) by more than four standard errors."
    )
    return said


def _as_text(rows: Sequence[Findings], title: str, more: Sequence[tuple[str, Sequence[str]]] = ()) -> str:
    """A line for each method and a column for each K; more: further columns, a title and its cells."""
    counts = rows[0]["num_steps"]
    head = [title, *(f"K = {count}" for count in counts), *(name for name, _ in more)]
    lines = [[NAMES[row["method"]], *(_at(row, count) for count in counts)] for row in rows]
    told = [line + [cells[place] for _, cells in more] for place, line in enumerate(lines)]
    return f"\n{aligned([head, *told])}\n"


def _both(row: Findings) -> list[tuple[float, float]]:
    return list(zip(row["gap"], row["error"], strict=True))


def _is_above(gap: float | None, error: float | None) -> bool:
    if gap is None or error is None:
        return False
    return gap > 4 * error + 1e-6  # where q is the posterior the error is rounding alone


def _at(row: Findings, num_steps: int) -> str:
    place = row["num_steps"].index(num_steps)
    return short({"mean": row["gap"][place], "error": row["error"][place]}, _DIGITS)


def of_tuned(rows: Sequence[Findings]) -> list[str]:
    """Gaps with steps that have been learned, and the friction learned with them."""
    return [
        "The same, steps (from 0.2), friction (from 0.1) and tempering learned from the wide q:",
        _as_text(
            rows, "learned", [("ε at K = 5", _learned(rows, "step_sizes")), ("ν", _learned(rows, "friction"))]
        ),
    ]


def _learned(rows: Sequence[Findings], name: str) -> list[str]:
    """What each method has learned at K = 5, where it learns that."""
    found = [row[name][row["num_steps"].index(5)] for row in rows]
    return ["" if value is None else number(value, 2) for value in found]


# --- data -------------------------------------------------------------------------------------------------


def of_comparison(table: Findings) -> list[str]:
    """The table, the order for each K by tests, and costs."""
    said = protocol.of_table(table)
    for count in table["counts"]:
        rows = [row for row in table["rows"] if row["num_steps"] in (0, count)]
        where = f"{protocol.TITLES[table['data']]}, K = {count}"
        said += [*_order(rows, where), *_costs(rows, where)]
    return said


def _order(rows: Sequence[Findings], where: str) -> list[str]:
    """Every chain against VAE and IWAE, and Langevin-VAE against each HVAE, by paired tests.

    The reverse kernel is no Langevin-VAE of the paper: it is compared, and no part of the verdict.
    """
    if not protocol.is_tested(rows):
        return [protocol.say_untested(where, rows)]
    methods = [row["method"] for row in rows]
    chains = [method for method in methods if method not in ("vae", "iwae")]
    pairs = [(one, other) for other in ("vae", "iwae") for one in chains]
    ours, theirs = ([each for each in of if each in methods] for of in (LANGEVIN, HVAES))
    pairs += [("iwae", "vae"), *itertools.product(ours, theirs)]
    pairs += [("reverse_kernel", "hvae")] if "reverse_kernel" in methods else []
    found = protocol.compare(rows, "log_likelihood", pairs)
    above = [one for one in ours if all(found[one, other].verdict == "higher" for other in theirs)]
    shows = f"shows for {_names(above)}" if above else "does not show"
    return [
        protocol.pairs_as_text(f"{where}: log p(x)", found),
        f"{where}: the gain that the paper is after, Langevin-VAE above every HVAE here, {shows}.",
    ]


def _names(methods: Sequence[str]) -> str:
    return " and ".join(NAMES[method] for method in methods)


def _costs(rows: Sequence[Findings], where: str) -> list[str]:
    """Gradients of a training step: Langevin-VAE beside HVAE with kept gradients."""
    at = {row["method"]: row for row in rows}
    kept, ours = (at[method]["gradients"]["mean"] for method in ("hvae", "deterministic"))
    if None in (kept, ours):
        return []
    return [
        f"{where}: the paper counts two gradients for a step of leapfrog, which holds where none is kept. "
        f"Kept, they are K + 1 in all, {kept:.0f} here, and the quasi-symplectic steps take {ours:.0f}. "
        "`python -m lflow bench chains` measures in turns what that is in time."
    ]
