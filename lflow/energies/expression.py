"""Formulas that a stranger typed, compiled to torch: an allow-list over Python's `ast`, never `eval`.

`compile_expression` turns text into a `Formula`, a tree of closures over tensors. Knows nothing of the energy
classes, of samplers and of pages; whether a formula can be sampled is `confinement`'s to say.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import NamedTuple

import torch
from torch import Tensor, nn

MAX_LENGTH = 500
MAX_DEPTH = 40
MAX_NODES = 300

Term = Callable[[Tensor, Tensor], Tensor]


class Function(NamedTuple):
    """What a formula may call: the torch function, how many arguments (None: two or more), a line of help."""

    apply: Callable[..., Tensor]
    arity: int | None
    help: str
    needs: str = "a smaller argument"


def _tensors(values: Sequence[Tensor | float]) -> list[Tensor]:
    like = next(value for value in values if isinstance(value, Tensor))
    return [value if isinstance(value, Tensor) else torch.full_like(like, value) for value in values]


def _sqrt(value: Tensor) -> Tensor:
    # 0 · ∞ in the chain rule would make the gradient of sqrt(x**2 + y**2) NaN at the origin: it is zero here.
    zero = value == 0
    return torch.where(zero, 0.0, torch.sqrt(torch.where(zero, 1.0, value)))


def _radius(x: Tensor, y: Tensor) -> Tensor:
    # hypot, not the root of a sum: in float32 the squares overflow at 1e19 and vanish at 1e-23.
    origin = (x == 0) & (y == 0)
    return torch.where(origin, 0.0, torch.hypot(torch.where(origin, 1.0, x), y))


def _atan2(a: Tensor | float, b: Tensor | float) -> Tensor:
    a, b = _tensors((a, b))
    origin = (a == 0) & (b == 0)
    return torch.atan2(torch.where(origin, 0.0, a), torch.where(origin, 1.0, b))


def _power(base: Tensor, exponent: Tensor | float) -> Tensor:
    return _sqrt(base) if isinstance(exponent, float) and exponent == 0.5 else torch.pow(base, exponent)


FUNCTIONS: dict[str, Function] = {
    "exp": Function(torch.exp, 1, "exponential"),
    "log": Function(torch.log, 1, "natural logarithm", "a positive argument"),
    "sqrt": Function(_sqrt, 1, "square root; its gradient at 0 is taken as 0", "an argument of at least 0"),
    "abs": Function(torch.abs, 1, "absolute value"),
    "sin": Function(torch.sin, 1, "sine of an angle in radians"),
    "cos": Function(torch.cos, 1, "cosine of an angle in radians"),
    "tan": Function(torch.tan, 1, "tangent of an angle in radians"),
    "atan": Function(torch.atan, 1, "inverse tangent, between -pi/2 and pi/2"),
    "atan2": Function(_atan2, 2, "atan2(y, x): the angle of the point (x, y), between -pi and pi"),
    "sinh": Function(torch.sinh, 1, "hyperbolic sine"),
    "cosh": Function(torch.cosh, 1, "hyperbolic cosine"),
    "tanh": Function(torch.tanh, 1, "hyperbolic tangent: a smooth step from -1 to 1"),
    "sigmoid": Function(torch.sigmoid, 1, "1/(1 + exp(-v)): a smooth step from 0 to 1"),
    # torch goes over to v at 20, an error of 2e-9; beyond 40 the two are equal in float64.
    "softplus": Function(partial(nn.functional.softplus, threshold=40.0), 1, "log(1 + exp(v))"),
    "erf": Function(torch.erf, 1, "error function"),
    "log1p": Function(torch.log1p, 1, "log(1 + v), exact near 0", "an argument above -1"),
    "expm1": Function(torch.expm1, 1, "exp(v) - 1, exact near 0"),
    "min": Function(lambda *v: reduce(torch.minimum, _tensors(v)), None, "least of two or more values"),
    "max": Function(lambda *v: reduce(torch.maximum, _tensors(v)), None, "greatest of two or more values"),
    "logsumexp": Function(lambda *v: torch.stack(_tensors(v)).logsumexp(0), None, "log(exp(a) + exp(b) + …)"),
}

OPERATORS: dict[type[ast.AST], tuple[str, Function]] = {
    ast.Add: ("+", Function(operator.add, 2, "sum")),
    ast.Sub: ("-", Function(operator.sub, 2, "difference")),
    ast.Mult: ("*", Function(operator.mul, 2, "product")),
    ast.Div: ("/", Function(operator.truediv, 2, "quotient", "a divisor other than 0")),
    ast.Pow: ("**", Function(_power, 2, "power", "a positive base, or a smaller result")),
    ast.USub: ("-", Function(operator.neg, 1, "minus")),
    ast.UAdd: ("+", Function(operator.pos, 1, "plus")),
}
_VARIABLES: dict[str, Term] = {"x": lambda x, y: x, "y": lambda x, y: y, "r": _radius}
_CONSTANTS = {"pi": math.pi, "e": math.e}
_KNOWN = f"use {', '.join([*_VARIABLES, *_CONSTANTS])} and these functions: {', '.join(FUNCTIONS)}"
_HINTS = {
    **dict.fromkeys("^²", ": write ** for a power"),
    **dict.fromkeys("[]{}", ": group with ( and )"),
    **dict.fromkeys("<>", ": comparisons are not known here"),
    **dict.fromkeys("'\"", ": strings are not known here"),
    "=": ": write the energy alone, without '='",
    ".": ": attributes such as x.a are not known here",
}
_REFUSED = {ast.FloorDiv: "'//'", ast.Tuple: "a list of values", ast.keyword: "an argument by name"}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z_0-9]*)|(?P<sign>\*\*|[-+*/(),])|(?P<other>.))"
)


@dataclass(frozen=True)
class Formula:
    """A compiled formula U, (..., dim) -> (...), of its dtype and on its device.

    >>> compile_expression("x**2", dim=1)(torch.full((2, 1), 3.0))
    tensor([9., 9.])
    """

    text: str
    dim: int
    term: Term = field(repr=False, compare=False)
    steps: tuple[tuple[str, Term], ...] = field(repr=False, compare=False)

    def __call__(self, points: Tensor) -> Tensor:
        if points.shape[-1] != self.dim:
            raise ValueError(f"points of {self.dim} coordinates were expected, not {points.shape[-1]}")
        return self.term(points[..., 0], points[..., self.dim - 1])


def compile_expression(text: str, dim: int | None = 2) -> Formula:
    """Compile a formula in x, y and r = sqrt(x² + y²) to torch.

    `dim` is 1 or 2; None takes 1 where neither y nor r occurs. Raises ValueError, with one sentence, for
    anything but numbers, x, y, r, pi, e, the operators + - * / ** and calls of `FUNCTIONS`. The gradients
    of r, sqrt and atan2 are taken as zero where they have none; the second ones of r too, but not of r**2.

    >>> compile_expression("x**2 + (y - 1)**4")(torch.zeros(3, 2))
    tensor([1., 1., 1.])
    """
    if not isinstance(text, str):
        raise ValueError(f"a formula is text, not {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"the formula has {len(text)} characters; at most {MAX_LENGTH} are allowed")
    text = " ".join(text.split())
    words = _scan(text)
    least = 2 if words & {"y", "r"} else 1
    if dim is not None and not least <= dim <= 2:
        raise ValueError(f"a formula in {', '.join(sorted(words))} does not have {dim} dimension(s)")
    try:
        body = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg.split(";")[0] if isinstance(error, SyntaxError) else "it is nested too deeply"
        raise ValueError(f"the formula cannot be read: {reason}") from None
    _refuse_large(body)
    steps: list[tuple[str, Term]] = []
    built = _build(body, steps)
    # 0·x keeps a constant formula in the graph, so that its gradient is zero and not an error.
    term = built if callable(built) else lambda x, y: 0.0 * x + built
    return Formula(text, dim or least, term, tuple(steps))


def _scan(text: str) -> set[str]:
    """The words of the text. Refuses before Python's parser, laxer and less clear, sees anything."""
    words: set[str] = set()
    previous, operand, function = "", False, False
    for match in _TOKEN.finditer(text):
        kind, token = str(match.lastgroup), match[match.lastgroup or 0]
        if kind == "other":
            raise ValueError(f"the character {token!r} is not used in formulas{_HINTS.get(token, '')}")
        if kind == "word" and token not in {*_VARIABLES, *_CONSTANTS, *FUNCTIONS}:
            raise ValueError(_unknown(token))
        if function and token != "(":
            break
        if operand and not function and (kind != "sign" or token == "("):
            raise ValueError(f"write an operator, such as *, between '{previous[:40]}' and '{token[:40]}'")
        function = token in FUNCTIONS
        operand = kind != "sign" or token == ")"
        previous = token
        words |= {token} if kind == "word" else set()
    if function:
        raise ValueError(f"{previous} needs its argument in parentheses, as in {previous}(x)")
    if not operand:
        what = f"ends too early, with '{previous}'" if previous else "is empty"
        raise ValueError(f"the formula {what}; write for instance x**2 + y**2")
    return words


