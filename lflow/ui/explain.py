"""Words for what is seen, computed from the run, never claiming more than the number beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lflow.exact import Floor
from lflow.loop import Result
from lflow.spec import counted
from lflow.ui.request import Cloud, Parts, stability_edge
from lflow.ui.truth import Truth


def number(value: float) -> str:
    """A number in three digits, as people write it."""
    if not math.isfinite(value):
        return "not finite"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}"
    return f"{value:,.3g}" if abs(value) < 999.5 else f"{value:,.0f}"


def percent(share: float) -> str:
    """A share in two digits."""
    if not math.isfinite(share):
        return number(share)
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def listed(items: Sequence[str]) -> str:
    """Items as a sentence names them."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


_FEW = 100  # particles, below which nothing is said of how close a cloud is


def short_captions(result: Result, distance: list[float] | None, floor: Floor | None) -> list[str]:
    """A few words for each frame, for a panel among others."""
    lines = []
    for frame, step in enumerate(result.steps.tolist()):
        text = f"{counted(step, 'step')}, {counted(int(result.gradient_evaluations[frame]), 'gradient')}."
        if distance is not None and floor is not None and math.isfinite(distance[frame]):
            text += f" Distance {number(distance[frame])}, exact samples {number(floor.mean)}."
        gone = int(result.num_escaped[frame])
        lines.append(text + (f" {gone:,} left for good." if gone else ""))
    return lines


def captions(result: Result, distance: list[float] | None, floor: Floor | None) -> list[str]:
    """One sentence or two for each frame."""
    count = result.positions.shape[1]
    particles = "1 particle" if count == 1 else f"{count:,} particles"
    lines = []
    for frame, (step, gradients) in enumerate(
        zip(result.steps.tolist(), result.gradient_evaluations.tolist(), strict=True)
    ):
        text = f"{particles} after {counted(step, 'step')} ({counted(gradients, 'gradient')} each)."
        if distance is not None and floor is not None and math.isfinite(distance[frame]):
            text += (
                f" Distance to the target {number(distance[frame])}, of exact samples {number(floor.mean)}."
            )
            text += " That is within their spread." if count >= _FEW and distance[frame] <= floor.high else ""
        gone = int(result.num_escaped[frame])
        if gone:
            text += f" {gone:,} {'has' if gone == 1 else 'have'} left for good."
        lines.append(text)
    return lines


def edge_note(parts: Parts) -> tuple[str, bool]:
    """The step size against the sampler's stability edge, and whether it is above."""
    edge = stability_edge(parts.energy, parts.sampler)
    h, title = parts.rule.step_size, parts.sampler.title
    if edge is None:
        return _without_edge(parts), False
    edge_is = (
        f"Where the target is steepest, {title} is stable below {parts.sampler.edge_formula} = {number(edge)}"
    )
    if parts.rule.kind != "time":
        return f"{edge_is}; the {parts.rule.title} rule scales h from step to step.", False
    relation = f"{h / edge:.2g} of" if h <= edge else f"{h / edge:.2g} times"
    return f"{edge_is}; h is {relation} that.", h > edge


def _without_edge(parts: Parts) -> str:
    title = parts.sampler.title
    if parts.sampler.has_accept_step:
        return f"{title} accepts or refuses each step: too large a step is refused, never unstable."
    if parts.sampler.name == "proximal":
        return f"{title} is stable at every step size where U is convex; elsewhere keep h below 1/L."
    if parts.sampler.always_stable:
        return f"{title} is stable at every step size."
    if parts.sampler.edge_formula:
        return "This energy curves upward almost nowhere: h has no stability edge here."
    return f"No stability edge is known for {title}."


