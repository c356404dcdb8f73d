"""Words for the page Images, computed from the numbers that they stand beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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
_OUTSIDE, _WORTH_A_WORD = 1.25, 0.01


class Seen(NamedTuple):
    """What the end of a lane shows."""

    method: str
    away: float
    """Sliced W2 to the training digits."""
    away_as_trained: float | None
    """The same after as long a time as in training, where the run goes well beyond it."""
    nearest: float
    energy: float
    outside: float
    """The share of pixel values well beyond what a pixel can show."""
    shrunk: float | None
    """The share of the steps (of pixels, or of images) that AniLA shrinks."""
    acceptance: float | None
    lost: int

    @property
    def title(self) -> str:
        return TITLES[self.method]


def seen(asked: Asked, track: Track) -> Seen:
    """The numbers of a lane's end that the words need."""
    result, as_trained = track.result, None
    if asked.steps >= _BEYOND * asked.steps_as_trained:
        as_trained = float(track.away[int((result.steps >= asked.steps_as_trained).int().argmax())])
    return Seen(
        track.method,
        away=float(track.away[-1]),
        away_as_trained=as_trained,
        nearest=float(track.nearest[-1]),
        energy=float(track.energy[-1].mean()),
        outside=float((result.positions[-1].abs() > _OUTSIDE).float().mean()),
        shrunk=None if track.scaling is None else float((track.scaling[-1] < 1).float().mean()),
        acceptance=float(result.acceptance[1:].nanmean()) if track.sampler.has_accept_step else None,
        lost=track.lost,
    )


def under(asked: Asked, lanes: Sequence[Seen], known: Known) -> list[str]:
    """What was just seen, in paragraphs."""
    noise = ", with the same noise at every step" if len(lanes) > 1 else ""
    said = [
        f"{asked.num_images:,} images, {_counted(asked.steps)} each, {_BEGIN[asked.start]}{noise}: h = "
        f"{asked.h:g}, T = {asked.temperature:g}."
    ]
    lost = [f"{each.title} lost {each.lost:,} images" for each in lanes if each.lost]
    if lost:
        said.append(f"**{listed(lost)}**: the step is too large for the slopes of this energy.")
    kept = [each for each in lanes if not each.lost]
    if not kept:
        return said
    more = [_beyond(asked, kept, known), _accepted(kept, known), _shrunk(asked, kept), _outside(kept)]
    return [" ".join([*said, _distances(kept, known)]), *filter(None, more)]


def _counted(steps: int) -> str:
    return f"{steps:,} step" if steps == 1 else f"{steps:,} steps"


def _distances(lanes: Sequence[Seen], known: Known) -> str:
    """How near each lane ends."""
    told = listed([f"{each.title} {number(each.away / known.away.mean)}" for each in lanes])
    said = f"Distance to the digits, over what as many real digits reach that the model has not seen: {told}."
    within = [each.title for each in lanes if known.away.low <= each.away <= known.away.high]
    if within:
        who = "all of them are" if 1 < len(lanes) == len(within) else f"{listed(within)} {_is(within)}"
        said += f" By this measure {who} where real digits are."
    return said


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _leaves(lane: Seen, known: Known) -> bool:
    """Whether a lane that goes on is led away from the digits."""
    if lane.away_as_trained is None:
        return False
    return lane.away > _MUCH * lane.away_as_trained and lane.away > known.away.high


def _beyond(asked: Asked, lanes: Sequence[Seen], known: Known) -> str:
    """What a run shows that goes on for longer than the chains did in training."""
    longer = [each for each in lanes if each.away_as_trained is not None]
    if not longer:
        return ""
    floor = known.away.mean
    told = [
        f"{each.title} is at {number((each.away_as_trained or 0) / floor)} and then at "
        f"{number(each.away / floor)}"
        for each in longer
    ]
    said = f"After {_counted(asked.steps_as_trained)}, as long as in training, {listed(told)}."
    left = [each for each in longer if _leaves(each, known)]
    if not left:
        return f"{said} The chains stay about as near to the digits as training left them."
    said += f" **{listed([each.title for each in left])} {_goes(left)} past the digits.**"
    lower = [each for each in left if each.energy < known.energy.low]
    if lower:
        energies = listed([f"{number(each.energy)} ({each.title})" for each in lower])
        said += (
            f" The mean energy is {energies}, and that of real digits {number(known.energy.mean)}: the model "
            "holds other images for likelier than digits."
        )
    return (
        f"{said} What it has learned is where a short chain ends: with that chain it is a generator of "
        "digits, and exp(-U/T) is not their density."
    )


def _goes(lanes: Sequence[Seen]) -> str:
    return "goes on" if len(lanes) == 1 else "go on"


def _accepted(lanes: Sequence[Seen], known: Known) -> str:
    told = [f"{each.title} {percent(each.acceptance)}" for each in lanes if each.acceptance is not None]
    if not told:
        return ""
    said = f"Proposals that were accepted: {listed(told)}."
    exact = [each for each in lanes if each.acceptance is not None and _leaves(each, known)]
    if exact:
        said += " An accept step takes the error of the step size away: where it leads is the energy's doing."
    return said


def _shrunk(asked: Asked, lanes: Sequence[Seen]) -> str:
    told = [f"{each.title} {percent(each.shrunk)}" for each in lanes if each.shrunk is not None]
    if not told:
        return ""
    what, slope = ("pixels", "|∂U|") if asked.elementwise else ("images", "|∇U|")
    return (
        f"Share of the {what} whose step is shrunk at the end, as {slope} is above b = {asked.b:g}: "
        f"{listed(told)}."
    )


def _outside(lanes: Sequence[Seen]) -> str:
    told = [f"{each.title} {percent(each.outside)}" for each in lanes if each.outside > _WORTH_A_WORD]
    if not told:
        return ""
    return (
        f"Pixel values beyond {_OUTSIDE:g} times what a pixel can show, which are drawn black or white: "
        f"{listed(told)}."
    )


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
