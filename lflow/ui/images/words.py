"""Words for the page Images, computed from the numbers that they stand beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lflow.spec import counted
from lflow.ui.explain import listed, number, percent
from lflow.ui.images.keys import TITLES, Asked
from lflow.ui.images.runs import Known, Track

_BEGIN = {
    "noise": "from the same noise",
    "data": "from the same real digits, which the model has not seen",
    "corrupted": "from the same real digits, each with its lower half replaced by noise",
}
_BEYOND = 2  # times the length of training, from which on a run is a longer one
_MUCH = 1.5  # times farther, to be worth a word
OUTSIDE = 1.25  # times the value of black or white: no pixel's any more
_AIMED_AT_U = ("ula", "corrected", "metropolis", "mala")
"""The lanes whose law is that of U, but for the error of a step as small as in training."""
_HARDLY = 0.02  # of a pixel, whose range is 2


class Seen(NamedTuple):
    """What the end of a lane shows."""

    method: str
    away: float
    """Sliced W2 to the training digits."""
    away_as_trained: float | None
    """The same after as long a time as in training, where the run goes well beyond it in steps as small."""
    nearest: float
    """The median distance of an image to the nearest training digit."""
    energy: float
    outside: float
    """The share of pixel values well beyond what a pixel can show."""
    shrunk: tuple[float, float] | None
    """The share of the steps (of pixels, or of images) that AniLA shrinks, at the start and at the end."""
    apart: float | None
    """How far a pixel is from where the published step with the same noise takes it, on average."""
    acceptance: float | None
    lost: int

    @property
    def title(self) -> str:
        """What a sentence calls the lane."""
        return TITLES[self.method].replace(",", "")


def seen(asked: Asked, track: Track, published: Track | None = None) -> Seen:
    """The numbers of a lane's end that the words need. published: the lane of the published step."""
    result, as_trained, shrunk, apart = track.result, None, None, None
    if asked.steps >= _BEYOND * asked.steps_as_trained and not asked.is_large_step:
        as_trained = float(track.away[int((result.steps >= asked.steps_as_trained).int().argmax())])
    if track.scaling is not None:
        first, last = (float((track.scaling[frame] < 1).float().mean()) for frame in (0, -1))
        shrunk = first, last
    if track.method == "corrected" and published is not None:
        apart = float((result.positions[-1] - published.result.positions[-1]).abs().mean())
    return Seen(
        track.method,
        away=float(track.away[-1]),
        away_as_trained=as_trained,
        nearest=float(track.nearest[-1]),
        energy=float(track.energy[-1].mean()),
        outside=float((result.positions[-1].abs() > OUTSIDE).float().mean()),
        shrunk=shrunk,
        apart=apart,
        acceptance=float(result.acceptance[1:].nanmean()) if track.sampler.has_accept_step else None,
        lost=track.lost,
    )


def under(asked: Asked, lanes: Sequence[Seen], known: Known) -> list[str]:
    """What was just seen, in paragraphs; the numbers stand in a table beside them."""
    noise = ", with the same noise at every step" if len(lanes) > 1 else ""
    said = [
        f"{asked.num_images:,} images, {counted(asked.steps, 'step')} each, {_BEGIN[asked.start]}{noise}: "
        f"h = {asked.h:g}, T = {asked.temperature:g}."
    ]
    if asked.is_large_step:
        said.append(f"The step is {number(asked.h / asked.h_as_trained)} times as large as in training.")
    lost = [f"{each.title} lost {each.lost:,} images" for each in lanes if each.lost]
    if lost:
        said.append(f"**{listed(lost)}**: the step is too large for the slopes of this energy.")
    kept = [each for each in lanes if not each.lost]
    if not kept:
        return [" ".join(said)]
    more = [_beyond(asked, kept, known), _exactly(kept, known), _anila(asked, kept)]
    return [" ".join([*said, _distances(kept, known)]), *filter(None, more)]


def _distances(lanes: Sequence[Seen], known: Known) -> str:
    """How near each lane ends, as a set of images and image by image."""
    order = sorted(lanes, key=lambda each: each.away)
    told = listed([f"{each.title} {number(each.away / known.away.mean)}" for each in order])
    said = f"Distance to the digits, in multiples of that of as many unseen real ones: {told}."
    within = [each for each in lanes if known.away.low <= each.away <= known.away.high]
    if not within:
        return said
    sets = "a set" if len(within) == 1 else "sets"
    said += f" By this distance, as {sets}, {_are(within)} within the spread of real digits"
    if all(each.nearest > known.nearest.high for each in within):
        return f"{said}; image by image, farther from the nearest digit than real ones are."
    return f"{said}."