def trouble(parts: Parts, result: Result) -> tuple[str, int] | None:
    """Why chains overflowed or left for good, and the first frame in which some had; None if none did."""
    gone = (result.num_diverged + result.num_escaped) > 0
    if not bool(gone.any()):
        return None
    frame = int(gone.int().argmax())
    lost = int((result.diverged | result.escaped).sum())
    step = int(result.steps[frame])
    many = f"{lost:,} of {len(result.diverged):,} particles"
    if frame == 0:
        return f"{int(result.num_escaped[0]):,} particles begin beyond 1,000 widths of the picture.", 0
    text = f"Diverged from step {step:,} on; by the end {many} have overflowed or left for good."
    return f"{text} {_reason(parts)}", frame


def _reason(parts: Parts) -> str:
    edge = stability_edge(parts.energy, parts.sampler)
    h, title = number(parts.rule.step_size), parts.sampler.title
    if edge is None or parts.rule.kind != "time":
        return f"The step may be too large (h = {h}), or the tails so heavy that particles belong there."
    edge_is = f"{parts.sampler.edge_formula} = {number(edge)}"
    if parts.rule.step_size > edge:
        return f"Why: step {h} is above {title}'s edge {edge_is} here."
    return (
        f"Why: step {h} is below {title}'s edge {edge_is} around the target, but the gradient is steeper "
        "where these particles were."
    )


ANILA = {
    "paper": "As published, the step depends on the place and the term T∇γ is left out: the law is "
    "e^(-U/T)·max(1, |∇U|/b). Flanks get too much, modes too little.",
    "toy_code": "As its authors coded it, the noise is scaled by γ and not by √γ: the law is neither the "
    "target's nor the published one's. In one dimension its variance can be right while its shape is wrong.",
    "flowers_code": "As coded for the Flowers experiments, only the noise shrinks, not the drift: the cloud "
    "is colder than T.",
    "corrected": "With the term T∇γ the law is the target's as h → 0. It costs a Hessian-vector product.",
    "metropolis": "The published step is a proposal, accepted with its own densities: the law is exact.",
}


def why(parts: Parts, settings: Cloud) -> list[str]:
    """Why this setting behaves as it does: a few sentences about sampler, rule, step and temperature."""
    said = [edge_note(parts)[0], *_of_the_sampler(parts, settings.temperature), *_of_the_rule(parts)]
    if settings.temperature == 0:
        said.append(_at_zero(parts))
    elif settings.temperature != 1:
        said.append(f"The target is exp(-U/T) at T = {number(settings.temperature)}.")
    return said


def _of_the_sampler(parts: Parts, temperature: float) -> list[str]:
    sampler, rule, h = parts.sampler, parts.rule, parts.rule.step_size
    said = []
    implied = sampler.implied_temperature(parts.energy, h, temperature)
    if implied is not None and rule.name == "constant":
        said.append(
            "The noise in the gradient heats the chain: to first order it samples at "
            f"T + hσ²/2 = {number(implied)}, not at T = {number(temperature)}. Halve h to halve the excess."
        )
    if sampler.name == "ula" and rule.name == "constant" and temperature > 0:
        said.append("Without an accept step the law that ULA settles into is off by an amount of order h.")
        steepest = h * parts.energy.curvature
        if 0 < steepest < 2:
            said.append(
                "On a Gaussian the variance along a direction of curvature L is 1/(1 - hL/2) times too "
                f"large: along the steepest here, L = {number(parts.energy.curvature)}, "
                f"{1 / (1 - steepest / 2):.4g} times."
            )
    if sampler.has_accept_step and temperature > 0:
        said.append(
            "The accept step makes the law exact in the long run, at any h: h decides how long that is."
        )
    if sampler.name == "anila":
        said.append(of_anila(**sampler.config()))
    if sampler.name == "mirror":
        where = sampler.restricts_to or "the picture's box"
        said.append(f"The particles never leave {where}: the target is restricted to it.")
    if sampler.name == "svgd":
        said.append("SVGD has no noise: particles repel each other instead, and too few spread too little.")
    if sampler.name == "annealed":
        said.append("Until the cooling ends the cloud is hotter than the target: compare it after that.")
    return said


