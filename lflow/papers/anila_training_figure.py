"""The figure of `anila --train`: distances over training, and the density that each method has learned.

Knows the findings of that module and nothing of how they were found.
"""

from __future__ import annotations

import math
from typing import Any

from lflow.energies import get as get_energy
from lflow.papers import figure
from lflow.papers.anila_figure import NAMES, STYLES, colour
from lflow.papers.anila_laws import variant_law
from lflow.papers.anila_training_findings import RADII, RUN_AWAY
from lflow.papers.experiment import Findings

_NAMES = {**NAMES, "ula_half": "ULA, half the steps"}
DASHED, DOTTED = (0, (4, 2)), (0, (1.5, 1.2))


def draw(findings: Findings) -> Any:
    """Four panels."""
    drawn = figure.new(10.2, 6.4)
    (w2, kl), (radial, frechet) = drawn.subplots(2, 2)
    _curves(w2, findings, "w2", f"sliced {figure.W2} of the chains to the rings (log)")
    w2.set_title("a  Rings: where the chains end")
    _curves(kl, findings, "kl", "KL of the rings to the density, nats (log)")
    kl.set_title("b  Rings: the learned density")
    _radial(radial, findings)
    _curves(frechet, findings, "frechet", "Fréchet distance to held-out digits (log)")
    frechet.set_title("d  Digits: where the chains end")
    return drawn


def _style(method: str) -> dict[str, Any]:
    shade = _colour(method)
    face = "white" if method in ("corrected", "ula_half") else shade
    return {"color": shade, "linestyle": STYLES.get(method, "-"), "markerfacecolor": face}


def _colour(method: str) -> str:
    return colour(method.removesuffix("_half"))


def _curves(axes: Any, findings: Findings, name: str, label: str) -> None:
    ends, levels = [], []
    for row in findings[name]:
        method, at = row["method"], row["at"]
        level, bars = figure.estimates(row["curve"])
        axes.errorbar(at, level, bars, marker="o", elinewidth=0.7, **_style(method))
        x, height = figure.last(at, level)
        told = _NAMES[method] + (", runs away" if height > RUN_AWAY[name] else "")
        ends.append((x, min(height, 2 * RUN_AWAY[name]), told, _colour(method)))
        levels += [min(each, 2 * RUN_AWAY[name]) for each in level if not math.isnan(each)]
    floor = findings["floors"][name]
    axes.set(xlim=(0, findings[name][0]["at"][-1]), xlabel="iterations")
    figure.log_axis(axes.yaxis, [k * 10**p for p in range(-3, 4) for k in (1, 2, 5)])
    axes.set(ylim=(0.9 * min([*levels, floor or math.inf]), 1.1 * max(levels)), ylabel=label)
    if floor:
        x, height, told, shade = figure.floor_line(axes, floor)
        ends.append((x, height, "training digits (floor)" if name == "frechet" else told, shade))
    figure.label_ends(axes, ends, gap=0.075)


def _radial(axes: Any, findings: Findings) -> None:
    axes.set_title("c  Rings: learned density of the radius")
    law = variant_law("rings", "truth", 1.0)
    axes.plot(law.points, law.density, color=figure.INK, linewidth=0.9, linestyle=DASHED, label="the rings")
    for method in ("ula", "paper", "corrected", "mala"):
        if findings["radial"][method] is not None:
            look = _style(method) | ({"linestyle": DOTTED} if method == "corrected" else {})
            axes.plot(RADII, findings["radial"][method], linewidth=1.1, label=_NAMES[method], **look)
    axes.set(xlim=(0, get_energy("rings").bounds[0][1]), ylim=(0, None), xlabel="radius", ylabel="density")
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, fontsize=7.5)
