"""A scene as pictures: decoded again, particles are where they should be, in every frame and every format."""

import io
import math
import sys
from dataclasses import replace
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from lflow.ui import film
from lflow.ui.film import charts, cloud
from lflow.ui.film.ink import Type, format_number, nice_ticks
from lflow.ui.image_grid import ImagePanel, ImageScene
from lflow.ui.packing import Line, Metric, Panel, Scene, Series

FRAMES, BOUNDS = 12, ((-2.0, 3.0), (-1.0, 3.0))
WAY = np.linspace([-1.5, -0.5], [2.0, 2.5], FRAMES)  # of the one particle, neither symmetric nor level


def make_scene(positions: np.ndarray | None = None, panels: int = 1, **more: Any) -> Scene:
    positions = WAY[:, None] if positions is None else positions
    frames = len(positions)
    captions = [f"{positions.shape[1]} particles in frame {k}." for k in range(frames)]
    look = {"colour_light": "#0072B2", "colour_dark": "#4BA3DB", "captions": captions}
    shown = [Panel(label=f"panel {k}", positions=positions, **look) for k in range(panels)]
    curves = tuple(Series(f"series {k}", np.linspace(5 + k, 1, frames), k) for k in range(panels))
    metric = Metric("Distance", "W2", curves, log=True, lines=(Line("floor", 0.5, 0.4, 0.6),))
    return Scene(
        bounds=BOUNDS,
        steps=np.arange(frames) * 10,
        panels=shown,
        metrics=[metric] * 2,
        alt="one particle",
        trails=False,
        **more,
    )


