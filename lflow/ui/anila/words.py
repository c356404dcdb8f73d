"""Words under the figures of the page AniLA, computed from the numbers that they stand beside.

The three things have three names: as published, as coded by its authors, corrected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lflow.papers.anila_laws import ON_LINE
from lflow.ui.anila.clouds import Seen
from lflow.ui.anila.read import LawFloor, LawRow
from lflow.ui.anila.runs import FRAMES, LAW_CHAINS
from lflow.ui.anila.style import inline, title
from lflow.ui.explain import listed, number, percent

WHERE = {
    "rings": "the four rings",
    "gaussian": "N(0,1)",
    "mixture": "the two modes",
    "quartic": "the quartic",
}
NEAR = {
    "rings": "half a σ of a ridge",
    "gaussian": "a quarter σ of the mode",
    "mixture": "a quarter σ of a mode",
    "quartic": "a quarter σ of the mode",
}


# The clouds


def clouds(name: str, b: float, seen: Mapping[str, Seen], calm: tuple[float, float]) -> list[str]:
    """What the clouds ended as. calm: the shares of e^f and of the published step's law where |∇U| ≤ b."""
    lost = [f"{title(method)} lost {each.lost:,} particles" for method, each in seen.items() if each.lost]
    if lost:
        return [f"**{listed(lost)}**: a step of this size is thrown outward where the gradient is steep."]
    near = [f"{inline(m)} {percent(each.calm)}" for m, each in seen.items() if each.calm is not None]
    said = [
        f"Where the gradient is at most b = {number(b)} the step is taken in full. {percent(calm[0])} of "
        "e^f lie "
        f"there, and {percent(calm[1])} of e^f·max(1, |∇f|/b). At the end of these runs: {listed(near)}."
    ]
    published, plain = seen["paper"], seen["ula"]
    if published.calm is not None and plain.calm is not None and calm[0] > 0:
        said.append(_hole(published.calm, calm))
    over = [
        f"{inline(m)} {number(each.distance / each.floor)}"
        for m, each in seen.items()
        if each.distance is not None and each.floor
    ]
    if over:
        shares = " Most of it is the shares of the rings, which a short run leaves as it finds them."
        said.append(
            f"Distance to e^f (sliced W2), over what as many exact samples reach: {listed(over)}."
            + (shares if name == "rings" else "")
        )
    return said


def _hole(found: float, calm: tuple[float, float]) -> str:
    target, own = calm
    if own > 0.9 * target:
        return "So large a b shrinks few steps, and the published step samples nearly what ULA does."
    nearer = abs(found - own) < abs(found - target)
    if nearer:
        return "The published step has its own law's share: **a hole at every mode**, no fault of the code."
    return "The published step is nearer to e^f than to its own law: it has not settled, or h is too large."


def calm_note(seen: Seen) -> str:
    """The number beside a density."""
    return "particles were lost" if seen.calm is None else f"{percent(seen.calm)} where |∇U| ≤ b"


def density_title(name: str) -> str:
    """What the small densities under the clouds are."""
    if name == "rings":
        return "**Radial density of these runs** :small[their last 20 frames, each ring counted as a quarter]"
    return "**Density of x in these runs** :small[their last 20 frames; y is summed out]"


# The law


def law(
    name: str, b: float, steep: float, rows: Sequence[LawRow], core_truth: float, floor: LawFloor
) -> list[str]:
    """What the densities show. steep: the share of the target where |∇U| > b."""
    said = [_steepness(name, b, steep, any(row.smooth for row in rows))]
    lost = [inline(row.method, row.smooth) for row in rows if row.core is None]
    if lost:
        said.append(f"Chains of {listed(lost)} were lost at this step size.")
    kept = {row.method: row for row in rows if row.core is not None}
    if "paper" in kept:
        said.append(_published(name, kept["paper"], core_truth, floor))
    coded = [kept[each] for each in ("toy_code", "flowers_code") if each in kept]
    said += [_coded(row, kept.get("ula"), floor) for row in coded]
    right = [kept[each] for each in ("corrected", "metropolis") if each in kept]
    if right:
        said.append(_corrected(right, floor))
    if kept:
        said.append(_about_the_floor(floor))
    return said


