"""Content hashes: two things with the same digest behave the same.

An LF's digest covers its source, defaults, closure, resources and preprocessors, and the
constants, functions and classes of its module that it reads, so that a change of any of them
makes another ProbeSet, and a reload of the same code does not. Libraries are named, not
described: an upgrade of tidegauge, Snorkel or Python leaves the digest as it is. So a baseline
fitted in a notebook on Python 3.10 fits the service on 3.12.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import re
import sys
import textwrap
import types
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

import numpy as np

from tidegauge_probes.labeling import spacy_models
from tidegauge_probes.labeling.folder_modules import plain_name

_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")
_LIBRARIES: Final = frozenset({"snorkel", "tidegauge_probes"}) | sys.stdlib_module_names
_SCALARS: Final = (Decimal, Fraction, UUID)
_VALUES: Final = (
    Mapping, list, tuple, set, frozenset, deque, Enum, re.Pattern, functools.partial, *_SCALARS,
)  # fmt: skip
"""Types whose instances are constants of the module that holds them, wherever defined."""

_METADATA: Final = frozenset({"__annotate__", "__annotations__", "__type_params__"})
"""What `functools.wraps` copies beside the function, other things in each version of Python."""

_MAX_DEPTH: Final = 40
"""Deeper than any LF is nested; ends a walk through a foreign object, e.g. a linked list."""


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of a description of *value*."""
    text = json.dumps(describe(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def describe(value: Any) -> Any:
    """Return plain JSON data that stands for *value*'s behaviour."""
    return _Description().of(value)


class _Description:
    """A walk that describes each function, class and object once; then names it by its number.

    Otherwise functions that call each other would be described along every path.
    """

    def __init__(self, numbers: Mapping[int, int] | None = None, depth: int = 0) -> None:
        self._numbers = dict(numbers or {})
        self._alive: list[Any] = []  # an id is unique only while its object lives
        self._open: set[int] = set()
        self._depth = depth

    def of(self, value: Any) -> Any:
        """Describe *value*."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if self._depth > _MAX_DEPTH:
            return _name(type(value))
        if isinstance(value, Mapping | list | tuple | set | frozenset | deque):
            if id(value) in self._open:
                return "…"
            with self._inside(value):
                return self._container(value)
        return self._leaf(value) or self._met(value) or self._new(value)

    @contextmanager
    def _inside(self, container: Any) -> Iterator[None]:
        self._open.add(id(container))
        self._depth += 1
        yield
        self._depth -= 1
        self._open.discard(id(container))

    def _container(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(k): self.of(v) for k, v in value.items()}
        if isinstance(value, set | frozenset):
            # Each on its own: numbers must not depend on the order in which a set is walked.
            parts = (_Description(self._numbers, self._depth).of(v) for v in value)
            return sorted(parts, key=repr)
        return [self.of(v) for v in value]

    def _leaf(self, value: Any) -> Any:
        """Describe what is told by value alone; `repr` cuts arrays and patterns short."""
        if isinstance(value, re.Pattern):
            return ["re", self.of(value.pattern), value.flags]
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value)
        if isinstance(value, Enum):
            # Before Python 3.11, `A | B` had no name.
            name = None if isinstance(value, Flag) else value.name
            return ["enum", _name(type(value)), name, self.of(value.value)]
        if isinstance(value, _SCALARS):
            return [type(value).__name__, str(value)]
        if isinstance(value, types.ModuleType):
            return plain_name(value.__name__)
        return spacy_models.description(value) if spacy_models.is_pipeline(value) else None

    def _array(self, value: Any) -> Any:
        if value.dtype.hasobject:
            return ["array", value.shape, self.of(value.tolist())]
        content = hashlib.sha256(value.tobytes()).hexdigest()
        return ["array", value.dtype.str, list(value.shape), content]

    def _met(self, value: Any) -> Any:
        if isinstance(value, types.MethodType | types.BuiltinFunctionType | functools.partial):
            return None  # made anew at each look: what they hold is met instead
        number = self._numbers.get(id(value))
        if number is not None:
            return ["met", number]
        self._numbers[id(value)] = len(self._numbers)
        self._alive.append(value)
        return None

    def _new(self, value: Any) -> Any:
        self._depth += 1
        try:
            if isinstance(value, functools.partial):
                return ["partial", *map(self.of, (value.func, value.args, value.keywords))]
            if isinstance(value, types.MethodType):
                return ["method", self.of(value.__self__), self.of(value.__func__)]
            if isinstance(value, types.BuiltinFunctionType):
                return ["builtin", value.__qualname__, self.of(value.__self__)]
            if isinstance(value, types.FunctionType):
                return self._function(value)
            return self._class(value) if isinstance(value, type) else self._object(value)
        finally:
            self._depth -= 1

    def _function(self, f: types.FunctionType) -> Any:
        if _of_library(f):  # what it reads may be a cache, as of `re.search`
            cells = [self.of(_contents(cell)) for cell in f.__closure__ or ()]
            return ["library", f.__globals__["__name__"], f.__qualname__, cells]
        return {
            "source": self._source(f.__code__),
            "defaults": self.of([f.__defaults__, f.__kwdefaults__]),
            "closure": [self.of(_contents(cell)) for cell in f.__closure__ or ()],
            "globals": self._globals(f),
        }

    def _source(self, code: types.CodeType) -> Any:
        """Return the text; of code made by exec or at a prompt, what stands for it."""
        try:
            return textwrap.dedent(inspect.getsource(code))
        except (OSError, TypeError):
            constants = [
                self._source(c) if isinstance(c, types.CodeType) else self.of(c)
                for c in code.co_consts
            ]
            return [code.co_code.hex(), list(code.co_names), constants]

    def _globals(self, f: types.FunctionType) -> dict[str, Any]:
        """Describe what *f* reads of its module: changing SPAM = 1 changes the LF."""
        names = sorted(_names(f.__code__) & f.__globals__.keys())
        values = {name: f.__globals__[name] for name in names}
        return {n: self.of(v) for n, v in values.items() if _belongs(v, f.__module__)}

    def _class(self, kind: type) -> Any:
        """Describe a class by the source of itself and its bases, and by what they read."""
        parts = [c for c in kind.__mro__ if c.__module__.partition(".")[0] not in _LIBRARIES]
        methods = [f for c in parts for f in _methods(c) if not _of_library(f)]
        read = {name: v for f in methods for name, v in self._globals(f).items()}
        return {"class": _name(kind), "source": [_class_source(c) for c in parts], "globals": read}

    def _object(self, value: Any) -> Any:
        """Describe an object: its class by source, its state by value; caches are no behaviour."""
        state = _state(value)
        if state is None:
            return _ADDRESS.sub("", repr(value))
        kept = {k: v for k, v in state.items() if k != "_cache" and k not in _METADATA}
        return {"class": self.of(type(value)), "state": self.of(kept)}


def _belongs(value: Any, module: str) -> bool:
    """Whether a global is a constant, function or class of *module*, not an import."""
    if isinstance(value, types.ModuleType):
        return False
    if isinstance(value, _VALUES) or type(value).__module__.startswith("tidegauge_probes."):
        return True
    return bool(getattr(value, "__module__", module) == module)


def _of_library(f: types.FunctionType) -> bool:
    """Whether *f* was written in a library; `functools.wraps` copies `__module__`, not this."""
    home = str(f.__globals__.get("__name__", ""))
    return home.partition(".")[0] in _LIBRARIES


def _names(code: types.CodeType) -> set[str]:
    """Return the names that *code* and the lambdas and comprehensions in it read."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _methods(kind: type) -> list[types.FunctionType]:
    plain = (getattr(member, "__func__", member) for member in vars(kind).values())
    return [member for member in plain if isinstance(member, types.FunctionType)]


def _name(kind: type) -> str:
    return f"{plain_name(kind.__module__)}.{kind.__qualname__}"


def _class_source(kind: type) -> str:
    try:
        return textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):
        return _name(kind)


def _state(value: Any) -> dict[str, Any] | None:
    """Return attributes and slots; None for what keeps its state elsewhere."""
    slots = [s for c in type(value).__mro__ for s in _slots(c) if hasattr(value, s)]
    if not slots and not hasattr(value, "__dict__"):
        return None
    return {s: getattr(value, s) for s in slots} | dict(getattr(value, "__dict__", {}))


def _slots(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    names = [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if not name.startswith("__")]


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name bound later than the function
        return None
