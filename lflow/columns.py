"""Rows of words in columns that line up, as a terminal shows them."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A line for each row, every column as wide as its widest cell.

    Example:
        >>> print(aligned([["model", "nats"], ["vae", "-17.2"]]))
        model  nats
        vae    -17.2
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
