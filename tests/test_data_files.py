"""Data from files: parquet, folders, the hub; what is kept; what is said of a file that is not in order."""

import io
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from huggingface_hub.errors import HTTPError, RevisionNotFoundError
from PIL import Image

from lflow import data
from lflow.data import cache, parquet

RANDOM = np.random.default_rng(0)
FEATURES = b'{"info": {"features": {"label": {"names": ["cat", "dog", "owl"]}}}}'


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of each test's own, and an offline hub."""
    monkeypatch.setenv("LFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LFLOW_DATA", raising=False)

    def offline(*args: object, **options: object) -> None:
        raise HTTPError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", offline)


def noise(number: int, height: int = 12, width: int = 12, channels: int = 3) -> np.ndarray:
    shape = (number, height, width, channels) if channels > 1 else (number, height, width)
    return RANDOM.integers(0, 256, shape).astype(np.uint8)


def encoded(array: np.ndarray, form: str = "png") -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, form)
    return out.getvalue()


def write(
    path: Path,
    pictures: Sequence[bytes | None],
    labels: Sequence[object] | None = None,
    column: str = "image",
) -> Path:
    """A parquet file in the hub's schema, two rows to a row group."""
    columns: dict[str, object] = {column: [{"bytes": content, "path": None} for content in pictures]}
    if labels is not None:
        columns["label"] = labels
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table(
        {name: pa.array(cells, kind if name == column else None) for name, cells in columns.items()}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({b"huggingface": FEATURES}), path, row_group_size=2)
    return path


def bytes_of(arrays: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(arrays if arrays.ndim == 4 else arrays[..., None]).permute(0, 3, 1, 2)


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


def test_what_is_kept_is_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = noise(5)
    file = write(tmp_path / "mine.parquet", list(map(encoded, arrays)), ["b", "a", "b", "a", "a"])
    first = data.open(str(file))
    monkeypatch.setattr(parquet, "decode", lambda *args: pytest.fail("decoded again"))
    again = data.open(str(file))
    assert torch.equal(again.values, first.values)
    assert again.label_names == ("a", "b")
    assert torch.equal(again.labels, first.labels)


def test_a_changed_file_is_decoded_again(tmp_path: Path) -> None:
    old, new = noise(4), noise(4)
    file = write(tmp_path / "mine.parquet", list(map(encoded, old)))
    assert torch.equal(data.open(str(file)).values, bytes_of(old))
    write(file, list(map(encoded, new)))
    os.utime(file, ns=(1, 1))
    assert torch.equal(data.open(str(file)).values, bytes_of(new))


@pytest.mark.parametrize("damage", [b"", b"junk", None])
def test_a_damaged_cache_is_made_again(tmp_path: Path, damage: bytes | None) -> None:
    file = write(tmp_path / "mine.parquet", list(map(encoded, noise(4))))
    first = data.open(str(file)).values.clone()
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1] if damage is None else damage)
    assert torch.equal(data.open(str(file)).values, first)


def test_a_cache_that_cannot_be_written_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "mine.parquet", list(map(encoded, noise(2))))
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("LFLOW_CACHE", str(tmp_path / "taken"))
    with pytest.raises(OSError, match=r"taken cannot be written .*LFLOW_CACHE"):
        data.open(str(file))


def test_an_interrupted_decoding_leaves_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.parquet", list(map(encoded, noise(4))))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.open(str(file), progress=stop)
    assert list(cache.folder().iterdir()) == []


