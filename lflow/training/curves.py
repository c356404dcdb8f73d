"""Curves for TensorBoard, beside the run folder's own lines. Needs `pip install lflow[tensorboard]`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class Curves:
    """Event files in the folder `tensorboard` of a run. ValueError if TensorBoard is not installed."""

    def __init__(self, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ValueError(
                "TensorBoard is not installed: pip install 'lflow[tensorboard]', or leave it out"
            ) from None
        self._writer = SummaryWriter(run / "tensorboard")

    def add(self, split: str, step: int, numbers: Mapping[str, float]) -> None:
        """A point of each curve."""
        for name, value in numbers.items():
            self._writer.add_scalar(f"{split}/{name}", value, step)

    def close(self) -> None:
        """Write what is still held back."""
        self._writer.close()
