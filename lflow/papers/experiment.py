"""An experiment as a list of jobs: run, kept as they end, taken up again, and concluded.

Each job's result is a line of `parts.jsonl` as soon as it ends, and a job whose configuration is found there
is not run again: an interrupted experiment goes on where it stopped. This module knows nothing of what the
jobs compute, and of figures only that a paper draws one.
"""

from __future__ import annotations

import datetime
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from lflow import __version__
from lflow.papers.workers import carry_out
from lflow.spec import CONFIG_VERSION

Config = dict[str, Any]
Findings = dict[str, Any]
_TELLING = 0.02  # the share of the work that says how long the rest takes
_CALL = 5000  # chains on a line whose gradients take as long as all else that a step does


class Job(NamedTuple):
    """A run of one method with one seed: all that it depends on, as JSON can hold it, and its rough cost."""

    config: Config
    cost: float


def gradients_of_all(chains: int, gradients: float) -> float:
    """The cost of a job: the gradients of all its chains, and of as many as a call of the energy costs."""
    return (chains + _CALL) * gradients


class Record(NamedTuple):
    """A job that has ended: its configuration, what it found, and how long it took."""

    config: Config
    found: Findings
    seconds: float


class Paper(Protocol):
    """What the module of a paper offers."""

    TITLE: str

    def jobs(self, quick: bool, seeds: int) -> list[Job]:
        """Every run of the experiment; `quick` is a first look."""

    def work(self, config: Config) -> Findings:
        """One run: what its configuration leads to, as JSON can hold it."""

    def conclude(self, records: Sequence[Record]) -> Findings:
        """What all runs say: tables of numbers, and under "sentences" what is to be read in them."""

    def draw(self, findings: Findings) -> Any:
        """The figure of what `conclude` found (a matplotlib figure)."""


def run(
    paper: Paper,
    folder: Path,
    command: str,
    quick: bool,
    seeds: int,
    say: Callable[[str], None],
    workers: int = 1,
) -> dict[str, Any]:
    """Run what is missing, write results.json and the figure, and return what results.json holds.

    say: gets a line of progress as jobs end. workers: processes that share the jobs.
    Raises KeyboardInterrupt after saying what is kept.
    """
    from lflow.papers import figure

    jobs = paper.jobs(quick, seeds)
    folder.mkdir(parents=True, exist_ok=True)
    records = _records(paper, jobs, folder / "parts.jsonl", say, workers)
    findings = paper.conclude(records)
    files = figure.save(lambda: paper.draw(findings), folder)
    results = {
        "title": paper.TITLE,
        "command": command,
        "quick": quick,
        "seeds": _seeds(jobs),
        "date": datetime.date.today().isoformat(),
        "versions": _versions(),
        "seconds": round(sum(record.seconds for record in records), 1),
        "findings": findings,
        "figures": [str(file) for file in files],
        "runs": [record._asdict() for record in records],
    }
    part = folder / "results.json.part"
    part.write_text(json.dumps(results, allow_nan=False, ensure_ascii=False, indent=1), encoding="utf-8")
    part.replace(folder / "results.json")
    return results


def _seeds(jobs: Sequence[Job]) -> dict[str, int]:
    """How many seeds each part is run with, those that only tune it among them."""
    seeds: dict[str, set[int]] = {}
    for job in jobs:
        seeds.setdefault(job.config["part"], set()).add(job.config["seed"])
    return {part: len(found) for part, found in seeds.items()}


def _records(
    paper: Paper, jobs: Sequence[Job], parts: Path, say: Callable[[str], None], workers: int
) -> list[Record]:
    kept = read_parts(parts)
    missing = [job for job in jobs if key(job.config) not in kept]
    progress = Progress(len(jobs), [job.cost for job in missing], say)
    try:
        with parts.open("a", encoding="utf-8") as file:
            for done in carry_out(paper.work, [job.config for job in missing], workers):
                job = missing[done.place]
                record = Record(job.config, finite(done.found), round(done.seconds, 3))
                file.write(key({"version": CONFIG_VERSION, **record._asdict()}) + "\n")
                file.flush()
                kept[key(job.config)] = record
                progress.ended(job.cost)
    except KeyboardInterrupt:
        ended = sum(key(job.config) in kept for job in jobs)
        say(f"stopped: {ended} of {len(jobs)} runs are kept in {parts}; the same command goes on from there")
        raise
    return [kept[key(job.config)] for job in jobs]


def read_parts(parts: Path) -> dict[str, Record]:
    """The results that are kept, by configuration; a last line that was cut off is cut off for good."""
    if not parts.exists():
        return {}
    text = parts.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        parts.write_text(whole, encoding="utf-8")
    try:
        rows = [json.loads(line) for line in whole.splitlines()]
        found = [row for row in rows if row["version"] == CONFIG_VERSION]
        return {key(row["config"]): Record(row["config"], row["found"], row["seconds"]) for row in found}
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{parts} is not what an earlier run wrote: name another folder") from None


def key(value: Mapping[str, Any]) -> str:
    """A configuration as the text by which its run is found."""
    return json.dumps(value, sort_keys=True, allow_nan=False)


def finite(value: Any) -> Any:
    """The same with None, as JSON needs it, for each number that is not finite: chains were lost."""
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _versions() -> dict[str, str]:
    import numpy
    import torch

    found = {"lflow": __version__, "torch": torch.__version__, "numpy": numpy.__version__}
    return found | {"python": platform.python_version(), "platform": sys.platform}


