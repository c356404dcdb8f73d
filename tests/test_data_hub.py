"""Named data sets and hub ids: the folder LFLOW_DATA, a hub of our own, and no hub at all."""

from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import HTTPError, RevisionNotFoundError

from lflow import data
from tests.parquet_files import bytes_of, encoded, noise, write


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of each test's own, and an offline hub."""
    monkeypatch.setenv("LFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LFLOW_DATA", raising=False)

    def offline(*args: object, **options: object) -> None:
        raise HTTPError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", offline)


@pytest.mark.parametrize(("column", "channels"), [("image", 3), ("img", 1)])
def test_a_named_set_in_the_folder_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, channels: int
) -> None:
    arrays = noise(5, channels=channels)
    write(tmp_path / "mnist-test.parquet", list(map(encoded, arrays)), [0, 2, 1, 1, 0], column)
    monkeypatch.setenv("LFLOW_DATA", str(tmp_path))
    calls: list[tuple[int, int]] = []
    found = data.open("mnist", "test", progress=lambda done, total: calls.append((done, total)))
    assert torch.equal(found.values, bytes_of(arrays))
    assert found.labels.tolist() == [0, 2, 1, 1, 0]
    assert found.label_names == ("cat", "dog", "owl")
    assert calls[-1] == (5, 5)


def test_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        OSError, match=r"put mnist-train\.parquet into a folder and name .* LFLOW_DATA"
    ) as caught:
        data.open("mnist")
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("LFLOW_DATA", str(tmp_path))
    with pytest.raises(OSError, match=rf"put owner--name-test\.parquet into {tmp_path}"):
        data.open("owner/name", "test")
    monkeypatch.setenv("LFLOW_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"LFLOW_DATA names .*nowhere"):
        data.open("mnist")


def test_shards_are_read_in_order_and_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = noise(6)
    monkeypatch.setenv("LFLOW_DATA", str(tmp_path))
    for shard in (2, 0):
        some = list(map(encoded, arrays[2 * shard : 2 * shard + 2]))
        write(tmp_path / f"svhn-train-{shard:05}-of-00003.parquet", some)
    with pytest.raises(ValueError, match="holds 2 of the 3 files of svhn-train"):
        data.open("svhn")
    write(tmp_path / "svhn-train-00001-of-00003.parquet", list(map(encoded, arrays[2:4])))
    assert torch.equal(data.open("svhn").values, bytes_of(arrays))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str | None, list[str]]:
    """A hub of our own: the names that a revision has, to be filled in; every file has two pictures."""
    revisions: dict[str | None, list[str]] = {}

    def dataset_info(self, repo: str, *, revision: str | None, timeout: float) -> SimpleNamespace:
        if revision not in revisions:
            raise RevisionNotFoundError("404", response=SimpleNamespace(headers={}, request=None))
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in revisions[revision]])

    def hf_hub_download(repo: str, name: str, *, repo_type: str, revision: str | None) -> str:
        assert repo_type == "dataset"
        assert name in revisions[revision]
        return str(write(tmp_path / "hub" / name, list(map(encoded, noise(2)))))

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    return revisions


def test_the_hub_is_asked_once(hub: dict[str | None, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    hub[None] = ["README.md", "data/train-00000-of-00001-0a1b2c.parquet", "data/test-00000-of-00001.parquet"]
    first = data.open("owner/name").values.clone()
    hub.clear()  # as if the network were gone
    assert torch.equal(data.open("owner/name").values, first)


def test_the_configuration_of_a_named_set(hub: dict[str | None, list[str]]) -> None:
    hub[None] = [
        "cropped_digits/train-00000-of-00001.parquet",
        "cropped_digits/extra-00000-of-00001.parquet",
        "full_numbers/train-00000-of-00001.parquet",
    ]
    assert len(data.open("svhn")) == 2
    with pytest.raises(ValueError, match=r"has several sets \(cropped_digits, full_numbers\)"):
        data.open("owner/name")


def test_the_hubs_own_conversion(hub: dict[str | None, list[str]]) -> None:
    hub[None] = ["images.zip"]
    hub["refs/convert/parquet"] = ["default/train/0000.parquet", "default/train/0001.parquet"]
    assert len(data.open("owner/name")) == 4
    with pytest.raises(ValueError, match="owner/name on the Hugging Face hub has no split 'test'"):
        data.open("owner/name", "test")
