"""Read what `snorkel.labeling.model.LabelModel.save` wrote, without running anything in it.

A pickle may call anything. Here only arrays of plain numbers, tensors and containers are made.
Objects of all other classes of snorkel, torch and networkx become empty ones, and any other name in
a file is refused. Neither snorkel nor torch is needed: a tensor is an array and its strides.
Numbers are never copied while a file is read, so reading takes about twice its size in memory.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model.snorkel.pickle_machine import Budget, Inert, Machine, Name

MOST_BYTES: Final = 2**29
"""Maximum file size: a model of a thousand LFs with two classes takes a tenth of it."""

_MAGIC: Final = 0x1950A86A20F9469CFC6C
"""The start of a torch storage (`torch.serialization`, the format before zip files)."""

_ZIP: Final = b"PK\x03\x04"

_KINDS: Final = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8",
    "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1",
    "BoolStorage": "?",
}  # fmt: skip

_INERT: Final = frozenset({"snorkel", "torch", "networkx"})
"""Packages whose objects may be named; empty ones replace them."""

_PLAIN: Final = re.compile(r"f[248]|[iu][1248]|b1|\?")
"""Numeric types: no objects (pointers), structures, strings or dates."""

_MOST_AXES: Final = 32

_CALLED: Final[dict[tuple[str, str], str]] = {
    ("builtins", "dict"): "dict",
    ("builtins", "set"): "inert",
    ("collections", "OrderedDict"): "dict",
    ("collections", "defaultdict"): "dict",
    ("numpy", "ndarray"): "nothing",
    ("numpy", "dtype"): "dtype",
    **{
        (f"numpy.{core}.{module}", name): stands_for
        for core in ("core", "_core")
        for module, name, stands_for in (
            ("multiarray", "_reconstruct", "array"),
            ("multiarray", "scalar", "scalar"),
            ("numeric", "_frombuffer", "buffer"),
        )
    },
    ("torch._utils", "_rebuild_tensor_v2"): "tensor",
    ("torch._utils", "_rebuild_parameter"): "parameter",
    ("torch.storage", "_load_from_bytes"): "storage",
}
"""The names a pickle may use, and which of the makers below handles each."""


def read(content: bytes) -> Mapping[str, Any]:
    """Return the attributes of a saved LabelModel: arrays, numbers, containers, `Inert`.

    BaselineError for anything else, and for a file with a name that is not on the list.
    """
    if content.startswith(_ZIP):
        msg = "it was written by torch.save: save it with Snorkel's `label_model.save(path)`"
        raise BaselineError(msg)
    if len(content) > MOST_BYTES:
        msg = f"it is larger than {MOST_BYTES >> 20} MB, which no saved LabelModel is"
        raise BaselineError(msg)
    try:
        found = Machine(_Makers(budget := Budget()), budget).load(io.BytesIO(content))
    except BaselineError:
        raise
    except Exception as error:  # a broken pickle raises whatever its opcodes run into
        msg = f"it is not a pickle of a LabelModel ({type(error).__name__}: {error})"
        raise BaselineError(msg) from error
    state = found.state if isinstance(found, Inert) else found
    if not isinstance(state, dict):
        msg = f"it holds a {type(state).__name__}, not the attributes of a LabelModel"
        raise BaselineError(msg)
    return {key: _finished(value) for key, value in state.items()}


def _finished(value: Any) -> Any:
    """Return the arrays themselves, also inside a dictionary of attributes (`_parameters`)."""
    if isinstance(value, dict):
        return {key: _numbers(inner) for key, inner in value.items()}
    return _numbers(value)


def _numbers(value: Any) -> Any:
    return value.numbers if isinstance(value, Array) else value


class Dtype:
    """A plain numeric type. Its byte order follows later, as its state."""

    def __init__(self, code: Any, *_flags: Any) -> None:
        if not isinstance(code, str) or not _PLAIN.fullmatch(code):
            shown = code[:20] if isinstance(code, str) else type(code).__name__
            msg = f"it holds an array of '{shown}', not of plain numbers"
            raise BaselineError(msg)
        self.code, self.order = code, "<"

    def build(self, state: Any) -> None:
        """Set the byte order; no fields and no shape of its own, whatever the flags say."""
        if not isinstance(state, tuple) or state[2:5] != (None, None, None):
            msg = "it holds an array of structures, not of plain numbers"
            raise BaselineError(msg)
        if state[1] not in ("<", ">", "|", "="):
            msg = "it holds an array of numbers in an unknown byte order"
            raise BaselineError(msg)
        self.order = state[1]

    @property
    def numpy(self) -> np.dtype[Any]:
        """Return the type that numpy makes of its name."""
        return np.dtype(self.code if self.code == "?" else self.order + self.code)


@dataclass
class Array:
    """A numpy array; empty until its state arrives."""

    numbers: npt.NDArray[Any]

    def build(self, state: Any) -> None:
        """Set version, shape, type, whether it is in Fortran order, and the bytes."""
        _version, shape, dtype, fortran, data = state
        self.numbers = _of_bytes(data, dtype, shape, "F" if fortran else "C")


def _of_bytes(data: Any, dtype: Any, shape: Any, order: Any) -> npt.NDArray[Any]:
    """Return a view of the bytes, which must match the shape exactly."""
    if not (isinstance(data, bytes) and isinstance(dtype, Dtype) and order in ("C", "F")):
        msg = "it holds an array that is not made of plain numbers"
        raise BaselineError(msg)
    if _size(shape) * dtype.numpy.itemsize != len(data):
        msg = "it holds an array whose shape does not match its numbers"
        raise BaselineError(msg)
    return np.frombuffer(data, dtype.numpy).reshape(shape, order=order)


def _size(shape: Any) -> int:
    """Return the exact product of a shape; BaselineError if it is not a shape."""
    plain = isinstance(shape, tuple) and len(shape) <= _MOST_AXES
    if not plain or not all(type(n) is int and n >= 0 for n in shape):
        msg = "it holds an array without a valid shape"
        raise BaselineError(msg)
    size = 1
    for n in shape:
        size *= n
    return size


class _Makers:
    """Makes values for the names in a file; nothing is imported by name, and nothing is called."""

    def __init__(self, budget: Budget, *, nested: bool = False) -> None:
        self._budget, self._nested = budget, nested

    def named(self, name: Name) -> None:
        """Accept a name that is listed, or in a package whose objects become empty."""
        listed = (name.module, name.name) in _CALLED
        if not listed and name.module.partition(".")[0] not in _INERT:
            shown = f"{name.module}.{name.name}"
            msg = f"it names {shown:.200}, which no saved LabelModel holds, so it was not read"
            raise BaselineError(msg)

    def made(self, name: Name, arguments: tuple[Any, ...]) -> Any:
        """Return the value that stands for a call."""
        stands_for = _CALLED.get((name.module, name.name), "inert")
        make = getattr(self, f"_{stands_for}")
        return make(*arguments)

    def _dict(self, *arguments: Any) -> dict[Any, Any]:
        """Return an empty one: its items follow as opcodes; a defaultdict's type is not needed."""
        if any(not isinstance(argument, Name) for argument in arguments):
            msg = "it copies a dictionary, which no saved LabelModel does"
            raise BaselineError(msg)
        return {}

    def _inert(self, *_arguments: Any) -> Inert:
        return Inert()

    def _nothing(self, *_arguments: Any) -> None:
        msg = "it creates an array without numbers"
        raise BaselineError(msg)

    def _dtype(self, *arguments: Any) -> Dtype:
        return Dtype(*arguments)

    def _array(self, *_arguments: Any) -> Array:
        return Array(np.empty(0))

    def _buffer(self, data: Any, dtype: Any, shape: Any, order: Any) -> Array:
        return Array(_of_bytes(data, dtype, shape, order))

    def _scalar(self, dtype: Any, data: Any) -> Any:
        return _of_bytes(data, dtype, (), "C")[()]

    def _parameter(self, data: Any, *_rest: Any) -> Any:
        return data

    def _storage(self, content: Any) -> Array:
        """Return the numbers of a storage in the format of `torch.save` before zip files."""
        if self._nested or not isinstance(content, bytes):
            msg = "it holds a storage inside a storage"
            raise BaselineError(msg)
        return Array(_storage(content, self._budget))

    def _tensor(self, storage: Any, offset: Any, shape: Any, strides: Any, *_rest: object) -> Array:
        if not isinstance(storage, Array):
            msg = "it holds a tensor without numbers"
            raise BaselineError(msg)
        return Array(_tensor(storage.numbers, offset, shape, strides))


