"""Drawings as text and as points: what comes back, how long it is, and that no text does harm."""

import math
import random
import string
import time
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from lflow.energies.custom import from_points
from lflow.ui.drawing import MAX_LENGTH, MAX_POINTS, TOLERANCE, Strokes, decode, encode, points

BOUNDS = ((-2.0, 2.0), (0.0, 1.0))
LEVEL = 1 / 255


def doodle(seed: int) -> Strokes:
    """Three to five wandering strokes of a hand that trembles, as dense as the player sends them."""
    rng = np.random.default_rng(seed)
    strokes = []
    for _ in range(rng.integers(3, 6)):
        angles = np.cumsum(rng.normal(0, 0.12, rng.integers(60, 200))) + rng.uniform(0, 2 * math.pi)
        steps = 0.006 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        line = rng.uniform(0.2, 0.8, 2) + np.cumsum(steps, axis=0) + rng.normal(0, 0.001, steps.shape)
        strokes.append([(float(x), float(y)) for x, y in np.clip(line, 0, 1)])
    return strokes


def distance_to_line(point: tuple[float, float], line: list[tuple[float, float]]) -> float:
    """The distance of a point from a broken line, segment by segment, by complex numbers."""
    z, corners = complex(*point), [complex(*corner) for corner in line]
    nearest = min(abs(z - corner) for corner in corners)
    for a, b in pairwise(corners):
        if a == b:
            continue
        turned = (z - a) / (b - a)
        if 0 <= turned.real <= 1:
            nearest = min(nearest, abs(turned.imag) * abs(b - a))
    return nearest


@pytest.mark.parametrize("seed", range(10))
def test_a_doodle_comes_back_within_the_quantisation_and_is_short(seed: int) -> None:
    strokes = doodle(seed)
    text = encode(strokes)
    read = decode(text)
    assert len(text) < 600 < MAX_LENGTH
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")
    assert len(read) == len(strokes)
    rounding = LEVEL / 2 * math.sqrt(2)
    for old, new in zip(strokes, read, strict=True):
        assert math.dist(old[0], new[0]) <= rounding
        assert math.dist(old[-1], new[-1]) <= rounding
        assert max(distance_to_line(point, new) for point in old) <= TOLERANCE + rounding
        assert max(distance_to_line(point, old) for point in new) <= rounding + 1e-12


def test_what_was_read_is_written_so_that_it_is_read_alike() -> None:
    once = decode(encode(doodle(0)))
    twice = decode(encode(once))
    for old, new in zip(once, twice, strict=True):
        assert max(distance_to_line(point, new) for point in old) <= TOLERANCE
        assert set(new) <= set(old)


def test_dots_corners_and_the_edges_come_back_exactly() -> None:
    strokes: Strokes = [[(0.0, 0.0)], [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0)], [(0.2, 0.4), (0.2, 0.4)]]
    assert decode(encode(strokes)) == [strokes[0], strokes[1], [(0.2, 0.4)]]


def test_the_longest_drawing_is_written_read_and_laid_out_at_once() -> None:
    rng = np.random.default_rng(0)
    dots: Strokes = [[(float(x), float(y))] for x, y in rng.random((MAX_POINTS, 2))]
    scribble = [[dot[0] for dot in dots]]
    for strokes in (dots, scribble):
        began = time.process_time()
        read = decode(encode(strokes))
        assert len(points(read, BOUNDS)) == 400
        assert time.process_time() - began < 2
        assert sum(map(len, read)) <= MAX_POINTS


