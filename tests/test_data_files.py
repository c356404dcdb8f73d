"""Data from files: parquet and folders; what is kept; what is said of a file that is not in order."""

import io
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from lflow import data
from lflow.data import cache, parquet
from tests.parquet_files import bytes_of, encoded, noise, write


@pytest.fixture(autouse=True)
def a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LFLOW_CACHE", str(tmp_path / "cache"))


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
        (in_parquet(SMALL, SMALL, labels=np.array([2**64 - 1] * 2, np.uint64)), r"bad\.parquet cannot be"),
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
    with pytest.raises(ValueError, match=r"there is no (data set named|folder of pictures)"):
        data.open(name)
    assert len(data.open("./photos")) == 1


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("")
    with pytest.raises(ValueError, match=r"x\.csv is neither a folder of pictures nor a parquet file"):
        data.open(str(tmp_path / "x.csv"))
