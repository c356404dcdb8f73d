"""The loop: its frames, its arguments, its noise, and that a run continued is the run uninterrupted."""

import copy
import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lflow import energies, samplers, simulate, steps
from lflow.loop import Result
from lflow.noise import Noise, Stream, generator
from lflow.samplers.langevin import ULA
from lflow.steps import check_pair
from tests.statistics import one_thread  # noqa: F401  (for every test here)

RINGS = energies.get("rings")
N_01 = energies.get("gaussian", dim=1)


def allowed_pairs() -> list[tuple[str, str]]:
    pairs = []
    for sampler, rule in itertools.product(samplers.names(), steps.names()):
        try:
            check_pair(samplers.get(sampler), steps.get(rule))
        except ValueError:
            continue
        pairs.append((sampler, rule))
    return pairs


def same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a.nan_to_num(-1), b.nan_to_num(-1))


# Frames


@pytest.mark.parametrize(
    ("num_steps", "record_every", "expected"),
    [
        (10, 5, [0, 5, 10]),
        (10, 4, [0, 4, 8, 10]),
        (3, 10, [0, 3]),
        (1, 1, [0, 1]),
        (3, 1, [0, 1, 2, 3]),
        (10, [1, 4, 5], [0, 1, 4, 5, 10]),
        (5, [2, 5], [0, 2, 5]),
        (5, [], [0, 5]),
    ],
)
def test_frames(num_steps: int, record_every: int | list[int], expected: list[int]) -> None:
    r = simulate(RINGS, "mala", num_steps=num_steps, num_chains=6, record_every=record_every)
    assert r.steps.tolist() == expected
    assert r.gradient_evaluations.tolist() == [0, *(1 + step for step in expected[1:])]
    every = simulate(RINGS, "mala", num_steps=num_steps, num_chains=6, record_every=1)
    assert same(r.positions, every.positions[expected])
    for k, (low, high) in enumerate(itertools.pairwise(expected)):
        mean = every.acceptance[low + 1 : high + 1].mean()
        assert float(r.acceptance[k + 1]) == pytest.approx(float(mean), abs=1e-6)


@pytest.mark.parametrize("wrong", [[0, 3], [3, 3], [4, 2], [1, 6], [1.5]])
def test_frames_that_cannot_be_are_refused(wrong: list[Any]) -> None:
    with pytest.raises(ValueError, match="record_every"):
        simulate(RINGS, num_steps=5, num_chains=3, record_every=wrong)


def test_what_a_result_holds() -> None:
    for sampler, accepts in (("ula", False), ("hmc", True)):
        r = simulate(RINGS, sampler, num_steps=25, num_chains=7, record_every=10)
        assert (r.positions.shape, r.positions.dtype) == ((4, 7, 2), torch.float32)
        for values in (r.steps, r.gradient_evaluations, r.num_diverged, r.num_escaped):
            assert (values.shape, values.dtype) == ((4,), torch.int64)
        for values in (r.acceptance, r.step_sizes):
            assert (values.shape, values.dtype) == ((4,), torch.float32)
            assert values[0].isnan()
        assert r.acceptance[1:].isfinite().all() == accepts
        assert r.acceptance[1:].isnan().all() != accepts
        assert r.step_sizes[1:].isfinite().all()
        for marks in (r.diverged, r.escaped):
            assert (marks.shape, marks.dtype) == ((7,), torch.bool)
        assert not r.cancelled
        assert not r.positions.requires_grad
        assert not r.checkpoint.carry.state.x.requires_grad


def test_no_graph_and_no_side_effects() -> None:
    init = torch.randn(5, 2, requires_grad=True)
    before = init.detach().clone()
    weight = torch.nn.Parameter(torch.tensor(2.0))
    r = simulate(lambda x: weight * x.square().sum(1), "mala", init=init, num_steps=5)
    assert torch.equal(init, before)
    assert weight.grad is None
    assert init.grad is None
    for tensor in (r.positions, r.checkpoint.carry.state.x, r.checkpoint.carry.state.grad):
        assert tensor.grad_fn is None
        assert not tensor.requires_grad
    assert torch.is_grad_enabled()


def test_start() -> None:
    init = torch.randn(9, 2, dtype=torch.float64)
    r = simulate(RINGS, init=init, num_chains=5, num_steps=2)
    assert same(r.positions[0], init.float())
    default = simulate(RINGS, num_chains=5, num_steps=2, seed=3)
    assert same(default.positions[0], RINGS.initial(5, generator(3, "start")))
    assert simulate(RINGS, init=init.numpy(), num_steps=2).positions.shape == (2, 9, 2)  # type: ignore[arg-type]


