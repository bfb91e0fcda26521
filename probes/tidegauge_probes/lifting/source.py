"""The syntax tree of a function, if its source is available and is what runs."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from types import CodeType, FunctionType
from typing import Final

Function = ast.FunctionDef | ast.Lambda

_COMPARED: Final = (
    "co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars",
    "co_argcount", "co_posonlyargcount", "co_kwonlyargcount",
)  # fmt: skip
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_STARS: Final = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


def syntax(function: FunctionType) -> Function | None:
    """Return the function's syntax; None where it cannot be had, or is not what was compiled.

    Files are edited while processes run, and one line may hold many lambdas: what is found is
    compiled, and must give the same code.
    """
    code = function.__code__
    try:
        lines, _ = inspect.findsource(code)
        functions, imported = _read("".join(lines))
    except (OSError, TypeError, IndexError, SyntaxError, ValueError, RecursionError):
        return None
    candidates = _at(functions, code.co_firstlineno)
    return next((node for node in candidates if _gives(node, code, imported)), None)


@lru_cache(maxsize=8)
def _read(source: str) -> tuple[tuple[Function, ...], tuple[str, ...]]:
    """Return a file's functions, and the names that it imports."""
    tree = ast.parse(source)
    kinds = (ast.FunctionDef, ast.Lambda)
    functions = tuple(node for node in ast.walk(tree) if isinstance(node, kinds))
    return functions, tuple(_imported(tree.body))


def _imported(statements: Iterable[ast.AST]) -> Iterator[str]:
    for node in statements:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif not isinstance(node, _SCOPES):
            yield from _imported(ast.iter_child_nodes(node))


def _at(functions: tuple[Function, ...], line: int) -> Iterator[Function]:
    """Yield those that begin at a line; a function begins with its decorators."""
    for node in functions:
        decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
        if line in {node.lineno, *(decorator.lineno for decorator in decorators)}:
            yield node


def _gives(node: Function, code: CodeType, imported: Iterable[str]) -> bool:
    """Whether compiling *node* gives *code*; calls on what a file imports are made otherwise."""
    # A closure's free variables are parameters of an outer function here: without them they would
    # compile to globals, and the code would differ.
    names = [ast.arg(name) for name in code.co_freevars]
    inner: ast.stmt
    if isinstance(node, ast.Lambda):
        inner = ast.Expr(node)
    else:
        parts = {field: getattr(node, field) for field in node._fields}
        inner = ast.FunctionDef(**parts | {"decorator_list": []})
    arguments = ast.arguments([], names, None, [], [], None, [])
    outer = ast.FunctionDef("outer", arguments, [inner], [])
    imports = ast.Import([ast.alias(name) for name in imported if name != "*"])
    body: list[ast.stmt] = [imports, outer] if imports.names else [outer]
    module = ast.fix_missing_locations(ast.Module(body, []))
    try:
        made = compile(module, "<lifted>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return any(_same(one, code) for one in _inner(_inner(made)[-1]))


def _inner(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _same(one: CodeType, other: CodeType) -> bool:
    if any(getattr(one, name) != getattr(other, name) for name in _COMPARED):
        return False
    if (one.co_flags ^ other.co_flags) & (_STARS | inspect.CO_GENERATOR | inspect.CO_COROUTINE):
        return False
    ours, others = _constants(one), _constants(other)
    return len(ours) == len(others) and all(map(_equal, ours, others))


def _constants(code: CodeType) -> Sequence[object]:
    """Return the constants of *code*.

    Python 3.10 keeps the full name of an inner function next to its code: `f.<locals>.<genexpr>`
    where it was written is `outer.<locals>.f.<locals>.<genexpr>` where it is compiled again.
    """
    constants: Sequence[object] = code.co_consts
    if sys.version_info < (3, 11):
        constants = [
            value.rpartition(".<locals>.")[2]
            if isinstance(before, CodeType) and isinstance(value, str)
            else value
            for before, value in pairwise((None, *constants))
        ]
    return constants


def _equal(one: object, other: object) -> bool:
    if isinstance(one, CodeType) and isinstance(other, CodeType):
        return _same(one, other)
    return type(one) is type(other) and repr(one) == repr(other)  # 0.0 is not -0.0, nor is 1 True
