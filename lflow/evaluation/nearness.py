"""How near samples are to data: distances to the test data, each beside what training data reach themselves.

A distance is the mean over batches of as many samples as there are test data to compare, its error that
between the batches: the test data are the same each time. The floor is the same with real training data in
the place of samples. Knows nothing of how samples are made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from lflow.evaluation.extractor import classifier_features
from lflow.evaluation.likelihood import mean_and_error
from lflow.evaluation.subject import BATCHES, Score, Subject
from lflow.metrics import frechet, kid, mmd, nearest_neighbour_accuracy, sliced_wasserstein2

Distance = Callable[[Tensor, Tensor], Tensor]
FLOOR = "real training data"


def of_samples(subject: Subject) -> list[Score]:
    """Every distance that suits the data; only how many samples are lost, where some are not finite."""
    lost = float((~subject.samples.flatten(1).isfinite().all(1)).double().mean())
    if lost:
        about = "samples that are not finite: no distance is measured of the others"
        return [Score("lost samples", lost, None, "share", {"none lost": 0.0}, about)]
    scores = in_the_plane(subject) if len(subject.learner.shape) == 1 else by_features(subject)
    return [*scores, _indistinct(subject)]


def in_the_plane(subject: Subject) -> list[Score]:
    """Sliced W2 and MMD of points."""
    pair = torch.pdist(_test(subject)[:1000]).median()
    kernel = partial(mmd, bandwidth=float(pair))
    return [
        compared(subject, "sliced W2", sliced_wasserstein2, "distance"),
        compared(subject, "MMD", kernel, "distance"),
    ]


def by_features(subject: Subject) -> list[Score]:
    """Fréchet and kernel distance in the features of a classifier of the data, where they have labels."""
    choice = subject.choice
    if int(subject.training.labels.max()) < 1:
        return []
    extractor = classifier_features(
        choice.source,
        choice.size or None,
        choice.grey or None,
        device=subject.device,
        progress=partial(subject.tell, "a classifier of the data"),
    )
    found = [
        compared(subject, extractor.distance_name, frechet, "distance²", of=extractor.features),
        compared(subject, "KID", lambda a, b: kid(a, b).value, "distance²", of=extractor.features),
    ]
    told = f"in the features of a classifier that is right of {extractor.accuracy:.1%} of the test data"
    return [score._replace(about=f"{score.about}, {told}") for score in found]


def _indistinct(subject: Subject) -> Score:
    """1-NN two-sample accuracy."""

    def accuracy(a: Tensor, b: Tensor) -> Tensor:
        return nearest_neighbour_accuracy(a, b).value

    return compared(subject, "1-NN accuracy", accuracy, "share", {"not to be told apart": 0.5})


def compared(
    subject: Subject,
    name: str,
    distance: Distance,
    unit: str,
    beside: dict[str, float] | None = None,
    of: Callable[[Tensor], Tensor] = lambda x: x.flatten(1),
) -> Score:
    """A distance of samples to test data, and of training data to them. of: what is made of each first."""
    size, test = subject.size, of(_test(subject))
    order = torch.randperm(len(subject.training), generator=torch.Generator().manual_seed(subject.seed))
    real = of(subject.training.batch(order[: BATCHES * size]))
    value, error = mean_and_error(_each(distance, of(subject.samples), test))
    floor, _ = mean_and_error(_each(distance, real, test))
    about = f"mean over {BATCHES} batches of {size:,} samples, each against {size:,} test data points"
    return Score(name, value, error, unit, {FLOOR: floor, **(beside or {})}, about)


def _test(subject: Subject) -> Tensor:
    return subject.unseen.batch(slice(subject.size))


def _each(distance: Distance, batches: Tensor, test: Tensor) -> Tensor:
    return torch.stack([distance(batch, test) for batch in batches.chunk(BATCHES)]).double()
