"""Data that come with scikit-learn and scikit-image: digits. Nothing is downloaded.

Each function gives a whole data set; `catalogue` takes the split of it.
"""

from __future__ import annotations

import numpy as np
import torch

from lflow.data.dataset import DataSet, split_rows


def digits(split: str) -> DataSet:
    """Handwritten digits, 8×8, 17 grey values."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    rows = split_rows(bunch.target, split)
    values = torch.from_numpy(bunch.images[rows].astype(np.uint8))[:, None]
    labels = torch.from_numpy(bunch.target[rows].astype(np.int64))
    return DataSet("digits", values, labels, levels=17, label_names=tuple(map(str, range(10))))