def _storage(content: bytes, budget: Budget) -> npt.NDArray[Any]:
    file = io.BytesIO(content)
    machine = Machine(_Makers(budget, nested=True), budget)
    magic, _version, _system, reference, keys = (machine.load(file) for _ in range(5))
    referred = isinstance(reference, tuple) and isinstance(reference[1], Name)
    plain = isinstance(keys, list) and len(keys) == 1 and type(keys[0]) is str
    # Only strings are compared: comparing two deeply nested tuples would take forever.
    if magic != _MAGIC or not (referred and plain and type(reference[2]) is str):
        msg = "it holds a tensor in an unknown form: save it with an older torch"
        raise BaselineError(msg)
    if keys != [reference[2]]:
        msg = "it holds a tensor whose numbers are stored elsewhere"
        raise BaselineError(msg)
    size = int.from_bytes(file.read(8), "little", signed=True)
    if size < 0:
        msg = "it holds a tensor of negative size"
        raise BaselineError(msg)
    kind = _KINDS[reference[1].name]
    return np.frombuffer(content, dtype=kind, count=size, offset=file.tell())


def _tensor(storage: npt.NDArray[Any], offset: Any, shape: Any, strides: Any) -> npt.NDArray[Any]:
    """Return a tensor as a view of its storage; its strides must stay inside.

    It has no more numbers than the storage: a stride of 0 could turn one into 10^9.
    """
    sizes = _size(shape), _size(strides), _size((offset,))
    if storage.ndim != 1 or len(shape) != len(strides) or sizes[0] > len(storage):
        msg = "it holds a tensor that is larger than its numbers"
        raise BaselineError(msg)
    reach = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if sizes[0] and reach >= len(storage):
        msg = "it holds a tensor that is larger than its numbers"
        raise BaselineError(msg)
    if not sizes[0]:
        return np.empty(shape, dtype=storage.dtype)
    steps = [step * storage.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)
