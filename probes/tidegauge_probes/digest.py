"""Content hashes: two things with the same digest behave the same.

An LF's digest covers its source, defaults, closure, resources and preprocessors, so that a
change of any of them makes another ProbeSet, and a reload of the same code does not.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import re
import textwrap
import types
from collections.abc import Mapping
from typing import Any

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_MAX_DEPTH = 6


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of a description of *value*."""
    text = json.dumps(describe(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def describe(value: Any, depth: int = 0) -> Any:
    """Return plain JSON data that stands for *value*'s behaviour."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth > _MAX_DEPTH:
        return _ADDRESS.sub("", repr(value))
    deeper = depth + 1
    if isinstance(value, Mapping):
        return {str(k): describe(v, deeper) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [describe(v, deeper) for v in value]
    if isinstance(value, set | frozenset):
        return sorted((describe(v, deeper) for v in value), key=repr)
    if isinstance(value, functools.partial):
        return ["partial", *(describe(p, deeper) for p in (value.func, value.args, value.keywords))]
    if isinstance(value, types.MethodType):
        return ["method", describe(value.__self__, deeper), value.__name__]
    if isinstance(value, types.FunctionType):
        return _describe_function(value, deeper)
    if isinstance(value, types.ModuleType | type | types.BuiltinFunctionType):
        return getattr(value, "__qualname__", value.__name__)
    return _describe_object(value, deeper)


def _describe_function(f: types.FunctionType, depth: int) -> Any:
    cells = f.__closure__ or ()
    return {
        "source": _source(f),
        "defaults": describe([f.__defaults__, f.__kwdefaults__], depth),
        "closure": [describe(_contents(cell), depth) for cell in cells],
        "globals": _describe_globals(f, depth),
    }


def _describe_globals(f: types.FunctionType, depth: int) -> dict[str, Any]:
    """Constants and functions of its module that *f* reads: changing SPAM = 1 changes the LF."""
    names = sorted(set(f.__code__.co_names) & f.__globals__.keys())
    values = {name: f.__globals__[name] for name in names}
    return {
        name: describe(value, depth)
        for name, value in values.items()
        if getattr(value, "__module__", f.__module__) == f.__module__
        and not isinstance(value, types.ModuleType)
    }


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name bound later than the function
        return None


def _source(f: types.FunctionType) -> str:
    try:
        return textwrap.dedent(inspect.getsource(f))
    except (OSError, TypeError):  # made by exec or typed at a prompt
        return f.__code__.co_code.hex() + repr(f.__code__.co_consts)


def _describe_object(value: Any, depth: int) -> Any:
    """Class by source, state by value; caches are not behaviour."""
    state = getattr(value, "__dict__", None)
    if state is None:
        return _ADDRESS.sub("", repr(value))
    kept = {k: v for k, v in state.items() if k != "_cache"}
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):
        source = ""
    return {"class": name, "source": source, "state": describe(kept, depth)}
