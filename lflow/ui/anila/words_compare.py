"""Words for the views of the page AniLA that compare: bias, divergence, cost. Computed from what is shown."""

from __future__ import annotations

from collections.abc import Sequence

from lflow.papers.anila_edge import edge
from lflow.papers.experiment import is_lower
from lflow.ui.anila.read import BiasRow, EdgeRow, Spread, at_threshold, best_threshold
from lflow.ui.anila.runs import BUDGETS, CHAINS
from lflow.ui.anila.style import inline
from lflow.ui.anila.words import WHERE
from lflow.ui.explain import listed, number, percent

# Bias and b


def bias(name: str, rows: Sequence[BiasRow], b: float, floor: Spread) -> list[str]:
    """Whether a variant beats ULA, and what happens at this b."""
    at = {row.method: row for row in at_threshold(rows, b)}
    ula = at.get("ula")
    if ula is None or ula.w2 is None:
        return [f"On {WHERE[name]} ULA lost chains with every step tried: there is nothing to compare with."]
    variants = dict.fromkeys(row.method for row in rows if row.b is not None)
    best = [found for method in variants if (found := best_threshold(rows, method)) is not None]
    return [_who_wins(name, ula, best, floor), _at_this_b(b, at, ula, floor), *_ends([*at.values(), *best])]


def _who_wins(name: str, ula: BiasRow, best: Sequence[BiasRow], floor: Spread) -> str:
    assert ula.w2 is not None
    gradients = f"at {ula.gradients:,} gradients a particle"
    winners = [row for row in best if row.w2 is not None and _lower(row.w2, ula.w2)]
    if winners:
        told = [f"{inline(row.method)} ({_found(row)} at b = {number(row.b or 0)})" for row in winners]
        verb = "beats" if len(told) == 1 else "beat"
        return f"**On {WHERE[name]} {listed(told)} {verb} ULA** ({_found(ula)}) {gradients}."
    each = ", each with the step size and the threshold that suit it best, of those tried"
    if ula.w2.mean <= floor.high:
        return (
            f"**On {WHERE[name]} no AniLA variant is seen to beat ULA {gradients}**{each}, and none could "
            f"be: ULA ({_found(ula)}) is at the floor of {CHAINS:,} exact samples, {number(floor.mean)}."
        )
    return (
        f"**On {WHERE[name]} no AniLA variant is seen to beat ULA {gradients}**{each}. ULA is "
        f"{_found(ula)} from the target."
    )


def _found(row: BiasRow) -> str:
    return "lost" if row.w2 is None else number(row.w2.mean)


def _lower(one: Spread, other: Spread) -> bool:
    return is_lower(dict(enumerate(one.values)), dict(enumerate(other.values)))


def _at_this_b(b: float, at: dict[str, BiasRow], ula: BiasRow, floor: Spread) -> str:
    assert ula.w2 is not None
    told = []
    for row in at.values():
        if row.b is None:
            continue
        if row.w2 is None:
            told.append(f"{inline(row.method)} loses chains with every step tried")
        else:
            told.append(f"{inline(row.method)} {number(row.w2.mean / ula.w2.mean)}")
    return (
        f"At b = {number(b)}, distance over ULA's: {listed(told)}. ULA itself is at "
        f"{number(ula.w2.mean / floor.mean)} "
        "times the floor of exact samples."
    )


def _ends(rows: Sequence[BiasRow]) -> list[str]:
    """Whose best step is an end of the grid, of the rows that the words above are about."""
    ends = list(dict.fromkeys(_end(row) for row in rows if row.at_end))
    if not ends:
        return []
    return [
        f"The best step is an end of the steps tried, so a better one may lie beyond, for {listed(ends)}."
    ]


def _end(row: BiasRow) -> str:
    return f"{inline(row.method)} (h = {row.h:g}" + (")" if row.b is None else f" at b = {number(row.b)})")


# Where ULA diverges


