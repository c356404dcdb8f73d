"""What a run of the papers' one protocol might find, made up: set levels, and a little by the seed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lflow.papers.experiment import Config, Findings, key
from lflow.papers.protocol_findings import MEASURES, rates

PIXELS = -29.0  # nats


def jitter(config: Config) -> float:
    """A small number that depends on the run."""
    return float(0.01 * np.random.default_rng(len(key(config)) + config["seed"]).standard_normal())


def made_up(config: Config, levels: Mapping[str, float]) -> Findings:
    """Levels of log p(x) by method, -20 where none is given; the look kept is the first of the last rate."""
    if config["part"] == "plain":
        return {"pixels": PIXELS, "points": 100}
    method, steps = config["method"], config["steps"]
    worth = levels.get(method, -20.0) + jitter(config)
    looks: list[Findings] = [
        {"rate": rate, "step": step, "worth": worth} for rate in rates(method) for step in (steps // 2, steps)
    ]
    found: Findings = dict.fromkeys(MEASURES, worth)
    found |= {"bound": worth - 1.0, "squared_error": 0.3 - worth / 100}
    found |= {"effective": 0.5, "stated_error": 0.02}
    found |= {"gradients": config["num_steps"], "seconds": 0.01 + 0.01 * jitter(config)}
    found |= {"checked": {"importance": -20.0, "annealed": -19.75, "error": 0.1}}
    return found | {"rate": rates(method)[-1], "stop": steps // 2, "looks": looks}
