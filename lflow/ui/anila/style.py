"""What the methods of the page AniLA are called and how they are drawn, on light and on dark pages."""

from __future__ import annotations

from lflow import samplers
from lflow.samplers.anila import VARIANTS
from lflow.ui.curves import DASHES, Look, theme_index
from lflow.ui.names import ANILA
from lflow.ui.theme import FAMILY_COLOURS, INK, PAPER, shades

_IN_WORDS = {
    "paper": "the published step",
    "toy_code": "the toy code",
    "flowers_code": "the Flowers code",
    "corrected": "the corrected step",
    "metropolis": "the step with an accept step",
    "tamed_ula": "tamed ULA",
}
_DASHES = {
    "toy_code": DASHES[1],
    "flowers_code": DASHES[2],
    "metropolis": DASHES[3],
    "tamed_ula": DASHES[1],
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
    name = ANILA.get(method)
    return name[:1].upper() + name[1:] if name else samplers.get_class(method).title


def inline(method: str, smooth: bool = False) -> str:
    """The name within a sentence."""
    name = _IN_WORDS.get(method) or title(method)
    return f"{name} with a smooth γ" if smooth and method in VARIANTS else name


def colour(method: str) -> str:
    """The colour of a method on the page as the reader sees it: AniLA's variants are shades of one hue."""
    pair = _TAMED if method == "tamed_ula" else _SHADES.get(method)
    return (pair or FAMILY_COLOURS[samplers.get_class(method).family])[theme_index()]


def look(method: str) -> Look:
    """Its colour and its dash."""
    return Look(colour(method), _DASHES.get(method, DASHES[0]))


def ink() -> str:
    """The colour of closed forms."""
    return INK[theme_index()]


def paper() -> str:
    """The colour of the page."""
    return PAPER[theme_index()]