def _steepness(name: str, b: float, steep: float, smooth: bool) -> str:
    said = f"On {WHERE[name]} the gradient is above b = {number(b)} in {percent(steep)} of the target"
    if smooth:
        return f"{said}: there the smooth γ shrinks the step by √2 or more, and elsewhere by less."
    said += ": there the step shrinks."
    return said + (" Almost nowhere: every variant is close to ULA." if steep < 0.02 else "")


def _published(name: str, row: LawRow, core_truth: float, floor: LawFloor) -> str:
    assert row.core is not None
    assert row.kl_truth is not None
    assert row.kl_own is not None
    share = 100 * (row.core / core_truth - 1)
    own = 100 * (row.core_own / core_truth - 1)
    text = (
        f"**{title(row.method, row.smooth)}**, the mass within {NEAR[name]} is {number(row.core)}, and e^f "
        f"has {number(core_truth)}: {abs(share):.0f} % too {'little' if share < 0 else 'much'} (its closed "
        f"form says {own:+.0f} %)."
    )
    if row.kl_truth <= floor.most:
        return (
            f"{text} In KL it is not told from e^f here: b is too large for so few samples to show the bias."
        )
    ratio = row.kl_truth / row.kl_own
    closer = (
        f"{number(ratio)} times nearer to its own law than to e^f"
        if ratio > 1
        else "not nearer to its own law"
    )
    return f"{text} In KL it is {closer}: {_verdict(ratio)}"


def _verdict(ratio: float) -> str:
    return (
        "the code is right, and what it samples is not the target."
        if ratio > 3
        else "at this step size the scheme's own error hides the law."
    )


def _coded(row: LawRow, ula: LawRow | None, floor: LawFloor) -> str:
    assert row.variance is not None
    assert row.kl_truth is not None
    truth = ula.variance_own if ula else None
    said = f"**{title(row.method, row.smooth)}**: variance {number(row.variance)} (closed form "
    said += number(row.variance_own) + (f"; e^f {number(truth)})" if truth is not None else ")")
    if row.kl_truth <= floor.most:
        return f"{said}; in KL its density is not told from e^f at this b."
    if truth is not None and abs(row.variance_own / truth - 1) < 0.05:
        error = percent(abs(row.variance_own / truth - 1))
        return f"{said}: right to {error}, and the shape is wrong all the same."
    return f"{said}, and {number(row.kl_truth)} away from e^f in KL."


def _corrected(rows: Sequence[LawRow], floor: LawFloor) -> str:
    told = []
    for row in rows:
        assert row.kl_truth is not None
        said = f"{inline(row.method, row.smooth)} {number(row.kl_truth)}"
        if row.method == "metropolis":
            # It starts in e^f, which its accept step keeps: nothing is left to be judged by the number.
            said += " (in e^f from the first step on, at any h)"
        elif row.kl_truth <= floor.most:
            said += " (not told from e^f)"
        else:
            said += " (off by the error of a finite step)"
        told.append(said)
    return f"**Corrected**, KL to e^f: {listed(told)}."


def _about_the_floor(floor: LawFloor) -> str:
    return (
        f"Of {FRAMES * LAW_CHAINS:,} independent exact samples KL to e^f is {number(floor.independent)}; a "
        f"run's {FRAMES} moments are not independent, and one that is in e^f may show up to "
        f"{number(floor.most)}, as {LAW_CHAINS:,} samples do."
    )


def settling(burn: int, frames: int, gap: int, waits: bool) -> str:
    """How the numbers came about."""
    said = f"{burn:,} steps to settle, then {frames} moments {gap:,} steps apart, from a start in e^f."
    if not waits:
        said += " For this h and b these are too few steps: the clouds are still on their way."
    return said


def measure_word(part: str) -> str:
    """What the tables call the second moment."""
    return "variance" if part in ON_LINE else "mean square distance from a ridge"
