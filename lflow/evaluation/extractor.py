"""What turns pictures into the features whose distances say how good generated ones are.

A classifier of the data set, trained here once with a fixed seed and kept beside the decoded data. A distance
of its features is comparable with others of the same classifier, and with no published figure: it is not FID.
Knows nothing of what made the pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from lflow import data
from lflow.data import cache
from lflow.data.dataset import DataSet
from lflow.device import find_device
from lflow.nets import Classifier, classifier

Progress = Callable[[int, int], object]

_WIDTH = 16
_STEPS, _BATCH, _RATE = 1000, 128, 3e-3
_MOST_CLASSES = 10_000
_AT_ONCE = 1024
_REPORT_EVERY = 25


@dataclass(frozen=True)
class Extractor:
    """Features by name, (n, *shape) -> (n, dim).

    Give one of your own as `Extractor("my net", shape, my_net)`. accuracy: of a classifier, on the test
    split; None for any other. fingerprint: of a classifier's weights, for two machines may train two.
    """

    name: str
    shape: tuple[int, ...]
    net: Callable[[Tensor], Tensor]
    accuracy: float | None = None
    fingerprint: str = ""

    @property
    def distance_name(self) -> str:
        """What a Fréchet distance of these features is called."""
        return f"Fréchet distance ({self.name})"

    def features(self, x: Tensor) -> Tensor:
        """The features of data in [-1, 1], on the CPU. ValueError for data of another shape."""
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"the {self.name} sees data of shape {self.shape}, not {tuple(x.shape[1:])}")
        with torch.no_grad():
            return torch.cat([self.net(some).cpu() for some in x.split(_AT_ONCE)])


def classifier_features(
    data_name: str,
    size: int | None = None,
    grey: bool | None = None,
    *,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: Progress | None = None,
) -> Extractor:
    """The features before the last layer of a classifier of a data set, (n, 32).

    It is trained on the whole training split at the first call (seconds for digits, about a minute for MNIST
    on two cores), kept in the cache, and frozen. The features are scaled to a mean square of one on the
    training data. size and grey: as of `lflow.data.open`. progress is called with (steps done, steps in all).
    ValueError for data without at least two labels, and as `open` says.

    >>> extractor = classifier_features("digits")
    >>> lflow.metrics.frechet(extractor.features(real), extractor.features(generated))
    """
    train, test = (data.open(data_name, split, size, grey) for split in ("train", "test"))
    num_classes = int(train.labels.max()) + 1
    if not 2 <= num_classes <= _MOST_CLASSES or int(train.labels.min()) < 0:
        raise ValueError(f"{data_name} has no labels that a classifier could learn")
    where = find_device(device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = classifier(train.shape, num_classes, _WIDTH).to(where)
    key = [seed, _STEPS, _BATCH, _RATE, _WIDTH, list(train.shape), _digest(train)]
    path = cache.place(f"classifier-{train.name}", key)
    known = _read(path, net)
    if known is None:
        _train(net, train, seed, progress or (lambda done, total: None))
        known = _Known(_accuracy(net, test), _size(net, train))
        _write(path, net, known)
    net.eval().requires_grad_(False)
    return Extractor(
        f"lflow {train.name} classifier",
        train.shape,
        lambda x: net.features(x.to(where)) / known.size,
        known.accuracy,
        _fingerprint(net),
    )


class _Known(NamedTuple):
    """What is known of a trained classifier: of the test split, and the root mean square of its features."""

    accuracy: float
    size: float


def _digest(train: DataSet) -> str:
    """What tells the data from others: a user's file may change under its name."""
    some = train.values[:: max(1, len(train) // 256)].contiguous()
    return hashlib.sha256(some.numpy().tobytes() + train.labels.numpy().tobytes()).hexdigest()


def _train(net: Classifier, train: DataSet, seed: int, progress: Progress) -> None:
    generator = torch.Generator().manual_seed(seed)
    device = net.head.weight.device
    optimiser = torch.optim.AdamW(net.parameters(), _RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, _STEPS)
    for step in range(_STEPS):
        indices = torch.randint(len(train), (_BATCH,), generator=generator)
        loss = functional.cross_entropy(net(train.batch(indices, device)), train.labels[indices].to(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % _REPORT_EVERY == 0:
            progress(step, _STEPS)
    progress(_STEPS, _STEPS)


def _accuracy(net: Classifier, test: DataSet) -> float:
    device = net.head.weight.device
    with torch.no_grad():
        rows = torch.arange(len(test)).split(_AT_ONCE)
        found = torch.cat([net(test.batch(some, device)).argmax(1).cpu() for some in rows])
    return float((found == test.labels).double().mean())


def _size(net: Classifier, train: DataSet) -> float:
    device = net.head.weight.device
    with torch.no_grad():
        found = net.features(train.batch(slice(None, None, len(train) // _AT_ONCE + 1), device))
    return float(found.square().mean().sqrt())


def _read(path: Path, net: Classifier) -> _Known | None:
    """Fill the net from its file; None where there is no such file or it is damaged."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            net.load_state_dict({name: file.get_tensor(name) for name in net.state_dict()})
            about = file.metadata()
        return _Known(float(about["accuracy"]), float(about["size"]))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError):
        return None


def _write(path: Path, net: Classifier, known: _Known) -> None:
    tensors = {name: tensor.cpu().contiguous() for name, tensor in net.state_dict().items()}
    with cache.replacing(path) as part:
        part.write_bytes(save(tensors, metadata={key: repr(value) for key, value in known._asdict().items()}))


def _fingerprint(net: Classifier) -> str:
    digest = hashlib.sha256()
    for tensor in net.state_dict().values():
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]
