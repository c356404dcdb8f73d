"""What a benchmark says of itself, and the file that keeps the results of all."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from lflow import __version__
from lflow.cli import show

RESULTS = Path("benchmarks", "RESULTS.md")


def circumstances(peers: Iterable[str] = ()) -> dict[str, Any]:
    """Machine, versions and date; no names of hosts, users or folders."""
    installed = {name: version(name) if find_spec(name) else None for name in peers}
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "ram_gib": _ram(), "system": platform.system()},
        "versions": {"python": platform.python_version(), "lflow": __version__, "torch": torch.__version__}
        | installed,
        "load_average_before": load(),
    }


def _cpu() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _ram() -> float | None:
    if not hasattr(os, "sysconf"):
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def load() -> float | None:
    """The load average of the last minute, where the system tells it."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def measured(data: Mapping[str, Any]) -> list[str]:
    """Where, when, with what and under which load the numbers came about, in words."""
    machine, versions = data["machine"], data["versions"]
    ran = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    return [
        f"Measured by `{data['command']}` on {data['date']}, on {machine['cpu']} ({machine['cores']} cores, "
        f"{machine['ram_gib']} GiB, {machine['system']}), with {ran}.",
        f"Load average {data['load_average_before']} before and {data['load_average_after']} after.",
        *[f"{name}: not installed." for name, number in versions.items() if not number],
    ]


def finish(
    arguments: argparse.Namespace, found: dict[str, Any], markdown: Callable[[Mapping[str, Any]], str]
) -> int:
    """Say what was found under which load, write the chapter where that is asked for, and end well."""
    found["load_average_after"] = load()
    text = markdown(found)
    if arguments.write:
        write(text)
    show(arguments, found, text)
    return 0


def write(chapter: str) -> None:
    """Put a chapter, from its title on, in the place of its earlier version in benchmarks/RESULTS.md."""
    RESULTS.parent.mkdir(exist_ok=True)
    before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    title = chapter.splitlines()[0]
    others = [each for each in re.split(r"^(?=# )", before, flags=re.MULTILINE) if each.strip()]
    titles = [each.splitlines()[0] for each in others]
    place = titles.index(title) if title in titles else len(others)
    others[place : place + 1] = [chapter]
    RESULTS.write_text("\n".join(each.rstrip() + "\n" for each in others), encoding="utf-8")
