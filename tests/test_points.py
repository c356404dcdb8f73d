"""A user's points: what is read, what is refused and with which words; their kernel density."""

from __future__ import annotations

import contextlib
import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from lflow.energies import points as points_module
from lflow.energies.points import MAX_BYTES, MAX_POINTS, PointCloud, read_points

TABLE = np.random.default_rng(0).normal(size=(20, 2)).round(6)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def csv(separator: str = ",", header: str = "", ending: str = "\n") -> bytes:
    lines = [header] * bool(header) + [f"{x}{separator}{y}" for x, y in TABLE]
    return (ending.join(lines) + ending).encode()


@pytest.mark.parametrize("separator", [",", ", ", ";", "\t", " ", "   "])
@pytest.mark.parametrize("header", ["", "x{}y", "# made by hand"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n"])
def test_csv(separator: str, header: str, ending: str) -> None:
    found = read_points(csv(separator, header.format(separator), ending))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, TABLE)


def test_csv_of_other_habits() -> None:
    np.testing.assert_array_equal(read_points(csv(";").replace(b".", b",")), TABLE)
    np.testing.assert_array_equal(read_points(csv().decode().encode("utf-8-sig")), TABLE)
    np.testing.assert_array_equal(read_points(csv().decode().encode("utf-16")), TABLE)
    quoted = "\n".join(f'"{x}","{y}"' for x, y in TABLE).encode()
    np.testing.assert_array_equal(read_points(quoted), TABLE)


@pytest.mark.parametrize("dtype", ["f8", "f4", ">f8", "i4", "u1"])
def test_npy(dtype: str) -> None:
    array = (TABLE * 10 + 50).astype(dtype)
    np.testing.assert_array_equal(read_points(npy(array)), array.astype(float))
    np.testing.assert_array_equal(read_points(npy(np.asfortranarray(array))), array.astype(float))


def test_paths(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(csv())
    np.testing.assert_array_equal(read_points(file), TABLE)
    np.testing.assert_array_equal(read_points(str(file)), TABLE)
    with pytest.raises(ValueError, match=r"none\.csv cannot be opened"):
        read_points(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="is not a file"):
        read_points(tmp_path)


GOOD = b"1,2\n" * 10
REFUSALS = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\n ", "is empty"),
    "comments": (b"# x\n# y\n", "is empty"),
    "header": (b"x,y\n", "has 0 points"),
    "few": (b"1,2\n3,4\n", "has 2 points; at least 10"),
    "equal": (GOOD, "all points of t.csv are equal"),
    "one column": (b"1\n2\n" * 9, "has one column"),
    "five columns": (b"1,2,3,4,5\n" * 9, "has 5 columns; keep two"),
    "ragged": (GOOD + b"1,2,3\n", "has 3 columns in row 11; keep two"),
    "text": (b"x,y\n" + GOOD + b"1,two\n", "has the text 'two' in row 12"),
    "gap": (GOOD + b"1,\n", "has an empty cell in row 11"),
    "nan": (b"x,y\n\n" + GOOD + b"nan,1\n", "has NaN or infinity in row 13"),
    "infinite": (GOOD + b"1,-inf\n", "has NaN or infinity in row 11"),
    "large": (GOOD + b"1,1e200\n", "beyond 1e15 in row 11"),
    "binary": (bytes(range(256)), "neither CSV text nor an .npy file"),
    "zeros": (b"1,2\0\n", "neither CSV text nor an .npy file"),
    "prose": (b"Dear reader, hello\nthis, is, not a table\n", "columns"),
    "one long line": (b"1," * 100_000, "columns; keep two"),
    "zip": (b"PK\x03\x04rest", "not an .npy file"),
    "objects": (npy(np.array([[1, "a"]] * 12, dtype=object)), "Python objects"),
    "complex": (npy(TABLE.astype(complex)), "type complex128"),
    "strings": (npy(TABLE.astype(str)), "save real numbers"),
    "booleans": (npy(TABLE > 0), "type bool"),
    "npy nan": (npy(np.where(np.arange(40).reshape(20, 2) == 6, np.nan, TABLE)), "NaN or infinity in row 3"),
    "npy one axis": (npy(TABLE[:, 0]), "has one column"),
    "npy three": (npy(np.ones((20, 3))), "has 3 columns; keep two"),
    "npy cube": (npy(np.ones((20, 2, 2))), "of shape (20, 2, 2)"),
    "npy scalar": (npy(np.array(1.0)), "of shape ()"),
    "npy cut": (npy(TABLE)[:-8], "cut short"),
    "npy bomb": (npy(TABLE).replace(b"(20, 2)", b"(9999999999999, 2)"), "cut short"),
    "npy header": (b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16, "damaged"),
    "npy magic alone": (b"\x93NUMPY", "damaged"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case: str) -> None:
    content, fragment = REFUSALS[case]
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the fragment is looked for below)
        read_points(content, "t.csv")
    assert fragment in str(caught.value)
    assert "t.csv" in str(caught.value)


def test_npy_by_suffix() -> None:
    with pytest.raises(ValueError, match=r"not an \.npy file"):
        read_points(csv(), "points.npy")


def test_large_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 20 MB"):
        read_points(b"1" * (MAX_BYTES + 1))
    file = tmp_path / "sparse.csv"
    with file.open("wb") as stream:
        stream.truncate(10**12)
    with pytest.raises(ValueError, match=r"1000000\.0 MB; at most 20 MB"):
        read_points(file)


def test_thinning_is_even_and_repeatable() -> None:
    many = np.arange(40_000, dtype=float).reshape(-1, 2)
    found = read_points(npy(many))
    assert found.shape == (MAX_POINTS, 2)
    np.testing.assert_array_equal(found, read_points(npy(many)))
    assert (np.diff(found[:, 0]) > 0).all()
    assert abs(found[:, 0].mean() / many[:, 0].mean() - 1) < 0.02


def test_garbage_never_gets_past_a_value_error() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(random.choice([npy(TABLE), csv()]))
        for place in random.integers(0, min(len(content), 130), size=3):
            content[place] = random.integers(256)
        with contextlib.suppress(ValueError):
            assert read_points(bytes(content)).shape[1] == 2


CLOUD = PointCloud(torch.from_numpy(TABLE), bandwidth=0.7)
PLACES = 2 * torch.randn(30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def reference(places: np.ndarray) -> np.ndarray:
    h = 0.7 * TABLE.std(axis=0, ddof=1) * len(TABLE) ** (-1 / 6)
    scaled = (places[:, None] - TABLE[None]) / h
    kernels = np.exp(-0.5 * (scaled**2).sum(2)) / (2 * math.pi * h.prod())
    return -np.log(kernels.mean(1))


def test_energy_agrees_with_numpy() -> None:
    np.testing.assert_allclose(CLOUD.energy(PLACES).numpy(), reference(PLACES.numpy()), rtol=1e-12)
    np.testing.assert_allclose(CLOUD.energy(PLACES.float()).numpy(), reference(PLACES.numpy()), rtol=1e-4)


def test_gradient_agrees_with_autograd() -> None:
    places = PLACES.clone().requires_grad_()
    (expected,) = torch.autograd.grad(CLOUD.energy(places).sum(), places)
    torch.testing.assert_close(CLOUD.grad(PLACES), expected)
    energy, gradient = CLOUD.energy_and_grad(PLACES)
    torch.testing.assert_close(energy, CLOUD.energy(PLACES))
    torch.testing.assert_close(gradient, expected)
    assert torch.autograd.gradcheck(CLOUD.grad, places[:4])


def test_density_integrates_to_one() -> None:
    axes = [torch.linspace(low - 1, high + 1, 301, dtype=torch.float64) for low, high in CLOUD.bounds]
    grid = torch.cartesian_prod(*axes)
    cell = math.prod(float(axis[1] - axis[0]) for axis in axes)
    assert abs(float(torch.exp(-CLOUD.energy(grid)).sum()) * cell - 1) < 1e-6


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = CLOUD.energy_and_grad(PLACES)
    monkeypatch.setattr(points_module, "CACHED_PAIRS", 70)
    torch.testing.assert_close(CLOUD.energy_and_grad(PLACES), whole)
    assert CLOUD.grad(PLACES[:0]).shape == (0, 2)


def test_far_away_stays_finite_in_single_precision() -> None:
    far = torch.tensor([[1e4, -1e4]])
    assert CLOUD.energy(far).isfinite().all()
    torch.testing.assert_close(CLOUD.grad(far).double(), CLOUD.grad(far.double()), rtol=1e-4, atol=0)


def test_functional_transforms_and_compilation() -> None:
    _, product = torch.func.jvp(CLOUD.grad, (PLACES,), (torch.ones_like(PLACES),))
    hessian = torch.func.vmap(torch.func.hessian(lambda place: CLOUD.energy(place[None])[0]))(PLACES)
    torch.testing.assert_close(product, hessian.sum(2))
    cloud = PointCloud(CLOUD.points)
    compiled = torch.compile(cloud.grad, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(PLACES), cloud.grad(PLACES))


def test_tensors_are_placed_once_and_serve_autograd_after_inference() -> None:
    cloud = PointCloud(CLOUD.points)
    with torch.inference_mode():
        cloud.grad(PLACES.float())
    placed = cloud._on(torch.device("cpu"), torch.float32)
    assert placed[0] is cloud._on(torch.device("cpu"), torch.float32)[0]
    cloud.energy(PLACES.float().requires_grad_()).sum().backward()


def test_draws() -> None:
    draws = CLOUD.sample(200_000, torch.Generator().manual_seed(0))
    assert draws.dtype == torch.float32
    torch.testing.assert_close(draws, CLOUD.sample(200_000, torch.Generator().manual_seed(0)))
    mean, h = TABLE.mean(axis=0), CLOUD.scale.numpy()
    np.testing.assert_allclose(draws.mean(0).numpy(), mean, atol=0.015)
    np.testing.assert_allclose(draws.var(0).numpy(), TABLE.var(axis=0) + h**2, rtol=0.02)


def test_bounds_hold_the_mass() -> None:
    (left, right), (bottom, top) = CLOUD.bounds
    assert left < TABLE[:, 0].min() - 3 * CLOUD.scale[0]
    assert right > TABLE[:, 0].max() + 3 * CLOUD.scale[0]
    x, y = CLOUD.sample(20_000, torch.Generator().manual_seed(0)).T
    inside = (x > left) & (x < right) & (y > bottom) & (y < top)
    assert inside.double().mean() > 0.999


def test_points_on_a_line() -> None:
    cloud = PointCloud(torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]]))
    assert cloud.scale[1] == cloud.scale[0] > 0
    assert cloud.grad(torch.tensor([[1.0, 5.0]])).isfinite().all()


@pytest.mark.parametrize(
    ("points", "bandwidth", "fragment"),
    [
        (torch.zeros(5, 2), 1.0, "equal"),
        (torch.zeros(5, 3), 1.0, "shape"),
        (torch.zeros(1, 2), 1.0, "shape"),
        (torch.full((5, 2), math.nan), 1.0, "finite"),
        (torch.rand(5, 2), 0.0, "bandwidth"),
        (torch.rand(5, 2), math.nan, "bandwidth"),
    ],
)
def test_cloud_refusals(points: torch.Tensor, bandwidth: float, fragment: str) -> None:
    with pytest.raises(ValueError, match=fragment):
        PointCloud(points, bandwidth)
