"""The papers' one protocol: the same networks and treatment for all, choices by validation data, tests."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lflow import data, models
from lflow.draws import Draws
from lflow.evaluation import importance
from lflow.models.latent import LatentLearner
from lflow.papers import one_protocol, protocol_measures
from lflow.papers.experiment import Config, Findings, Record, paired_p
from lflow.papers.learn import WeightsLost, learn
from lflow.papers.protocol_findings import LOST, MEASURES, NAMES, as_text, compare, of_table, tables
from tests.protocol_runs import made_up
from tests.statistics import one_thread  # noqa: F401  (a fixture)

SMALL = protocol_measures.Effort(
    points=5,
    weights=50,
    checked=2,
    temperatures=5,
    normaliser=5,
    looks=2,
    looked=5,
    look_weights=20,
    look_normaliser=3,
)


def run_of(method: str, **changes: Any) -> Config:
    num_steps = 2 if method in one_protocol.WITH_STEPS else 0
    run = {"part": "compare", "data": "digits", "quick": True, "seed": 0, "steps": 4, "method": method}
    return run | {"num_steps": num_steps} | changes


def test_every_method_has_the_same_networks_and_training() -> None:
    trunks, decoders, trainings = set(), {}, set()
    for method in NAMES:
        config = one_protocol.settings(run_of(method), 0.01)
        learner = config.model.build((1, 8, 8), 2)
        net = learner.features if method in ("map", "lae", "lae_mh") else learner.encoder[0]
        assert isinstance(net, nn.Module)
        trunks.add(str(net))
        decoders[method] = str(learner.decoder)
        trainings.add(str((config.data, config.training)))
    assert len(trunks) == len(trainings) == 1
    assert "LayerNorm" in trunks.pop()
    others = {decoder for method, decoder in decoders.items() if not method.startswith("clae")}
    assert len(others) == 1
    assert decoders["clae"] == decoders["clae_still"] not in others  # as the sentences say


def test_no_preset_has_a_say(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [one_protocol.settings(run_of(method), 0.01) for method in NAMES]
    for name in ("vae", "hvae", "langevin_vae", "lae", "clae"):
        monkeypatch.setattr(models.get_class(name), "presets", {})
    assert [one_protocol.settings(run_of(method), 0.01) for method in NAMES] == before


def flops(name: str, **own: Any) -> int:
    """Of a training step's products, nearly all of the decoder."""
    learner = models.get(name, latent_dim=8, width=200, depth=2, **own).build((64,))
    learner.encoder = nn.Linear(64, 16)
    x = torch.randn(100, 64, generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        torch.stack(list(learner.training_step(x, Draws(0, 0)).losses.values())).sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("num_steps", [1, 5])
def test_matched_passes(num_steps: int) -> None:
    chain = flops("hvae", num_steps=num_steps)
    shares = {
        count: flops("vae", objective="iwae", num_importance=count) / chain
        for count in (one_protocol.matched(num_steps), one_protocol.matched(num_steps - 1))
    }
    enough, fewer = shares.values()
    assert enough == pytest.approx(1, abs=0.1) != pytest.approx(fewer, abs=0.1)


def test_the_kept_look_is_the_one_of_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the last, and not that of the test split, which is looked at once."""
    monkeypatch.setattr(one_protocol, "QUICK", SMALL)
    worths = iter([-30.0, -20.0, -10.0, -25.0, float("nan"), -15.0])
    seen: list[torch.Tensor] = []

    def look(learner: LatentLearner, x: torch.Tensor, *_: Any) -> float:
        seen.append(x)
        return next(worths)

    kept: list[LatentLearner] = []

    def measure(learner: LatentLearner, x: torch.Tensor, *_: Any) -> Findings:
        kept.append(learner)
        assert not any(torch.equal(x, each) for each in seen)
        return {}

    monkeypatch.setattr(one_protocol, "look", look)
    monkeypatch.setattr(one_protocol, "measure", measure)
    found = one_protocol.work(run_of("vae"))
    assert (found["rate"], found["stop"]) == (0.003, 2)
    assert [each["worth"] for each in found["looks"]] == [-30.0, -20.0, -10.0, -25.0, -15.0]
    short = learn(one_protocol.settings(run_of("vae", steps=2), 0.003))
    assert all(
        torch.equal(one, other) for one, other in zip(kept[0].parameters(), short.parameters(), strict=True)
    )


def test_a_rate_that_loses_the_weights_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def losing(config: Any, every: int, look: Any, bears: float) -> None:
        if config.model.model.learning_rate > bears:
            raise WeightsLost("the weights of 'decoder' are not finite after 4 steps")
        learn(config, every, look)

    monkeypatch.setattr(one_protocol, "QUICK", SMALL)
    monkeypatch.setattr(one_protocol, "learn", partial(losing, bears=0.001))
    monkeypatch.setattr(one_protocol, "look", lambda *_: -20.0)
    monkeypatch.setattr(one_protocol, "measure", lambda *_: {})
    assert {each["rate"] for each in one_protocol.work(run_of("vae"))["looks"]} == {0.001}
    monkeypatch.setattr(one_protocol, "learn", partial(losing, bears=0.0))
    assert one_protocol.work(run_of("vae")) == LOST

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(one_protocol, "learn", broken)
    with pytest.raises(ZeroDivisionError):
        one_protocol.work(run_of("vae"))


@pytest.mark.parametrize("method", ["iwae", "reverse_kernel", "lae_mh", "map", "clae"])
def test_a_run(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_protocol, "QUICK", SMALL)
    monkeypatch.setattr(importance, "_FIT_STEPS", 30)
    monkeypatch.setattr(one_protocol, "rates", lambda name: (0.001 if name == "clae" else 0.01,))
    found = one_protocol.work(run_of(method))
    assert set(found) == {*MEASURES, "checked", "rate", "stop", "looks"}
    assert -60 < found["log_likelihood"] < -20
    assert found["checked"]["annealed"] == pytest.approx(found["checked"]["importance"], abs=3)
    assert found["gradients"] == {"iwae": 0, "reverse_kernel": 3, "lae_mh": 3, "map": 3, "clae": 0}[method]
    assert 0 < found["effective"] <= 1
    assert len(found["looks"]) == 2
    if method in ("iwae", "reverse_kernel"):
        assert found["bound"] - 0.5 < found["log_likelihood"]
    else:
        assert found["bound"] is None


def test_reconstructions_of_a_vae_are_of_draws_as_those_of_a_chain_are() -> None:
    learner = one_protocol.settings(run_of("vae"), 0.01).model.build((1, 8, 8), 2)
    assert isinstance(learner, LatentLearner)
    x = one_protocol.held_out("digits", 5)
    one, other = (learner.draw_posterior(x, Draws(seed, 0)) for seed in (0, 1))
    assert float((one - other).std()) > 0.1
    assert torch.equal(learner.infer(x, 0), learner.infer(x, 1))


def test_one_log_z_for_weights_and_annealing() -> None:
    """That of the energy c is -c, exactly."""
    learner = one_protocol.settings(run_of("clae"), 0.001).model.build((1, 8, 8), 2)
    assert isinstance(learner, LatentLearner)
    with torch.no_grad():
        for parameter in learner.prior.energy.parameters():  # type: ignore[union-attr]
            parameter.zero_()
        [*learner.prior.energy.parameters()][-1].fill_(1.5)  # type: ignore[union-attr]
    z = learner.prior.draw_base(7, Draws(0, 0))
    whole = protocol_measures.normalised(learner, 5, 0)
    density = whole.prior.log_base(z) + whole.prior.tilt(z)
    torch.testing.assert_close(density, learner.prior.log_base(z))
    assert whole.prior.normalised


def test_measuring_leaves_the_model_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "_FIT_STEPS", 30)
    learner = models.get("latent_flow", latent_dim=8, likelihood="bernoulli", num_steps=2).build((1, 8, 8), 2)
    assert isinstance(learner, LatentLearner)
    before = {name: weight.clone() for name, weight in learner.state_dict().items()}
    x = one_protocol.held_out("digits", 5)
    assert set(x.unique().tolist()) == {-1.0, 1.0}
    found = protocol_measures.measure(learner, x, 0, SMALL)
    assert (found["bound"], found["gradients"]) == (None, 2)  # a model without a bound of its own
    assert all(torch.equal(weight, before[name]) for name, weight in learner.state_dict().items())


# --- what is said -----------------------------------------------------------------------------------------


def test_a_paired_test_is_scipys() -> None:
    draws = np.random.default_rng(0).standard_normal((2, 5))
    one, other = (dict(enumerate(row)) for row in draws)
    assert paired_p(one, other) == pytest.approx(stats.ttest_rel(*draws).pvalue)
    assert paired_p(one, one) == 1.0
    assert paired_p(one, {seed: value + 1 for seed, value in one.items()}) < 1e-9
    assert paired_p(one, other | {3: None}) == paired_p({0: 1.0}, {0: 2.0}) == 1.0


def test_many_tests_of_nothing_tell_as_seldom_as_one() -> None:
    """Holm's share of false verdicts over a family is 1 %; uncorrected it is about 1 - 0.99^16 = 15 %."""
    generator, families, tests = np.random.default_rng(0), 400, 16
    told = {"holm": 0, "each": 0}
    for _ in range(families):
        values = {f"m{k}": dict(enumerate(generator.standard_normal(5))) for k in range(2 * tests)}
        rows = [{"method": name, "by_seed": {"log_likelihood": of}} for name, of in values.items()]
        pairs = [(f"m{k}", f"m{k + tests}") for k in range(tests)]
        found = compare(rows, "log_likelihood", pairs)
        told["holm"] += any(each.verdict != "not told apart" for each in found.values())
        told["each"] += any(paired_p(values[one], values[other]) < 0.01 for one, other in pairs)
    error = (families * 0.01 * 0.99) ** 0.5
    assert told["holm"] < families * 0.01 + 4 * error < told["each"]


def test_choices_and_ends_are_told() -> None:
    runs = [run_of(method, seed=seed, steps=40) for method in ("vae", "hvae", "clae") for seed in range(3)]
    records = [Record(run, LOST if run["method"] == "clae" else made_up(run, {}), 1.0) for run in runs]
    plain = {"part": "plain", "data": "digits", "quick": True, "seed": 0}
    (table,) = tables([*records, Record(plain, made_up(plain, {}), 1.0)])
    lines = [re.split("  +", line) for line in as_text(table).splitlines()]
    rates = {line[0]: line[-2:] for line in lines}
    assert rates["VAE"] == rates["HVAE"] == ["0.01", "20"]
    assert rates["CLAE"] == ["lost", "lost"]
    assert rates["independent pixels"] == ["independent pixels", "-29.00"]
    said = " ".join(of_table(table))
    assert "Of 6 runs 0 keep the lowest rate and 6 the highest; 0 keep the last look" in said
    lost = ", ".join(f"CLAE at {rate:g} in 3 seeds" for rate in (0.0003, 0.001, 0.003))
    assert f"Weights were lost before the end: {lost}." in said
    assert "at least 50 % count" in said
    assert "is 0.25 to 0.25 nats, 0.25 on average" in said


def test_a_rate_that_loses_its_weights_half_way_and_a_row_below_pixels_are_named() -> None:
    runs = [run_of("hvae", num_steps=count, steps=40) for count in (1, 5)]
    found = [made_up(run, {"hvae": -40.0 if run["num_steps"] == 1 else -20.0}) for run in runs]
    found[1]["looks"] = [look for look in found[1]["looks"] if look["rate"] < 0.01 or look["step"] < 40]
    plain = {"part": "plain", "data": "digits", "quick": True, "seed": 0}
    records = [Record(run, each, 1.0) for run, each in zip(runs, found, strict=True)]
    (table,) = tables([*records, Record(plain, made_up(plain, {}), 1.0)])
    said = " ".join(of_table(table))
    assert "Weights were lost before the end: HVAE (K = 5) at 0.01 in 1 seed." in said
    assert "Below independent pixels, which take no model: HVAE (K = 1)." in said


def test_what_takes_no_model_is_independent_pixels() -> None:
    run = {"part": "plain", "data": "digits", "quick": True, "seed": 0}
    x = data.load("digits", "train", binary=True).x.flatten(1)
    tested = one_protocol.held_out("digits", protocol_measures.QUICK.points).flatten(1)
    share = (((x > 0).double().sum(0) + 0.5) / (len(x) + 1)).numpy()
    expected = stats.bernoulli(share).logpmf((tested > 0).numpy()).sum(1).mean()
    assert one_protocol.work(run)["pixels"] == pytest.approx(expected)
