"""What the names in a function's source stand for, and whether they still do.

Only values that cannot change are taken, and lists, sets and dicts of such: those are compared
with what they were before each batch. A name that is bound anew is noticed the same way.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from tidegauge_probes.columns.column import PLAIN

Guard = Callable[[], bool]
"""Whether a constant still has the value that was read."""

MISSING: Final = object()

_SEARCHES: Final[tuple[Any, ...]] = (re.search, re.match, re.fullmatch, re.compile)
_MOST_SHOWN: Final = 60
"""Maximum characters of source shown in a reason."""

_STARS: Final = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
_OTHERWISE: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Unknown(Exception):  # noqa: N818  (a way out, not an error)
    """The source holds something that is not supported; ``str`` says what."""

    def __init__(self, why: str = "is not supported") -> None:
        super().__init__(why)
        self._node: ast.AST | None = None

    def at(self, node: ast.AST) -> Unknown:
        """Return this, with the place; the first that is told is the innermost, and holds."""
        self._node = self._node or node
        return self

    def __str__(self) -> str:
        """Say what, and in which line of the file: told where lifting is asked about, only."""
        why = str(self.args[0])
        if self._node is None:
            return why
        line = getattr(self._node, "lineno", None)
        shown, *more = ast.unparse(ast.fix_missing_locations(self._node)).splitlines() or [""]
        line_of = f" in line {line}" if line else ""
        return f"`{shown[:_MOST_SHOWN]}{' …' if more else ''}`{line_of} {why}"


class Names:
    """The constants that a function sees, and the guards that watch them."""

    def __init__(self, function: FunctionType) -> None:
        code, defaults = function.__code__, function.__defaults__
        self.function = function
        self.owner: Any = MISSING
        """The object whose method it is."""
        self.bound: dict[str, Any] = {}
        self.guards: list[Guard] = [
            lambda: function.__code__ is code and function.__defaults__ is defaults
        ]

    def value(self, name: str) -> Any:
        """Return the constant that a name stands for; Unknown if it is none."""
        if name in self.bound:
            return self._constant(self.bound[name])
        code = self.function.__code__
        if name in code.co_varnames or name in code.co_cellvars:
            raise Unknown("might not have a value yet")
        if name in code.co_freevars:
            cells: tuple[CellType, ...] = self.function.__closure__ or ()
            cell = cells[code.co_freevars.index(name)]
            return self._watched(lambda: _contents(cell))
        return self._watched(partial(_of_module, self.function.__globals__, name))

    def attribute(self, owner: Any, name: str) -> Any:
        """Return an attribute of a module, an enumeration, a pattern, or the LF's own object."""
        if isinstance(owner, re.Pattern | Enum):  # what they hold is made anew at each look
            return self._constant(getattr(owner, name, MISSING))
        enumerates = isinstance(owner, type) and issubclass(owner, Enum)
        own = owner is self.owner and _is_plain(type(owner), name)
        if isinstance(owner, ModuleType) or enumerates or own:
            return self._watched(lambda: getattr(owner, name, MISSING))
        raise Unknown("is an attribute of an object that may change")

    def _watched(self, get: Callable[[], Any]) -> Any:
        # `is`, not `==`: comparing could run the user's code. A name that is bound to an equal list
        # ends the lifting needlessly, which costs time and no vote.
        value = get()
        self.guards.append(lambda: get() is value)
        return self._constant(value)

    def _constant(self, value: Any) -> Any:
        if isinstance(value, list | set | dict):
            content = _content(value)
            self.guards.append(lambda: tuple(value) == content)
            return frozenset(content) if isinstance(value, set) else content
        if _is_constant(value) or value is self.owner:
            return value
        raise Unknown("is neither a constant nor a supported function")


def _is_constant(value: Any) -> bool:
    if type(value) in PLAIN or isinstance(value, ModuleType | re.Pattern | Enum):
        return True
    if isinstance(value, tuple | frozenset):
        return all(map(_is_constant, value))
    if isinstance(value, type):
        return issubclass(value, Enum) or value in {str, bool}
    if isinstance(value, BuiltinFunctionType):
        return isinstance(value.__self__, re.Pattern) or value.__self__ is builtins
    return isinstance(value, FunctionType) and value in _SEARCHES


def _content(values: Any) -> tuple[Any, ...]:
    """Return what a list, set or dict holds (of a dict, its keys), if that is plain."""
    content = tuple(values)
    if all(type(value) in PLAIN or isinstance(value, re.Pattern) for value in content):
        return content
    raise Unknown("contains more than plain constants")


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name bound later than the function
        return MISSING


def _of_module(names: Mapping[str, Any], name: str) -> Any:
    return names[name] if name in names else getattr(builtins, name, MISSING)


def _is_plain(kind: type, name: str) -> bool:
    """Whether an object keeps an attribute as it is: no property, nothing computed."""
    looks = getattr(kind, "__getattribute__", None), getattr(kind, "__getattr__", None)
    computed = hasattr(type(getattr(kind, name, None)), "__get__")
    return looks == (getattr(object, "__getattribute__", None), None) and not computed


def resolve(f: Any, resources: Mapping[str, Any]) -> tuple[Names, str]:
    """Return the names of what *f* calls in the end, and its parameter for the record.

    Takes functions, lambdas, methods, objects with `__call__` and partials. Raises Unknown.
    """
    kept = dict(resources)
    given = dict(resources)
    if not isinstance(f, FunctionType | MethodType | partial):
        f = _call_of(f)
    while isinstance(f, partial):
        if f.args:
            raise Unknown("it is a partial with positional arguments")
        given = {**f.keywords, **given}
        f = f.func
    owner = MISSING
    if isinstance(f, MethodType):
        owner, f = f.__self__, f.__func__
    names = Names(_plain(f))
    parameters = list(inspect.signature(f, follow_wrapped=False).parameters.values())
    names.guards.append(lambda: all(resources.get(key) is value for key, value in kept.items()))
    if owner is not MISSING:
        names.owner = owner
        names.bound[parameters.pop(0).name] = owner
    record = parameters.pop(0).name
    for parameter in parameters:
        value = given.pop(parameter.name, parameter.default)
        if value is inspect.Parameter.empty:
            raise Unknown(f"its parameter '{parameter.name}' has no value")
        names.bound[parameter.name] = value
    if given:
        raise Unknown(f"a value is given for '{next(iter(given))}', which is not a parameter")
    return names, record


def _plain(f: Any) -> FunctionType:
    """Return *f*, if it is a function that simply returns."""
    if not isinstance(f, FunctionType):
        raise Unknown(f"it is a {type(f).__name__}, not a Python function")
    if f.__code__.co_flags & _OTHERWISE:
        raise Unknown("it is a generator or a coroutine")
    if f.__code__.co_flags & _STARS:
        raise Unknown("it takes variable arguments (* or **)")
    return f


def _call_of(candidate: Any) -> Any:
    """Return an object's `__call__` as a method."""
    call = getattr(type(candidate), "__call__", None)  # noqa: B004  (which one, not whether)
    if not isinstance(call, FunctionType):
        raise Unknown(f"it is a {type(candidate).__name__}, not a Python function")
    return MethodType(call, candidate)
