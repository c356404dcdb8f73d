"""Formulas: what they mean, against numpy; what is refused, and with which words; that nothing gets out."""

from __future__ import annotations

import math
import random
import time
import warnings

import numpy as np
import pytest
import torch

from lflow.energies.confinement import check
from lflow.energies.expression import FUNCTIONS, MAX_LENGTH, Formula, compile_expression

BOX = ((-4.0, 4.0), (-4.0, 4.0))
POINTS = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
X, Y = POINTS.numpy().T
R = np.sqrt(X**2 + Y**2)

MEANINGS = {
    "x**2 + (y-1)**4": X**2 + (Y - 1) ** 4,
    "-x**2": -(X**2),
    "2**-1*x": X / 2,
    "x**3**2": X**9,
    "-(+x) - -y": -X + Y,
    "x/y/2": X / Y / 2,
    "1.5e-1*x + .5 - 2.": 0.15 * X + 0.5 - 2,
    "3": np.full(50, 3.0),
    "pi*e": np.full(50, math.pi * math.e),
    "r": R,
    "r**2": R**2,
    "r**-4": R**-4,
    "(1+1)**x": 2**X,
    "abs(x)**y": np.abs(X) ** Y,
    "(x**2+y**2)**0.5": R,
    "exp(-x) + log(r) + sqrt(r)": np.exp(-X) + np.log(R) + np.sqrt(R),
    "sin(x)*cos(y) - tan(x/9)": np.sin(X) * np.cos(Y) - np.tan(X / 9),
    "sinh(x) + cosh(y)*tanh(x)": np.sinh(X) + np.cosh(Y) * np.tanh(X),
    "atan(x) + atan2(y, x)": np.arctan(X) + np.arctan2(Y, X),
    "abs(x) + min(x, y, 0.5) + max(1, y)": np.abs(X) + np.minimum(np.minimum(X, Y), 0.5) + np.maximum(1, Y),
    "log1p(r) + expm1(x)": np.log1p(R) + np.expm1(X),
    "softplus(x) + sigmoid(y)": np.log(1 + np.exp(X)) + 1 / (1 + np.exp(-Y)),
    "logsumexp(x, y, 1)": np.log(np.exp(X) + np.exp(Y) + math.e),
    "erf(x)": np.array([math.erf(value) for value in X]),
    "x\n  + y": X + Y,
}


@pytest.mark.parametrize("text", MEANINGS)
def test_values_agree_with_numpy(text: str) -> None:
    formula = compile_expression(text)
    found = formula(POINTS)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), MEANINGS[text], rtol=1e-12, atol=1e-12)
    single = formula(POINTS.float())
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), MEANINGS[text], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("text", MEANINGS)
def test_gradients(text: str) -> None:
    formula = compile_expression(text)
    few = POINTS[:6].clone().requires_grad_()
    assert torch.autograd.gradcheck(formula, few)
    assert torch.autograd.gradgradcheck(formula, few)


def test_every_function_is_tested_and_documented() -> None:
    assert all(any(f"{name}(" in text for text in MEANINGS) for name in FUNCTIONS)
    assert all(function.help for function in FUNCTIONS.values())


