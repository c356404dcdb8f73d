"""What is known of each named data set without reading it, for pages and for `open`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lflow import energies
from lflow.data import flowers, points
from lflow.data.hub import HubSet


@dataclass(frozen=True)
class Description:
    """A named data set. `levels` is None for points; `number` is how many each split has, or draws."""

    name: str
    title: str
    shape: tuple[int, ...]
    levels: int | None
    number: Mapping[str, int]
    source: str
    licence: str


def _number(train: int, test: int) -> dict[str, int]:
    return {"train": train, "test": test}


HUB_SETS = {
    "mnist": HubSet("ylecun/mnist"),
    "fashion_mnist": HubSet("zalando-datasets/fashion_mnist"),
    "cifar10": HubSet("uoft-cs/cifar10"),
    "svhn": HubSet("ufldl-stanford/svhn", config="cropped_digits"),
    "celeba": HubSet("flwrlabs/celeba", config="img_align+identity+attr", size=64),
    "flowers102": HubSet("dpdl-benchmark/oxford_flowers102", size=64),
}

_SKLEARN = "comes with scikit-learn"
_SKIMAGE = "comes with scikit-image"
_HUB = "Hugging Face hub: {}"

IMAGES = {
    each.name: each
    for each in (
        Description(
            "digits", "Handwritten digits", (1, 8, 8), 17, _number(1442, 355),
            f"{_SKLEARN}: the test set of UCI's optical recognition of handwritten digits", "BSD 3-Clause",
        ),
        Description(
            "faces", "Faces and not faces", (1, 25, 25), 256, _number(160, 40),
            f"{_SKIMAGE}: a hundred of Labeled Faces in the Wild, and a hundred of their backgrounds",
            "not stated",
        ),
        Description(
            "textures", "Textures", (3, 32, 32), 256, _number(7533, 1782),
            f"crops of photographs; {_SKIMAGE} and scikit-learn", "CC0, public domain, CC BY 2.0",
        ),
        Description(
            "patches", "Pieces of photographs", (3, 32, 32), 256, _number(5103, 1296),
            f"crops of photographs; {_SKIMAGE} and scikit-learn", "CC0, public domain, CC BY 2.0",
        ),
        Description(
            "flowers", "Drawn flowers", (3, 32, 32), 256, flowers.NUMBER, "drawn here from a seed", "MIT",
        ),
        Description(
            "mnist", "MNIST", (1, 28, 28), 256, _number(60_000, 10_000),
            _HUB.format("ylecun/mnist"), "MIT",
        ),
        Description(
            "fashion_mnist", "Fashion-MNIST", (1, 28, 28), 256, _number(60_000, 10_000),
            _HUB.format("zalando-datasets/fashion_mnist"), "MIT",
        ),
        Description(
            "cifar10", "CIFAR-10", (3, 32, 32), 256, _number(50_000, 10_000),
            _HUB.format("uoft-cs/cifar10"), "not stated",
        ),
        Description(
            "svhn", "Street view house numbers", (3, 32, 32), 256, _number(73_257, 26_032),
            _HUB.format("ufldl-stanford/svhn"), "its own: see the hub",
        ),
        Description(
            "celeba", "CelebA", (3, 64, 64), 256, _number(162_770, 19_962),
            _HUB.format("flwrlabs/celeba"), "its own release agreement: see the hub",
        ),
        Description(
            "flowers102", "Oxford flowers", (3, 64, 64), 256, _number(1_020, 6_149),
            _HUB.format("dpdl-benchmark/oxford_flowers102"), "not stated",
        ),
    )
}  # fmt: skip


def of_points(name: str) -> Description:
    """What is known of a set of points."""
    title = energies.get_class(name).title
    return Description(name, title, (2,), None, points.NUMBER, "exact draws from the energy", "MIT")
