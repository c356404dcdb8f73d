"""The frozen classifier: what it learns, that it is kept and the same again, and what its distances tell."""

from pathlib import Path

import pytest
import torch

from lflow import data, metrics
from lflow.evaluation import extractor as module
from lflow.evaluation.extractor import Extractor, classifier_features


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the steps, and a cache of the test's own."""
    monkeypatch.setattr(module, "_STEPS", 200)
    monkeypatch.setenv("LFLOW_CACHE", str(tmp_path))


def test_it_is_trained_once_and_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = torch.get_rng_state()
    calls: list[tuple[int, int]] = []
    first = classifier_features("digits", progress=lambda done, total: calls.append((done, total)))
    assert torch.equal(torch.get_rng_state(), state)
    assert calls[-1] == (200, 200)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-8])  # damaged: it is trained again, to the same weights
    again = classifier_features("digits")
    assert (again.fingerprint, again.accuracy) == (first.fingerprint, first.accuracy)
    monkeypatch.setattr(module, "_train", lambda *args: pytest.fail("trained again"))
    kept = classifier_features("digits")
    assert (kept.fingerprint, kept.accuracy) == (first.fingerprint, first.accuracy)
    x = data.load("digits", "test").x
    assert torch.equal(kept.features(x), first.features(x))


def test_what_the_features_tell() -> None:
    extractor = classifier_features("digits")
    assert extractor.accuracy is not None
    assert extractor.accuracy > 0.9
    train, test = data.load("digits", limit=700), data.load("digits", "test")
    real, other = extractor.features(train.x), extractor.features(test.x)
    assert real.shape == (700, 32)
    assert not real.requires_grad
    assert real.square().mean() == pytest.approx(1, rel=0.1)
    # A nearest mean of features tells the digits apart: they are those of a classifier.
    means = torch.stack([real[train.labels == digit].mean(0) for digit in range(10)])
    assert (torch.cdist(other, means).argmin(1) == test.labels).double().mean() > 0.85
    # Nearer to other real digits than to noisy ones, and than to nine digits of ten.
    noise = 0.5 * torch.randn(test.x.shape, generator=torch.Generator().manual_seed(0))
    floor = metrics.frechet(other, real)
    assert metrics.frechet(extractor.features((test.x + noise).clamp(-1, 1)), real) > 1.5 * floor
    assert metrics.frechet(other[test.labels != 0], real) > 1.1 * floor


def test_it_is_never_called_fid() -> None:
    own = Extractor("my net", (2,), lambda x: x)
    assert own.distance_name == "Fréchet distance (my net)"
    assert "FID" not in classifier_features("digits").distance_name


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="rings has no labels"):
        classifier_features("rings")
    own = Extractor("my net", (1, 8, 8), lambda x: x)
    with pytest.raises(ValueError, match=r"my net sees data of shape \(1, 8, 8\), not \(3, 8, 8\)"):
        own.features(torch.zeros(2, 3, 8, 8))
