"""What `snorkel.labeling.model.LabelModel.save` wrote, read without running what is in it.

A pickle may call anything. Here only arrays, tensors and containers are made; of all other
classes of snorkel, torch and networkx nothing is kept but that they were there, and whatever else
a file names is refused. Neither snorkel nor torch is needed: a tensor is an array and its strides.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from tidegauge_probes.errors import BaselineError

_MAGIC: Final = 0x1950A86A20F9469CFC6C
"""How a storage of torch begins (`torch.serialization`, the format before zip files)."""

_ZIP: Final = b"PK\x03\x04"
MOST_NUMBERS: Final = 50_000_000
"""Numbers in a tensor; a thousand LFs of ten classes have twice as many in their matrices."""

_KINDS: Final = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8",
    "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1",
    "BoolStorage": "?",
}  # fmt: skip

_INERT: Final = frozenset({"snorkel", "torch", "networkx"})
"""Packages whose objects may be named: they become empty."""


class Inert:
    """Stands for an object of a class that is not needed: takes anything, does nothing."""

    def __new__(cls, *_arguments: object, **_keywords: object) -> Self:
        """Forget what it is made of."""
        return super().__new__(cls)

    def __init__(self, *_arguments: object, **_keywords: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        """Keep the attributes: a LabelModel may have been pickled whole."""
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        """Forget an item."""

    def append(self, item: object) -> None:
        """Forget an item."""

    def extend(self, items: object) -> None:
        """Forget some items."""


class _Storage(Inert):
    """The type of the numbers of a tensor; the subclass's name says which."""


class _Tensor(np.ndarray[Any, Any]):
    """An array that can be a key, as tensors are in the state of an optimizer."""

    def __hash__(self) -> int:  # type: ignore[override]
        """Tell it from others."""
        return id(self)


def read(content: bytes) -> Mapping[str, Any]:
    """Return the attributes of a saved LabelModel: arrays, numbers, containers, `Inert`.

    BaselineError for anything else, and for a file that names what is not on the list.
    """
    if content.startswith(_ZIP):
        msg = "it was written by torch.save: write it by `label_model.save(path)` of Snorkel"
        raise BaselineError(msg)
    try:
        found = _Unpickler(io.BytesIO(content)).load()
    except BaselineError:
        raise
    except Exception as error:  # a broken pickle raises whatever its opcodes run into
        msg = f"it is no pickle of a LabelModel ({type(error).__name__}: {error})"
        raise BaselineError(msg) from error
    state = found.state if isinstance(found, Inert) else found
    if not isinstance(state, dict):
        msg = f"it holds a {type(state).__name__}, not the attributes of a LabelModel"
        raise BaselineError(msg)
    return state


class _Unpickler(pickle.Unpickler):
    """Makes what is listed; nothing is imported by name."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name of a pickle stands for here; BaselineError if it is not listed."""
        if (module, name) in _MADE:
            return _MADE[module, name]
        package = module.partition(".")[0]
        if package == "torch" and name in _KINDS:
            return type(name, (_Storage,), {})
        if package in _INERT:
            return type(name, (Inert,), {})
        msg = f"it names {module}.{name}, which no saved LabelModel holds: it is not read"
        raise BaselineError(msg)

    def persistent_load(self, pid: Any) -> Any:
        """Return what stands for a storage: its type's name, key and size."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":  # noqa: PLR2004
            msg = "it refers to something outside of the file"
            raise BaselineError(msg)
        return pid


def _storage(content: bytes) -> npt.NDArray[Any]:
    """Return the numbers of a storage, as `torch.save` wrote them before it wrote zip files."""
    file = io.BytesIO(content)
    magic, _version, _system, reference, keys = (_Unpickler(file).load() for _ in range(5))
    if magic != _MAGIC or not isinstance(reference, tuple) or list(keys) != [reference[2]]:
        msg = "it holds a tensor in a form that is not known: save it with an older torch"
        raise BaselineError(msg)
    size = int.from_bytes(file.read(8), "little", signed=True)
    return np.frombuffer(file.read(), dtype=_KINDS[reference[1].__name__], count=size)


def _tensor(
    storage: npt.NDArray[Any],
    offset: int,
    shape: Sequence[int],
    strides: Sequence[int],
    *_rest: object,
) -> npt.NDArray[Any]:
    """Return a tensor as an array; its strides must stay within the storage."""
    numbers = (offset, *shape, *strides)
    reach = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    inside = all(n >= 0 for n in numbers) and (reach < len(storage) or 0 in shape)
    if not inside or int(np.prod(shape, dtype=np.float64)) > MOST_NUMBERS:
        msg = "it holds a tensor that is larger than its numbers"
        raise BaselineError(msg)
    steps = [step * storage.itemsize for step in strides]
    view = np.lib.stride_tricks.as_strided(storage[offset:], tuple(shape), steps, writeable=False)
    return np.array(view).view(_Tensor)


def _parameter(data: npt.NDArray[Any], *_rest: object) -> npt.NDArray[Any]:
    return data


_NUMPYS: Final[tuple[Any, ...]] = (np.empty(0).__reduce__()[0], np.float64().__reduce__()[0])
"""`_reconstruct` and `scalar`, wherever this numpy keeps them."""

_MADE: Final[dict[tuple[str, str], Any]] = {
    ("builtins", "dict"): dict,
    ("builtins", "set"): set,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{(f"numpy.{core}.multiarray", f.__name__): f for core in ("core", "_core") for f in _NUMPYS},
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.storage", "_load_from_bytes"): _storage,
}
"""What a pickle may name, and what is made of it."""
