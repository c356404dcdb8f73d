"""Colours with fixed meanings: a hue for each sampler family, the same in every page and chart.

The hues are Okabe and Ito's, which colour-blind readers can tell apart; on dark pages they are lighter.
"""

from __future__ import annotations

from collections.abc import Sequence

# family: (on a light page, on a dark page)
FAMILY_COLOURS = {
    "overdamped": ("#0072B2", "#4BA3DB"),
    "accept": ("#009E73", "#2FC79A"),
    "anisotropic": ("#D55E00", "#F58B45"),
    "midpoint": ("#E69F00", "#F2B84B"),
    "underdamped": ("#CC79A7", "#E09CC2"),
    "exact": ("#1D2125", "#E8E6E1"),
}


_SHADES = (0.0, 0.4, -0.35, 0.65)  # towards the ink; below zero, towards the paper
INK, PAPER = ("#1D2125", "#E8E6E1"), ("#FBFAF7", "#121314")


def shades(families: Sequence[str]) -> list[tuple[str, str]]:
    """A colour (on a light page, on a dark page) for each of several samplers shown together.

    The first of a family has the family's hue, the next ones are shades of it: give them a dash as well.
    """
    found = []
    for index, family in enumerate(families):
        share = _SHADES[list(families[:index]).count(family) % len(_SHADES)]
        ends = INK if share > 0 else PAPER
        pairs = zip(FAMILY_COLOURS[family], ends, strict=True)
        light, dark = (_mixed(colour, end, abs(share)) for colour, end in pairs)
        found.append((light, dark))
    return found


def _mixed(colour: str, end: str, share: float) -> str:
    channels = ([int(text[k : k + 2], 16) for k in (1, 3, 5)] for text in (colour, end))
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in zip(*channels, strict=True))


def family_of(sampler_family: str, rule_name: str) -> str:
    """The family of a sampler under a rule: ULA with the anisotropic rule is AniLA as published."""
    return "anisotropic" if rule_name == "anisotropic" else sampler_family
