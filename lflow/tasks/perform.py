"""The tasks: inputs from the test split of a run's data, what the model makes of them, and how good it is.

Knows of a model the methods that it has, and nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lflow.draws import SYNTHESIS, Draws, derived_seed
from lflow.evaluation import outliers, reconstruction
from lflow.evaluation.plain import compared, guesses, mean_of
from lflow.evaluation.subject import Score, Subject
from lflow.evaluation.synthesis import parts, synthesize
from lflow.metrics import auroc
from lflow.models.base import Learner
from lflow.tasks.base import Outcome, Settings, Task


def perform(name: str, subject: Subject, settings: Settings) -> Outcome:
    """Do a task with a model. ValueError names the tasks that the model can do, if this is none of them.

    Example:
        >>> subject = Subject(lflow.load("runs/first"), DataChoice(source="digits"))
        >>> perform("inpaint", subject, Settings(mask="left")).scores
    """
    task = find(name)
    possible = offered(subject.learner)
    if name not in possible:
        model = subject.learner.settings.name
        raise ValueError(f"a model of the kind {model} cannot {name}; it can: {', '.join(possible)}")
    subject.tell(task.about, 0, settings.num)
    return task.perform(subject, settings)


def find(name: str) -> Task:
    """The task of that name. ValueError names all."""
    if name not in TASKS:
        raise ValueError(f"there is no task {name!r}; there are: {', '.join(TASKS)}")
    return TASKS[name]


def offered(learner: Learner) -> tuple[str, ...]:
    """The names of the tasks that a model can do."""
    return tuple(name for name, task in TASKS.items() if hasattr(learner, task.method))


def _synthesize(subject: Subject, settings: Settings) -> Outcome:
    samples = synthesize(
        subject.learner, settings.num, subject.seed, lambda done, of: subject.tell("samples", done, of)
    )
    return Outcome({"samples": samples}, [], {"samples": samples})


def _reconstruct(subject: Subject, settings: Settings) -> Outcome:
    x = _inputs(subject, settings.num)
    made = reconstruction.reconstructed(subject, x)
    score = reconstruction.scored(subject, x, made)
    rows = {"original": x, "reconstruction": made}
    return Outcome(rows, [score], rows)


def _interpolate(subject: Subject, settings: Settings) -> Outcome:
    x = _inputs(subject, 2 * settings.num)
    a, b = x[: len(x) // 2], x[len(x) // 2 : len(x) // 2 * 2]
    if not len(a):
        raise ValueError("an interpolation needs two test data points")
    made = _offers(subject).interpolate(a, b, settings.num_points)
    ends, wanted = torch.cat([made[:, 0], made[:, -1]]), torch.cat([a, b])
    everywhere = torch.ones_like(wanted)
    about = f"of a number at the ends of {len(a):,} interpolations, to the test data that they should be"
    rivals = _plain(subject, wanted, everywhere)
    score = compared("error at the ends", ends, wanted, everywhere, rivals, about)
    rows = {"from": a} | _numbered("between", made) | {"to": b}
    return Outcome(rows, [score], {"from": a, "between": made, "to": b})


def _inpaint(subject: Subject, settings: Settings) -> Outcome:
    x = _inputs(subject, settings.num)
    missing = settings.missing(x, derived_seed(subject.seed, 1))
    seen = x.masked_fill(missing, 0.0)
    count = settings.chain_steps or None
    made = torch.cat(
        [
            _offers(subject).inpaint(seen[part], missing[part], settings.num_chains, seed, count)
            for part, seed in _parts(subject, settings, len(x))
        ]
    )
    plain = _plain(subject, seen, (~missing).to(x.dtype))
    about = (
        f"of a missing number, {float(missing.float().mean()):.0%} of each of {len(x):,} test data points, "
        f"by {_by(made)}"
    )
    score = compared("error where it was missing", made.mean(1), x, missing, plain, about)
    return _restored(subject, x, seen, made, missing, [score])


def _recover(subject: Subject, settings: Settings) -> Outcome:
    x = _inputs(subject, settings.num)
    noise = settings.noise * Draws(derived_seed(subject.seed, 2), 0, x.device, use=SYNTHESIS).normal(x.shape)
    seen = x + noise
    count = settings.chain_steps or None
    made = torch.cat(
        [
            _offers(subject).recover(seen[part], settings.noise, None, settings.num_chains, seed, count)
            for part, seed in _parts(subject, settings, len(x))
        ]
    )
    everywhere = torch.ones_like(x)
    rivals = {"what was seen": seen} | _plain(subject, seen, everywhere)
    made = _different(made)
    about = (
        f"of a number of each of {len(x):,} test data points with noise of deviation {settings.noise:g}, by "
        f"{_by(made)}"
    )
    score = compared("error of what was recovered", made.mean(1), x, everywhere, rivals, about)
    return _restored(subject, x, seen, made, everywhere > 0, [score])


def _rank(subject: Subject, settings: Settings) -> Outcome:
    chosen = subject.test.first_of_shuffle(settings.num, subject.seed)
    x = chosen.batch(slice(None), subject.device)
    score = _offers(subject).anomaly_score(x)
    order = score.argsort()
    found = outliers.ranked(subject) or [_against_mixtures(subject, x, score)]
    arrays = {"x": x[order], "scores": score[order], "labels": chosen.labels.to(order.device)[order]}
    return Outcome({"from the most to the least ordinary": x[order]}, found, arrays)


def _against_mixtures(subject: Subject, x: Tensor, score: Tensor) -> Score:
    """Is each x more ordinary than a point whose every number comes from another x?"""
    flat = x.flatten(1)
    generator = torch.Generator().manual_seed(derived_seed(subject.seed, 3))
    rows = torch.rand(flat.shape, generator=generator).argsort(0).to(x.device)
    mixed = flat.gather(0, rows).view(x.shape)
    truth = torch.cat([torch.zeros(len(x)), torch.ones(len(x))]).bool()
    mean = mean_of(subject.training).to(x)
    away = (torch.cat([x, mixed]) - mean).flatten(1).square().sum(1)
    both = torch.cat([score, _offers(subject).anomaly_score(mixed)])
    about = (
        f"the chance that a point mixed of the numbers of {len(x):,} test data points scores higher than one "
        "of those"
    )
    beside = {"base rate": 0.5, "distance to the mean": auroc(away.cpu(), truth).value}
    return Score("AUROC", auroc(both.cpu(), truth).value, None, "share", beside, about)


_CHAINS = ("num", "num_chains", "chain_steps")
TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("synthesize", "synthesize", "new data points", _synthesize),
        Task("reconstruct", "reconstruct", "test data from their own latent vectors", _reconstruct),
        Task("interpolate", "interpolate", "points between test data", _interpolate, ("num", "num_points")),
        Task("inpaint", "inpaint", "what is missing of test data", _inpaint, (*_CHAINS, "mask", "share")),
        Task("recover", "recover", "test data without the noise on them", _recover, (*_CHAINS, "noise")),
        Task("anomaly", "anomaly_score", "test data by how unusual they are", _rank),
    )
}


# --- what they share --------------------------------------------------------------------------------------


def _offers(subject: Subject) -> Any:
    """The model, whose method for the task was found."""
    return subject.learner


def _inputs(subject: Subject, num: int) -> Tensor:
    """The first test data points in the order of the seed, of the kind that was learned."""
    chosen = subject.unseen.first_of_shuffle(num, subject.seed)
    return chosen.batch(slice(None), subject.device)


def _parts(subject: Subject, settings: Settings, num: int) -> Iterator[tuple[slice, int]]:
    """Rows whose chains fit into memory, each with its seed."""
    size = max(1, subject.learner.rows_at_once // settings.num_chains)
    return parts(num, size, subject.seed, lambda done, of: subject.tell("data points", done, of))


def _plain(subject: Subject, seen: Tensor, visible: Tensor) -> dict[str, Tensor]:
    return guesses(subject.training, seen, visible)


def _restored(
    subject: Subject, x: Tensor, seen: Tensor, made: Tensor, where: Tensor, scores: list[Score]
) -> Outcome:
    """Original, seen, chains and their spread; the spread is a score where there are chains to differ."""
    spread = made.std(1) if made.shape[1] > 1 else torch.zeros_like(x)
    error = (made.mean(1) - x)[where].square().mean().sqrt()
    if made.shape[1] > 1 and bool(where.any()):
        rms = float(spread[where].square().mean().sqrt())
        about = "of the chains about their mean, of a number; where a model is sure and right both are small"
        if hasattr(subject.learner, "decoder"):
            about += "; of the decoder's means, without p(x|z)'s own noise"
        scores = [*scores, Score("spread", rms, None, "deviation", {"their error": float(error)}, about)]
    rows = {"original": x, "seen": seen} | _numbered("chain", made)
    rows |= {"mean of the chains": made.mean(1)}
    if x.ndim == 4:  # black where there is none, white from one on
        rows["spread"] = 2 * spread - 1
    arrays = {"x": x, "seen": seen, "made": made, "spread": spread, "where": where}
    return Outcome(rows, scores, arrays)


def _different(made: Tensor) -> Tensor:
    """The chains, (n, num_chains, *shape); one of them where they draw nothing, and all are the same."""
    return made[:, :1] if torch.equal(made, made[:, :1].expand_as(made)) else made


def _by(made: Tensor) -> str:
    count = made.shape[1]
    return f"the mean of {count:,} chains" if count > 1 else "one chain, which has no spread"


def _numbered(name: str, made: Tensor) -> dict[str, Tensor]:
    return {f"{name} {k + 1}": each for k, each in enumerate(made.unbind(1))}
