"""Compiled runs equal eager ones, in every sampler; where nothing can be compiled they run eagerly."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from lflow import energies, samplers, simulate
from lflow.samplers.langevin import ULA
from tests.statistics import one_thread  # noqa: F401  (for every test here)

every_sampler = pytest.mark.parametrize("name", samplers.names())


@pytest.fixture
def quick_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trace and differentiate as `torch.compile` does, but generate no code, which takes minutes."""
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **options: real(f, **{**options, "backend": "aot_eager"}))
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@every_sampler
@pytest.mark.usefixtures("quick_compiler")
def test_compiled_equals_eager(name: str) -> None:
    for U, T in ((energies.get("gaussian_mixture"), 0.7), (energies.get("pinwheel"), 0.0)):
        settings: dict[str, Any] = {"num_steps": 10, "num_chains": 20, "temperature": T, "step_size": 0.003}
        compiled, eager = (simulate(U, name, compile=c, **settings) for c in (True, False))
        torch.testing.assert_close(compiled.positions, eager.positions, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(compiled.acceptance, eager.acceptance, equal_nan=True)


@pytest.mark.usefixtures("quick_compiler")
def test_a_long_session_may_compile_many_runs() -> None:
    """Dynamo keeps so many variants of a function, and then refuses."""
    with torch._dynamo.config.patch(accumulated_recompile_limit=4):
        for name in energies.names()[:8]:
            r = simulate(energies.get(name), "ula", num_steps=2, num_chains=3, compile=True)
            assert r.positions.isfinite().all()


def test_the_real_compiler() -> None:
    U = energies.get("gaussian_mixture")
    compiled, eager = (simulate(U, ULA(), num_steps=30, num_chains=50, compile=c) for c in (True, False))
    torch.testing.assert_close(compiled.positions, eager.positions, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["anila", "psgld"])
@pytest.mark.parametrize("automatic", [False, True], ids=["closed form", "automatic"])
def test_the_real_compiler_and_a_hessian(name: str, automatic: bool) -> None:
    """Inductor has compiled a gradient of a gradient wrongly without an error: here it meets ours."""
    U = energies.get("gaussian_mixture", radius=1.5)
    target = energies.from_callable(lambda x: x.square().square().sum(1) / 4, 2) if automatic else U
    sampler = samplers.get(name, **({"variant": "corrected", "threshold": 0.5} if name == "anila" else {}))
    settings: dict[str, Any] = {"step_size": 0.01, "num_steps": 10, "num_chains": 50}
    compiled, eager = (simulate(target, sampler, compile=c, **settings) for c in (True, False))
    torch.testing.assert_close(compiled.positions, eager.positions, rtol=1e-3, atol=1e-3)


def test_no_compiler_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no compiler here")

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **options: real(f, **{**options, "backend": broken}))
    torch.compiler.reset()
    U = energies.get("gaussian")
    with pytest.warns(UserWarning, match="runs eagerly here, without a compiler") as warned:
        found = simulate(U, "mala", num_steps=5, num_chains=4, compile=True)
    assert len(warned) == 1
    assert torch.equal(found.positions, simulate(U, "mala", num_steps=5, num_chains=4).positions)
    torch.compiler.reset()
