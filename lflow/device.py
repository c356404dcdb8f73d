"""Where tensors live: a device by name, if it is there."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def find_device(device: str | torch.device, automatic: Sequence[str] = ("cuda", "cpu")) -> torch.device:
    """The device of that name; "auto" is the first of `automatic` that is there.

    ValueError in one sentence if there is no such device, here or at all.
    """
    if device == "auto":
        return torch.device(next(kind for kind in automatic if _is_there(kind)))
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch is built without CUDA
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"the device {str(device)!r} cannot be used here ({reason}): leave it at 'auto'"
        ) from None
    return torch.device(device)


def _is_there(kind: str) -> bool:
    if kind == "mps":
        return torch.backends.mps.is_available()
    return kind == "cpu" or torch.cuda.is_available()
