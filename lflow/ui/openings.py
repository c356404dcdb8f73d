"""What the pages open on, computed once and shipped, so that a first visit computes nothing.

`python -m lflow.ui.openings` computes it all anew, `python -m lflow.ui.openings home` a part of it. Each part
is a module with a function `build`, which writes its own files in assets/.
"""

from __future__ import annotations

import sys
from importlib import import_module

OPENINGS = {
    "home": "lflow.ui.home",
    "race": "lflow.ui.race.page",
    "convergence": "lflow.ui.convergence.page",
    "anila": "lflow.ui.anila.page",
    "lessons": "lflow.ui.lessons.page",
    "train": "lflow.ui.train.example",
    "images": "lflow.ui.images.page",
}


def main(names: list[str]) -> int:
    """Build the openings named, or all; 2 for a name that is not known."""
    unknown = [name for name in names if name not in OPENINGS]
    if unknown:
        print(f"there is no opening {unknown[0]!r}; known: {', '.join(OPENINGS)}", file=sys.stderr)
        return 2
    for name in names or OPENINGS:
        import_module(OPENINGS[name]).build()
        print(f"{name}: written", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
