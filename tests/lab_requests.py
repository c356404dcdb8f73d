"""Small requests of the lab, for its tests."""

from typing import Any

import numpy as np

from lflow.loop import Result
from lflow.ui.request import (
    Request,
    Settings,
    as_json,
)
from lflow.ui.run import run
from lflow.ui.store import Store

FORMULA = as_json("from_expression", text="x**2 + (y - 1)**4", reach=3.0)
POINTS = as_json("from_points", points=np.random.default_rng(0).normal(size=(40, 2)).tolist(), bandwidth=1.0)


def make_request(
    energy: str = "banana", sampler: str = "ula", rule: str = "constant", h: float = 0.01, **settings: Any
) -> Request:
    """A small run."""
    config = energy if energy.startswith("{") else as_json(energy)
    small = Settings(**{"num_chains": 50, "num_steps": 40, **settings})
    return Request(config, as_json(sampler), as_json(rule, step_size=h), small)


def finished(**settings: Any) -> tuple[Request, Result]:
    request = make_request(**settings)
    return request, run(request, Store(1))
