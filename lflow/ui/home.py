"""The flow that Home opens on: computed once, shipped as bytes, played without torch.

`python -m lflow.ui.openings home` computes it anew and writes assets/home/flow.lfp.
"""

from __future__ import annotations

from pathlib import Path

from lflow.paths import assets_dir


def flow_file() -> Path:
    """The shipped scene."""
    return assets_dir() / "home" / "flow.lfp"


def build() -> None:
    """Compute and write the scene: ULA on the pinwheel from a point at the centre."""
    from lflow.ui.packing import pack
    from lflow.ui.request import Request, Settings, as_json
    from lflow.ui.run import run
    from lflow.ui.scene import make_scene
    from lflow.ui.store import Store
    from lflow.ui.track import track_of

    settings = Settings(num_chains=1500, num_steps=2000, start="point", x=0.0, y=0.0)
    rule = as_json("constant", step_size=0.002)
    request = Request(as_json("pinwheel"), as_json("ula"), rule, settings)
    store = Store(3)
    track = track_of(request, run(request, store), request.key, store)
    flow_file().parent.mkdir(exist_ok=True)
    flow_file().write_bytes(pack(make_scene(track, interactive=False)))