def _are(lanes: Sequence[Seen]) -> str:
    return f"{listed([each.title for each in lanes])} {'is' if len(lanes) == 1 else 'are'}"


def _leaves(lane: Seen, known: Known) -> bool:
    """Whether a lane that goes on is led away from the digits."""
    if lane.away_as_trained is None:
        return False
    return lane.away > _MUCH * lane.away_as_trained and lane.away > known.away.high


def _beyond(asked: Asked, lanes: Sequence[Seen], known: Known) -> str:
    """What a run shows that goes on for longer than the chains did in training."""
    floor = known.away.mean
    longer = [each for each in lanes if each.away_as_trained is not None]
    told = [f"{each.title} was at {number((each.away_as_trained or 0) / floor)}" for each in longer]
    if not told:
        return ""
    said = f"After {counted(asked.steps_as_trained, 'step')}, as long as in training, {listed(told)}."
    left = [each for each in longer if _leaves(each, known)]
    if not left:
        return f"{said} The chains stay about as near to the digits as they were then."
    one, several = ("goes on past", "go on past") if asked.start == "noise" else ("leaves", "leave")
    goes = one if len(left) == 1 else several
    said += f" **{listed([each.title for each in left])} {goes} the digits.**"
    if any(each.energy < known.energy.low for each in left):
        said += " There the energy is lower than at real digits: the model holds other images for likelier."
    if not any(each.method in _AIMED_AT_U for each in left):
        return said
    if asked.start == "noise" and min(each.away_as_trained or 0 for each in left) < _MUCH * known.away.high:
        said += (
            " What it has learned is where a short chain ends: with that chain it is a generator of digits."
        )
    return f"{said} $e^{{-U/T}}$ is not their density."


def _exactly(lanes: Sequence[Seen], known: Known) -> str:
    """What an accept step adds to that."""
    exact = [each for each in lanes if each.acceptance is not None and _leaves(each, known)]
    if not exact:
        return ""
    accepts = listed([f"{each.title} accepts {percent(each.acceptance or 0)}" for each in exact])
    return (
        f"{accepts} of its proposals. An accept step takes the error of the step size away: where it leads "
        "is the energy's doing."
    )


def _anila(asked: Asked, lanes: Sequence[Seen]) -> str:
    """How much AniLA shrinks, and what the correction changes."""
    shrunk = [(each.title, *each.shrunk) for each in lanes if each.shrunk is not None]
    if not shrunk:
        return ""
    what, slope = ("pixels", "|∂U|") if asked.elementwise else ("images", "|∇U|")
    first = percent(shrunk[0][1])
    last = listed([f"{percent(end)} ({title})" for title, _, end in shrunk])
    said = (
        f"AniLA shrinks the step where {slope} is above b = {asked.b:g}: at the start on {first} of the "
        f"{what}, at the end on {last}."
    )
    apart = next((each.apart for each in lanes if each.apart is not None), None)
    if apart is None:
        return said
    said += f" As published and corrected, pixels end {number(apart)} apart on average, of a range of 2"
    if apart < _HARDLY:
        return f"{said}: so short and cold a chain is hardly moved by the term T∇γ that the paper leaves out."
    return f"{said}: that is what the term T∇γ does, which the paper leaves out."


def captions(track: Track, known: Known) -> list[str]:
    """A few words for each frame of a panel."""
    floor = number(known.away.mean)
    return [f"Distance {number(each)}, real digits {floor}." for each in track.away.tolist()]


def trouble(asked: Asked, track: Track) -> tuple[str, int] | None:
    """Why images overflowed or left for good, and the first frame in which some had; None if none did."""
    gone = (track.result.num_diverged + track.result.num_escaped) > 0
    if not bool(gone.any()):
        return None
    frame = int(gone.int().argmax())
    return (
        f"Diverged from step {int(track.result.steps[frame]):,} on; by the end {track.lost:,} of "
        f"{asked.num_images:,} images have overflowed or left for good. Why: a step of h = {asked.h:g} is "
        "too large for the slopes of this energy.",
        frame,
    )


def in_words(asked: Asked, tracks: Sequence[Track], known: Known) -> str:
    """What is seen, for who does not see it."""
    grids = f"{len(tracks)} grids" if len(tracks) > 1 else "A grid"
    ends = [f"{track.label} {number(float(track.away[-1]))}" for track in tracks]
    return (
        f"{grids} of {asked.num_images:,} small grey images over {asked.steps:,} steps, "
        f"{_BEGIN[asked.start]}. Distance to the digits at the end: {listed(ends)}; of as many real digits "
        f"{number(known.away.mean)}."
    )
