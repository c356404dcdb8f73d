"""What the methods of the page AniLA are called and how they are drawn, on light and on dark pages."""

from __future__ import annotations

import streamlit as st

from lflow import samplers
from lflow.samplers.anila import VARIANTS
from lflow.ui.theme import FAMILY_COLOURS, shades

TITLES = {
    "paper": "As published",
    "toy_code": "As coded, toy",
    "flowers_code": "As coded, Flowers",
    "corrected": "Corrected",
    "metropolis": "Corrected, accept step",
    "exact": "Exact samples",
}
_IN_WORDS = {
    "paper": "the published step",
    "toy_code": "the toy code",
    "flowers_code": "the Flowers code",
    "corrected": "the corrected step",
    "metropolis": "the step with an accept step",
    "tamed_ula": "tamed ULA",
}
DASHES: dict[str, list[int]] = {
    "toy_code": [7, 3],
    "flowers_code": [2, 2],
    "metropolis": [7, 3, 2, 3],
    "tamed_ula": [5, 3],
}
# In the order of the clouds' panels, so that a method has one colour on the page.
_PUBLISHED, _CORRECTED, _ACCEPTED, _CODED = shades(["anisotropic"] * 4)
_SHADES = {
    "paper": _PUBLISHED,
    "toy_code": _CODED,
    "flowers_code": _CODED,
    "corrected": _CORRECTED,
    "metropolis": _ACCEPTED,
}
_TAMED = shades(["overdamped"] * 2)[1]


def title(method: str, smooth: bool = False) -> str:
    """A method's name for people; smooth: with a γ that neither the paper nor its authors' code has."""
    if smooth and method in VARIANTS:
        return "Published step, smooth γ" if method == "paper" else f"{title(method)}, smooth γ"
    return TITLES[method] if method in TITLES else samplers.get_class(method).title


def inline(method: str, smooth: bool = False) -> str:
    """The name within a sentence."""
    name = _IN_WORDS.get(method) or title(method)
    return f"{name} with a smooth γ" if smooth and method in VARIANTS else name


def is_dark() -> bool:
    """Whether the reader's page is dark."""
    return st.context.theme.type == "dark"


def colour(method: str) -> str:
    """The colour of a method on the page as the reader sees it: AniLA's variants are shades of one hue."""
    pair = _SHADES.get(method) or {"tamed_ula": _TAMED, "exact": FAMILY_COLOURS["exact"]}.get(method)
    return (pair or FAMILY_COLOURS[samplers.get_class(method).family])[is_dark()]


def ink() -> str:
    """The colour of closed forms and floors."""
    return FAMILY_COLOURS["exact"][is_dark()]


def quiet() -> str:
    """The colour of axes and cursors."""
    return "#9BA1A7" if is_dark() else "#646B72"


def paper() -> str:
    """The colour of the page."""
    return "#121314" if is_dark() else "#FBFAF7"
