"""The player's byte format, read back by a decoder of its own, and what `pack` refuses."""

import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lflow.ui.drawing import MAX_POINTS
from lflow.ui.image_grid import ImagePanel, ImageScene, Overlay
from lflow.ui.packing import Line, Metric, Panel, Scene, Series, pack
from lflow.ui.player import _point, _script, _strokes

FRAMES, PARTICLES = 5, 7
BOUNDS = ((-2.0, 2.0), (0.0, 1.0))


def unpack(payload: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The header and the sections, by the description of the format alone."""
    assert payload[:4] == b"LFP1"
    (length,) = struct.unpack("<I", payload[4:8])
    header = json.loads(payload[8 : 8 + length].decode("utf-8"), parse_constant=pytest.fail)
    start = -(-(8 + length) // 8) * 8
    sections = []
    for entry in header["sections"]:
        assert entry["offset"] % 8 == 0
        count = int(np.prod(entry["shape"]))
        dtype = np.dtype(entry["dtype"]).newbyteorder("<")
        at = start + entry["offset"]
        assert at + count * dtype.itemsize <= len(payload)
        sections.append(np.frombuffer(payload, dtype, count, at).reshape(entry["shape"]))
    return header, sections


def make_panel(**changes: Any) -> Panel:
    rng = np.random.default_rng(0)
    density = rng.random((4, 6))
    panel = Panel(
        label="ULA",
        colour_light="#0072B2",
        colour_dark="#4FA8DE",
        positions=rng.uniform((-2, 0), (2, 1), (FRAMES, PARTICLES, 2)),
        captions=[f"frame {frame}" for frame in range(FRAMES)],
        density=density,
        energy=-np.log(density),
        flow=rng.random((FRAMES, 3, 3)),
        marginal_x=density.sum(axis=0),
        marginal_y=density.sum(axis=1),
        proposal=rng.random((4, 3, 5)),
        banner="too large a step",
        banner_frame=3,
    )
    return replace(panel, **changes)


def make_scene(**changes: Any) -> Scene:
    series = Series("ULA", np.array([np.nan, 1.0, np.inf, 0.5, 0.25]), panel=0, dash=True)
    metric = Metric(
        "distance", "", (series,), log=True, lines=(Line("floor", 0.1, 0.05, 0.2),), help="what it is"
    )
    scene = Scene(
        bounds=BOUNDS,
        steps=np.arange(FRAMES) * 10,
        panels=[make_panel()],
        metrics=[metric],
        alt="a cloud on an energy",
    )
    return replace(scene, **changes)


def make_images(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (FRAMES, *shape), dtype=np.uint8)


def make_grid(images: np.ndarray, **changes: Any) -> ImagePanel:
    look = {"label": "ULA", "colour_light": "#0072B2", "colour_dark": "#4BA3DB"}
    return ImagePanel(**{**look, "images": images, "captions": [""] * FRAMES, **changes})


def make_overlay(**changes: Any) -> Overlay:
    look = {"colour_light": "#D55E00", "colour_dark": "#F58B45"}
    return Overlay(**{"label": "Step size", "low": 1e-3, "high": 1.0, "log": True, **look, **changes})


def make_image_scene(*panels: ImagePanel, **changes: Any) -> ImageScene:
    settings = {"steps": np.arange(FRAMES), "metrics": [], "alt": "digits", **changes}
    return ImageScene(panels=panels or [make_grid(make_images(6, 8, 8))], **settings)


@pytest.mark.parametrize("shape", [(64, 8, 8), (5, 3, 4), (2, 4, 4, 3)])
def test_images_and_overlays_come_back_byte_by_byte(shape: tuple[int, ...]) -> None:
    images, overlay = make_images(*shape), make_images(*shape[:3])
    first = make_grid(images, overlay=overlay, banner="too large", banner_frame=2)
    second = make_grid(255 - images, overlay=overlay[:, :, :1, :1])  # one number an image
    header, sections = unpack(pack(make_image_scene(first, second, overlay=make_overlay())))
    for entry, panel in zip(header["panels"], (first, second), strict=True):
        np.testing.assert_array_equal(sections[entry["images"]], panel.images)
        np.testing.assert_array_equal(sections[entry["overlay"]], panel.overlay)
    assert header["panels"][0]["banner_frame"] == 2
    assert (header["overlay"]["low"], header["overlay"]["log"]) == (1e-3, True)
    assert "bounds" not in header


def test_an_overlays_bytes_stand_for_its_numbers() -> None:
    values = np.geomspace(1e-3, 1, 30)
    read = 1e-3 * 1000 ** (make_overlay().as_bytes(values) / 255.0)
    np.testing.assert_allclose(read, values, rtol=np.log(1000) / 255 / 2 * 1.001)
    linear = make_overlay(low=-1.0, log=False)
    np.testing.assert_allclose(linear.as_bytes([-1, 0, 0.5, 1]), [0, 128, 191, 255], atol=1)
    ends = [np.inf, 2.0, 0.0, -1.0, -np.inf, np.nan]
    assert make_overlay().as_bytes(ends).tolist() == [255, 255, 0, 0, 0, 0]


def test_images_are_as_small_as_their_bytes_and_refused_when_too_many() -> None:
    grids = [make_grid(np.zeros((200, 64, 8, 8), np.uint8), captions=[""] * 200)] * 3
    payload = pack(make_image_scene(*grids, steps=np.arange(200)))
    assert 200 * 64 * 64 * 3 < len(payload) < 1.01 * 200 * 64 * 64 * 3
    coloured = [make_grid(np.zeros((200, 64, 32, 32, 3), np.uint8), captions=[""] * 200)]
    with pytest.raises(ValueError, match=r"takes 39\.3 MB .* record fewer frames or show fewer images"):
        pack(make_image_scene(*coloured, steps=np.arange(200)))


@pytest.mark.parametrize(
    ("panels", "overlay", "message"),
    [
        ([make_grid(make_images(6, 8, 8).astype(float))], None, "images must be bytes"),
        ([make_grid(make_images(6, 8, 8, 4))], None, "images must be bytes"),
        ([make_grid(make_images(6, 8, 8)[:3])], None, "images must be bytes of the shape .5 frames"),
        ([make_grid(make_images(0, 8, 8))], None, "images must be bytes"),
        ([make_grid(make_images(6, 8, 8)), make_grid(make_images(5, 8, 8))], None, "as many images of one"),
        ([make_grid(make_images(6, 8, 8), captions=["one"])], None, "1 captions for 5 frames"),
        ([make_grid(make_images(2, 4, 4), overlay=make_images(2, 4, 4))], None, "does not say what it meas"),
        ([make_grid(make_images(2, 4, 4), overlay=make_images(2, 4, 1))], make_overlay(), "overlay must be"),
        ([make_grid(make_images(2, 4, 4))], make_overlay(low=0.0), "increasing, finite and positive"),
        ([make_grid(make_images(2, 4, 4))], make_overlay(high=np.inf), "increasing, finite"),
    ],
)
def test_wrong_images_are_refused_with_a_reason(
    panels: list[ImagePanel], overlay: Overlay | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pack(make_image_scene(*panels, overlay=overlay))


def test_positions_come_back_within_quantisation() -> None:
    scene = make_scene()
    header, sections = unpack(pack(scene))
    packed = sections[header["panels"][0]["positions"]]
    assert packed.dtype == np.int16
    positions = np.asarray(scene.panels[0].positions)
    for axis, (low, high) in enumerate(header["bounds"]):
        half = (high - low) / 2 * header["reach"]
        read = (low + high) / 2 + packed[..., axis] / 32767 * half
        assert np.abs(read - positions[..., axis]).max() <= half / 32767 * 0.501


def test_particles_out_of_reach_or_not_finite_are_marked() -> None:
    positions = np.zeros((FRAMES, 6, 2))
    positions[:, :, 1] = 0.5
    positions[2, 0] = np.nan, 0.5
    positions[2, 1] = 0.0, np.inf
    positions[2, 2] = 3.01, 0.5  # the view reaches from -2 to 2, its 1.5-fold from -3 to 3
    positions[2, 3] = -1e30, 0.5
    positions[2, 4] = 2.99, 1.24
    header, sections = unpack(pack(make_scene(panels=[make_panel(positions=positions)])))
    packed = sections[header["panels"][0]["positions"]]
    assert (packed[2, :4] == -32768).all()
    assert (packed[2, 4:] > -32768).all()
    assert (packed[[0, 1, 3, 4]] > -32768).all()


def test_grids_come_back() -> None:
    scene = make_scene()
    panel = scene.panels[0]
    header, sections = unpack(pack(scene))
    entry = header["panels"][0]
    density, flow = np.asarray(panel.density), np.asarray(panel.flow)
    read = (sections[entry["density"]] / 255.0) ** 2 * density.max()
    assert sections[entry["density"]].dtype == np.uint8
    assert np.abs(read - density).max() <= density.max() / 255
    for frame, grid in enumerate(sections[entry["flow"]]):  # each frame by its own peak
        assert grid.max() == 255
        assert np.abs((grid / 255.0) ** 2 - flow[frame] / flow[frame].max()).max() <= 1 / 255
    np.testing.assert_array_equal(sections[entry["energy"]], np.asarray(panel.energy, np.float32))
    np.testing.assert_allclose(sections[entry["marginal_x"]], np.asarray(panel.marginal_x), rtol=1e-6)
    np.testing.assert_allclose(sections[entry["marginal_y"]], np.asarray(panel.marginal_y), rtol=1e-6)
    np.testing.assert_array_equal(sections[entry["proposal"]], np.asarray(panel.proposal, np.float32))


def test_an_empty_density_packs_as_zeros() -> None:
    header, sections = unpack(pack(make_scene(panels=[make_panel(density=np.zeros((3, 3)))])))
    assert (sections[header["panels"][0]["density"]] == 0).all()


def test_words_steps_and_metrics_come_back() -> None:
    header, sections = unpack(pack(make_scene(can_place=True, trails=False, step_word="Schritt")))
    panel, metric = header["panels"][0], header["metrics"][0]
    assert sections[header["steps"]].tolist() == [0, 10, 20, 30, 40]
    assert (header["can_place"], header["trails"], header["step_word"]) == (True, False, "Schritt")
    assert panel["captions"][-1] == "frame 4"
    assert panel["banner_frame"] == 3
    values = sections[metric["series"][0]["values"]]
    np.testing.assert_array_equal(values, np.array([np.nan, 1.0, np.nan, 0.5, 0.25], np.float32))
    assert metric["lines"] == [{"label": "floor", "value": 0.1, "band": [0.05, 0.2]}]


def test_optional_parts_may_be_absent() -> None:
    names = ("density", "energy", "flow", "marginal_x", "marginal_y")
    bare = make_panel(**dict.fromkeys(names), banner="", banner_frame=None)
    header, _ = unpack(pack(make_scene(panels=[bare], metrics=[])))
    panel = header["panels"][0]
    assert [panel[name] for name in names] == [None] * 5


@pytest.mark.parametrize("label", ["a", "ab", "abc", "Würfel ∇U </script>", ""])
def test_sections_stay_aligned_whatever_the_header(label: str) -> None:
    header, sections = unpack(pack(make_scene(panels=[make_panel(label=label)])))
    assert header["panels"][0]["label"] == label
    assert sections[header["steps"]].tolist() == [0, 10, 20, 30, 40]


def test_the_id_follows_the_content() -> None:
    scene = make_scene()
    name = unpack(pack(scene))[0]["id"]
    assert unpack(pack(make_scene()))[0]["id"] == name
    moved = np.asarray(scene.panels[0].positions).copy()
    moved[0, 0, 0] += 0.01
    assert unpack(pack(make_scene(panels=[make_panel(positions=moved)])))[0]["id"] != name
    assert unpack(pack(make_scene(alt="other words")))[0]["id"] != name


def test_too_large_a_scene_is_refused_by_its_size() -> None:
    with pytest.raises(ValueError, match=r"takes .* MB and 0\.0 MB are allowed: record fewer frames"):
        pack(make_scene(), max_bytes=1000)
    payload = pack(make_scene())
    assert pack(make_scene(), max_bytes=len(payload)) == payload
    with pytest.raises(ValueError, match="are allowed"):
        pack(make_scene(), max_bytes=len(payload) - 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bounds": ((1.0, 1.0), (0.0, 1.0))}, "finite and increasing"),
        ({"bounds": ((0.0, np.nan), (0.0, 1.0))}, "finite and increasing"),
        ({"steps": np.zeros((2, 2))}, "one number a frame"),
        ({"steps": np.arange(4)}, "shape .4 frames, particles, 2."),
        ({"panels": []}, "1 to 4 panels, not 0"),
        ({"panels": [make_panel()] * 5}, "1 to 4 panels, not 5"),
        ({"loop_seconds": 0.0}, "loop_seconds"),
        ({"panels": [make_panel(positions=np.zeros((FRAMES, 3)))]}, "'ULA': positions must have the shape"),
        ({"panels": [make_panel(captions=["one"])]}, "1 captions for 5 frames"),
        ({"panels": [make_panel(density=np.full((3, 3), np.nan))]}, "density must be finite"),
        ({"panels": [make_panel(flow=np.ones((2, 3, 3)))]}, "flow has 2 frames"),
        ({"panels": [make_panel(density=np.ones((3, 3, 3)))]}, "density must have 2 dimensions"),
        ({"panels": [make_panel(energy=np.ones(3))]}, "energy must be a grid"),
        ({"panels": [make_panel(proposal=np.ones((3, 4, 4)))]}, "proposal must have the shape .4, rows"),
        ({"panels": [make_panel(proposal=-np.ones((4, 4, 4)))]}, "deviations of a proposal"),
        ({"panels": [make_panel(marginal_x=-np.ones(3))]}, "marginal_x must be finite and not negative"),
        ({"metrics": [Metric("m", "", (Series("s", np.ones(3), 0),))]}, "values for 5 frames"),
        ({"metrics": [Metric("m", "", (Series("s", np.ones(FRAMES), 1),))]}, "there is no panel 1"),
        ({"metrics": [Metric("m", "", (), lines=(Line("floor", np.inf),))]}, "'floor' is not finite"),
    ],
)
def test_a_wrong_scene_is_refused_with_a_reason(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack(make_scene(**changes))


def test_only_a_point_is_taken_for_a_point() -> None:
    assert _point({"x": 1, "y": -0.5}) == (1.0, -0.5)
    for value in (None, 3, {"x": 1}, {"x": "1", "y": 2}, {"x": float("nan"), "y": 0.0}, [1, 2]):
        assert _point(value) is None


def test_only_strokes_are_taken_for_strokes() -> None:
    assert _strokes([[[0, 1], [0.5, 0.25]], [[1, 0]]]) == [[(0.0, 1.0), (0.5, 0.25)], [(1.0, 0.0)]]
    assert _strokes([[[0.5, 0.5]] * MAX_POINTS]) is not None
    wrong: list[object] = [None, 3, "drawn", {}, [], [[]], [[[0, 1]], []], [[0, 1]], [[[0, 1, 2]]], [[[0]]]]
    wrong += [[[["0", 1]]], [[[True, 1]]], [[[float("nan"), 0]]], [[[0, 1.001]]], [[[-0.1, 0]]], [[{"x": 1}]]]
    wrong += [
        [[[0.5, 0.5]] * (MAX_POINTS + 1)],
        [[[0.5, 0.5]]] * (MAX_POINTS + 1),
        [["ab"]],
        [[[10**400, 0]]],
    ]
    for value in wrong:
        assert _strokes(value) is None, value


def test_the_script_is_one_module() -> None:
    script = _script()
    assert script.count("export default") == 1
    assert not any(line.startswith("import ") for line in script.splitlines())
