"""`lflow bench`: how fast sampling is, and how fast training is. One module a question."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from lflow.cli import Arguments, Parser

BENCHMARKS = {
    "sampling": "lflow.bench.sampling",
    "train": "lflow.bench.training",
    "chains": "lflow.bench.chains",
}


def declare(parser: Parser, words: Sequence[str]) -> None:
    """The flags of `lflow bench`."""
    parser.add_argument(
        "what", nargs="?", default="sampling", choices=BENCHMARKS, help="what to measure (default sampling)"
    )
    parser.add_argument("--quick", action="store_true", help="a first look: short turns, few repetitions")
    parser.add_argument("--write", action="store_true", help="write its chapter of benchmarks/RESULTS.md")
    named = words[0] if words and words[0] in BENCHMARKS else "sampling"
    _module(named).declare(parser)


def run(arguments: Arguments) -> int:
    """`lflow bench`."""
    code: int = _module(arguments.what).run(arguments)
    return code


def _module(name: str) -> Any:
    return import_module(BENCHMARKS[name])
