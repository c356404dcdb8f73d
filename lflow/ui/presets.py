"""Settings of the particle lab worth a look, each with the question that it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """A name, a question, and the controls (without the page's prefix) that differ from their defaults."""

    title: str
    question: str
    settings: dict[str, Any] = field(default_factory=dict)


PRESETS = (
    Preset("Eight modes", "Does the cloud find all eight?", {"energy": "gaussian_mixture", "h": 0.1}),
    Preset(
        "Step too large",
        "What happens above the stability edge?",
        {"energy": "quartic", "sampler": "ula", "h": 1.0, "num_steps": 100},
    ),
    Preset(
        "Narrow valley",
        "Why is the wide direction slow?",
        {"energy": "gaussian", "gaussian_condition_number": 100.0, "gaussian_angle": 30.0, "h": 0.01},
    ),
    Preset(
        "Trapped in a mode",
        "How long until half have crossed?",
        {"energy": "double_well", "double_well_barrier": 6.0, "h": 0.01, "num_steps": 2000},
    ),
    Preset(
        "Hole at the mode",
        "Where is AniLA, as published, wrong?",
        {
            "energy": "gaussian",
            "step": "anisotropic",
            "anisotropic_threshold": 0.1,
            "h": 0.2,
            "num_steps": 2000,
            "num_chains": 10_000,
        },
    ),
    Preset(
        "Momentum",
        "Does inertia help to leave a well?",
        {"energy": "muller_brown", "sampler": "baoab", "h": 0.03, "num_steps": 2000},
    ),
    Preset(
        "Minibatches",
        "How hot do noisy gradients run?",
        {
            "energy": "logistic_regression",
            "sampler": "sgld",
            "h": 0.002,
            "sgld_batch_size": 8,
            "num_steps": 1000,
        },
    ),
)

RACE_PRESETS = (
    Preset(
        "SGLD and AniLA",
        "What does the anisotropic step change?",
        {
            "lanes": 3,
            "1_sampler": "sgld",
            "2_sampler": "anila",
            "2_anila_elementwise": True,
            "3_sampler": "anila",
            "3_anila_elementwise": True,
            "3_anila_variant": "metropolis",
        },
    ),
    Preset(
        "A gradient better spent",
        "Which scheme makes most of a gradient?",
        {
            "energy": "gaussian",
            "lanes": 4,
            "2_sampler": "rmm",
            "3_sampler": "srk",
            "4_sampler": "leimkuhler_matthews",
            **{f"{lane}_h": 0.5 for lane in range(1, 5)},
            "num_chains": 5000,
        },
    ),
    Preset(
        "Momentum",
        "Does inertia cross faster?",
        {
            "energy": "muller_brown",
            "lanes": 3,
            "2_sampler": "baoab",
            "3_sampler": "hmc",
            "gradients": 1000,
        },
    ),
    Preset(
        "Trapped",
        "Who gets out of the first mode?",
        {
            "energy": "double_well",
            "double_well_barrier": 6.0,
            "lanes": 3,
            "2_sampler": "hmc",
            "3_sampler": "replica_exchange",
            "gradients": 1000,
        },
    ),
    Preset(
        "Bias or refusals",
        "What does the accept step buy at a large step?",
        {"energy": "banana", "2_sampler": "mala", "1_h": 0.05, "2_h": 0.05, "gradients": 500},
    ),
    Preset(
        "Steep walls",
        "Who survives a gradient that grows without bound?",
        {
            "energy": "quartic",
            "lanes": 4,
            "3_sampler": "tamed_ula",
            "4_sampler": "mala",
            **{f"{lane}_h": 0.3 for lane in range(1, 5)},
            "start": "box",
        },
    ),
)
