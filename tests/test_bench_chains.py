"""`bench chains`: what is counted and compared; its times are no test."""

from __future__ import annotations

import torch

from lflow.bench import chains
from lflow.papers.protocol_findings import NAMES
from tests.statistics import one_thread  # noqa: F401  (a fixture)


def test_leapfrog_takes_one_gradient_more_and_times_are_told_over_its_own() -> None:
    rows = chains.rows(2, torch.device("cpu"), turns=1)
    gradients = {row["method"]: row["gradients"] for row in rows}
    assert list(gradients) == [NAMES[each] for each in chains.METHODS]
    assert list(gradients.values()) == [3, 3, 2, 2, 3]
    assert all(row["seconds"] > 0 for row in rows)
    told = [{**row, "seconds": 0.004 if row["method"] == "HVAE" else 0.003} for row in rows]
    about = {"command": "c", "date": "d", "machine": {"cpu": "", "cores": 1, "ram_gib": 1, "system": ""}}
    about |= {"versions": {}, "load_average_before": 0, "load_average_after": 0, "device": "cpu"}
    text = chains.markdown({**about, "rows": told})
    assert "| 2 | HVAE | 3 | 4.00 | 1.00× | 75,000 |" in text
    assert "| 2 | Langevin-VAE, σ = 0 | 2 | 3.00 | 0.75× | 66,667 |" in text
