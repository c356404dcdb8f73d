"""How the papers' figures look, and how they are saved. matplotlib is imported inside the functions.

One typeface, one colour for each family of samplers (as everywhere in lflow), lines named where they end,
floors as thin labelled lines. Knows nothing of what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lflow import samplers

COLOURS = {  # Okabe & Ito's, distinct to colour-blind eyes
    "overdamped": "#0072B2",
    "accept": "#009E73",
    "anisotropic": "#D55E00",
    "midpoint": "#E69F00",
    "underdamped": "#CC79A7",
}
INK, QUIET = "#1A1A1A", "#8A8A8A"
W2 = "$W_2$"
_FONTS = ("Inter", "Liberation Sans", "Arial", "Helvetica", "DejaVu Sans")


def colour(sampler: str) -> str:
    """The colour of a sampler's family."""
    return COLOURS[samplers.get_class(sampler).family]


def title(sampler: str) -> str:
    """A sampler's name for people."""
    return samplers.get_class(sampler).title


def save(draw: Callable[[], Any], folder: Path) -> list[Path]:
    """Draw in the house style, and write figure.svg and figure.png. RuntimeError without matplotlib."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise RuntimeError("figures need matplotlib: pip install 'lflow[figures]'") from None
    files = [folder / f"figure.{kind}" for kind in ("svg", "png")]
    with matplotlib.rc_context(_style()):
        figure = draw()
        # Without the date the same numbers give the same file.
        figure.savefig(files[0], metadata={"Date": None})
        figure.savefig(files[1], dpi=200)
    return files


def _style() -> Any:
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    typeface = next(font for font in _FONTS if font in installed)
    return {
        "font.family": typeface,
        "mathtext.fontset": "custom",  # formulas in the same typeface
        "mathtext.rm": typeface,
        "mathtext.it": typeface,
        "mathtext.bf": typeface,
        "mathtext.cal": typeface,
        "mathtext.sf": typeface,
        "mathtext.tt": typeface,
        "font.size": 8,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.labelcolor": INK,
        "axes.edgecolor": QUIET,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.minor.size": 0,
        "ytick.minor.size": 0,
        "text.color": INK,
        "lines.linewidth": 1.3,
        "lines.markersize": 3,
        "figure.facecolor": "white",
        "svg.fonttype": "path",
        "svg.hashsalt": "lflow",
    }


def new(width: float, height: float) -> Any:
    """An empty figure, in inches, that lays its parts out itself."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def log_axis(axis: Any, ticks: Iterable[float]) -> None:
    """A log scale with these ticks and no others, written as plain numbers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def floor_line(axes: Any, level: float) -> tuple[float, float, str, str]:
    """A thin line at the level that exact samples reach; returns its end, to be named with the others."""
    axes.axhline(level, color=INK, linewidth=0.6, linestyle=(0, (4, 3)), zorder=1)
    return (axes.get_xlim()[1], level, "exact draws (floor)", INK)


def estimates(rows: Iterable[Mapping[str, Any]]) -> tuple[list[float], list[list[float]]]:
    """Means, and error bars that stay above zero on a log axis; nan, not drawn, for what was lost."""
    found = [(row["mean"], row["error"]) for row in rows]
    level, error = (
        [math.nan if each is None else each for each in part] for part in zip(*found, strict=True)
    )
    return level, [[min(e, 0.9 * y) for y, e in zip(level, error, strict=True)], error]


def last(xs: Sequence[float], level: Sequence[float]) -> tuple[float, float]:
    """The last point that is drawn, where a line is named; nan if none is."""
    drawn = [(x, y) for x, y in zip(xs, level, strict=True) if not math.isnan(y)]
    return drawn[-1] if drawn else (xs[-1], math.nan)


def moved_apart(heights: Sequence[float], gap: float) -> list[float]:
    """Rising heights, moved as little as it takes to lie `gap` apart, and none below zero."""
    blocks: list[list[float]] = []  # lowest place and number of labels that touch, from the bottom
    for place, height in enumerate(heights):
        blocks.append([height - place * gap, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (low, many), (high, more) = blocks[-2:]
            blocks[-2:] = [[(low * many + high * more) / (many + more), many + more]]
    bottoms = [max(bottom, 0.0) for bottom, count in blocks for _ in range(int(count))]
    return [bottom + place * gap for place, bottom in enumerate(bottoms)]


def label_ends(axes: Any, ends: Sequence[tuple[float, float, str, str]], gap: float = 0.055) -> None:
    """Name lines to the right of the axes: (x, y, text, colour) of each end, moved apart where they crowd.

    Set the limits and scales first. A line without an end (nan) gets no name. gap: between two labels, as a
    share of the axes' height.
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    found = sorted(
        ((*to_axes.transform((x, y)), text, shade) for x, y, text, shade in ends if not math.isnan(y)),
        key=lambda e: e[1],
    )
    heights = moved_apart([float(end[1]) for end in found], gap)
    for (x, y, text, shade), height in zip(found, heights, strict=True):
        arrow = {"arrowstyle": "-", "color": shade, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 2}
        arrow["relpos"] = (0.0, 0.5)
        axes.annotate(
            text,
            xy=(x, y),
            xytext=(1.05, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=shade,
            fontsize=7.5,
            arrowprops=arrow,
            annotation_clip=False,
        )
