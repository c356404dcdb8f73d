"""What pages call AniLA's variants, in lists, panels, charts and sentences alike."""

from __future__ import annotations

ANILA = {
    "paper": "as published",
    "toy_code": "toy code",
    "flowers_code": "Flowers code",
    "corrected": "corrected",
    "metropolis": "accept step",
}
"""By the library's name, to follow "AniLA, "; a page that shows nothing else leaves that out."""
