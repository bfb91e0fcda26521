"""Content hashes: two things with the same digest behave the same.

An LF's digest covers its source, defaults, closure, resources and preprocessors, and the
constants, functions and classes of its module that it reads, so that a change of any of them
makes another ProbeSet, and a reload of the same code does not. Libraries are named, not
described: an upgrade of tidegauge, Snorkel or Python leaves the digest as it is. So a baseline
fitted in a notebook on Python 3.10 fits the service on 3.12.

Texts, numbers, booleans and None describe themselves, and lists are lists. Everything else is an
object with a ``type``: ``Decimal("1.5")`` is ``{"type": "number", "class": "Decimal", "text":
"1.5"}``. So no two things share a description, as a pattern and a dict of its parts might.
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

from tidegauge_probes.labeling import spacy_pipeline
from tidegauge_probes.labeling.folder_modules import plain_name

_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")
_LIBRARIES: Final = frozenset({"snorkel", "tidegauge_probes"}) | sys.stdlib_module_names
_SCALARS: Final = (Decimal, Fraction, UUID)
_VALUES: Final = (
    Mapping, list, tuple, set, frozenset, deque, Enum, re.Pattern, functools.partial, *_SCALARS,
)  # fmt: skip
"""Types whose instances are constants of the module that holds them, wherever they are defined."""

_METADATA: Final = frozenset({"__annotate__", "__annotations__", "__type_params__"})
"""What `functools.wraps` copies besides the function; it differs between Python versions."""

_MAX_DEPTH: Final = 40
"""Deeper than any LF is nested; stops a walk through a foreign object, e.g. a linked list."""


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of a description of *value*."""
    return digest_of_json(describe(value))


def digest_of_json(document: Any) -> str:
    """Return the SHA-256 (hex) of JSON data, whatever the order of its keys."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
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
            return {"type": "deep", "class": _name(type(value))}
        if isinstance(value, Mapping | list | tuple | set | frozenset | deque):
            if id(value) in self._open:
                return {"type": "cycle"}
            with self._inside(value):
                return self._container(value)
        return self._leaf(value) or self._reference(value) or self._new(value)

    @contextmanager
    def _inside(self, container: Any) -> Iterator[None]:
        self._open.add(id(container))
        self._depth += 1
        yield
        self._depth -= 1
        self._open.discard(id(container))

    def _container(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, set | frozenset):
            return {"type": "set", "items": sorted(map(self._alone, value), key=repr)}
        return [self.of(v) for v in value]

    def _mapping(self, value: Mapping[Any, Any]) -> Any:
        """Describe a dict by its keys; where one is no plain text, as pairs: 1 is not "1"."""
        if all(type(key) is str for key in value):
            return {"type": "mapping", "items": {k: self.of(v) for k, v in value.items()}}
        pairs = [{"key": self._alone(k), "value": self.of(v)} for k, v in value.items()]
        return {"type": "mapping", "pairs": sorted(pairs, key=lambda pair: repr(pair["key"]))}

    def _alone(self, value: Any) -> Any:
        """Describe a member of a set: numbers must not depend on the order in which it is walked.

        With the same numbers for all members, ``{f, g}`` and ``{g, f}`` are described alike.
        """
        return _Description(self._numbers, self._depth).of(value)

    def _leaf(self, value: Any) -> Any:
        """Describe what is told by value alone; `repr` cuts arrays and patterns short."""
        if isinstance(value, re.Pattern):
            return {
                "type": "pattern",
                "pattern": self.of(value.pattern),
                "flags": value.flags,
            }
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value)
        if isinstance(value, Enum):
            # Before Python 3.11, `A | B` had no name.
            name = None if isinstance(value, Flag) else value.name
            return {
                "type": "enum",
                "class": _name(type(value)),
                "name": name,
                "value": self.of(value.value),
            }
        if isinstance(value, _SCALARS):
            return {"type": "number", "class": type(value).__name__, "text": str(value)}
        if isinstance(value, types.ModuleType):
            return {"type": "module", "name": plain_name(value.__name__)}
        return spacy_pipeline.description(value) if spacy_pipeline.is_pipeline(value) else None

    def _array(self, value: Any) -> Any:
        found = {"type": "array", "dtype": value.dtype.str, "shape": list(value.shape)}
        if value.dtype.hasobject:
            return found | {"values": self.of(value.tolist())}
        return found | {"sha256": hashlib.sha256(value.tobytes()).hexdigest()}

    def _reference(self, value: Any) -> Any:
        """Name what was described before by its number.

        Of ``def f(): g()`` and ``def g(): f()``, f is described with g in it, and f in that g is
        ``{"type": "reference", "number": 0}``.
        """
        if isinstance(value, types.MethodType | types.BuiltinFunctionType | functools.partial):
            return None  # made anew at each look: what they hold is met instead
        number = self._numbers.get(id(value))
        if number is not None:
            return {"type": "reference", "number": number}
        self._numbers[id(value)] = len(self._numbers)
        self._alive.append(value)
        return None

    def _new(self, value: Any) -> Any:
        self._depth += 1
        try:
            if isinstance(value, functools.partial):
                return {
                    "type": "partial",
                    "function": self.of(value.func),
                    "arguments": self.of(value.args),
                    "keywords": self.of(value.keywords),
                }
            if isinstance(value, types.MethodType):
                owner, function = self.of(value.__self__), self.of(value.__func__)
                return {"type": "method", "object": owner, "function": function}
            if isinstance(value, types.BuiltinFunctionType):
                owner = self.of(value.__self__)
                return {"type": "builtin", "name": value.__qualname__, "object": owner}
            if isinstance(value, types.FunctionType):
                return self._function(value)
            return self._class(value) if isinstance(value, type) else self._object(value)
        finally:
            self._depth -= 1

    def _function(self, f: types.FunctionType) -> Any:
        if _of_library(f):  # what it reads may be a cache, as of `re.search`
            return {
                "type": "library_function",
                "module": f.__globals__["__name__"],
                "name": f.__qualname__,
                "closure": self._closure(f),
            }
        return {
            "type": "function",
            "source": self._source(f.__code__),
            "defaults": self.of(f.__defaults__),
            "keyword_defaults": self.of(f.__kwdefaults__),
            "closure": self._closure(f),
            "globals": self._globals(f),
        }

    def _closure(self, f: types.FunctionType) -> list[Any]:
        return [self.of(_contents(cell)) for cell in f.__closure__ or ()]

    def _source(self, code: types.CodeType) -> Any:
        """Return the text; of code made by exec or at a prompt, what stands for it."""
        try:
            return textwrap.dedent(inspect.getsource(code))
        except (OSError, TypeError):
            constants = [
                self._source(c) if isinstance(c, types.CodeType) else self.of(c)
                for c in code.co_consts
            ]
            names = list(code.co_names)
            return {"bytecode": code.co_code.hex(), "names": names, "constants": constants}

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
        source = [_class_source(c) for c in parts]
        return {"type": "class", "name": _name(kind), "source": source, "globals": read}

    def _object(self, value: Any) -> Any:
        """Describe an object: its class by source, its state by value; caches are no behaviour."""
        state = _state(value)
        if state is None:
            return {"type": "object", "repr": _ADDRESS.sub("", repr(value))}
        kept = {k: v for k, v in state.items() if k != "_cache" and k not in _METADATA}
        described = self.of(type(value))
        return {
            "type": "object",
            "class": described,
            "state": {str(k): self.of(v) for k, v in kept.items()},
        }


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
