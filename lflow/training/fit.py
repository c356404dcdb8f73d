"""Whether a model is for the data of a run, by what is known of them before they are read.

Knows nothing of folders and of how training goes.
"""

from __future__ import annotations

from functools import lru_cache

import torch

from lflow import data
from lflow.models.base import Model
from lflow.training.config import Config, DataChoice

_LEVELS = 256  # of what is scaled, or loses its colours


def refuse_misfit(config: Config) -> None:
    """ValueError where a model is not for the named data set, as its `build` says; others are not known."""
    if config.data.source in data.names() and (wrong := _wrong(config.model, *expected(config.data))):
        raise ValueError(wrong)


def expected(choice: DataChoice) -> tuple[tuple[int, ...], int | None]:
    """Shape and grey values of a named data set, prepared as chosen. ValueError where points cannot be."""
    about = data.describe(choice.source)
    shape, levels = about.shape, about.levels
    if levels is None:
        if choice.size or choice.grey or choice.binary:
            raise ValueError(f"{choice.source} is a set of points: it has no size, colours, black and white")
        return shape, None
    channels, height, width = shape
    look = (1 if choice.grey else channels, choice.size or height, choice.size or width)
    if choice.binary:
        return look, 2
    return look, levels if look == shape else _LEVELS


@lru_cache(256)
def _wrong(model: Model, shape: tuple[int, ...], levels: int | None) -> str:
    """What `build` says of such data, empty where they go together. It takes no memory of networks."""
    try:
        with torch.device("meta"):
            model.build(shape, levels)
    except ValueError as error:
        return str(error)
    return ""