def _unknown(word: str) -> str:
    names = [*_VARIABLES, *_CONSTANTS, *FUNCTIONS]
    near = ["log"] if word == "ln" else difflib.get_close_matches(word.lower(), names, 1, 0.7)
    if set(word) <= set(_VARIABLES) and len(word) < 10:
        near = ["*".join(word)]
    return f"'{word[:40]}' is not known here{f' (did you mean {near[0]}?)' if near else ''}; {_KNOWN}"


def _refuse_large(body: ast.expr) -> None:
    nodes, level, depth = 0, [body], 0
    while level:
        nodes, depth = nodes + len(level), depth + 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_NODES} parts or {MAX_DEPTH} levels; group sums in parentheses")
        children = (child for node in level for child in ast.iter_child_nodes(node))
        level = [child for child in children if isinstance(child, ast.expr)]


def _build(node: ast.AST, steps: list[tuple[str, Term]]) -> Term | float:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            # By way of text, as a large int overflows with an error and large text becomes inf.
            return _finite(float(str(value)), node)
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.Name(id=name) if name in _VARIABLES:
            return _VARIABLES[name]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
            return _combine(*OPERATORS[type(op)], [_build(operand, steps)], node, steps)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            first, second = _build(left, steps), _build(right, steps)
            if first is _radius and isinstance(op, ast.Pow) and isinstance(second, float) and second % 2 == 0:
                # An even power of r is smooth at the origin, r is not: this keeps second derivatives right.
                first, second = lambda x, y: x * x + y * y, second / 2
            return _combine(*OPERATORS[type(op)], [first, second], node, steps)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            function = FUNCTIONS[name]
            if len(args) != (function.arity or max(2, len(args))):
                raise ValueError(f"{name} takes {function.arity or '2 or more'} argument(s), not {len(args)}")
            return _combine(name, function, [_build(arg, steps) for arg in args], node, steps)
    kinds = [type(part) for part in (node, *ast.iter_child_nodes(node))]
    what = next((_REFUSED[kind] for kind in kinds if kind in _REFUSED), repr(kinds[0].__name__))
    raise ValueError(f"{what} is not known here; {_KNOWN}")


def _combine(
    name: str, function: Function, terms: list[Term | float], node: ast.AST, steps: list[tuple[str, Term]]
) -> Term | float:
    constants = [torch.tensor(term, dtype=torch.float64) for term in terms if isinstance(term, float)]
    if len(constants) == len(terms):
        return _finite(float(function.apply(*constants)), node)

    def term(x: Tensor, y: Tensor) -> Tensor:
        return function.apply(*[part if isinstance(part, float) else part(x, y) for part in terms])

    steps.append((name, term))
    return term


def _finite(value: float, node: ast.AST) -> float:
    if not math.isfinite(value):
        raise ValueError(f"'{ast.unparse(node)[:40]}' is not a finite number")
    return value
