"""Words for what is seen, computed from the run, never claiming more than the number beside them."""

from __future__ import annotations

import math

from lflow.loop import Result
from lflow.ui.request import Parts, Settings, stability_edge


def number(value: float) -> str:
    """A number in three digits, as people write it."""
    if not math.isfinite(value):
        return "not finite"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}"
    return f"{value:,.3g}" if abs(value) < 999.5 else f"{value:,.0f}"


def captions(result: Result, distance: list[float] | None, floor: tuple[float, float] | None) -> list[str]:
    """One sentence or two for each frame."""
    count = result.positions.shape[1]
    particles = "1 particle" if count == 1 else f"{count:,} particles"
    lines = []
    for frame, (step, gradients) in enumerate(
        zip(result.steps.tolist(), result.gradient_evaluations.tolist(), strict=True)
    ):
        text = f"{particles} after {step:,} steps ({gradients:,} gradients each)."
        if distance is not None and floor is not None and math.isfinite(distance[frame]):
            text += (
                f" Distance to the target {number(distance[frame])}; exact samples reach {number(floor[0])}."
            )
            text += " That is within their spread." if _within(distance[frame], floor) else ""
        gone = int(result.num_escaped[frame])
        if gone:
            text += f" {gone:,} {'has' if gone == 1 else 'have'} left for good."
        lines.append(text)
    return lines


def _within(value: float, floor: tuple[float, float]) -> bool:
    return value <= floor[0] + 2 * floor[1]


def edge_note(parts: Parts) -> tuple[str, bool]:
    """The step size against the sampler's stability edge, and whether it is above."""
    edge = stability_edge(parts.energy, parts.sampler)
    h, title = parts.rule.step_size, parts.sampler.title
    if edge is None:
        if parts.sampler.has_accept_step:
            return (
                f"{title} accepts or refuses each step: too large a step is refused, never unstable.",
                False,
            )
        if parts.sampler.always_stable:
            return f"{title} is stable at every step size.", False
        if parts.sampler.edge_formula:
            return "This energy curves upward almost nowhere: h has no stability edge here.", False
        return f"No stability edge is known for {title}.", False
    relation = f"{h / edge:.2g} of" if h <= edge else f"{h / edge:.2g} times"
    return (
        f"{title} is stable below {parts.sampler.edge_formula} = {number(edge)} here; h is {relation} that.",
        h > edge,
    )


def trouble(parts: Parts, result: Result) -> tuple[str, int] | None:
    """Why chains overflowed or left for good, and the first frame in which some had; None if none did."""
    gone = (result.num_diverged + result.num_escaped) > 0
    if not bool(gone.any()):
        return None
    frame = int(gone.int().argmax())
    lost = int((result.diverged | result.escaped).sum())
    step = int(result.steps[frame])
    many = f"{lost:,} of {len(result.diverged):,} particles"
    text = f"Diverged from step {step:,} on; by the end {many} have overflowed or left for good."
    return f"{text} {_reason(parts)}", frame


def _reason(parts: Parts) -> str:
    edge = stability_edge(parts.energy, parts.sampler)
    h, title = number(parts.rule.step_size), parts.sampler.title
    if edge is None:
        return f"Why: step {h} is too large here."
    edge_is = f"{parts.sampler.edge_formula} = {number(edge)}"
    if parts.rule.step_size > edge:
        return f"Why: step {h} is above {title}'s edge {edge_is} here."
    return (
        f"Why: step {h} is below {title}'s edge {edge_is} around the target, but the gradient is steeper "
        "where these particles were."
    )


ANILA = {
    "paper": "As printed, the step depends on the place and the term T∇γ is left out: the law is "
    "e^(-U/T)·max(1, |∇U|/b). Flanks get too much, modes too little.",
    "toy_code": "As its authors coded it, the noise is scaled by γ and not by √γ: the law is neither the "
    "target's nor the printed one's. In one dimension its variance can be right while its shape is wrong.",
    "flowers_code": "As coded for the Flowers experiments, only the noise shrinks, not the drift: the cloud is "
    "colder than T.",
    "corrected": "With the term T∇γ the law is the target's as h → 0. It costs a Hessian-vector product.",
    "metropolis": "The printed step is a proposal, accepted with its own densities: the law is exact.",
}


def why(parts: Parts, settings: Settings) -> list[str]:
    """Why this setting behaves as it does: a few sentences about sampler, rule, step and temperature."""
    sampler, rule, h, temperature = parts.sampler, parts.rule, parts.rule.step_size, settings.temperature
    said = [edge_note(parts)[0]]
    implied = sampler.implied_temperature(parts.energy, h, temperature)
    if implied is not None:
        said.append(
            "The noise in the gradient heats the chain: to first order it samples at "
            f"T + hσ²/2 = {number(implied)}, not at T = {number(temperature)}. Halve h to halve the excess."
        )
    if sampler.name == "ula" and rule.name == "constant":
        said.append(
            "Without an accept step the law that ULA settles into is off by an amount of order h. On a "
            "Gaussian of curvature 1 its variance is 1/(1 - h/2)"
            + (f", here {1 / (1 - h / 2):.4g}." if h < 2 else ", which exists only for h < 2.")
        )
    if sampler.has_accept_step:
        said.append(
            "The accept step makes the target's law exact at any h; h only decides how fast chains move."
        )
    if sampler.name == "anila":
        said.append(ANILA[sampler.config()["variant"]])
    if sampler.name == "svgd":
        said.append("SVGD has no noise: particles repel each other instead, and too few spread too little.")
    if sampler.name == "annealed":
        said.append(
            "Until the cooling ends the cloud is hotter than the target; only then is it compared fairly."
        )
    if rule.name == "anisotropic":
        said.append(
            "The step depends on the place, and the term that would correct for it is left out: the law is "
            "e^(-U/T)·max(1, |∇U|/b). Flanks get too much, modes too little. This is AniLA as printed."
        )
    if rule.name == "rmsprop":
        said.append(
            "The step follows past gradients of each coordinate, and the term Γ is left out: the law is off."
        )
    if rule.name == "polynomial":
        said.append("Decreasing steps let the bias fall to zero, if they add up to infinity (c ≤ 1).")
    if temperature == 0:
        said.append("At temperature 0 there is no noise: this is gradient descent to the nearest minimum.")
    elif temperature != 1:
        said.append(f"The target is exp(-U/{number(temperature)}), and the density drawn is that one.")
    return said


def summary(parts: Parts, result: Result, distance: float | None, floor: tuple[float, float] | None) -> str:
    """What was just seen, in a sentence or two."""
    lost = int((result.diverged | result.escaped).sum())
    if lost:
        return f"{lost:,} of {len(result.diverged):,} particles did not survive this step size."
    if distance is None or floor is None:
        return f"After {int(result.steps[-1]):,} steps."
    if _within(distance, floor):
        verdict = "as close as exact samples of that size come"
    else:
        verdict = f"{number(distance / floor[0])} times what exact samples of that size reach"
    return (
        f"After {int(result.steps[-1]):,} steps the cloud is {number(distance)} from the target in "
        f"sliced W2, {verdict} ({number(floor[0])})."
    )