def test_defaults_are_those_of_the_docstring() -> None:
    r = simulate(RINGS, num_chains=4)
    assert r.checkpoint.sampler == ULA()
    assert r.checkpoint.rule == steps.get("constant")
    assert (r.checkpoint.temperature, len(r.steps), int(r.steps[-1])) == (1.0, 101, 1000)
    by_instance = simulate(RINGS, ULA(), steps.get("constant", step_size=0.5), step_size=0.01, num_chains=4)
    assert same(r.positions, by_instance.positions)


# Arguments

WRONG: list[tuple[dict[str, Any], str]] = [
    *[
        ({name: value}, name)
        for name in ("num_steps", "record_every", "num_chains")
        for value in (0, -1, 1.5, True)
    ],
    *[({"num_steps": value}, "num_steps") for value in (math.inf, math.nan, None, "5")],
    *[({"temperature": value}, "temperature") for value in (-0.1, math.inf, math.nan)],
    *[({"step_size": value}, "step_size") for value in (0.0, -1.0, math.inf, math.nan, 101.0, "x")],
    ({"sampler": "metropolis"}, "no sampler named 'metropolis'"),
    ({"step": "anisotropc"}, "Did you mean 'anisotropic'"),
    ({"sampler": "mala", "step": "anisotropic"}, "anila with variant='metropolis'"),
    ({"sampler": "ula", "step": "target_acceptance"}, r"ula has no accept step"),
    ({"init": torch.zeros(3)}, "init must be floating-point of shape"),
    ({"init": torch.zeros(0, 2)}, "init must be floating-point of shape"),
    ({"init": torch.zeros(3, 2, dtype=torch.int64)}, "init must be floating-point of shape"),
    ({"init": torch.zeros(3, 3)}, r"init must have shape \(num_chains, 2\)"),
    ({"noise": Noise(primary=torch.zeros(9, 3, 2))}, r"shape \(3, 2\) a step, and the chains have shape"),
    ({"noise": Noise(primary=torch.zeros(999, 2000, 2))}, "holds 999 steps; 1000 are needed"),
    ({"num_chains": 10**7, "record_every": 1}, "GiB: raise record_every"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=lambda value: str(value)[:40])
def test_bad_arguments_are_refused_with_a_sentence(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        simulate(RINGS, **arguments)


def test_plain_functions() -> None:
    def U(x: Tensor) -> Tensor:
        return x.flatten(1).square().sum(1) / 2

    with pytest.raises(ValueError, match="a plain function has no default start: give init"):
        simulate(U)
    with pytest.raises(ValueError, match="an energy is needed, got 'rings'"):
        simulate("rings", init=torch.zeros(3, 2))  # type: ignore[arg-type]
    for wrong in (lambda x: x.square().sum(1, keepdim=True), lambda x: x.square().sum(0), lambda x: x):
        with pytest.raises(ValueError, match=r"must map \(3, 2\) to \(3,\)"):
            simulate(wrong, "mala", init=torch.zeros(5, 2))
    init = torch.randn(6, 2)
    by_name = simulate(energies.get("gaussian"), "ula", init=init, num_steps=5)
    torch.testing.assert_close(simulate(U, "ula", init=init, num_steps=5).positions, by_name.positions)


# Continuing and cancelling


@pytest.mark.parametrize(("sampler", "rule"), allowed_pairs())
def test_a_run_continued_is_the_run_uninterrupted(sampler: str, rule: str) -> None:
    settings: dict[str, Any] = {"record_every": 50, "num_chains": 6, "temperature": 0.8, "seed": 4}
    whole = simulate(RINGS, sampler, rule, num_steps=600, **settings)
    first = simulate(RINGS, sampler, rule, num_steps=250, **settings)
    rest = simulate(RINGS, num_steps=350, record_every=50, resume=first)
    assert same(torch.cat([first.positions, rest.positions[1:]]), whole.positions)
    assert same(rest.positions[0], first.positions[-1])
    for name in ("steps", "gradient_evaluations", "num_diverged", "num_escaped"):
        joined = torch.cat([getattr(first, name), getattr(rest, name)[1:]])
        assert same(joined, getattr(whole, name)), name
    for name in ("acceptance", "step_sizes"):
        joined = torch.cat([getattr(first, name), getattr(rest, name)[1:]])
        torch.testing.assert_close(joined, getattr(whole, name), equal_nan=True)
    again = simulate(RINGS, num_steps=350, record_every=50, resume=first)
    assert same(again.positions, rest.positions), "resuming does not use a result up"
    assert not same(
        simulate(RINGS, sampler, rule, num_steps=350, **settings).positions[-1], whole.positions[-1]
    )


def test_a_run_with_given_noise_continues() -> None:
    given = torch.randn(600, 6, 2, generator=torch.Generator().manual_seed(0))
    settings: dict[str, Any] = {"noise": Noise(primary=given), "num_chains": 6}
    whole = simulate(RINGS, "mala", num_steps=600, **settings)
    first = simulate(RINGS, "mala", num_steps=250, **settings)
    for noise in (None, Noise(primary=given), Noise(primary=given.clone())):
        rest = simulate(RINGS, num_steps=350, resume=first, noise=noise)
        assert same(rest.positions[-1], whole.positions[-1])
    with pytest.raises(ValueError, match="holds 600 steps; 601 are needed"):
        simulate(RINGS, num_steps=351, resume=first)


def test_resume_refuses_what_would_not_continue() -> None:
    hmc = samplers.get("hmc", num_leapfrog=3)
    polynomial = steps.get("polynomial", power=0.7, step_size=0.05)
    r = simulate(RINGS, hmc, polynomial, num_steps=5, num_chains=4)
    same_again: list[dict[str, Any]] = [
        {},
        {"sampler": "hmc", "step": "polynomial", "temperature": 1.0, "step_size": 0.05},
        {"sampler": samplers.get("hmc", num_leapfrog=3), "step": copy.copy(polynomial)},
        {"noise": Noise(0)},
    ]
    for arguments in same_again:
        assert simulate(RINGS, num_steps=3, resume=r, **arguments).steps.tolist() == [5, 8]
    other: list[tuple[dict[str, Any], str]] = [
        ({"sampler": "mala"}, "its sampler is HMC"),
        ({"sampler": samplers.get("hmc")}, "its sampler is HMC"),
        ({"step": "constant"}, "its step rule is Polynomial"),
        ({"step_size": 0.04}, "its step rule is Polynomial"),
        ({"temperature": 2.0}, "its temperature is 1.0"),
        ({"init": torch.zeros(4, 2)}, "leave init out"),
        ({"noise": Noise(1)}, "leave noise out"),
    ]
    for arguments, said in other:
        with pytest.raises(ValueError, match=said):
            simulate(RINGS, num_steps=3, resume=r, **arguments)
    with pytest.raises(ValueError, match="its energy is Rings"):
        simulate(energies.get("rings", width=0.2), num_steps=3, resume=r)


def test_callback_sees_every_frame_and_may_stop() -> None:
    seen: list[tuple[int, int]] = []

    def stop_at_20(step: int, num_steps: int) -> bool | None:
        seen.append((step, num_steps))
        return False if step == 20 else None

    r = simulate(RINGS, "mala", num_steps=45, num_chains=5, callback=stop_at_20)
    assert seen == [(10, 45), (20, 45)]
    assert r.cancelled
    assert r.steps.tolist() == [0, 10, 20]
    for values in (r.positions, r.gradient_evaluations, r.acceptance, r.step_sizes, r.num_diverged):
        assert len(values) == 3
    rest = simulate(RINGS, num_steps=25, resume=r)
    whole = simulate(RINGS, "mala", num_steps=45, num_chains=5, callback=lambda step, num_steps: None)
    assert same(rest.positions[-1], whole.positions[-1])
    assert not whole.cancelled


# Divergence


def test_a_chain_that_overflows_is_frozen_where_it_last_was() -> None:
    U = energies.get("quartic", dim=2)
    init = torch.tensor([[3.0, 0.0], [0.01, 0.01]])
    r = simulate(U, "ula", step_size=1.0, temperature=0.0, init=init, num_steps=30, record_every=1)
    assert r.diverged.tolist() == [True, False], "x' = x - 4x³ from 3 overflows, from 0.01 it falls to 0"
    assert r.positions.isfinite().all()
    frames = [3.0]
    while abs(further := frames[-1] - 4 * frames[-1] ** 3) < 3e38:  # the end of float32
        frames.append(further)
    assert r.num_diverged.tolist() == [0] * len(frames) + [1] * (31 - len(frames))
    np.testing.assert_allclose(r.positions[: len(frames), 0, 0], frames, rtol=1e-4)
    assert (r.positions[len(frames) :, 0] == r.positions[len(frames) - 1, 0]).all()
    assert r.escaped.tolist() == [True, False]
    assert r.step_sizes[1:].isfinite().all()
    cloud = simulate(U, "ula", step_size=1.0, num_steps=50, num_chains=200)
    assert cloud.diverged.any()
    assert cloud.positions.isfinite().all()
    more = simulate(U, num_steps=20, resume=cloud)
    assert same(more.positions[-1][cloud.diverged], cloud.positions[-1][cloud.diverged])
    assert (more.diverged | ~cloud.diverged).all()


@pytest.mark.parametrize(("sampler", "rule"), allowed_pairs())
def test_nothing_is_ever_nan(sampler: str, rule: str) -> None:
    """The quartic at far too large a step, from far outside."""
    U = energies.get("quartic")
    init = 10 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    r = simulate(U, sampler, rule, step_size=5.0, init=init, num_steps=60)
    assert r.positions.isfinite().all()
    assert r.step_sizes[1:].isfinite().all() or r.diverged.all()
    if samplers.get(sampler).has_accept_step:
        assert not r.diverged.any()
        assert r.acceptance[1:].isfinite().all()


def test_an_unstable_chain_is_marked_long_before_it_overflows() -> None:
    """On N(0, 1) at h = 2.5 the distance grows by 1.5 a step: 1,000 widths soon, float32's end after 213."""
    r = simulate(N_01, "ula", step_size=2.5, num_steps=230, num_chains=100, record_every=1)
    first_escape, first_overflow = (
        int((marks > 0).int().argmax()) for marks in (r.num_escaped, r.num_diverged)
    )
    assert first_escape < 30
    assert first_overflow == pytest.approx(213, abs=6)
    assert r.escaped.all()
    assert not simulate(N_01, "ula", step_size=1.9, num_steps=230, num_chains=100).escaped.any()


def test_escape_is_judged_by_the_start_where_there_are_no_bounds() -> None:
    r = simulate(lambda x: -x.square().sum(1), "ula", init=torch.ones(5, 2), step_size=0.5, num_steps=40)
    assert r.escaped.all()
    assert not r.diverged.any()
    still = simulate(lambda x: x.square().sum(1), "ula", init=torch.ones(5, 2), step_size=0.5, num_steps=40)
    assert not still.escaped.any()


# Noise


def test_a_chain_computed_by_hand() -> None:
    """ULA and MALA on U = cosh x, in numpy and float64, from given noise."""
    U = energies.from_callable(lambda x: x.cosh().sum(1), dim=1, bounds=((-3, 3),))
    random = np.random.default_rng(0)
    xi, start, h, T = random.normal(size=(50, 4, 1)), random.normal(size=(4, 1)), 0.3, 0.7
    noise = Noise(primary=torch.from_numpy(xi), seed=2)
    settings: dict[str, Any] = {
        "init": torch.from_numpy(start),
        "step_size": h,
        "temperature": T,
        "num_steps": 50,
    }
    x = start
    for k in range(50):
        x = x - h * np.sinh(x) + math.sqrt(2 * h * T) * xi[k]
    found = simulate(U, "ula", noise=noise, **settings)
    np.testing.assert_allclose(found.checkpoint.carry.state.x, x, rtol=1e-12)

    stream = Stream(noise, torch.device("cpu"))
    like, extra, x = torch.from_numpy(start), samplers.get("mala").extra(U), start
    stream.draw(like, extra, None)
    for k in range(50):
        u = stream.draw(like, extra, k).extra[0].numpy()
        y = x - h * np.sinh(x) + math.sqrt(2 * h * T) * xi[k]
        forward, backward = (y - x + h * np.sinh(x)) ** 2, (x - y + h * np.sinh(y)) ** 2
        log_ratio = (np.cosh(x) - np.cosh(y) + (forward - backward) / (4 * h)) / T
        x = np.where(np.log(1 - u)[:, None] <= log_ratio, y, x)
    found = simulate(U, "mala", noise=noise, **settings)
    np.testing.assert_allclose(found.checkpoint.carry.state.x, x, rtol=1e-10)
    assert 0.2 < float(found.acceptance[1:].mean()) < 0.99


def test_shared_noise_couples_and_seeds_do_not() -> None:
    """Two ULA chains of one noise contract to one another; with another seed they do not."""
    settings: dict[str, Any] = {"step_size": 0.1, "num_steps": 200, "record_every": 200}
    inits = [torch.full((500, 1), value) for value in (-3.0, 3.0)]
    a, b = (simulate(N_01, init=init, noise=Noise(5), **settings).positions[-1] for init in inits)
    c = simulate(N_01, init=inits[0], seed=6, **settings).positions[-1]
    assert float((a - b).abs().max()) < 1e-5
    assert abs(float(torch.corrcoef(torch.cat([a, c], 1).T)[0, 1])) < 4.5 / 500**0.5


def test_a_generator_for_each_seed_and_stream() -> None:
    drawn = [
        torch.randn(200, generator=generator(seed, stream))
        for seed in (0, 1)
        for stream in ("primary", "start")
    ]
    for a, b in itertools.combinations(drawn, 2):
        assert not torch.isclose(a, b).any()
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0"):
        simulate(RINGS, seed=-1, num_steps=1)


def test_results_are_frozen() -> None:
    r: Result = simulate(RINGS, num_steps=1, num_chains=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        r.cancelled = True  # type: ignore[misc]
