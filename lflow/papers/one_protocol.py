"""One protocol for every model with latent vectors: the same data, networks, training and choices.

Black and white images, a Bernoulli decoder, eight numbers in z and one trunk for every encoder. Every method
learns for as many steps, at each of a few rates; of all looks at all of them that one is kept which gives
validation data the highest log p(x), and it alone is measured on the test split. It knows nothing of how a
model infers z.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lflow import data, models
from lflow.evaluation.likelihood import independent_log_likelihood
from lflow.models.base import Learner, Model
from lflow.models.lae import LAE, LAELearner
from lflow.models.latent import LatentLearner
from lflow.papers.experiment import Config as Run
from lflow.papers.experiment import Findings, Job
from lflow.papers.learn import WeightsLost, learn
from lflow.papers.protocol_findings import LOST, rates
from lflow.papers.protocol_measures import BATCH, FULL, QUICK, look, measure
from lflow.training.batches import Batches
from lflow.training.config import Config, DataChoice, Training

NETWORKS: Mapping[str, Any] = {"latent_dim": 8, "likelihood": "bernoulli", "width": 64, "depth": 2}
FEATURES = 256  # the trunk's numbers: more than data in a batch, as the theory of LAE asks
IMAGES: Mapping[str, int] = {"digits": 0, "mnist": 10_000}
"""Images to train on; 0 for all."""
STEPS, QUICK_STEPS = 2000, 40  # of training
LAE_STEP: Mapping[str, float] = {"digits": 6e-6, "mnist": 6e-7}
"""h of LAE's chain for each data set: set, where the other chains learn theirs."""

CHAINS = ("hvae", "hvae_fixed", "hvae_free", "deterministic", "noisy", "reverse_kernel")
WITH_STEPS = ("iwae", *CHAINS)
"""Methods that K steps, or as many passes, set apart."""
_MODELS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "vae": ("vae", {}),
    "iwae": ("vae", {"objective": "iwae"}),
    "hvae": ("hvae", {"tempering": "none"}),
    "hvae_fixed": ("hvae", {"tempering": "fixed"}),
    "hvae_free": ("hvae", {"tempering": "free"}),
    "deterministic": ("langevin_vae", {"mode": "deterministic"}),
    "noisy": ("langevin_vae", {"mode": "noisy"}),
    "reverse_kernel": ("langevin_vae", {"mode": "reverse_kernel"}),
    "map": ("lae", {"temperature": 0.0}),
    "lae": ("lae", {}),
    "lae_mh": ("lae", {"metropolis": True}),
    # Layer norm as in the networks of LAE's authors: without it plain descent gets less far.
    "clae": ("clae", {"noise": "published", "layer_norm": True}),
    "clae_still": ("clae", {"noise": "off", "layer_norm": True}),
}


def matched(num_steps: int) -> int:
    """The draws of an IWAE that take the passes through the decoder that HVAE's K steps take.

    A pass forward or a derivative of one is a unit: a draw takes three; a gradient within a chain is two, and
    to learn through it twice as many more; log p(x, z_K) takes three.
    """
    return 2 * (num_steps + 1) + 1


def model_of(method: str, num_steps: int) -> tuple[str, dict[str, Any]]:
    """A method's model and what sets it apart, for chains of so many steps."""
    name, own = _MODELS[method]
    if method == "iwae":
        return name, {**own, "num_importance": matched(num_steps)}
    return name, {**own, "num_steps": num_steps} if method in CHAINS else dict(own)


# --- what is trained --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OnTrunk(Model):
    """A model whose encoder is the protocol's trunk and a linear layer; LAE's own is the same."""

    model: Model

    def build(self, shape: tuple[int, ...], levels: int | None = None) -> Learner:
        learner = self.model.build(shape, levels)
        if not isinstance(learner, LAELearner):
            assert isinstance(learner.encoder, nn.Sequential)
            last = learner.encoder[-1]
            assert isinstance(last, nn.Linear)
            trunk = _trunk().make_features(shape)
            learner.encoder = nn.Sequential(trunk, nn.Linear(FEATURES, last.out_features))
        return learner


def _trunk(**own: Any) -> LAE:
    model = models.get("lae", **NETWORKS, encoder_norm=True, features=FEATURES, **own)
    assert isinstance(model, LAE)
    return model


