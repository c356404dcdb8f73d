"""CoopFlow (Xie, Zhu, Li & Li, arXiv 2205.06924), small and honest: what generates, and what is a density.

Plane: eight Gaussians, rings and a pinwheel. The flow alone, the pair after several numbers of steps and
after a long run, beside exact draws of the data and of exp(f)/Z, which a grid normalises. Against it: the
same flow by maximum likelihood, and the same energy with chains from noise or kept. All learn for as many
steps, with the same networks, chain and step size. Digits: the same with a classifier's features.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lflow import data, energies, models
from lflow.evaluation.extractor import classifier_features
from lflow.evaluation.grid import against
from lflow.metrics import frechet
from lflow.models import coopflow as model
from lflow.models.base import Learner
from lflow.models.coopflow import CoopFlowLearner
from lflow.models.data_flow import FlowSettings
from lflow.models.ebm import EBMLearner
from lflow.models.flow import FlowLearner
from lflow.papers.coopflow_findings import COOPERATIVE, LEARNED, LONG, TESTED, conclude
from lflow.papers.coopflow_measures import GridLaw, box_of, distances, draw_data, shares_shown
from lflow.papers.experiment import Config as Run
from lflow.papers.experiment import Findings, Job
from lflow.papers.learn import learn
from lflow.spec import parameters
from lflow.training.config import Config, DataChoice, Training

__all__ = ["TITLE", "conclude", "draw", "jobs", "work"]

TITLE = "CoopFlow, a flow and a Langevin chain that teach each other (Xie, Zhu, Li & Li 2022)"
STEPS = {"gaussian_mixture": 700, "rings": 1000, "pinwheel": 700}
"""Of learning: rings close together take longer."""
COSTS = {"flow": 0.3, "ebm_noise": 0.6, "ebm_persistent": 0.6, "exact": 0.01}
"""Of a step of learning, where that of a pair is one."""
_PICTURED, _POINTS, _MANY = 0, 700, 20_000  # the seed that the figure shows, its points, those of its density
_UNSEEN = 355  # digits of the test split


def jobs(quick: bool, seeds: int) -> list[Job]:
    """Every run: what is learned, and exact draws."""
    found = []

    def add(part: str, name: str, method: str, seed: int, chains: int, steps: int) -> None:
        config = {"part": part, "data": name, "method": method, "seed": seed}
        cost = COSTS.get(method, 1.0) * (2 if part == "digits" else 1)
        found.append(Job(config | {"chains": chains, "steps": steps}, cost * steps))

    if quick:
        plane, chains, digits = {"gaussian_mixture": 150}, 1000, 60
        methods = ["scratch", "scratch_as_coded", "flow", "exact"]
        on_digits = ["scratch", "flow", "exact"]
    else:
        plane, chains, digits = STEPS, 2000, 400
        methods = [*COOPERATIVE, "flow", "ebm_noise", "ebm_persistent", "exact"]
        on_digits = ["scratch", "scratch_as_coded", "flow", "ebm_noise", "exact"]
    for seed in range(seeds):
        for name, steps in plane.items():
            for method in methods:
                if method != "pretrained_as_coded" or name == "gaussian_mixture":
                    add("plane", name, method, seed, chains, steps)
    for seed in range(min(seeds, 2) if quick else seeds):
        for method in on_digits:
            add("digits", "digits", method, seed, _UNSEEN, digits)
    return found


def work(config: Run) -> Findings:
    """One run."""
    return (_plane if config["part"] == "plane" else _digits)(config)


def learned(config: Run) -> Learner:
    """What a run trains."""
    method, steps = config["method"], config["steps"]
    preset = model.PRESETS[config["data"]]
    pair = models.get("coopflow", **preset.model)
    assert isinstance(pair, model.CoopFlow)
    if method in COOPERATIVE:
        own = {"pretrain_steps": max(1, steps // 3), "freeze_steps": steps // 6}
        made = {"name": "coopflow", **preset.model, **COOPERATIVE[method], **own}
    elif method == "flow":
        same = [parameter.name for parameter in parameters(FlowSettings)]
        made = {"name": "flow", **{name: getattr(pair, name) for name in same}}
    else:
        made = _energy_alone(pair, config)
    training = Training(**{**preset.training, "num_steps": steps})
    # Whole, so that no preset of the other model has a say.
    whole = models.get(made.pop("name"), **made)
    return learn(Config(whole, DataChoice(source=config["data"]), training, config["seed"]))


def _energy_alone(pair: model.CoopFlow, config: Run) -> dict[str, Any]:
    """The pair's energy with chains that start in noise, or are kept; T and h in units of its scale."""
    temperature = 1 / pair.energy_scale
    reach = 1.0 if config["part"] == "digits" else max(high for _, high in box_of(config["data"]))
    return {
        "name": "ebm",
        "start": config["method"].removeprefix("ebm_"),
        "sampler": "ula",
        "noise": "uniform",
        "noise_scale": reach,
        "num_kept": max(1000, config["chains"]),
        "temperature": temperature,
        "step_size": pair.step_size / temperature,
        "chain_steps": pair.chain_steps,
        "net": pair.net,
        "layers": ",".join([str(pair.width)] * pair.depth),
        "learning_rate": pair.energy_rate,
        "momentum": pair.momentum,
    }


