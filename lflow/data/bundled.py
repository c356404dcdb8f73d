"""Pictures that come with scikit-learn and scikit-image: digits, faces, and crops of their photographs.

Nothing is downloaded: the files are read where the two packages keep them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import as_file, files

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lflow.data.dataset import DataSet, split_rows
from lflow.data.pictures import Bytes

CROP = 32
# A photograph is cut into blocks, of which every fifth is for testing, and no crop reaches over a block.
_BLOCK, _STRIDE = 64, 4

_PHOTOGRAPHS = {
    "astronaut": ("skimage.data", "astronaut.png"),
    "cat": ("skimage.data", "chelsea.png"),
    "coffee": ("skimage.data", "coffee.png"),
    "rocket": ("skimage.data", "rocket.jpg"),
    "pagoda": ("sklearn.datasets", "images/china.jpg"),
    "dahlia": ("sklearn.datasets", "images/flower.jpg"),
}
# The part of a photograph that one material fills (left, top, right, bottom), and how far it is scaled down.
_TEXTURES = {
    "brick": ("skimage.data", "brick.png", (0, 0, 512, 512), 2),
    "grass": ("skimage.data", "grass.png", (0, 0, 512, 512), 2),
    "gravel": ("skimage.data", "gravel.png", (0, 0, 512, 512), 2),
    "tissue": ("skimage.data", "ihc.png", (0, 0, 512, 512), 2),
    "galaxies": ("skimage.data", "hubble_deep_field.jpg", (200, 150, 712, 662), 2),
    "retina": ("skimage.data", "retina.jpg", (193, 193, 1217, 1217), 4),
    "wood": ("skimage.data", "coffee.png", (472, 70, 600, 390), 1),
    "petals": ("sklearn.datasets", "images/flower.jpg", (212, 127, 404, 319), 1),
}


def digits(split: str) -> DataSet:
    """Handwritten digits, 8×8, 17 grey values."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return _split("digits", bunch.images[:, None], bunch.target, split, 17, map(str, range(10)))


def faces(split: str) -> DataSet:
    """A hundred faces and a hundred pieces of background from the same photographs, 25×25, grey."""
    with as_file(files("skimage.data") / "lfw_subset.npy") as path:
        shades = np.load(path, allow_pickle=False)
    labels = np.repeat([1, 0], len(shades) // 2)  # the file has the faces first
    return _split("faces", (255 * shades[:, None]).round(), labels, split, 256, ("not a face", "face"))


def patches(split: str) -> DataSet:
    """Crops of photographs, 32×32, labelled by the photograph."""
    photographs = (_photograph(package, file).reduce(2) for package, file in _PHOTOGRAPHS.values())
    return _cropped("patches", photographs, split, tuple(_PHOTOGRAPHS))


def textures(split: str) -> DataSet:
    """Crops of eight materials, 32×32, labelled by the material; three of the photographs are grey."""
    parts = (
        _photograph(package, file).crop(box).reduce(down) for package, file, box, down in _TEXTURES.values()
    )
    return _cropped("textures", parts, split, tuple(_TEXTURES))


def _split(
    name: str, values: NDArray[np.floating], labels: NDArray[np.integer], split: str, levels: int,
    label_names: Iterable[str],
) -> DataSet:  # fmt: skip
    rows = split_rows(labels, split)
    return DataSet(
        name,
        torch.from_numpy(values[rows].astype(np.uint8)),
        torch.from_numpy(labels[rows].astype(np.int64)),
        levels,
        tuple(label_names),
    )


def _photograph(package: str, file: str) -> Image.Image:
    with as_file(files(package) / file) as path, Image.open(path) as image:
        return image.convert("RGB")


def _cropped(
    name: str, photographs: Iterable[Image.Image], split: str, label_names: tuple[str, ...]
) -> DataSet:
    crops = [np.stack(list(_crops(np.asarray(photograph), split))) for photograph in photographs]
    labels = np.repeat(np.arange(len(crops)), [len(some) for some in crops])
    values = torch.from_numpy(np.concatenate(crops)).permute(0, 3, 1, 2).contiguous()
    return DataSet(name, values, torch.from_numpy(labels), 256, label_names)


def _crops(photograph: Bytes, split: str) -> Iterator[Bytes]:
    within = range(0, _BLOCK - CROP + 1, _STRIDE)
    for row in range(photograph.shape[0] // _BLOCK):
        for column in range(photograph.shape[1] // _BLOCK):
            if ((2 * row + column) % 5 == 0) == (split == "test"):
                block = photograph[_BLOCK * row :, _BLOCK * column :]
                yield from (block[y : y + CROP, x : x + CROP] for y in within for x in within)
