"""Words for how a run stands and what it has learned, computed from what its folder says."""

from __future__ import annotations

from collections.abc import Sequence

from lflow import data, models
from lflow.training.config import Config
from lflow.ui.explain import number
from lflow.ui.train.machine import Machine
from lflow.ui.train.numbers import Panel
from lflow.ui.train.runs import Snapshot

STATES = {
    "queued": "about to begin",
    "running": "running",
    "done": "done",
    "stopped": "stopped",
    "failed": "failed",
    "unreadable": "cannot be read",
}


def duration(seconds: float) -> str:
    """A stretch of time as people say it."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def subject(config: Config) -> str:
    """What learns from what."""
    source = config.data.source
    name = data.describe(source).title if source in data.names() else source
    preset = f", preset {config.preset}" if config.preset else ""
    return f"{models.get_class(config.model.name).title} on {name}{preset}, seed {config.seed}"


def standing(seen: Snapshot) -> str:
    """Where the run stands, in a sentence."""
    status = seen.status
    step, total = f"{status.step:,}", f"{status.num_steps:,} steps"
    time = "" if seen.seconds is None else f" in {duration(seen.seconds)}"
    if seen.is_late:
        return "It was to begin and has not. Its log may say why; Resume tries again."
    if status.state == "queued":
        return f"A process is starting, to train up to step {status.num_steps:,}."
    if status.state == "running":
        return f"Step {step} of {total}{_left(seen)}"
    if status.state == "done":
        where = f" on {status.facts['device']}" if "device" in status.facts else ""
        return f"{total}{time}{where}."
    reason = f": {status.message}" if status.message else ""
    return f"{STATES[status.state].capitalize()} at step {step} of {total}{reason}."


def _left(seen: Snapshot) -> str:
    status = seen.status
    if not status.step or seen.seconds is None:
        return ""
    return f", about {duration(seen.seconds / status.step * (status.num_steps - status.step))} left"


def no_numbers(seen: Snapshot) -> str:
    """What stands where the curves will be."""
    return "The first numbers come in a moment." if seen.is_active else "There are no numbers."


def learned(panels: Sequence[Panel], over: bool) -> str:
    """What the curves show: the quantity that the run is judged by, now and at its best.

    over: whether the run is, so that its least is that of all.
    """
    judged = next((panel for panel in panels if panel.best), None)
    if judged is None or judged.best is None:
        return ""
    of_validation = next(series for series in judged.series if series.validates)
    last, (step, best) = of_validation.values[-1], judged.best
    if step == of_validation.steps[-1]:
        now = f"{number(best)} at step {step:,}, its least{'' if over else ' so far'}"
    else:
        now = f"{number(last)} at step {of_validation.steps[-1]:,}"
        now += f"; its least was {number(best)}, at step {step:,}"
    kept = "The checkpoints of the least and of the last step are kept."
    return f"On data that it has not seen, the {judged.title} is {now}. {kept}"


def no_picture(seen: Snapshot) -> str:
    """What stands where the picture of samples will be."""
    first = "" if seen.config is None else f", at step {seen.config.training.sample_every:,}"
    return (
        f"Samples of the model appear here{first}." if seen.is_active else "There is no picture of samples."
    )


def about_machine(machine: Machine) -> str:
    """What a run would run on, and what is free of it."""
    cores = "1 CPU core" if machine.cores == 1 else f"{machine.cores} CPU cores"
    load = "" if machine.load is None else f", load {machine.load:.1f}"
    if machine.cards:
        return f"{'; '.join(machine.cards)}. {cores}{load}."
    if "mps" in machine.devices:
        return f"The graphics processor (MPS). {cores}{load}."
    return f"No GPU: runs take the CPU. {cores}{load}."


def crowded(machine: Machine, active: int) -> str:
    """A warning where the runs in progress leave no core for another; empty where they do."""
    if machine.cards or active < machine.cores:
        return ""
    runs = "1 run is" if active == 1 else f"{active} runs are"
    cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
    return f"{runs} in progress on {cores}: another one slows all of them."