def settings(run: Run, rate: float) -> Config:
    """What is trained for a method at that rate: whole, so that no preset has a say."""
    name, own = model_of(run["method"], run["num_steps"])
    if name == "lae":
        model: Model = _trunk(step_size=LAE_STEP[run["data"]], learning_rate=rate, **own)
    else:
        model = models.get(name, **NETWORKS, learning_rate=rate, **own)
    choice = DataChoice(source=run["data"], binary=True, limit=IMAGES[run["data"]])
    training = Training(num_steps=run["steps"], batch_size=BATCH, decay=1.0, ema=0.0)
    return Config(OnTrunk(model), choice, training, run["seed"])


def held_out(source: str, points: int) -> Tensor:
    """The images that models are measured on, (points, 1, h, w): of the test split, none seen in training."""
    return data.load(source, "test", limit=points, binary=True).x


def is_at_hand(source: str) -> bool:
    """Whether the data set is on this machine or to be had."""
    try:
        data.open(source, "test")
    except OSError:
        return False
    return True


# --- a run ------------------------------------------------------------------------------------------------


def compared(source: str, quick: bool, seed: int, methods: Sequence[str], counts: Sequence[int]) -> list[Job]:
    """A run of each method, for each number of steps where it has steps; the same in every paper."""
    steps = QUICK_STEPS if quick else STEPS
    shared = {"part": "compare", "data": source, "quick": quick, "seed": seed, "steps": steps}
    places = [(method, k) for method in methods for k in (counts if method in WITH_STEPS else (0,))]
    return [
        Job({**shared, "method": each, "num_steps": k}, _cost(source, quick, each, k)) for each, k in places
    ]


def plain(source: str, quick: bool) -> Job:
    """What takes no model, to stand beside all runs of that data set."""
    return Job({"part": "plain", "data": source, "quick": quick, "seed": 0}, 100.0)


def _cost(source: str, quick: bool, method: str, num_steps: int) -> float:
    """Roughly, in milliseconds."""
    a_step = {"vae": 1.5, "iwae": 1.5 + num_steps / 2}.get(method, 1.5 + num_steps if num_steps else 4.0)
    steps, measuring = (QUICK_STEPS, 8000.0) if quick else (STEPS, 35_000.0)
    return (2 if source == "mnist" else 1) * (measuring + 3 * steps * a_step)


class Look(NamedTuple):
    """A model as it was at a look, the mean log p(x) of validation data, and what else was seen."""

    rate: float
    step: int
    worth: float
    learner: LatentLearner
    seen: Findings


Watch = Callable[[LatentLearner, Tensor], Findings]
"""What else is to be seen of a learner, with the validation data."""


def is_one(run: Run) -> bool:
    """Whether a run is the protocol's, and not a paper's own."""
    return run["part"] in ("compare", "plain")


def work(run: Run, watch: Watch = lambda learner, x: {}) -> Findings:
    """What the kept model is worth on the test split; its rate and step, and every look."""
    effort = QUICK if run["quick"] else FULL
    if run["part"] == "plain":
        known = data.open(run["data"], "train", limit=IMAGES[run["data"]] or None, binary=True)
        x = held_out(run["data"], effort.points)
        return {"pixels": independent_log_likelihood(known, x), "points": len(x)}
    looks = looks_of(run, watch)
    if not looks:
        return LOST
    kept = max(looks, key=lambda each: each.worth)
    x = held_out(run["data"], effort.points)
    found = measure(kept.learner.eval(), x, run["seed"], effort)
    told = [{"rate": e.rate, "step": e.step, "worth": e.worth} | e.seen for e in looks]
    return found | {"rate": kept.rate, "stop": kept.step, "looks": told}


def looks_of(run: Run, watch: Watch) -> list[Look]:
    """Every look at every rate, but where weights were lost, which is what a rate too high leads to."""
    effort = QUICK if run["quick"] else FULL
    found: list[Look] = []
    for rate in rates(run["method"]):
        config = settings(run, rate)
        x = Batches(config, torch.device("cpu")).validation()

        def see(step: int, learner: Learner, rate: float = rate, x: Tensor = x) -> None:
            assert isinstance(learner, LatentLearner)
            if not all(bool(weight.isfinite().all()) for weight in learner.parameters()):
                return
            worth = look(learner, x[: effort.looked], run["seed"], effort)
            if math.isfinite(worth):
                found.append(Look(rate, step, worth, copy.deepcopy(learner), watch(learner, x)))

        try:
            learn(config, max(1, run["steps"] // effort.looks), see)
        except WeightsLost:  # the looks before are as good as others
            continue
    return found
