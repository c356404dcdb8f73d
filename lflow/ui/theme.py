"""Colours with fixed meanings: a hue for each sampler family, the same in every page and chart.

The hues are Okabe and Ito's, which colour-blind readers can tell apart; on dark pages they are lighter.
"""

from __future__ import annotations

# family: (on a light page, on a dark page)
FAMILY_COLOURS = {
    "overdamped": ("#0072B2", "#4BA3DB"),
    "accept": ("#009E73", "#2FC79A"),
    "anisotropic": ("#D55E00", "#F58B45"),
    "midpoint": ("#E69F00", "#F2B84B"),
    "underdamped": ("#CC79A7", "#E09CC2"),
    "exact": ("#1D2125", "#E8E6E1"),
}


def family_of(sampler_family: str, rule_name: str) -> str:
    """The family of a sampler under a rule: ULA with the anisotropic rule is the printed AniLA."""
    return "anisotropic" if rule_name == "anisotropic" else sampler_family