def _plane(config: Run) -> Findings:
    name, n, seed = config["data"], config["chains"], config["seed"]
    points = draw_data(name, n, seed)
    if config["method"] == "exact":
        return distances(draw_data(name, n, seed + 500_000), points)
    learner = learned(config)
    after = [None if x is None else distances(x, points) for x in _after(learner, n, seed, (*TESTED, LONG))]
    found: Findings = {key: [row and row[key] for row in after] for key in ("mmd", "w2")}
    if isinstance(learner, FlowLearner | CoopFlowLearner):
        of_flow = against(lambda x: -learner.flow.flow.log_prob(x), energies.get(name))
        found["kl_flow"] = float(of_flow.kl - of_flow.log_z)  # a flow needs no normaliser
    if isinstance(learner, EBMLearner | CoopFlowLearner):
        scale = learner.settings.temperature if isinstance(learner, EBMLearner) else 1.0
        of_energy = against(learner.energy, energies.get(name), scale)
        found |= {"kl_energy": float(of_energy.kl), "edge_energy": float(of_energy.edge)}
        law = GridLaw.of(lambda x: learner.energy(x) / scale, name)
        found |= {f"{key}_energy": value for key, value in distances(law.draw(n, seed), points).items()}
        if config["method"] == "scratch" and seed == _PICTURED:
            found |= _picture(learner, law, name)
    return found


def _after(learner: Learner, n: int, seed: int, counts: tuple[int, ...]) -> list[Tensor | None]:
    """Samples after each number of steps of the chain; None where a method has none."""
    if isinstance(learner, CoopFlowLearner):
        proposed = learner.propose(n, seed)
        return [learner.revise(proposed, learner.fresh_draws(seed), count) for count in counts]
    if isinstance(learner, EBMLearner):
        return [learner.synthesize(n, seed, count) if count else None for count in counts]
    return [None if count else learner.synthesize(n, seed) for count in counts]


def _picture(learner: Learner, law: GridLaw, name: str) -> Findings:
    """What the figure shows of a pair: points of the flow and of the pair, and two densities."""
    proposed, revised = _after(learner, _MANY, 1, (0, LEARNED))
    assert proposed is not None
    assert revised is not None
    shown = {"flow": proposed[:_POINTS], "pair": revised[:_POINTS]}
    found = {f"{which}_{axis}": x[:, k].tolist() for which, x in shown.items() for k, axis in enumerate("xy")}
    return found | {"pair_density": shares_shown(revised, name), "energy_density": law.shown()}


def _digits(config: Run) -> Findings:
    n, seed = config["chains"], config["seed"]
    unseen = data.load("digits", "test", limit=n).x
    extractor = classifier_features("digits")

    def distance(x: Tensor | None) -> float | None:
        if x is None or not x.isfinite().all():
            return None
        return float(frechet(extractor.features(x), extractor.features(unseen)))

    if config["method"] == "exact":
        seen = data.load("digits", "train", limit=n, seed=seed).x
        return {"frechet": distance(seen)}
    after = _after(learned(config), n, seed, TESTED)
    return {"frechet": [distance(x) for x in after], "name": extractor.distance_name}


def draw(findings: Findings) -> Any:
    """The figure."""
    from lflow.papers import coopflow_figure

    return coopflow_figure.draw(findings)
