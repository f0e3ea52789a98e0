"""One safe expression over hyperparameters: `not (method.prune > 0.9 and epochs < 20)`.

The language is a part of Python's: dotted paths, numbers, quoted words, true and false,
comparison, `and`, `or`, `not`, `in (a, b)` and `+ - * / %`. There are no calls, no indexing and no
powers, so an expression cannot reach anything and ends at once.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from raylt.schema import InputError, Value

LONGEST = 1000
"""Characters that an expression may have."""
DEEPEST = 40
"""Levels of nesting that an expression may have."""

_Compiled = Callable[[Mapping[str, Value]], Any]
_EXAMPLE = "`method.prune > 0.5 and epochs < 20`"
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression; calling it with the values of its names computes it."""

    text: str
    names: frozenset[str]
    """The dotted paths that it mentions."""
    _compiled: _Compiled = field(repr=False, compare=False)

    def __call__(self, values: Mapping[str, Value]) -> Any:
        """The value of the expression, given the value of each path in `names`.

        Raises:
            InputError: an operation does not fit its values, such as `"sgd" > 3` or `1 / 0`.
        """
        try:
            return self._compiled(values)
        except (TypeError, ZeroDivisionError, OverflowError) as error:
            raise self._error(values, str(error)) from None

    def truth(self, values: Mapping[str, Value]) -> bool:
        """The value of an expression that is a condition.

        Raises:
            InputError: the value is neither true nor false, or as for a call.
        """
        found = self(values)
        if not isinstance(found, bool):
            raise self._error(values, f"it is {found!r}, neither true nor false")
        return found

    def number(self, values: Mapping[str, Value]) -> float:
        """The value of an expression that is a quantity.

        Raises:
            InputError: the value is no number, or as for a call.
        """
        found = self(values)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise self._error(values, f"it is {found!r}, which is no number")
        return float(found)

    def _error(self, values: Mapping[str, Value], what: str) -> InputError:
        where = ", ".join(f"{name} = {values[name]!r}" for name in sorted(self.names))
        return InputError(
            f"the expression `{self.text}` must have a value everywhere, but {what}"
            + (f" where {where}" if where else "")
            + "; compare numbers with numbers and quoted words with quoted words"
        )


def parse(text: str) -> Expression:
    """Read an expression.

    Raises:
        InputError: the text is not one of the module's language.
    """
    if len(text) > LONGEST:
        raise InputError(
            f"an expression must have at most {LONGEST} characters, but this has {len(text)}; "
            f"split it"
        )
    try:
        # What Python only warns of, such as `1is a`, is a mistake here.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InputError(
            f"an expression must read like {_EXAMPLE}, but `{text}` does not: {what}"
        ) from None
    compiler = _Compiler(text)
    compiled = compiler.compile(tree.body, 1)
    return Expression(text, frozenset(compiler.names), compiled)


class _Compiler:
    """Turns the allowed part of Python's syntax into one function, and collects the paths."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: set[str] = set()

    def compile(self, node: ast.expr, depth: int) -> _Compiled:
        if depth > DEEPEST:
            raise InputError(
                f"an expression must be nested at most {DEEPEST} deep, but `{self.text[:60]}...` "
                f"is deeper; split it"
            )
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as constant):
                return lambda values: constant
            case ast.Name(id=word) if word in _WORDS:
                return lambda values: _WORDS[word]
            case ast.Name() | ast.Attribute():
                return self._path(node)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.compile(operand, depth + 1)
                return lambda values: not _truth(inner(values))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.compile(operand, depth + 1)
                return lambda values: -_number(inner(values))
            case ast.BoolOp(op=op, values=parts):
                return self._either(op, [self.compile(part, depth + 1) for part in parts])
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                a, b = self.compile(left, depth + 1), self.compile(right, depth + 1)
                combine = _ARITHMETIC[type(op)]
                return lambda values: combine(_number(a(values)), _number(b(values)))
            case ast.Compare(left=left, ops=ops, comparators=rest):
                return self._chain([left, *rest], ops, depth)
            case _:
                raise self._foreign(node)

    def _path(self, node: ast.expr) -> _Compiled:
        words: list[str] = []
        while isinstance(node, ast.Attribute):
            words.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            raise self._foreign(node)
        path = ".".join([node.id, *reversed(words)])
        self.names.add(path)
        return lambda values: values[path]

    def _either(self, op: ast.boolop, parts: list[_Compiled]) -> _Compiled:
        if isinstance(op, ast.And):
            return lambda values: all(_truth(part(values)) for part in parts)
        return lambda values: any(_truth(part(values)) for part in parts)

    def _chain(self, nodes: list[ast.expr], ops: list[ast.cmpop], depth: int) -> _Compiled:
        """`a < b <= c`: every neighbouring pair must hold."""
        pairs = [
            self._pair(left, op, right, depth)
            for left, op, right in zip(nodes, ops, nodes[1:], strict=False)
        ]
        return lambda values: all(pair(values) for pair in pairs)

    def _pair(self, left: ast.expr, op: ast.cmpop, right: ast.expr, depth: int) -> _Compiled:
        a = self.compile(left, depth + 1)
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.Tuple | ast.List):
                raise self._foreign(right)
            items = [self.compile(item, depth + 1) for item in right.elts]
            wanted = isinstance(op, ast.In)
            return lambda values: wanted == any(_equal(a(values), b(values)) for b in items)
        b = self.compile(right, depth + 1)
        if isinstance(op, ast.Eq):
            return lambda values: _equal(a(values), b(values))
        if isinstance(op, ast.NotEq):
            return lambda values: not _equal(a(values), b(values))
        if type(op) in _ORDER:
            before = _ORDER[type(op)]
            return lambda values: before(_number(a(values)), _number(b(values)))
        raise self._foreign(right)

    def _foreign(self, node: ast.expr) -> InputError:
        part = ast.get_source_segment(self.text.strip(), node) or self.text
        return InputError(
            f"an expression must be made of paths, numbers, quoted words, comparison, and/or/not "
            f"and + - * / %, but `{part}` is something else; write it like {_EXAMPLE}"
        )


def _number(found: Any) -> Any:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise TypeError(f"{found!r} is no number")
    return found


def _truth(found: Any) -> bool:
    if not isinstance(found, bool):
        raise TypeError(f"{found!r} is neither true nor false")
    return found


def _equal(a: Any, b: Any) -> bool:
    """Equality of like things: a misspelt kind, such as `prune == "0.9"`, is never just false."""
    if a is not None and b is not None and _kind(a) != _kind(b):
        raise TypeError(f"{a!r} and {b!r} are of different kinds")
    return a == b


def _kind(found: Any) -> type:
    return float if isinstance(found, int | float) and not isinstance(found, bool) else type(found)
