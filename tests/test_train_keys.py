"""What the address of the page Train stands for."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import lflow
from lflow import cli
from lflow.training.config import make_config
from lflow.training.folder import RunFolder
from lflow.ui.train import keys
from tests import toy_model  # noqa: F401  (the model "toy")
from tests.statistics import one_thread  # noqa: F401  (for every test here)


@pytest.mark.parametrize("model", [name for name in lflow.models.names() if keys.preset(name)])
def test_what_a_page_opens_on_is_the_preset(model: str) -> None:
    chosen = keys.preset(model)
    assert chosen is not None
    for preset in chosen.choices or ():
        source = keys.source(model, preset).default
        fields = [field for field in keys.fields(model, preset) if keys.apply_to(source, field)]
        made = keys.make(model, preset, source, [(each, each.parameter.default) for each in fields], 0)
        assert made == make_config({"model": model, "preset": preset})
        assert keys.stem(made) == f"{model}-{preset}"


def test_every_key_is_declared_once_and_checks_its_value() -> None:
    known = keys.known()
    assert all(name == parameter.name for name, parameter in known.items())
    steps = known["toy_rings_training_num_steps"]
    assert (steps.default, steps.parse("7")) == (40, 7)
    with pytest.raises(ValueError, match="between"):
        steps.parse("0")
    with pytest.raises(ValueError, match="one of"):
        known["toy_rings_data"].parse("/etc/passwd")  # named data alone: a text is no path


def test_what_sets_a_model_apart_comes_before_what_it_shares() -> None:
    def of_the_model(name: str) -> list[keys.Field]:
        return [each for each in keys.fields(name, "digits") if each.part == "model"]

    def in_view(name: str) -> list[str]:
        return [each.name for each in of_the_model(name) if each.in_view]

    assert in_view("hvae") == ["tempering", "num_steps", "step_size"]
    assert in_view("langevin_vae")[:2] == ["mode", "friction"]
    assert {"step_size", "metropolis"} < set(in_view("lae"))
    assert in_view("vae")[0] == "objective"
    order = [each.name for each in of_the_model("langevin_vae")]
    wanted = [
        "mode",
        "num_steps",
        "learning_rate",
        "latent_dim",
    ]  # own, the chain's, an encoder's, any latent's
    assert [name for name in order if name in wanted] == wanted


def test_other_data_than_the_presets_are_named_and_lose_what_points_lack() -> None:
    fields = keys.fields("toy", "rings")
    values = [(each, each.parameter.default) for each in fields if keys.apply_to("two_moons", each)]
    made = keys.make("toy", "rings", "two_moons", values, 3)
    assert (made.data.source, made.data.limit, made.seed) == ("two_moons", 200, 3)
    assert keys.stem(made) == "toy-rings-two_moons"


def test_the_command_shown_trains_the_same_run(tmp_path: Path) -> None:
    values = [(each, each.parameter.default) for each in keys.fields("toy", "rings")]
    values = [(each, 12 if each.name == "num_steps" else value) for each, value in values]
    made = keys.make("toy", "rings", "two_moons", values, 5)
    line = shlex.split(keys.command(made, str(tmp_path / "run")))
    assert line[:3] == ["python", "-m", "lflow"]
    assert cli.main(line[3:]) == 0
    assert RunFolder(tmp_path / "run").config() == made
