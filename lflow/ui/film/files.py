"""PNG, GIF and MP4 of a scene, as bytes. Knows nothing of what a picture shows."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from PIL import Image

from lflow.ui.film.ink import mix
from lflow.ui.film.picture import Picture, default_width
from lflow.ui.packing import AnyScene

Progress = Callable[[int, int], bool | None]
"""Called as progress(done, total) at each frame; returning False stops the making there."""

HOLD_SECONDS = 0.9  # on the last frame, before the film begins again
_GIF_FRAMES, _GIF_WIDTH, _GIF_COLOURS = 80, 5 / 6, 128  # a few MB; its width as a part of a page's
_PALETTE_FRAMES, _APART = 5, 6
_BT709 = 1  # as files and PyAV number it: without it, players guess from the height


def png(scene: AnyScene, frame: int = -1, width: int | None = None, dark: bool = False) -> bytes:
    """One frame, twice as fine as on a page if no width is given."""
    picture = Picture(scene, width or 2 * default_width(scene), dark)
    buffer = io.BytesIO()
    picture.frame(frame).save(buffer, "PNG")
    return buffer.getvalue()


def gif(
    scene: AnyScene, width: int | None = None, dark: bool = False, progress: Progress | None = None
) -> bytes | None:
    """A loop of about as many seconds as the player's, of at most 80 frames; None where it was stopped."""
    picture = Picture(scene, width or round(_GIF_WIDTH * default_width(scene)), dark)
    chosen = _spread(len(picture), _GIF_FRAMES)
    each = max(20, round(100 * scene.loop_seconds / len(chosen)) * 10)  # GIF counts hundredths of a second
    palette = _palette(picture)
    frames = (
        image.quantize(palette=palette, dither=Image.Dither.NONE)
        for image in _draw(picture, chosen, progress)
    )
    buffer = io.BytesIO()
    times = [each] * (len(chosen) - 1) + [each + round(1000 * HOLD_SECONDS)]
    try:
        first = next(frames)
        first.save(buffer, "GIF", save_all=True, append_images=frames, duration=times, loop=0)
    except _Stopped:
        return None
    return buffer.getvalue()


def mp4(
    scene: AnyScene, width: int | None = None, dark: bool = False, progress: Progress | None = None
) -> bytes | None:
    """All frames as H.264 video, as long as the player's loop; None where it was stopped.

    Raises:
        RuntimeError: PyAV is not installed.
    """
    try:
        import av
    except ModuleNotFoundError:
        raise RuntimeError("MP4 needs PyAV: pip install 'lflow[video]'") from None
    picture = Picture(scene, width or round(4 / 3 * default_width(scene)), dark)
    rate = Fraction(max(1, len(picture) - 1)) / Fraction(scene.loop_seconds).limit_denominator(100)
    shown = [*range(len(picture)), *[len(picture) - 1] * round(HOLD_SECONDS * rate)]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate.limit_denominator(1000))
        stream.width, stream.height = picture.size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = _BT709
        stream.options = {"crf": "26", "preset": "veryfast"}
        try:
            for image in _draw(picture, shown, progress):
                frame = av.VideoFrame.from_image(image)
                container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=_BT709)))
        except _Stopped:
            return None
        container.mux(stream.encode())
    return buffer.getvalue()


class _Stopped(Exception):
    """The progress callback said so."""


def _draw(picture: Picture, chosen: list[int], progress: Progress | None) -> Iterator[Image.Image]:
    before, image = -1, None
    for done, number in enumerate(chosen):
        if progress is not None and progress(done, len(chosen)) is False:
            raise _Stopped
        if image is None or number != before:
            before, image = number, picture.frame(number)
        yield image
    if progress is not None:
        progress(len(chosen), len(chosen))


def _spread(count: int, most: int) -> list[int]:
    """At most so many frames, evenly spread, with the first and the last."""
    if count <= most:
        return list(range(count))
    return [round(k * (count - 1) / (most - 1)) for k in range(most)]


def _palette(picture: Picture) -> Image.Image:
    """Colours for all frames: the page's own as they are, so that nothing drifts, and some frames' others."""
    ink, own = picture.ink, []
    for colour, shades in ((ink.ink, 8), (ink.quiet, 6), *((panel.colour, 8) for panel in picture.panels)):
        own += [mix(ink.paper, colour, k / shades) for k in range(shades + 1)]
    width, height = picture.size
    some = _spread(len(picture), _PALETTE_FRAMES)
    montage = Image.new("RGB", (width, height * len(some)))
    for place, number in enumerate(some):
        montage.paste(picture.frame(number), (0, place * height))
    flat = montage.quantize(_GIF_COLOURS - len(own), Image.Quantize.MEDIANCUT).getpalette() or []
    found = np.array(flat).reshape(-1, 3)
    # Pillow compares in steps of four: a colour beside one of the page's would take its place.
    apart = np.abs(found[:, None] - np.array(own)).max(axis=2).min(axis=1) > _APART
    colours = [*own, *map(tuple, found[apart].tolist())]
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for colour in colours for channel in colour])
    return palette