class Progress:
    """Says what share is done and how long the rest takes, by the cost of jobs, at most twice a second."""

    def __init__(self, total: int, costs: Sequence[float], say: Callable[[str], None]) -> None:
        self.total, self.cost, self.say = total, sum(costs), say
        self.done, self.spent = total - len(costs), 0.0
        self.began = self.last = time.monotonic()
        if self.done:
            say(f"{self.done} of {total} runs are kept from before")

    def ended(self, cost: float) -> None:
        """A job of that cost has ended."""
        self.done, self.spent = self.done + 1, self.spent + cost
        now = time.monotonic()
        if now - self.last < 0.5 and self.done < self.total:
            return
        self.last = now
        share = self.spent / self.cost
        left = (now - self.began) * (1 - share) / share
        # The first jobs pay for the start of their processes, and say little of the others.
        told = f", {_short(left)} left" if share >= _TELLING else ""
        self.say(f"{100 * share:3.0f} %, {self.done} of {self.total} runs{told}")


def _short(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def or_infinite(value: float | None) -> float:
    """A number to compare by: what was lost is worse than all else."""
    return math.inf if value is None else value


def mean_and_error(values: Sequence[float | None]) -> dict[str, Any]:
    """The mean and its standard error; None and None if any run was lost (None, or not finite)."""
    kept = [value for value in values if value is not None and math.isfinite(value)]
    if len(kept) < len(values):
        return {"mean": None, "error": None}
    return {"mean": statistics.fmean(kept), "error": statistics.stdev(kept) / len(kept) ** 0.5}


def paired(values: Sequence[float | None], others: Sequence[float | None]) -> dict[str, Any]:
    """The mean difference of runs that share their seeds, and its standard error; None if any was lost."""
    pairs = zip(values, others, strict=True)
    return mean_and_error([or_infinite(one) - or_infinite(other) for one, other in pairs])


def is_lower(
    values: Mapping[int, float | None], others: Mapping[int, float | None], level: float = 0.99
) -> bool:
    """Whether values are lower than others by a paired test at that level; both by seed.

    With d̄ the mean of the n differences of runs that share a seed and s their standard deviation:
    d̄ < -t s/√n, t the (1 + level)/2 quantile of Student's law with n - 1 degrees of freedom (4.6 for five
    seeds at 99 %), so that with no difference at all either order is told in a share 1 - level of cases.
    False if a run was lost (None, or not finite), and for fewer than two seeds in common.
    """
    if paired_p(values, others) >= 1 - level:
        return False
    shared = values.keys() & others.keys()
    return sum(or_infinite(values[seed]) - or_infinite(others[seed]) for seed in shared) < 0


def paired_p(values: Mapping[int, float | None], others: Mapping[int, float | None]) -> float:
    """The two-sided p-value of the paired test that `is_lower` makes; both by seed.

    1 if a run was lost, if all differences are zero, and for fewer than two seeds in common.
    """
    from scipy.stats import t as student

    shared = sorted(values.keys() & others.keys())
    if len(shared) < 2:
        return 1.0
    gap = paired([values[seed] for seed in shared], [others[seed] for seed in shared])
    if not gap["mean"]:
        return 1.0
    if not gap["error"]:
        return 0.0
    return float(2 * student.sf(abs(gap["mean"]) / gap["error"], len(shared) - 1))


def short(estimate: Mapping[str, Any], digits: int = 4) -> str:
    """An estimate for a sentence: mean ± standard error, or that it was lost."""
    if estimate["mean"] is None:
        return "lost"
    return f"{number(estimate['mean'], digits)} ± {estimate['error']:.{digits}f}"


def level(values: Iterable[float | None]) -> dict[str, Any]:
    """The mean and its standard error over seeds; of a single run its value, without an error."""
    found = list(values)
    return mean_and_error(found) if len(found) > 1 else {"mean": found[0], "error": None}


def tell(estimate: Mapping[str, Any], digits: int = 4, scale: float = 1.0) -> str:
    """What `level` gave, for a sentence and `scale` times as large: of a single run without an error."""
    scaled = {k: None if estimate[k] is None else scale * estimate[k] for k in ("mean", "error")}
    return number(scaled["mean"], digits) if scaled["error"] is None else short(scaled, digits)


def number(value: float | None, digits: int = 4) -> str:
    """A number for a sentence, or that it was lost."""
    return "lost" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # no -0.00


def say_ends(rows: Sequence[Findings], tell: Callable[[str, list[Findings]], str]) -> list[str]:
    """A sentence of the rows whose best step is an end of the grid; tell: a method and its rows, in words."""
    ends: dict[float, dict[str, list[Findings]]] = {}
    for row in sorted((row for row in rows if row["h_at_end"]), key=lambda row: float(row["h"])):
        ends.setdefault(row["h"], {}).setdefault(row["method"], []).append(row)
    if not ends:
        return []
    told = [f"h {h:g}: {', '.join(tell(*each) for each in of.items())}" for h, of in ends.items()]
    return [f"The best step is an end of the grid, so a better step may lie beyond, at {'; at '.join(told)}."]


def select(records: Sequence[Record], **wanted: Any) -> list[Record]:
    """The records whose configuration has these values, in their order."""
    return [each for each in records if all(each.config.get(k) == v for k, v in wanted.items())]
