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
_OF_NUMBERS: dict[type[ast.cmpop | ast.operator], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression."""

    text: str
    names: frozenset[str]
    """The dotted paths that it mentions."""
    _compiled: _Compiled = field(repr=False, compare=False)

    def truth(self, values: Mapping[str, Value]) -> bool:
        """The value of a condition, given the value of each path in `names`.

        Raises:
            InputError: the value is neither true nor false, or an operation does not fit its
                values, such as `"sgd" > 3` or `1 / 0`.
        """
        return self._checked(_truth, values)

    def number(self, values: Mapping[str, Value]) -> float:
        """The value of a quantity, given the value of each path in `names`.

        Raises:
            InputError: the value is no number, or an operation does not fit its values.
        """
        return float(self._checked(_number, values))

    def _checked(self, check: Callable[[Any], Any], values: Mapping[str, Value]) -> Any:
        try:
            return check(self._compiled(values))
        except (TypeError, ZeroDivisionError, OverflowError) as error:
            where = ", ".join(f"{name} = {values[name]!r}" for name in sorted(self.names))
            raise InputError(
                f"the expression `{self.text}` must always have a value, but {error}"
                + (f" where {where}" if where else "")
                + "; compare numbers with numbers and quoted words with quoted words"
            ) from None


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
                conditions = [self.compile(part, depth + 1) for part in parts]
                join = all if isinstance(op, ast.And) else any
                return lambda values: join(_truth(part(values)) for part in conditions)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OF_NUMBERS:
                return self._pair(left, op, right, depth + 1)
            case ast.Compare(left=left, ops=ops, comparators=rest):
                # `a < b <= c`: every neighbouring pair must hold.
                triples = zip([left, *rest], ops, rest, strict=False)
                pairs = [self._pair(*triple, depth + 1) for triple in triples]
                return lambda values: all(pair(values) for pair in pairs)
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

    def _pair(
        self, left: ast.expr, op: ast.cmpop | ast.operator, right: ast.expr, depth: int
    ) -> _Compiled:
        a = self.compile(left, depth)
        if isinstance(op, ast.In | ast.NotIn | ast.Eq | ast.NotEq):
            items = [right]
            if isinstance(op, ast.In | ast.NotIn):
                if not isinstance(right, ast.Tuple | ast.List):
                    raise self._foreign(right)
                items = right.elts
            others = [self.compile(item, depth) for item in items]
            wanted = isinstance(op, ast.In | ast.Eq)
            return lambda values: wanted == any(_equal(a(values), b(values)) for b in others)
        b, combine = self.compile(right, depth), _OF_NUMBERS.get(type(op))
        if combine is None:
            raise self._foreign(right)
        return lambda values: combine(_number(a(values)), _number(b(values)))

    def _foreign(self, node: ast.expr) -> InputError:
        part = ast.get_source_segment(self.text.strip(), node) or self.text
        return InputError(
            f"an expression must use only paths, numbers, quoted words, comparison, and/or/not "
            f"and + - * / %, but `{part}` is something else; write it like {_EXAMPLE}"
        )


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _equal(a: Any, b: Any) -> bool:
    """Equality of like things: a misspelt kind, such as `prune == "0.9"`, is never just false."""
    if a is not None and b is not None and _kind(a) != _kind(b):
        raise TypeError(f"{a!r} and {b!r} are of different kinds")
    return a == b


def _kind(value: Any) -> type:
    return float if type(value) is int else type(value)
