"""What a step of each method costs in time, over ULA's on the same machine: measured once, and shipped.

The methods take turns, repetition by repetition, as in `python -m lflow bench`, and each is compared with
ULA's turn of the same repetition. `python -m lflow.ui.openings anila` measures anew where the file is gone.
"""

from __future__ import annotations

import datetime
import json
import statistics
from pathlib import Path
from typing import Any

from lflow import __version__, samplers, simulate
from lflow.papers.anila_edge import sampler
from lflow.papers.anila_laws import PLACES
from lflow.paths import assets_dir
from lflow.samplers.anila import VARIANTS
from lflow.ui.anila.runs import COMPARED, TARGETS

COMMAND = "python -m lflow.ui.openings anila"
CHAINS, TURN, REPETITIONS = 2000, 0.15, 9


def cost_file() -> Path:
    """Where the ratios lie."""
    return assets_dir() / "studies" / "anila-cost.json"


def gradients_per_step(method: str) -> int:
    """Gradients that a step of a method takes; a Hessian-vector product counts as one."""
    return (sampler(method, 1.0) if method in VARIANTS else samplers.get(method)).gradients_per_step


def measure() -> dict[str, Any]:
    """The time of a step over that of ULA's step, by target and method: medians, one thread."""
    import torch

    from lflow.bench.sampling import take_turns

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ratios: dict[str, dict[str, float]] = {}
    for name, target in TARGETS.items():
        energy = PLACES[target.part].energy()
        start = energy.sample(CHAINS, torch.Generator().manual_seed(0))

        def runner(
            steps: int, moved: Any, energy: Any = energy, start: Any = start, h: float = target.h
        ) -> Any:
            return simulate(energy, moved, step_size=h, num_steps=steps, init=start, record_every=steps)

        found = {
            method: lambda steps, moved=moved: runner(steps, moved)
            for method in COMPARED
            for moved in [sampler(method, target.b if method in VARIANTS else None)]
        }
        rates = take_turns(found, CHAINS, TURN, REPETITIONS)
        ratios[name] = {
            method: round(
                statistics.median(ula / own for ula, own in zip(rates["ula"], rates[method], strict=True)), 2
            )
            for method in COMPARED
        }
    torch.set_num_threads(threads)
    circumstances = {"chains": CHAINS, "threads": 1, "repetitions": REPETITIONS, "lflow": __version__}
    versions = {"torch": torch.__version__, "date": datetime.date.today().isoformat(), "command": COMMAND}
    return {**circumstances, **versions, "ratios": ratios}


def ship() -> None:
    """Measure, and write the file, where it is not there."""
    if not cost_file().exists():
        cost_file().write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")


def measured() -> dict[str, Any]:
    """What is shipped."""
    found: dict[str, Any] = json.loads(cost_file().read_text(encoding="utf-8"))
    return found
