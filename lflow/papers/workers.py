"""Independent jobs, each in one of several processes. Knows nothing of what they compute."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, NamedTuple

_MOST = 8


class Done(NamedTuple):
    """Which job ended, what it found, and its seconds."""

    place: int
    found: Any
    seconds: float


def number_of(workers: int) -> int:
    """So many processes; for 0 one for each core that this process may use, at most 8."""
    if workers:
        return workers
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST)


def carry_out(work: Callable[[Any], Any], jobs: Sequence[Any], workers: int) -> Iterator[Done]:
    """The jobs as they end, each computed by one thread; one worker is this process, with all its threads.

    The first error of a job ends all of them. `work` is a function of a module, with plain values in and out.
    """
    if workers == 1 or len(jobs) < 2:
        for place, job in enumerate(jobs):
            yield Done(place, *_timed(work, job))
        return
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, _begin)
    try:
        places = {pool.submit(_timed, work, job): place for place, job in enumerate(jobs)}
        for future in as_completed(places):
            yield Done(places[future], *future.result())
    finally:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()  # who stops does not wait for a job that may take minutes
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the process that waits for all
    torch.set_num_threads(1)


def _timed(work: Callable[[Any], Any], job: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    found = work(job)
    return found, time.perf_counter() - began
