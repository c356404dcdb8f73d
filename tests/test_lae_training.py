"""What training does around the Langevin autoencoder's chain: autocast, averages of weights, processes."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from lflow.draws import Draws
from lflow.models import get, get_class
from lflow.training.parallel import World
from lflow.training.weights import Weights
from tests.statistics import one_thread  # noqa: F401  (for every test here)
from tests.test_lae import DATA, lae_of
from tests.test_models import Exchange


def test_the_test_of_a_step_knows_nothing_of_autocast() -> None:
    """bfloat16 holds three digits, and a difference of sums none: steps that pass would be refused."""
    x = torch.where(torch.rand(100, 1, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.3, 1.0, -1.0)
    chosen = get_class("lae").presets["digits"].model | {"num_steps": 20}
    accepted, moved = [], []
    for bfloat16 in (False, True):
        torch.manual_seed(0)
        learner = get("lae", **chosen).build((1, 8, 8), 2)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            found = learner.training_step(x, Draws(0, 0))
            z = learner.infer(x)
        accepted.append(float(found.metrics["acceptance"]))
        moved.append(found.losses["potential"].detach().float())
    assert z.dtype == torch.float32
    assert accepted[0] > 0.9
    assert accepted[1] == pytest.approx(accepted[0], abs=0.01)
    assert float(moved[1]) == pytest.approx(float(moved[0]), rel=0.01)


def test_an_average_has_the_last_layer_of_its_features() -> None:
    """Where weights are averaged: Φ too, by the same rule."""
    learner, decay = lae_of(step_size=1e-3), 0.9
    weights = Weights(learner, decay)
    wanted: Tensor | None = None
    for step in range(5):
        loss = learner.training_step(DATA, Draws(0, step)).losses["potential"]
        weights.descend(loss, 1.0, World(0, 1, torch.device("cpu")))
        now = learner.weights.clone()
        wanted = now if wanted is None else decay * wanted + (1 - decay) * now
    with weights.shown() as shown:
        torch.testing.assert_close(shown.weights, wanted)
        assert not torch.allclose(shown.weights, learner.weights)


def test_processes_that_round_otherwise_keep_one_last_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = Exchange(2)
    monkeypatch.setattr(Draws, "agreed", lambda draws, x: exchange.agreed(draws, x))
    monkeypatch.setattr(Draws, "gather", lambda draws, x: exchange.gather(draws, x) * (1 + 1e-3 * draws.rank))
    learners = [lae_of(metropolis=True) for _ in range(2)]
    with ThreadPoolExecutor(2) as processes:
        steps = [
            processes.submit(learner.training_step, part, Draws(5, 3, "cpu", rank, 2))
            for rank, (learner, part) in enumerate(zip(learners, DATA.split(3), strict=True))
        ]
        assert all(bool(step.result().losses["potential"].isfinite()) for step in steps)
    assert torch.equal(learners[0].weights, learners[1].weights)


def test_a_last_layer_that_no_part_has_is_looked_at_too() -> None:
    learner = lae_of()
    weights = Weights(learner, 0.0)
    assert weights.not_finite() is None
    learner.weights.data[0, 0, 0] = torch.nan
    assert weights.not_finite() == "weights"
    next(learner.decoder.parameters()).data.fill_(torch.inf)
    assert weights.not_finite() == "decoder"


@pytest.mark.parametrize(
    "settings", [{}, {"metropolis": True}, {"num_steps": 5}, {"warm_step": "coded"}, {"temperature": 0.0}]
)
def test_as_many_gradients_are_taken_as_are_said(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]
) -> None:
    learner, taken = lae_of(**settings), 0
    grad = torch.autograd.grad

    def counting(*arguments: object, **options: object) -> object:
        nonlocal taken
        taken += 1
        return grad(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.autograd, "grad", counting)
    learner.training_step(DATA, Draws(0, 0))
    assert taken == learner.gradient_evaluations