def diverging(rows: Sequence[EdgeRow], start: float, b: float) -> list[str]:
    """Who loses chains, from where, and how right the others are."""
    at = {row.method: row for row in rows}
    said = [
        f"Chains start at {number(start)}·N(0, 1). ULA throws a chain at x outward where h > 1/(2x²): no "
        "step is "
        f"stable everywhere. At h = {number(edge(2 * start))} that holds beyond |x| = {number(2 * start)}, "
        "where "
        "4.6 % of the chains start."
    ]
    if "ula" in at:
        said.append(_half_lost(at["ula"]))
    losers = [row.method for row in rows if row.method != "ula" and max(s.mean for s in row.lost) > 0]
    keepers = [row.method for row in rows if max(s.mean for s in row.lost) == 0]
    if "flowers_code" in losers:
        said.append("As coded for Flowers the drift is not tamed, only the noise: it is lost as ULA is.")
    if keepers:
        said.append(
            f"No chain is lost, at any of these steps, by {listed([inline(each) for each in keepers])}."
        )
    said += _bias_of_the_tamed(at, keepers, b)
    return said


def _half_lost(row: EdgeRow) -> str:
    over = [h for h, lost in zip(row.sizes, row.lost, strict=True) if lost.mean >= 0.5]
    if not over:
        return f"ULA loses at most {percent(max(lost.mean for lost in row.lost))} of its chains."
    first = row.lost[row.sizes.index(over[0])].mean
    return f"**ULA loses {percent(first)} of its chains at h = {number(over[0])}.**"


def _bias_of_the_tamed(at: dict[str, EdgeRow], keepers: Sequence[str], b: float) -> list[str]:
    tamed = [(each, at[each].second[-1]) for each in keepers if each not in ("metropolis", "mala")]
    said = []
    told = [f"{inline(method)} {number(found.mean)}" for method, found in tamed if found is not None]
    if told:
        h = at[tamed[0][0]].sizes[-1]
        said.append(
            f"Stability is bought with bias: at h = {number(h)}, b = {number(b)}, E x² over the target's: "
            f"{listed(told)}."
        )
    accept = at.get("metropolis")
    if accept and all(found is not None for found in accept.second):
        worst = max(abs(found.mean - 1) for found in accept.second if found is not None)
        said.append(f"With the accept step it is off by at most {percent(worst)}, at any h shown.")
    mala = at.get("mala")
    if mala and mala.second[-1] is not None and mala.second[-1].mean > 2:
        said.append(
            f"MALA loses none either, but far out it refuses every proposal: at h = {number(mala.sizes[-1])} "
            f"its E x² is still {number(mala.second[-1].mean)} times the target's."
        )
    return said


# What it costs


def reach(rows_by_gradients: dict[int, list[BiasRow]], method: str, floor: Spread) -> int | None:
    """The least of the numbers of gradients after which a method is within twice the floor."""
    for gradients in BUDGETS:
        found = [row.w2 for row in rows_by_gradients[gradients] if row.method == method]
        if found and found[0] is not None and found[0].mean <= 2 * floor.mean:
            return gradients
    return None


def cost(name: str, b: float, ratios: dict[str, float], reached: dict[str, int | None]) -> list[str]:
    """What a correction or an accept step costs, and whether it pays."""
    said = [
        f"On {WHERE[name]} the correction takes a Hessian-vector product: a step of "
        f"{number(ratios['corrected'])} "
        "times ULA's time, and two gradients' worth of the budget. The accept step takes "
        f"{number(ratios['metropolis'])} "
        f"times (as published {number(ratios['paper'])}), for the energy and both densities."
    ]
    soon = [method for method, found in reached.items() if found is not None]
    if not soon:
        return [
            *said,
            f"At b = {number(b)} nobody comes within twice the floor of exact samples in {BUDGETS[-1]:,} "
            "gradients.",
        ]
    least = min(found for found in reached.values() if found is not None)
    first = [inline(method) for method in soon if reached[method] == least]
    never = [inline(method) for method, found in reached.items() if found is None]
    said.append(
        f"At b = {number(b)}, first within twice the floor: {listed(first)}, after {least:,} gradients."
        + (f" Not within {BUDGETS[-1]:,}: {listed(never)}." if never else "")
    )
    return said
