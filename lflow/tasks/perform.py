"""The tasks: inputs from the test split of a run's data, what the model makes of them, and how good it is.

Knows of a model the methods that it has, and nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lflow.draws import SYNTHESIS, Draws, derived_seed
from lflow.evaluation import outliers, reconstruction
from lflow.evaluation.plain import compared, denoised, guesses, mean_of
from lflow.evaluation.subject import Score, Subject
from lflow.evaluation.synthesis import parts, synthesize
from lflow.metrics import auroc
from lflow.models.base import Learner
from lflow.spec import counted, each_of
from lflow.tasks.base import Outcome, Settings, Task

POINT = "test data point"
NOTHING = "nothing that the model made is finite: its weights are not, or its chains ran away"


def perform(name: str, subject: Subject, settings: Settings) -> Outcome:
    """Do a task with a model. ValueError names the tasks that the model can do, if this is none of them.

    RuntimeError where nothing that the model makes is finite.

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
    outcome = task.perform(subject, settings)
    num, notes = len(outcome.whole), list(outcome.notes)
    if lost := outcome.lost:
        verb = "is" if lost == 1 else "are"
        notes.insert(0, f"{lost:,} of {num:,} {verb} not finite, and left out of the numbers")
    if num != settings.num:
        enough = f"the test data are enough for {counted(num, task.noun)}"
        notes.insert(0, f"{enough}, not for the {settings.num:,} asked for")
    return outcome._replace(notes=notes)


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
    rows = {"samples": samples}
    return Outcome(rows, _whole(samples), [], rows)


def _reconstruct(subject: Subject, settings: Settings) -> Outcome:
    x = _inputs(subject, settings.num)
    made = reconstruction.reconstructed(subject, x)
    whole = _whole(made)
    z = getattr(subject.learner, "inferred", "")
    score = reconstruction.scored(subject, x[whole], made[whole], z)
    rows = {"original": x, "reconstruction": made}
    return Outcome(rows, whole, [score], rows)