def view_box(image: Image.Image) -> tuple[int, int, int, int]:
    """The left view's inside, found by the frame that is drawn around it."""
    pixels = np.asarray(image.convert("RGB")).astype(int)
    border = (np.abs(pixels - pixels[0, 0]).sum(2) > 40) & (np.ptp(pixels, axis=2) < 20)
    half = border[:, : pixels.shape[1] * 2 // 3]
    rows = np.flatnonzero(half.sum(1) > 0.7 * half.shape[1])
    columns = np.flatnonzero(half.sum(0) > 0.5 * half.shape[0])
    return int(columns[0]) + 1, int(rows[0]) + 1, int(columns[-1]), int(rows[-1])


def place(image: Image.Image, box: tuple[int, int, int, int]) -> tuple[float, float]:
    """Where the blue lies in a view, in the coordinates of the bounds."""
    pixels = np.asarray(image.convert("RGB").crop(box)).astype(float)
    blue = np.clip(pixels[..., 2] - pixels[..., 0] - 40, 0, None)
    row, column = np.average(np.mgrid[: blue.shape[0], : blue.shape[1]] + 0.5, axis=(1, 2), weights=blue)
    return column / blue.shape[1], row / blue.shape[0]


def off_by(images: list[Image.Image], box: tuple[int, int, int, int], flip: bool = False) -> float:
    """The largest distance in pixels between a blob and where its particle belongs."""
    (x0, x1), (y0, y1) = BOUNDS
    width, height = box[2] - box[0], box[3] - box[1]
    away = []
    for image, (x, y) in zip(images, WAY, strict=True):
        across, down = place(image, box)
        up = (y - y0) / (y1 - y0)
        away.append(
            math.hypot(width * (across - (x - x0) / (x1 - x0)), height * (down - (up if flip else 1 - up)))
        )
    return max(away)


def decoded(data: bytes) -> list[Image.Image]:
    with Image.open(io.BytesIO(data)) as image:
        frames = []
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(image.convert("RGB"))
        return frames


def test_the_particle_of_a_gif_is_where_it_should_be_in_every_frame() -> None:
    scene = make_scene()
    data = film.gif(scene, width=960)
    assert data is not None
    images = decoded(data)
    assert len(images) == FRAMES
    box = view_box(Image.open(io.BytesIO(film.png(scene, width=960))))
    assert abs((box[3] - box[1]) / (box[2] - box[0]) - 0.8) < 0.01
    assert off_by(images, box) < 1
    assert off_by(images, box, flip=True) > 100  # the test would see a picture upside down
    assert {image.getpixel((0, 0)) for image in images} == {(251, 250, 247)}  # the paper, as it is
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["loop"] == 0
        times = []
        for number in range(FRAMES):
            image.seek(number)
            times.append(image.info["duration"])
    assert abs(sum(times) / 1000 - 8.0 - 0.9) < 0.2


def test_the_particle_of_an_mp4_is_where_it_should_be_in_every_frame() -> None:
    scene = make_scene(loop_seconds=2.0)
    data = film.mp4(scene, width=960)
    assert data is not None
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        images = [frame.to_image() for frame in container.decode(stream)]
        seconds = float(len(images) / stream.average_rate)
    assert abs(seconds - 2.0 - 0.9) < 0.2
    assert images[0].size == film.Picture(scene, 960).size
    np.testing.assert_allclose(images[0].getpixel((0, 0)), (251, 250, 247), atol=3)
    box = view_box(Image.open(io.BytesIO(film.png(scene, width=960))))
    assert off_by(images[:FRAMES], box) < 1.5
    held = [place(image, box) for image in images[FRAMES - 1 :]]
    assert len(held) == len(images) - FRAMES + 1 > 1
    np.testing.assert_allclose(held, held[0] * np.ones((len(held), 1)), atol=0.003)


def test_a_png_is_one_frame_twice_as_fine() -> None:
    scene = make_scene()
    first, last = (Image.open(io.BytesIO(film.png(scene, frame))) for frame in (0, -1))
    assert first.size == last.size == film.Picture(scene, 2 * 960).size
    box = view_box(last)
    assert place(first, box)[0] < 0.2 < 0.7 < place(last, box)[0]


@pytest.mark.parametrize("panels", [1, 2, 3, 4])
@pytest.mark.parametrize("dark", [False, True])
def test_panels_of_a_scene_show_the_same_positions_at_the_same_height(panels: int, dark: bool) -> None:
    image = film.Picture(make_scene(panels=panels), dark=dark).frame(5)
    assert image.width % 2 == image.height % 2 == 0
    assert image.getpixel((0, 0)) == ((18, 19, 20) if dark else (251, 250, 247))
    picture = film.Picture(make_scene(panels=panels), dark=dark)
    boxes = [(p.left, p.top, p.left + p.width, p.top + p.height) for p in picture.panels]
    (x0, x1), (y0, y1) = BOUNDS
    for box in boxes:
        assert box[1] == boxes[0][1]
        assert 0 < box[0] < box[2] < image.width
        across, down = place(image, box)
        assert abs(across - (WAY[5, 0] - x0) / (x1 - x0)) < 0.01
        assert abs(1 - down - (WAY[5, 1] - y0) / (y1 - y0)) < 0.01


def image_scene(count: int, height: int, width: int, panels: int = 1) -> ImageScene:
    """No pixel of an image looks like another one of it, and the second panel is the first's negative."""
    frame, image, row, column = np.indices((FRAMES, count, height, width))
    images = ((row * width + column) * 3 + image + frame).astype(np.uint8)
    look = {"colour_light": "#0072B2", "colour_dark": "#4BA3DB", "captions": ["some images"] * FRAMES}
    shown = [
        ImagePanel(label=f"{k}", images=images if k % 2 else 255 - images, **look) for k in range(panels)
    ]
    curves = tuple(Series(f"{k}", np.linspace(5 + k, 1, FRAMES), k) for k in range(panels))
    metrics = [Metric("Energy", "U", curves)] * 2
    return ImageScene(steps=np.arange(FRAMES), panels=shown, metrics=metrics, alt="images")


@pytest.mark.parametrize(("count", "height", "width"), [(9, 8, 8), (7, 4, 6), (5, 6, 4), (1, 3, 3)])
@pytest.mark.parametrize("panels", [1, 2, 4])
def test_every_pixel_of_every_image_is_where_it_should_be(
    count: int, height: int, width: int, panels: int
) -> None:
    scene = image_scene(count, height, width, panels)
    picture = film.Picture(scene)
    drawn = np.asarray(picture.frame(7).convert("L"))
    for panel, view in zip(scene.panels, picture.panels, strict=True):
        assert view.left + view.width <= drawn.shape[1]
        pixel = view.cell[0] // width
        assert view.cell == (pixel * width, pixel * height)  # all pixels are even
        for number in range(count):
            x, y = view.corner(number)
            assert x + view.cell[0] <= view.width
            assert y + view.cell[1] <= view.height
            across = view.left + x + (np.arange(width) + 0.5) * pixel
            down = view.top + y + (np.arange(height) + 0.5) * pixel
            read = drawn[down.astype(int)[:, None], across.astype(int)]
            np.testing.assert_array_equal(read, np.asarray(panel.images)[7, number])
    data = film.gif(scene)
    assert data is not None
    assert len(decoded(data)) == FRAMES


def test_a_film_of_two_thousand_particles_is_a_few_megabytes() -> None:
    generator = np.random.default_rng(0)
    walk = generator.normal(0, 0.05, (120, 2000, 2)).cumsum(0) + generator.normal(0.5, 0.7, (2000, 2))
    data = film.gif(replace(make_scene(walk), trails=True))
    assert data is not None
    assert 500_000 < len(data) < 7_000_000
    assert len(decoded(data)) == 80


def test_a_film_can_be_stopped_and_says_how_far_it_is() -> None:
    scene, seen = make_scene(), []
    for make in (film.gif, film.mp4):
        assert make(scene, progress=lambda done, total: done < 3) is None
    assert film.gif(scene, progress=lambda done, total: seen.append((done, total))) is not None
    assert seen == [(done, FRAMES) for done in range(FRAMES + 1)]


def test_without_pyav_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(RuntimeError, match=r"MP4 needs PyAV: pip install 'lflow\[video\]'"):
        film.mp4(make_scene())


def test_a_picture_too_small_to_read_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a width of 240 pixels or more, not 100"):
        film.png(make_scene(), width=100)


def test_particles_that_are_lost_are_not_drawn_and_are_missed_in_the_histograms() -> None:
    positions = np.full((2, 4, 2), np.nan)
    positions[:, 0], positions[:, 1], positions[:, 2] = [1e30, 0], [-np.inf, 1], [0.0, 0.0]
    picture = film.Picture(make_scene(positions))
    panel = picture.panels[0]
    x, y = cloud.counts(panel.frames[1], panel.width, panel.height)
    assert x.sum() == y.sum() == 1
    box = (panel.left, panel.top, panel.left + panel.width, panel.top + panel.height)
    np.testing.assert_allclose(place(picture.frame(1), box), [2 / 5, 3 / 4], atol=0.005)


def test_dots_cover_as_one_laid_over_the_other() -> None:
    width, height, points = 30, 20, np.array([[4.3, 5.7], [5.1, 6.2], [29.9, 0.2], [-1.0, 19.0], [99.0, 3.0]])
    dots = cloud.make_dots(2000, 480, 480, 1.0)
    expected = np.ones((height, width))
    for x, y in points:  # one particle, one pixel at a time
        column, row = math.floor(x), math.floor(y)
        veil = dots.veils[int((y - row) * 4) * 4 + int((x - column) * 4)].reshape(2 * dots.reach + 1, -1)
        for (down, across), value in np.ndenumerate(veil):
            at = row + down - dots.reach, column + across - dots.reach
            if 0 <= at[0] < height and 0 <= at[1] < width:
                expected[at] *= math.exp(value)
    np.testing.assert_allclose(cloud.let_through(points, dots, width, height), expected, rtol=1e-6)
    assert expected.min() < 0.5


def test_histograms_count_as_numpy_does() -> None:
    points = np.random.default_rng(2).normal([40, 30], 30, (500, 2))
    x, y = cloud.counts(points, 90, 70)
    inside = [points[(points[:, k] >= 0) & (points[:, k] < size), k] for k, size in enumerate((90, 70))]
    assert x.tolist() == np.histogram(inside[0], cloud.BINS, (0, 90))[0].tolist()
    assert y.tolist() == np.histogram(70 - inside[1], cloud.BINS, (0, 70))[0].tolist()


def test_the_level_line_of_a_bowl_is_a_circle() -> None:
    centres = (np.arange(100) + 0.5) / 100 * 4 - 2
    bowl = (
        centres[None, :] ** 2 + (centres[:, None] - 0.3) ** 2
    )  # rows are y: the circle lies above the middle
    lines = cloud.level_lines(bowl, 1.0, 400, 400)
    radii = np.hypot(lines[..., 0] - 200, lines[..., 1] - (200 - 30))
    np.testing.assert_allclose(radii, 100, atol=0.1)
    length = np.hypot(*(lines[:, 1] - lines[:, 0]).T).sum()
    assert abs(length / (2 * math.pi * 100) - 1) < 0.001
    bowl[:50] = np.inf  # where the energy is infinite there is no line
    assert cloud.level_lines(bowl, 1.0, 400, 400)[..., 1].max() < 200


def test_the_level_lines_of_a_saddle_join_no_corner_twice() -> None:
    saddle = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert len(cloud.level_lines(saddle, 0.5, 10, 10)) == len(cloud.level_lines(-saddle, -0.5, 10, 10)) == 2


def test_numbers_are_written_as_the_player_does() -> None:
    written = [format_number(value) for value in (0.0, 3.14159, -0.0123, 123456.0, 2e-5, math.nan)]
    assert written == ["0", "3.14", "−0.0123", "1.2e5", "2e−5", "–"]
    assert [tick.text for tick in nice_ticks(-2.2, 2.2, 5)] == ["−2", "−1", "0", "1", "2"]
    assert [tick.text for tick in nice_ticks(0.0, 1.0, 2.5)] == ["0.0", "0.5", "1.0"]
    assert [tick.text for tick in charts.value_ticks(0.005, 20, log=True)] == ["0.01", "0.1", "1", "10"][::2]


def test_a_run_that_blows_up_leaves_the_chart_at_the_top() -> None:
    blown = Metric("Energy", "U", (Series("", [1.0, 2.0, 3.0, 1e30, np.inf], 0),))
    low, high = charts.value_range(blown)
    assert 0 <= low < 1
    assert 3 < high < 30


def test_words_are_wrapped_and_names_shortened_to_the_room_there_is() -> None:
    type, text = Type(13), "2,000 particles after 500 steps (500 gradients each)."
    lines = type.wrap(text, 200)
    assert " ".join(lines) == text
    assert max(type.length(line) for line in lines) <= 200 < type.length(text)
    assert type.length(type.shorten(text, 100)) <= 100
    assert type.shorten("ULA", 100) == "ULA"
