"""Data that need no file: points, what other packages bring, drawn flowers. Nothing opens a connection."""

import socket
from importlib.resources import as_file, files

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import lfw_subset
from skimage.util import view_as_windows
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import lflow
from lflow import data, energies
from lflow.data.dataset import split_rows
from tests.statistics import LIMIT, cell_counts, cell_probabilities, chi_square_z, one_thread  # noqa: F401

PICTURES = ("digits", "faces", "textures", "patches", "flowers")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_every_energy_in_the_plane_is_a_point_set() -> None:
    in_the_plane = {name for name in energies.names() if energies.get(name).dim == 2}
    assert in_the_plane <= set(data.names())
    assert set(PICTURES) <= set(data.names())


@pytest.mark.parametrize("name", ["rings", "checkerboard"])
def test_points_follow_the_energy(name: str) -> None:
    # 20,000 points in 144 cells; the same points a little shrunk lie far beyond the limit.
    energy = energies.get(name)
    x, labels = lflow.data.load(name, seed=3)
    assert x.shape == (20_000, 2)
    assert x.dtype == torch.float32
    assert labels.tolist() == [0] * len(x)
    expected = cell_probabilities(energy, energy.bounds, 12, 24)
    assert abs(chi_square_z(cell_counts(x, energy.bounds, 12), expected)) < LIMIT
    assert chi_square_z(cell_counts(0.95 * x, energy.bounds, 12), expected) > 3 * LIMIT


def test_points_of_a_seed_and_a_split() -> None:
    first, again = data.load("pinwheel", limit=50), data.load("pinwheel", limit=50)
    assert torch.equal(first.x, again.x)
    others = [data.load("pinwheel", "test", limit=50), data.load("pinwheel", limit=50, seed=1)]
    assert all(not torch.isin(other.x, first.x).any() for other in others)


def test_points_have_no_size() -> None:
    for option in ({"size": 8}, {"grey": True}):
        with pytest.raises(ValueError, match="rings is a set of points"):
            data.open("rings", **option)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_as_described(name: str) -> None:
    told, found = data.describe(name), data.open(name, "test")
    assert (found.shape, found.levels) == (told.shape, told.levels)
    for split in ("train", "test") if name != "flowers" else ("test",):
        assert len(data.open(name, split)) == told.number[split]
    assert found.values.dtype == torch.uint8
    assert 0.9 * told.levels < int(found.values.max()) < told.levels
    assert len(found.labels) == len(found)
    assert set(found.labels.tolist()) == set(range(len(found.label_names)))
    assert told.title
    assert told.source
    assert told.licence


def test_digits_are_scikit_learns() -> None:
    bunch = load_digits()
    for split in ("train", "test"):
        x, labels = data.load("digits", split)
        rows = split_rows(bunch.target, split)
        assert torch.allclose(8 * (x[:, 0].double() + 1), torch.from_numpy(bunch.images[rows]), atol=1e-6)
        assert labels.tolist() == bunch.target[rows].tolist()


def test_a_split_is_stratified_and_takes_every_row_once() -> None:
    labels = np.array([0] * 50 + [1] * 9 + [2] * 3)
    train, test = split_rows(labels, "train"), split_rows(labels, "test")
    assert sorted([*train, *test]) == list(range(62))
    assert np.bincount(labels[test], minlength=3).tolist() == [10, 1, 0]


def test_faces_are_scikit_images() -> None:
    shades = torch.from_numpy(lfw_subset()).float()
    for split in ("train", "test"):
        x, labels = data.load("faces", split)
        distance = torch.cdist((x.flatten(1) + 1) / 2, shades.flatten(1))
        assert distance.amin(1).max() < 0.05  # 625 pixels, each rounded to one of 256 values
        assert torch.equal(distance.argmin(1) < 100, labels == 1)