def _interpolate(subject: Subject, settings: Settings) -> Outcome:
    x = _inputs(subject, 2 * settings.num)
    a, b = x[: len(x) // 2], x[len(x) // 2 : len(x) // 2 * 2]
    if not len(a):
        raise ValueError("an interpolation needs two test data points")
    made = torch.cat(
        [
            _offers(subject).interpolate(a[part], b[part], settings.num_points, seed=seed)
            for part, seed in _parts(subject, len(a), settings.num_points)
        ]
    )
    whole = _whole(made)
    ends, wanted = torch.cat([made[whole, 0], made[whole, -1]]), torch.cat([a[whole], b[whole]])
    everywhere = torch.ones_like(wanted)
    paths = counted(int(whole.sum()), "interpolation")
    about = f"of a number at the ends of {paths}, to the test data that they should be"
    rivals = _plain(subject, wanted, everywhere)
    score = compared("error at the ends", ends, wanted, everywhere, rivals, about)
    places = torch.linspace(0, 1, settings.num_points).tolist()
    on_way = {f"at {place:.0%}": each for place, each in zip(places, made.unbind(1), strict=True)}
    rows = {"from": a} | on_way | {"to": b}
    return Outcome(rows, whole, [score], {"from": a, "between": made, "to": b}, path=True)


def _inpaint(subject: Subject, settings: Settings) -> Outcome:
    x = _inputs(subject, settings.num)
    missing = settings.missing(x, derived_seed(subject.seed, 1))
    if not bool(missing.any()):
        raise ValueError("the mask hides nothing: give it a greater --share")
    seen = x.masked_fill(missing, 0.0)
    count = settings.chain_steps or None
    made = torch.cat(
        [
            _offers(subject).inpaint(seen[part], missing[part], settings.num_chains, seed, count)
            for part, seed in _parts(subject, len(x), settings.num_chains)
        ]
    )
    whole = _whole(made)
    judged = whole & missing.flatten(1).any(1)
    if not bool(judged.any()):
        raise RuntimeError(NOTHING)
    about = (
        f"of a missing number, {float(missing[judged].float().mean()):.0%} of "
        f"{each_of(int(judged.sum()), POINT)}, by {_by(made)}"
    )
    plain = _plain(subject, seen[judged], (~missing[judged]).to(x.dtype))
    score = compared(
        "error where it was missing", made[judged].mean(1), x[judged], missing[judged], plain, about
    )
    return _restored(subject, Restored(x, seen, made, missing, whole, filled=True), [score])


def _recover(subject: Subject, settings: Settings) -> Outcome:
    x = _inputs(subject, settings.num)
    noise = settings.noise * Draws(derived_seed(subject.seed, 2), 0, x.device, use=SYNTHESIS).normal(x.shape)
    seen = x + noise
    count = settings.chain_steps or None
    made = torch.cat(
        [
            _offers(subject).recover(seen[part], settings.noise, None, settings.num_chains, seed, count)
            for part, seed in _parts(subject, len(x), settings.num_chains)
        ]
    )
    made = _different(made)
    whole, everywhere = _whole(made), torch.ones_like(x)
    rivals = {"what was seen": seen[whole]} | _plain(subject, seen[whole], everywhere[whole])
    rivals |= denoised(subject.training, seen[whole], settings.noise)
    about = (
        f"of a number of {each_of(int(whole.sum()), POINT)} with noise of deviation {settings.noise:g}, by "
        f"{_by(made)}"
    )
    score = compared(
        "error of what was recovered", made[whole].mean(1), x[whole], everywhere[whole], rivals, about
    )
    return _restored(subject, Restored(x, seen, made, everywhere > 0, whole, filled=False), [score])


def _rank(subject: Subject, settings: Settings) -> Outcome:
    chosen = subject.test.first_of_shuffle(settings.num, subject.seed)
    x = chosen.batch(slice(None), subject.device)
    score = outliers.own_scores(subject, x)
    order, whole = score.argsort(), _whole(score)  # what is not finite comes last
    classes, held_out = chosen.labels.to(order.device)[order], subject.choice.held_out
    arrays: dict[str, Tensor | NDArray[np.str_]]
    arrays = {"x": x[order], "scores": score[order], "classes": classes}
    if chosen.label_names:
        arrays["class_names"] = np.array(chosen.label_names)
    found, notes = [], []
    if held_out >= 0:
        arrays["is_anomaly"] = classes == held_out
        kept = whole.cpu()
        found = outliers.areas(subject, chosen.take(kept), score[whole].double().cpu())
        if not found:
            told = counted(int(whole.sum()), POINT)
            notes = [f"of {told} none or all are of the label that was held out: raise --num"]
    found = found or _against_mixtures(subject, x[whole], score[whole])
    by = f", by {formula}" if (formula := subject.learner.anomaly_formula) else ""
    rows = {f"from the most to the least ordinary{by}": x[order]}
    marked = classes == held_out if held_out >= 0 else None
    return Outcome(rows, whole[order], found, arrays, notes, ranking=score[order], marked=marked)


def _against_mixtures(subject: Subject, x: Tensor, score: Tensor) -> list[Score]:
    """Is each x more ordinary than a point whose every number comes from another x? One has no other to be
    mixed with, and where no score of a mixed point is finite there is no answer."""
    flat = x.flatten(1)
    generator = torch.Generator().manual_seed(derived_seed(subject.seed, 3))
    rows = torch.rand(flat.shape, generator=generator).argsort(0).to(x.device)
    mixed = flat.gather(0, rows).view(x.shape)
    other = outliers.own_scores(subject, mixed)
    found = other.isfinite()
    if len(x) < 2 or not bool(found.any()):
        return []
    mixed, other = mixed[found], other[found]
    truth = torch.cat([torch.zeros(len(x)), torch.ones(len(mixed))]).bool()
    mean = mean_of(subject.training).to(x)
    away = (torch.cat([x, mixed]) - mean).flatten(1).square().sum(1)
    both = torch.cat([score, other])
    about = (
        f"the chance that a mixed point scores higher than one of {counted(len(x), POINT)}; each number of a "
        "mixed point is that of another of these"
    )
    beside = {"base rate": 0.5, "distance to the mean": auroc(away.cpu(), truth).value}
    return [Score("AUROC", auroc(both.cpu(), truth).value, None, "", beside, about)]


_MOST_ROWS = 8  # chains in a picture
_CHAINS = ("num", "num_chains", "chain_steps")
TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("synthesize", "synthesize", "new data points", "sample", _synthesize),
        Task(
            "reconstruct",
            "reconstruct",
            "test data from their own latent vectors",
            "reconstruction",
            _reconstruct,
        ),
        Task(
            "interpolate",
            "interpolate",
            "points between test data",
            "interpolation",
            _interpolate,
            ("num", "num_points"),
        ),
        Task(
            "inpaint",
            "inpaint",
            "what is missing of test data",
            "filled-in data point",
            _inpaint,
            (*_CHAINS, "mask", "share"),
        ),
        Task(
            "recover",
            "recover",
            "test data without the noise on them",
            "recovered data point",
            _recover,
            (*_CHAINS, "noise"),
        ),
        Task("anomaly", "anomaly_score", "test data by how unusual they are", "ranked data point", _rank),
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


def _parts(subject: Subject, num: int, each: int = 1) -> Iterator[tuple[slice, int]]:
    """Rows that fit into memory, where so many points are made of each, and their seeds."""
    size = max(1, subject.learner.rows_at_once // each)
    return parts(num, size, subject.seed, lambda done, of: subject.tell("data points", done, of))


def _whole(made: Tensor) -> Tensor:
    """For which data points all that was made is finite, (n, ...) -> (n,), bool. RuntimeError if for none."""
    whole = made.flatten(1).isfinite().all(1) if made.ndim > 1 else made.isfinite()
    if not bool(whole.any()):
        raise RuntimeError(NOTHING)
    return whole


def _plain(subject: Subject, seen: Tensor, visible: Tensor) -> dict[str, Tensor]:
    return guesses(subject.training, seen, visible)


class Restored(NamedTuple):
    """Data, what was seen of them, what chains made of it, (n, num_chains, *shape), where to judge it, which
    are whole, and whether something was missing that was filled in."""

    x: Tensor
    seen: Tensor
    made: Tensor
    where: Tensor
    whole: Tensor
    filled: bool


def _restored(subject: Subject, found: Restored, scores: list[Score]) -> Outcome:
    """Original, seen, chains and their spread; the spread is a score where there are chains to differ."""
    x, seen, made, where, whole, _ = found
    spread = made.std(1) if made.shape[1] > 1 else torch.zeros_like(x)
    if made.shape[1] > 1:
        error = (made.mean(1) - x)[whole][where[whole]].square().mean().sqrt()
        rms = float(spread[whole][where[whole]].square().mean().sqrt())
        about = "of the chains about their mean, of a number; where a model is sure and right both are small"
        if hasattr(subject.learner, "decoder"):
            about += "; of the decoder's means, without p(x|z)'s own noise"
        scores = [*scores, Score("spread", rms, None, "deviation", {"their error": float(error)}, about)]
    hidden = " (missing: grey)" if x.ndim == 4 else " (missing: 0)"
    rows = {"original": x, f"what the model saw{hidden if found.filled else ''}": seen}
    rows |= _numbered("chain", made[:, :_MOST_ROWS])
    notes, count = [], made.shape[1]
    if count > _MOST_ROWS:
        notes = [f"of {count:,} chains the picture shows the first {_MOST_ROWS}"]
    if count > 1:
        rows[f"mean of {count:,} chains"] = made.mean(1)
    if count > 1 and x.ndim == 4:
        rows["their spread (black: 0, white: 1 or more)"] = 2 * spread - 1
    arrays = {"x": x, "seen": seen, "made": made, "spread": spread, "where": where}
    return Outcome(rows, whole, scores, arrays, notes)


def _different(made: Tensor) -> Tensor:
    """The chains, (n, num_chains, *shape); one of them where they draw nothing, and all are the same."""
    return made[:, :1] if torch.equal(made, made[:, :1].expand_as(made)) else made


def _by(made: Tensor) -> str:
    count = made.shape[1]
    return f"the mean of {counted(count, 'chain')}" if count > 1 else "one chain, which has no spread"


def _numbered(name: str, made: Tensor) -> dict[str, Tensor]:
    return {f"{name} {k + 1}": each for k, each in enumerate(made.unbind(1))}
