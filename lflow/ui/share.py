"""What a reader takes along: the address of what is shown, file names, and a program that recomputes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from lflow.spec import CONFIG_VERSION
from lflow.ui.request import FORMULA, POINTS, Request


def link(prefix: str, hidden: Sequence[str] = ()) -> str:
    """The address of what is shown: every control that differs from its default, and which to hide."""
    defaults = st.session_state.get(f"{prefix}-defaults", {})
    values = {
        name: st.session_state[name]
        for name, default in defaults.items()
        if name in st.session_state and st.session_state[name] != default
    }
    if hidden:
        values[f"{prefix}_hide"] = ",".join(hidden)
    address = str(st.context.url or "").split("?")[0]
    return f"{address}?{urlencode({f'{prefix}_version': CONFIG_VERSION, **values})}" if values else address


def file_name(request: Request) -> str:
    """A short name for the files of a run."""
    names = (json.loads(config)["name"] for config in (request.energy, request.sampler, request.rule))
    return "-".join((*names, f"seed{request.settings.seed}"))


def python_code(request: Request, record_every: int) -> str:
    """A program that computes the arrays of this run."""
    settings = request.settings
    run: dict[str, float] = {"num_steps": settings.num_steps, "num_chains": settings.num_chains}
    run |= {"temperature": settings.temperature, "record_every": record_every, "seed": settings.seed}
    lines = ["import torch", "import lflow", "", f"U = {_energy_code(request.energy)}"]
    lines += ["r = lflow.simulate(", "    U,"]
    for argument, module, config in (
        ("sampler", "samplers", request.sampler),
        ("step", "steps", request.rule),
    ):
        lines.append(f"    {argument}=lflow.{module}.get({_arguments(json.loads(config))}),")
    lines += [f"    {name}={value!r}," for name, value in run.items()]
    if settings.start == "point":
        lines.append(
            f"    init=torch.tensor([{settings.x}, {settings.y}]).expand({settings.num_chains}, 2).clone(),"
        )
    elif settings.start == "box":
        lines.append("    init=init,")
        lines[4:4] = [
            "low, high = torch.tensor(U.bounds).T",
            f"generator = torch.Generator().manual_seed({settings.seed})",
            f"init = low + (high - low) * torch.rand({settings.num_chains}, 2, generator=generator)",
        ]
    lines.append('    device="cpu",')
    lines.append(")")
    if settings.more:
        lines += [f"for _ in range({settings.more}):"]
        again = f"num_steps={settings.num_steps}, record_every={record_every}"
        lines += [f'    r = lflow.simulate(U, {again}, device="cpu", resume=r)']
    return "\n".join(lines)


def _energy_code(config: str) -> str:
    values = json.loads(config)
    if values["name"] == FORMULA:
        box = ((-values["reach"], values["reach"]),) * 2
        return f"lflow.energies.from_expression({values['text']!r}, bounds={box})"
    if values["name"] == POINTS:
        return f"lflow.energies.from_points(points, bandwidth={values['bandwidth']})  # your (m, 2) array"
    return f"lflow.energies.get({_arguments(values)})"


def _arguments(config: dict[str, Any]) -> str:
    name = config.pop("name")
    return ", ".join([repr(name), *(f"{k}={v!r}" for k, v in config.items())])