def test_no_pixel_is_in_a_crop_for_training_and_in_one_for_testing() -> None:
    with as_file(files("skimage.data") / "chelsea.png") as path, Image.open(path) as image:
        cat = np.asarray(image.convert("RGB").reduce(2))
    windows = view_as_windows(cat, (32, 32, 3))[:, :, 0]
    where = {windows[row, column].tobytes(): (row, column) for row, column in np.ndindex(*windows.shape[:2])}
    seen = {}
    for split in ("train", "test"):
        patches = data.open("patches", split)
        crops = patches.values[patches.labels == patches.label_names.index("cat")]
        seen[split] = np.zeros(cat.shape[:2], dtype=bool)
        for crop in crops.permute(0, 2, 3, 1).numpy():
            row, column = where[crop.tobytes()]
            seen[split][row : row + 32, column : column + 32] = True
    assert not (seen["train"] & seen["test"]).any()
    assert (seen["train"] | seen["test"]).mean() > 0.5


def test_flowers_of_a_seed() -> None:
    many, few = data.open("flowers", limit=200), data.open("flowers", limit=70)
    assert torch.equal(many.values[:70], few.values)
    for other in (data.open("flowers", limit=200, seed=1), data.open("flowers", "test", limit=200)):
        assert (other.values.float() - many.values.float()).abs().flatten(1).mean(1).min() > 1


def test_the_kinds_of_flowers_can_be_told_apart() -> None:
    # A linear classifier of 16×16 pixels; of eight kinds chance is right on one in eight.
    train, test = (data.open("flowers", split, size=16, limit=400) for split in ("train", "test"))
    classifier = LogisticRegression(C=1e-3, max_iter=300)
    classifier.fit(train.all().x.flatten(1).numpy(), train.labels.numpy())
    assert classifier.score(test.all().x.flatten(1).numpy(), test.labels.numpy()) > 0.6


def test_a_batch_is_bytes_as_floats() -> None:
    digits = data.open("digits")
    indices = torch.tensor([5, 0, 5])
    batch = digits.batch(indices, "cpu")
    assert batch.dtype == torch.float32
    assert torch.allclose(batch, digits.values[indices].float() / 8 - 1)
    assert torch.equal(digits.batch([5, 0, 5]), batch)
    assert torch.equal(digits.batch(slice(None))[indices], batch)
    points = data.open("rings", limit=20)
    points.batch(slice(None)).zero_()
    assert points.values.abs().min() > 0


def test_a_limit_takes_the_first_of_a_shuffle() -> None:
    every = data.open("digits")
    ten, twenty = (data.open("digits", limit=limit, seed=5) for limit in (10, 20))
    assert torch.equal(ten.values, twenty.values[:10])
    assert not torch.equal(ten.values, every.values[:10])
    whole = data.open("digits", limit=10**6, seed=5)
    assert sorted(whole.labels.tolist()) == sorted(every.labels.tolist())


def test_size_and_colours_of_what_is_bundled() -> None:
    small = data.open("digits", size=16, grey=False, limit=30)
    assert (small.shape, small.levels) == ((3, 16, 16), 256)
    assert torch.equal(small.values[:, 0], small.values[:, 2])
    # Twice as large, the mean over pixels stays, but for the edges.
    original = data.load("digits", limit=30).x
    assert (small.all().x.mean((1, 2, 3)) - original.mean((1, 2, 3))).abs().max() < 0.05
    assert data.open("patches", grey=True, limit=5).shape == (1, 32, 32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "digit"}, "no data set named 'digit'. Did you mean 'digits'"),
        ({"name": "flower"}, "Did you mean 'flowers'"),
        ({"name": 3}, "name of a data set must be a text"),
        ({"name": "digits", "split": "valid"}, "split must be one of train, test"),
        ({"name": "digits", "size": 0}, "size must be between"),
        ({"name": "digits", "size": 5000}, "size must be between"),
        ({"name": "digits", "limit": 0}, "limit must be between"),
        ({"name": "digits", "limit": 2.5}, "limit must be a whole number"),
        ({"name": "digits", "seed": -1}, "seed must be between"),
        ({"name": "digits", "grey": "no"}, "grey must be true or false"),
    ],
)
def test_what_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.open(**options)


def test_describe_knows_the_named_ones_only() -> None:
    assert data.describe("mnist").number == {"train": 60_000, "test": 10_000}
    assert data.describe("rings").levels is None
    with pytest.raises(ValueError, match="Did you mean 'cifar10'"):
        data.describe("cifar")
