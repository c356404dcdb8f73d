"""Charts that many small runs make: a run is found where it is kept, or computed, with progress and a Stop.

What a page opens on is shipped in assets/studies, a line a run, and `python -m lflow.ui.openings` computes it
anew. Runs of other settings are kept by the server. Knows nothing of what a run computes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from lflow.loop import Callback
from lflow.papers.experiment import Findings, Job, Record, finite, key, read_parts
from lflow.paths import assets_dir
from lflow.spec import CONFIG_VERSION
from lflow.ui.computing import progress
from lflow.ui.store import Store

Work = Callable[..., Findings]
"""Makes of a configuration what is found; where it `tells`, also takes what `simulate` calls, or None."""


def shipped_file(name: str) -> Path:
    """Where the runs lie that a page opens on."""
    return assets_dir() / "studies" / f"{name}.jsonl"


@st.cache_resource
def _shipped(name: str) -> dict[str, Record]:
    return read_parts(shipped_file(name))


@st.cache_resource
def _kept() -> Store:
    return Store(20_000)


def collect(name: str, work: Work, jobs: Sequence[Job], tells: bool = False) -> list[Record]:
    """The records of the jobs in their order; where the reader stopped the computing, those that ended.

    name: of the shipped file, and of the Stop button. tells: `work` takes a second argument, a function to
    tell how far a job is, through which Stop ends it; else Stop waits for the job. Shows nothing if it takes
    less than 0.7 s.
    """
    kept, shipped = _kept(), _shipped(name)
    keys = [f"{name} {key(job.config)}" for job in jobs]
    found = {k: shipped.get(key(job.config)) or kept.find(k) for k, job in zip(keys, jobs, strict=True)}
    missing = [(k, job) for k, job in zip(keys, jobs, strict=True) if found[k] is None]
    notice, asked = st.empty(), f"{name}-stopped"
    if missing and st.session_state.get(asked) == keys:
        with notice.container(horizontal=True, vertical_alignment="center"):
            st.info(f"Stopped: {len(jobs) - len(missing)} of {len(jobs)} runs are done, and are kept.")
            st.button("Go on", key=f"{name}-go-on", on_click=st.session_state.pop, args=(asked, None))
    elif missing:
        st.session_state.pop(asked, None)
        report = progress(notice, f"{name}-study-stop", _remember_stop, asked, keys)
        before, total, spent = len(jobs) - len(missing), sum(job.cost for _, job in missing), 0.0
        for done, (k, job) in enumerate(missing):
            said = f"{before + done} of {len(jobs)} runs"

            def tell(part: int, parts: int, spent: float = spent, job: Job = job, said: str = said) -> None:
                report((spent + job.cost * part / parts) / total, said)

            tell(0, 1)
            # Stop, or a changed control, ends the script where it tells: such a run is not kept.
            told = (tell,) if tells else ()
            found[k] = kept.get(k, lambda job=job, told=told: run_job(work, job, *told))  # type: ignore[misc]
            spent += job.cost
        notice.empty()
    return [record for record in (found[k] for k in keys) if isinstance(record, Record)]


def _remember_stop(asked: str, keys: Sequence[str]) -> None:
    st.session_state[asked] = list(keys)


def run_job(work: Work, job: Job, *told: Callback) -> Record:
    """Run one job, in one thread: for many small steps a second one costs more than it brings.

    told: what `work` takes beside the configuration.
    """
    import torch

    torch.set_num_threads(1)
    began = time.perf_counter()
    found = finite(work(job.config, *told))
    return Record(job.config, found, round(time.perf_counter() - began, 3))


def ship(name: str, work: Work, jobs: Sequence[Job], say: Callable[[str], None]) -> None:
    """Compute the jobs that the shipped file does not hold, and write it with these jobs alone."""
    file = shipped_file(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    known = read_parts(file)
    lines = []
    for count, job in enumerate(jobs, 1):
        record = known.get(key(job.config)) or run_job(work, job)
        lines.append(key({"version": CONFIG_VERSION, **record._asdict()}))
        say(f"{name}: {count} of {len(jobs)} runs")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
