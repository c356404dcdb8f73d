"""A checkpoint: what is written is read back, and what is not a checkpoint is refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import lflow
from lflow.training import checkpoint
from lflow.training.folder import RunFolder
from lflow.training.loop import train
from tests import toy_model

# A model of some billion weights: it must be refused before it is made.
LARGE = {"model": {"name": "flow", "flow_depth": 64, "flow_width": 1024, "flow_levels": 6}, "data": "digits"}
TOY = {"model": toy_model.Toy.name, "preset": "rings"}


def test_weights_alone_are_enough_to_use_a_model(tmp_path: Path) -> None:
    learner = train({**TOY, "max_steps": 10}, tmp_path / "run", "cpu")
    best = RunFolder(tmp_path / "run").best
    path = tmp_path / "slim.safetensors"
    checkpoint.write(path, checkpoint.weights_only(checkpoint.read(best)))
    assert path.stat().st_size < best.stat().st_size / 2
    torch.testing.assert_close(lflow.load(path).synthesize(5), learner.synthesize(5))


def hostile_files(folder: Path) -> dict[str, Path]:
    """Files that are not checkpoints, each in its own way."""
    good = folder / "good.safetensors"
    train({**TOY, "max_steps": 1}, folder / "run", "cpu")
    good.write_bytes(RunFolder(folder / "run").last.read_bytes())
    tensors, about = load_file(good), checkpoint.safe_open(good, "pt").metadata()
    plain = json.loads(about["lflow"])

    def saved(name: str, header: Any, arrays: dict[str, Tensor] = tensors) -> Path:
        path = folder / f"{name}.safetensors"
        save_file(arrays, path, metadata=header)
        return path

    def changed(**values: Any) -> dict[str, str]:
        return {"lflow": json.dumps(plain | values)}

    half, pickled, empty = (folder / f"{name}.safetensors" for name in ("half", "pickled", "empty"))
    half.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    torch.save({"model": tensors}, pickled)
    empty.touch()
    renamed = {name.replace("mean", "median"): tensor for name, tensor in tensors.items()}
    return {
        "half": half,
        "pickled": pickled,
        "empty": empty,
        "foreign": saved("foreign", None),
        "no json": saved("no-json", {"lflow": "{"}),
        "lacking": saved("lacking", {"lflow": "{}"}),
        "huge": saved("huge", changed(shape=[10**9])),
        "larger than itself": saved("larger", changed(config=LARGE, shape=[1, 64, 64])),
        "a list": saved("list", {"lflow": "[]"}),
        "a list of models": saved("models", changed(config=[])),
        "wrong shape": saved("wrong-shape", changed(shape=[3])),
        "future": saved("future", changed(version=99)),
        "unknown model": saved("unknown", changed(config={"model": "no_such_model"})),
        "other names": saved("renamed", about, renamed),
        "absent": folder / "absent.safetensors",
    }


def test_what_is_not_a_checkpoint_is_refused(tmp_path: Path) -> None:
    for kind, path in hostile_files(tmp_path).items():
        with pytest.raises(ValueError, match=r".") as refused:
            lflow.load(path)
        assert len(str(refused.value)) > 20, kind
        assert "\n" not in str(refused.value), kind
        if kind == "unknown model":
            known = "is of a model named 'no_such_model', which is not known here: import the module that"
            assert known in str(refused.value)
        elif kind != "absent" and kind not in ("larger than itself", "wrong shape", "other names"):
            assert "is not a checkpoint that lflow can read, or is damaged" in str(refused.value), kind
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="holds no checkpoint yet"):
        lflow.load(tmp_path / "folder")