def test_functional_transforms() -> None:
    formula = compile_expression("r**3 + sin(x*y) + logsumexp(x, y) + atan2(y, x)")
    few = POINTS[:5]

    def total(points: torch.Tensor) -> torch.Tensor:
        return formula(points).sum()

    score = torch.func.grad(total)
    one_by_one = torch.func.vmap(torch.func.grad(formula))(few)
    torch.testing.assert_close(score(few), one_by_one)
    direction = torch.ones_like(few)
    _, product = torch.func.jvp(score, (few,), (direction,))
    hessian = torch.func.vmap(torch.func.hessian(formula))(few)
    torch.testing.assert_close(product, hessian.sum(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "text", ["r", "sqrt(x**2+y**2)", "(x**2+y**2)**0.5", "r**2", "atan2(y, x)", "abs(x)"]
)
def test_gradient_at_the_origin_is_zero(text: str, dtype: torch.dtype) -> None:
    formula = compile_expression(text)
    origin = torch.zeros(1, 2, dtype=dtype, requires_grad=True)
    value = formula(origin)
    (gradient,) = torch.autograd.grad(value.sum(), origin)
    assert value.item() == 0
    assert gradient.tolist() == [[0.0, 0.0]]
    assert torch.func.jvp(formula, (origin.detach(),), (torch.ones(1, 2, dtype=dtype),))[1].item() == 0


def test_even_powers_of_r_are_smooth_at_the_origin() -> None:
    hessian = torch.func.hessian(compile_expression("0.5*r**2"))(torch.zeros(2))
    torch.testing.assert_close(hessian, torch.eye(2))


def test_radius_neither_overflows_nor_vanishes_in_single_precision() -> None:
    found = compile_expression("r")(torch.tensor([[3e30, 4e30], [3e-30, 4e-30]]))
    torch.testing.assert_close(found, torch.tensor([5e30, 5e-30]))


def test_dimensions() -> None:
    assert compile_expression("x**2").dim == 2
    assert compile_expression("x**2", dim=None).dim == 1
    assert compile_expression("r", dim=None).dim == 2
    assert compile_expression("x**2", dim=1)(torch.full((3, 1), 2.0)).tolist() == [4.0] * 3
    for dim in (0, 1, 3):
        with pytest.raises(ValueError, match="dimension"):
            compile_expression("x + y", dim=dim)
    with pytest.raises(ValueError, match="2 coordinates"):
        compile_expression("x")(torch.zeros(3, 1))


def test_constant_has_a_gradient() -> None:
    points = torch.zeros(3, 2, requires_grad=True)
    value = compile_expression("2*pi")(points)
    assert value.shape == (3,)
    assert torch.autograd.grad(value.sum(), points)[0].abs().sum() == 0


def test_compiles_without_a_break() -> None:
    formula = compile_expression("-logsumexp(-(x-1)**2, -r**2, 0) + atan2(y, x)**2 + min(x, 1) + x**3")
    compiled = torch.compile(formula, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(POINTS), formula(POINTS))
    score = torch.func.grad(lambda points: formula(points).sum())
    torch.testing.assert_close(
        torch.compile(score, fullgraph=True, backend="aot_eager")(POINTS), score(POINTS)
    )


REFUSALS = {
    "": "empty",
    "   ": "empty",
    "x**": "ends too early, with '**'",
    "(x": "never closed",
    "x)": "unmatched ')'",
    "()": "a list of values",
    "x^2": "write ** for a power",
    "x²": "write ** for a power",
    "2x": "between '2' and 'x'",
    "2(x+1)": "between '2' and '('",
    "x y": "between 'x' and 'y'",
    "r(2)": "between 'r' and '('",
    "sin(x)(y)": "between ')' and '('",
    "1.5.2": "between '1.5' and '.2'",
    "1_000": "_000",
    "0x10": "x10",
    "sin": "needs its argument in parentheses",
    "sin x": "needs its argument in parentheses",
    "sin()": "sin takes 1 argument(s), not 0",
    "sin(x, y)": "sin takes 1 argument(s), not 2",
    "max(x)": "max takes 2 or more",
    "sine(x)": "did you mean sin?",
    "ln(x)": "did you mean log?",
    "arctan(x)": "did you mean atan?",
    "X**2": "did you mean x?",
    "xy": "did you mean x*y?",
    "foo(x)": "use x, y, r, pi, e and these functions: exp, log",
    "import os": "'import' is not known here",
    "__import__('os')": "'__import__' is not known here",
    "lambda: x": "'lambda' is not known here",
    "x if y else 1": "'if' is not known here",
    "x for x in y": "'for' is not known here",
    "x and y": "'and' is not known here",
    "None": "'None' is not known here",
    "True": "'True' is not known here",
    "1j": "'j' is not known here",
    "x.a": "attributes",
    "x.__class__": "attributes",
    "x[0]": "group with ( and )",
    "x < y": "comparisons",
    "x == y": "without '='",
    "(x:=1)": "':'",
    "'x'": "strings",
    "f'{x}'": "'f' is not known here",
    "...": "'.'",
    "x; y": "';'",
    "x # y": "'#'",
    "x\\\n": "is not used",
    "\0": "is not used",
    "\ud800": "is not used",
    "x @ y": "'@'",
    "x // y": "'//'",
    "x, y": "a list of values",
    "max(*x, y)": "Starred",
    "max(x, **y)": "by name",
    "sin(x=1)": "without '='",
    "007": "leading zeros",
    "1/0": "'1 / 0' is not a finite number",
    "log(0)": "not a finite number",
    "(-1)**0.5": "not a finite number",
    "x + 10**10**10": "not a finite number",
    "9**9**9**9": "not a finite number",
    "1e999": "not a finite number",
    "9" * 450: "not a finite number",
    "9" * 5000: "5000 characters",
    "x+" * 400: "800 characters",
    "-" * 100 + "x": "more than 300 parts or 40 levels",
    "+".join(["x"] * 200): "group sums",
    "(" * 240 + "x" + ")" * 240: "cannot be read",
}


@pytest.mark.parametrize("text", REFUSALS, ids=lambda text: repr(text[:20]))
def test_refusals(text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the fragment is looked for below)
        compile_expression(text)
    assert REFUSALS[text] in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", [None, 5, b"x", ["x"], math.inf])
def test_only_text_is_a_formula(text: object) -> None:
    with pytest.raises(ValueError, match="a formula is text"):
        compile_expression(text)  # type: ignore[arg-type]


def test_nothing_but_a_formula_or_a_value_error_comes_out() -> None:
    random_numbers = random.Random(0)
    pieces = ["x", "y", "r", "pi", "2", ".5", "1e3", *"+-*/(),", "**", *[f"{name}(" for name in FUNCTIONS]]
    strange = [*" \n\\\0'\"[]{}.:;=<@#é_", "lambda", "import", "for", "1j", "None", "9" * 60, "__class__"]
    compiled = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for trial in range(2000):
            pool = [pieces, pieces + strange, [chr(code) for code in range(1, 0x3000, 7)]][trial % 3]
            text = "".join(random_numbers.choices(pool, k=random_numbers.randint(1, 15)))
            started = time.perf_counter()
            try:
                formula = compile_expression(text)
            except ValueError:
                formula = None
            if formula is not None:
                assert isinstance(formula, Formula)
                assert formula(POINTS).shape == (50,)
                compiled += 1
            assert time.perf_counter() - started < 5
    assert compiled > 10


CONFINED = [
    "x**2 + y**2",
    "x**4 + y**4 - x**2",
    "(x**2-1)**2 + y**2",
    "(1-x)**2 + 100*(y-x**2)**2",
    "3*log(1+r**2)",
    "1.1*log(1+r**2)",
    "x**2 + 0.6*log(1+y**2)",
    "0.5*r**2 + sin(5*x)",
    "r",
    "max(x, -x, abs(y))",
    "sqrt(abs(x-0.3)) + abs(y)",
    "exp(x**2) + y**2",
    "cosh(x) + cosh(y)",
    "(x-y**2)**2 + 0.1*y**2",
    "(r - 2 - 0.3*sin(3*atan2(y, x)))**2",
    "r**2 - 1/(r+0.01)",
    "r**2 + exp(x)/(1+exp(x))",
]
UNFIT = {
    "1.0": "in any direction",
    "sin(x)": "in any direction: particles would leave for good; add for instance 0.1*r**2",
    "-x**2": "in any direction",
    "log(1+r**2)": "in any direction",
    "x**2": "toward the top (y → +∞): particles would leave for good; add for instance 0.1*y**2",
    "x + y**2": "toward the left (x → -∞): particles would leave for good; add for instance 0.1*x**2",
    "x**3 + y**2": "toward the left (x → -∞): particles would leave for good; add for instance 0.1*r**4",
    "x*y": "does not rise",
    "(x-y)**2": "does not rise",
    "(y-x**2)**2": "toward the top (y → +∞)",
    "r**2 - 1e-9*x**4": "does not rise",
    "x**2 + 0.4*log(1+y**2)": "does not rise",
    "-exp(r**2) + x": "does not rise",
    "log(x)": "the energy is not finite near (x, y) = (0.0, 0.0): log needs a positive argument",
    "r**2 + sqrt(y-1)": "near (x, y) = (0.0, 0.0): sqrt needs an argument of at least 0",
    "r**2 + 1/x": "near (x, y) = (0.0, 0.0): / needs a divisor other than 0",
    "r**2 + x**1.5": "** needs a positive base",
    "r**2 + abs(x)**0.3": "the gradient of the energy is not finite near (x, y) = (0.0, 0.0)",
    "r**2 + exp(exp(x**2))": "exp needs a smaller argument",
    "log(cosh(30*x)) + y**2": "in single precision",
    "r**2 + 1/(x-0.3)": "falls without end near (x, y) = (0.3, ",
    "r**2 + log(abs(x-0.3))": "falls without end",
    "r**2 + tan(x)": "falls without end",
    "r**2 + log(5-x)": "is not a number at (x, y) = (8.0, 0.0): log needs",
}


@pytest.mark.parametrize("text", CONFINED)
def test_check_accepts(text: str) -> None:
    check(compile_expression(text), BOX)
    with torch.inference_mode():
        check(compile_expression(text), ((-1.5, 6.0), (-3.0, 2.0)))


@pytest.mark.parametrize("text", UNFIT)
def test_check_refuses(text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the fragment is looked for below)
        check(compile_expression(text), BOX)
    assert UNFIT[text] in str(caught.value)


def test_check_in_one_dimension() -> None:
    for text in ("x**2", "abs(x)", "log(1+x**2)", "(x**2-1)**2"):
        check(compile_expression(text, dim=1), BOX[:1])
    for text in ("x", "sin(x)", "0.4*log(1+x**2)", "-x**4"):
        with pytest.raises(ValueError, match="does not rise"):
            check(compile_expression(text, dim=1), BOX[:1])
    with pytest.raises(ValueError, match=r"near x = 0\.0"):
        check(compile_expression("1/x", dim=1), BOX[:1])


@pytest.mark.parametrize("bounds", [(), BOX[:1], ((1, 1), (0, 1)), ((0, math.inf), (0, 1)), ((1, 0), (0, 1))])
def test_check_refuses_bounds(bounds: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="bounds"):
        check(compile_expression("r**2"), bounds)


def test_longest_formula_is_quick() -> None:
    text = "+".join(["sin(x)*cos(y)"] * 30) + "+r**2"
    assert len(text) < MAX_LENGTH
    started = time.perf_counter()
    check(compile_expression(text), BOX)
    assert time.perf_counter() - started < 20  # 0.05 s on an idle core