def of_anila(variant: str, elementwise: bool, smooth: bool, **_: object) -> str:
    """What a variant of AniLA samples, by its configuration."""
    if variant == "paper" and elementwise:
        return (
            "The step of each coordinate depends on the place, and the term that would correct for it is "
            "left out: the law is not the target's. Flanks get too much, modes too little."
        )
    if variant == "paper" and smooth:
        return (
            "The published step with a γ without a kink, and the term T∇γ left out: the law is "
            "e^(-U/T)·√(1 + |∇U|²/b²). Flanks get too much, modes too little."
        )
    return ANILA[variant]


def _of_the_rule(parts: Parts) -> list[str]:
    rule, sampler = parts.rule, parts.sampler
    if rule.name == "anisotropic":
        published = " This is AniLA as published." if sampler.name == "ula" else ""
        law = "the law is e^(-U/T)·max(1, |∇U|/b)" if sampler.name == "ula" else "the law is not e^(-U/T)"
        return [
            "The step depends on the place, and the term that would correct for it is left out: "
            f"{law}. Flanks get too much, modes too little.{published}"
        ]
    if rule.name == "rmsprop":
        return [
            "The step follows past gradients of each coordinate, and the term Γ is left out: the law is off."
        ]
    if rule.name == "polynomial" and rule.config()["power"] > 0 and not sampler.has_accept_step:
        return ["Steps that fall to 0 let the bias fall too, if they add up to infinity (c ≤ 1)."]
    return []


def _at_zero(parts: Parts) -> str:
    if parts.sampler.has_accept_step:
        return "At temperature 0 no step uphill is accepted, and nothing shakes the particles."
    if parts.sampler.name == "sgld":
        return "At temperature 0 only the noise of the gradient is left: stochastic gradient descent."
    if parts.sampler.family == "underdamped":
        return "At temperature 0 there is no noise: the particles roll with friction to a nearby minimum."
    return "At temperature 0 there is no noise: this is gradient descent to a nearby minimum."


def implied_temperature(parts: Parts, result: Result, temperature: float) -> str:
    """The temperature that the last step implied; a dash where the step is the state's own."""
    if parts.rule.kind == "state":
        return "–" if parts.sampler.name == "sgld" else number(temperature)
    h = float(result.step_sizes[-1])
    implied = parts.sampler.implied_temperature(parts.energy, h, temperature)
    return number(temperature if implied is None else implied)


def summary(parts: Parts, result: Result, distance: float | None, truth: Truth) -> str:
    """What was just seen, in a sentence or two."""
    lost, count = int((result.diverged | result.escaped).sum()), len(result.diverged)
    if lost:
        return f"{lost:,} of {counted(count, 'particle')} overflowed or left for good."
    said = f"After {counted(int(result.steps[-1]), 'step')}"
    if distance is None or truth.floor is None or count < _FEW:
        return f"{said} the picture stands as it is."
    said += f" the cloud is {number(distance)} from the target in sliced W2"
    if distance <= truth.floor.high:
        said += f", within the spread of exact samples of that size (up to {number(truth.floor.high)})."
    else:
        said += f", {number(distance / truth.floor.mean)} times what exact samples reach."
    return said + _energy_gap(parts, result, truth) + _standing_still(parts, result)


def _energy_gap(parts: Parts, result: Result, truth: Truth) -> str:
    """What the mean energy says where the distance may not: a narrow direction weighs little in W2."""
    values = parts.energy(result.positions[-1])
    error = float(values.std()) / math.sqrt(len(values))
    if truth.mean_energy is None or abs(float(values.mean()) - truth.mean_energy) <= 4 * error:
        return ""
    return f" Its mean energy is {number(float(values.mean()))}, the target's {number(truth.mean_energy)}."


def _standing_still(parts: Parts, result: Result) -> str:
    accepted = float(result.acceptance[-1])
    if not parts.sampler.has_accept_step or accepted >= 0.05:
        return ""
    return f" Only {accepted:.1%} of the proposals are accepted: the cloud hardly moves."