@pytest.mark.parametrize(
    ("strokes", "message"),
    [
        ([], "needs a stroke"),
        ([[]], "each stroke a point"),
        ([[(0.5, 1.01)]], "leaves the picture"),
        ([[(math.nan, 0.5)]], "leaves the picture"),
        ([[(0.5, 0.5, 0.5)]], "pair of numbers"),
        ([[(0.5, 0.5)] * (MAX_POINTS + 1)], "more than 4,000 points"),
    ],
)
def test_a_wrong_drawing_is_refused(strokes: Strokes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode(strokes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not the text of a drawing"),
        ("AQAB AAIAAP__", "not the text of a drawing"),
        ("AQABAAIAAP//", "not the text of a drawing"),
        ("AQABAAIAAP__\n", "not the text of a drawing"),
        ("A", "not the text of a drawing"),
        ("ÄQABAAIAAP__", "not the text of a drawing"),
        ("AgABAAIAAP__", "version 2"),
        ("AQAA", "no strokes"),
        ("AQABAAA", "empty stroke"),
        ("AQABAAIAAP__AA", "after its last stroke"),
        ("A" * 100_000, "more than any drawing takes"),
    ],
)
def test_a_wrong_text_is_refused_with_a_sentence(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(text)


def test_every_shorter_text_is_refused() -> None:
    text = encode(doodle(1))
    for length in range(len(text)):
        with pytest.raises(ValueError, match="drawing"):
            decode(text[:length])


def test_no_text_raises_anything_but_a_value_error_or_takes_long() -> None:
    source = random.Random(0)
    letters = string.ascii_letters + string.digits + "-_"
    good = encode(doodle(2))
    began = time.process_time()
    for trial in range(3000):
        if trial % 3 == 0:  # random letters behind a right version
            text = "AQ" + "".join(source.choices(letters, k=source.randrange(200)))
        elif trial % 3 == 1:  # a good text with some letters changed
            changed = list(good)
            for _ in range(source.randrange(1, 4)):
                changed[source.randrange(len(good))] = source.choice(letters)
            text = "".join(changed)
        else:
            text = "".join(chr(source.randrange(0x110000)) for _ in range(source.randrange(60)))
        try:
            strokes = decode(text)
        except ValueError:
            continue
        assert 1 <= sum(map(len, strokes)) <= MAX_POINTS
        assert all(0 <= part <= 1 for stroke in strokes for point in stroke for part in point)
    assert time.process_time() - began < 5


def spacing(found: list[tuple[float, float]]) -> NDArray[np.float64]:
    return np.linalg.norm(np.diff(np.array(found), axis=0), axis=1)


def test_points_lie_equally_far_apart_and_share_the_ink_by_length() -> None:
    # In these bounds the first stroke is 3.2 long, the second 0.8.
    strokes: Strokes = [[(0.1, 0.5), (0.3, 0.5), (0.9, 0.5)], [(0.5, 0.1), (0.5, 0.9)]]
    found = points(strokes, BOUNDS, count=100)
    first, second = found[:80], found[80:]
    assert all(math.isclose(y, 0.5) for _, y in first)
    assert all(math.isclose(x, 0.0, abs_tol=1e-12) for x, _ in second)
    np.testing.assert_allclose(spacing(first), 0.04)
    np.testing.assert_allclose(spacing(second), 0.04)
    assert math.isclose(first[0][0], -1.6 + 0.02)


@pytest.mark.parametrize(
    "strokes",
    [
        [[(0.5, 0.5)]],
        [[(0.5, 0.5), (0.5001, 0.5)]],
        [[(0.5, 0.5)] * 5],
        [[(0.0, 0.3), (1.0, 0.3)]],
        [[(0.2, 0.2)], [(0.7, 0.7)]],
    ],
)
def test_the_smallest_drawings_make_an_energy(strokes: Strokes) -> None:
    energy = from_points(points(strokes, BOUNDS))
    (x0, x1), (y0, y1) = energy.bounds
    assert x0 < x1
    assert y0 < y1


def test_a_dot_is_a_circle_as_wide_as_the_pen() -> None:
    found = np.array(points([[(0.25, 0.5)]], BOUNDS, count=60))
    np.testing.assert_allclose(found.mean(axis=0), [-1.0, 0.5], atol=1e-3)
    radius = np.hypot((found[:, 0] + 1) / 4, found[:, 1] - 0.5)  # in parts of the view
    np.testing.assert_allclose(radius, 0.01, rtol=0.04)