@pytest.mark.parametrize("shape", [(40, 20), (20, 41), (30, 30), (9, 9)])
@pytest.mark.parametrize("grey", [True, False])
def test_size_is_that_of_the_centre_square(tmp_path: Path, shape: tuple[int, int], grey: bool) -> None:
    array = noise(1, *shape)[0]
    found = data.open(str(write(tmp_path / "one.parquet", [encoded(array)])), size=10, grey=grey)
    side, (top, left) = min(shape), ((length - min(shape)) // 2 for length in shape)
    centre = Image.fromarray(array[top : top + side, left : left + side])
    expected = np.array((centre.convert("L") if grey else centre).resize((10, 10)))
    assert torch.equal(found.values, bytes_of(expected[None]))


def test_grey_is_luma(tmp_path: Path) -> None:
    array = noise(1)[0]
    found = data.open(str(write(tmp_path / "one.parquet", [encoded(array)])), grey=True)
    luma = array @ np.array([0.299, 0.587, 0.114])  # ITU-R 601-2
    assert np.abs(found.values[0, 0].numpy() - luma).max() < 1


def test_kinds_of_pictures(tmp_path: Path) -> None:
    clear = np.zeros((6, 6, 4), dtype=np.uint8)
    clear[:3] = (200, 10, 30, 255)  # the lower half is see-through, and shown on white
    deep = (np.arange(36, dtype=np.uint16) * 1500).reshape(6, 6)
    turned = Image.fromarray(noise(1, 4, 6)[0])
    exif = turned.getexif()
    exif[0x0112] = 6  # taken with the camera on its side
    sideways = io.BytesIO()
    turned.save(sideways, "png", exif=exif)
    for name, content, expected in (
        ("clear", encoded(clear), [200, 255]),
        ("deep", encoded(deep), [0, 35 * 1500 // 256]),
        ("sideways", sideways.getvalue(), None),
    ):
        values = data.open(str(write(tmp_path / f"{name}.parquet", [content]))).values[0]
        if expected is None:
            assert values.shape == (3, 6, 4)
        else:
            assert values[0].flatten()[[0, -1]].tolist() == expected


def test_the_fifth_of_a_file_is_for_testing(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.parquet", list(map(encoded, noise(30))), [0, 1, 2] * 10)
    train, test = (data.open(str(file), split) for split in ("train", "test"))
    assert (len(train), len(test)) == (24, 6)
    assert test.labels.bincount().tolist() == [2, 2, 2]
    assert not {row.numpy().tobytes() for row in train.values} & {
        row.numpy().tobytes() for row in test.values
    }


def test_too_few_for_a_fifth(tmp_path: Path) -> None:
    file = write(tmp_path / "few.parquet", list(map(encoded, noise(4))))
    assert len(data.open(str(file))) == 4
    with pytest.raises(ValueError, match=r"few\.parquet has too few pictures"):
        data.open(str(file), "test")


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    arrays = noise(12, 20, 30)
    for index, array in enumerate(arrays):
        path = folder / ("cat", "dog")[index % 2] / f"{index:02}.PNG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(array))
    (folder / "cat" / "notes.txt").write_text("not a picture")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "x.png").write_bytes(b"nothing")
    train, test = (data.open(str(folder), split, size=10) for split in ("train", "test"))
    assert train.label_names == ("cat", "dog")
    assert (train.labels.bincount().tolist(), test.labels.bincount().tolist()) == ([5, 5], [1, 1])
    assert train.shape == (3, 10, 10)


def test_a_folder_with_splits_of_its_own(tmp_path: Path) -> None:
    for split, number in (("train", 3), ("test", 2)):
        (tmp_path / "own" / split).mkdir(parents=True)
        for index, array in enumerate(noise(number)):
            (tmp_path / "own" / split / f"{index}.png").write_bytes(encoded(array))
    found = [data.open(str(tmp_path / "own"), split) for split in ("train", "test")]
    assert [len(each) for each in found] == [3, 2]


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that says it has so many pixels a side."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def in_parquet(*contents: bytes | None, labels: Sequence[object] | None = None):
    return lambda folder: write(folder / "bad.parquet", contents, labels)


def cut(folder: Path, keep: int) -> Path:
    file = write(folder / "bad.parquet", list(map(encoded, noise(6))))
    file.write_bytes(file.read_bytes()[:keep])
    return file


def scrambled(folder: Path) -> Path:
    file = write(folder / "bad.parquet", [encoded(array) for array in noise(6)])
    content = bytearray(file.read_bytes())
    content[4:60] = bytes(56)  # the first page; the description at the end is whole
    file.write_bytes(content)
    return file


def other_columns(folder: Path) -> Path:
    pq.write_table(pa.table({"text": ["a"], "number": [1]}), folder / "bad.parquet")
    return folder / "bad.parquet"


def text_as_picture(folder: Path) -> Path:
    (folder / "bad").mkdir()
    (folder / "bad" / "fine.png").write_bytes(encoded(noise(1)[0]))
    (folder / "bad" / "story.png").write_text("once upon a time")
    return folder / "bad"


def text_file(folder: Path) -> Path:
    (folder / "bad").mkdir()
    (folder / "bad" / "notes.txt").write_text("")
    return folder / "bad"


SMALL, LARGE, GREY = encoded(noise(1)[0]), encoded(noise(1, 9, 7)[0]), encoded(noise(1, channels=1)[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: cut(folder, 200), r"bad\.parquet cannot be read as a parquet file"),
        (lambda folder: cut(folder, 0), r"bad\.parquet cannot be read as a parquet file"),
        (scrambled, r"bad\.parquet"),
        (other_columns, r"bad\.parquet has no column of pictures; its columns are: text, number"),
        (in_parquet(), r"bad\.parquet holds no pictures"),
        (in_parquet(SMALL, b"text"), r"row 1 of .*bad\.parquet is not a picture"),
        (in_parquet(SMALL, SMALL[:-40]), r"row 1 of .*bad\.parquet is damaged"),
        (in_parquet(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), r"row 0 of .* is not a picture"),
        (in_parquet(SMALL, SMALL, labels=np.array([1, 2**64 - 1], np.uint64)), r"bad\.parquet cannot be read"),
        (in_parquet(SMALL, None), r"row 1 of .*bad\.parquet has no picture"),
        (in_parquet(bomb(12_000)), r"row 0 of .*bad\.parquet has too many pixels"),
        (in_parquet(bomb(60_000)), r"row 0 of .*bad\.parquet has too many pixels"),
        (in_parquet(SMALL, LARGE), r"row 1 of .*bad\.parquet has 7 by 9 pixels and the first .* 12 by 12"),
        (in_parquet(GREY, SMALL), r"row 1 of .*bad\.parquet is in colour and the first picture is grey"),
        (in_parquet(SMALL, SMALL, labels=[1, None]), r"bad\.parquet has a row without a label"),
        (text_as_picture, r"story\.png is not a picture"),
        (text_file, r"bad holds no pictures"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_what_is_wrong_is_said_of_the_file(tmp_path: Path, make, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        data.open(str(make(tmp_path)))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("cache/*"))


def test_grey_pictures_among_colours_become_colours(tmp_path: Path) -> None:
    found = data.open(str(write(tmp_path / "mixed.parquet", [SMALL, GREY]))).values
    assert torch.equal(found[1, 0], found[1, 2])


def test_a_narrow_picture_is_cropped_before_it_is_scaled(tmp_path: Path) -> None:
    strip = encoded(np.zeros((1, 40_000), dtype=np.uint8))
    assert data.open(str(write(tmp_path / "strip.parquet", [strip])), size=1000).shape == (1, 1000, 1000)


@pytest.mark.parametrize(
    "name", ["photos", "../photos", "no/such/folder", "a/b\0c", "~nobody/x", "x" * 4000 + "/y", "-rf/--all"]
)
def test_a_text_that_is_no_path_is_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "x.png").write_bytes(SMALL)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="there is no data set named"):
        data.open(name)
    assert len(data.open("./photos")) == 1


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("")
    with pytest.raises(ValueError, match=r"x\.csv is neither a folder of pictures nor a parquet file"):
        data.open(str(tmp_path / "x.csv"))


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
