"""Read a pickle without running it: opcodes build plain values, and nothing is ever called.

`pickle.Unpickler` is not safe for that, whatever `find_class` refuses. `BUILD` hands the file's
state to numpy's C code, which follows the pointers in it; `LONG_BINPUT` allocates as many slots as
the file says; a tuple that is nested deeply, or that contains the level below twice, crashes or
hangs when it is hashed. Here names stay names, arrays are made of plain numbers (`Makers`), keys
are strings and small integers, and opcodes are counted. `pickletools.genops` parses, but runs
nothing.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from tidegauge_probes.errors import BaselineError

MOST_OPCODES: Final = 1_000_000
"""A second or two of work; a model of a hundred LFs takes a few thousand."""

_MOST_BITS: Final = 512
"""Maximum bits of an integer: longer ones are slow to hash, and a pickle may ask for that
often."""


@dataclass
class Budget:
    """Opcodes that may still be read, in a file and the pickles inside it."""

    opcodes: int = MOST_OPCODES

    def spend(self) -> None:
        """Use up one; BaselineError if none is left."""
        self.opcodes -= 1
        if self.opcodes < 0:
            msg = "its pickle is too long for a saved LabelModel"
            raise BaselineError(msg)


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function that a file names. It is not imported, and cannot be called."""

    module: str
    name: str


class Inert:
    """Stands in for an object of a class that is not needed: accepts any state, does nothing."""

    def __init__(self, state: object = None) -> None:
        """Keep the attributes: a LabelModel may have been pickled as a whole."""
        self.state = state

    def build(self, state: object) -> None:
        """Keep the attributes."""
        self.state = state


class Makers(Protocol):
    """What to make of the names in a file."""

    def named(self, name: Name) -> None:
        """Accept a name; BaselineError if no file that we read contains it."""

    def made(self, name: Name, arguments: tuple[Any, ...]) -> Any:
        """Return the value that stands for a call."""


_MARK: Final = object()
_CONSTANTS: Final[Mapping[str, Any]] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: Final[Mapping[str, Callable[[], Any]]] = {
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": Inert,
}
_LITERALS: Final = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)
_TUPLES: Final[Mapping[str, int]] = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IGNORED: Final = frozenset({"PROTO", "FRAME"})


@dataclass
class Machine:
    """Reads pickles from a file, one after another. Sets and frozen sets become `Inert`."""

    makers: Makers
    budget: Budget
    _stack: list[Any] = field(default_factory=list)
    _memo: dict[int, Any] = field(default_factory=dict)

    def load(self, file: io.BytesIO) -> Any:
        """Return the value of the next pickle; BaselineError, or whatever a broken one raises."""
        self._stack, self._memo = [], {}
        for opcode, argument, _place in pickletools.genops(file):
            self.budget.spend()
            if opcode.name == "STOP":
                break
            self._step(opcode.name, argument)
        return self._pop()

    def _step(self, opcode: str, argument: Any) -> None:
        if opcode in _LITERALS:
            self._stack.append(_small(argument))
        elif opcode in _CONSTANTS:
            self._stack.append(_CONSTANTS[opcode])
        elif opcode in _EMPTY:
            self._stack.append(_EMPTY[opcode]())
        elif opcode in _TUPLES:
            self._stack.append(tuple(self._take(_TUPLES[opcode])))
        elif opcode not in _IGNORED:
            _step_of(opcode)(self, argument)

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            msg = "there is a mark where a value should be"
            raise ValueError(msg)
        return value

    def _take(self, n: int) -> list[Any]:
        """Return the last *n* values, in order."""
        return [self._pop() for _ in range(n)][::-1]

    def _marked(self) -> list[Any]:
        """Return the values above the last mark, in order."""
        found = []
        while (value := self._stack.pop()) is not _MARK:
            found.append(value)
        return found[::-1]

    # -- One method for each opcode that does something -------------------------------------------

    def _on_mark(self, _argument: Any) -> None:
        self._stack.append(_MARK)

    def _on_pop(self, _argument: Any) -> None:
        self._stack.pop()

    def _on_pop_mark(self, _argument: Any) -> None:
        self._marked()

    def _on_dup(self, _argument: Any) -> None:
        self._stack.append(self._stack[-1])

    def _on_tuple(self, _argument: Any) -> None:
        self._stack.append(tuple(self._marked()))

    def _on_list(self, _argument: Any) -> None:
        self._stack.append(self._marked())

    def _on_dict(self, _argument: Any) -> None:
        found: dict[Any, Any] = {}
        _set_items(found, self._marked())
        self._stack.append(found)

    def _on_frozenset(self, _argument: Any) -> None:
        self._marked()
        self._stack.append(Inert())

    def _on_append(self, _argument: Any) -> None:
        _extend(self._stack[-2], [self._pop()])

    def _on_appends(self, _argument: Any) -> None:
        some = self._marked()
        _extend(self._stack[-1], some)

    _on_additems = _on_appends

    def _on_setitem(self, _argument: Any) -> None:
        some = self._take(2)
        _set_items(self._stack[-1], some)

    def _on_setitems(self, _argument: Any) -> None:
        some = self._marked()
        _set_items(self._stack[-1], some)

    def _on_memoize(self, _argument: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _on_put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    _on_binput = _on_long_binput = _on_put

    def _on_get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    _on_binget = _on_long_binget = _on_get

    def _on_global(self, both: str) -> None:
        module, _, name = both.partition(" ")
        self._name(module, name)

    def _on_stack_global(self, _argument: Any) -> None:
        module, name = self._take(2)
        if not (isinstance(module, str) and isinstance(name, str)):
            msg = "it refers to a name that is not a string"
            raise BaselineError(msg)
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        found = Name(module, name)
        self.makers.named(found)
        self._stack.append(found)

    def _on_reduce(self, _argument: Any) -> None:
        name, arguments = self._take(2)
        self._call(name, arguments)

    _on_newobj = _on_reduce

    def _on_newobj_ex(self, _argument: Any) -> None:
        name, arguments, _keywords = self._take(3)
        self._call(name, arguments)

    def _call(self, name: Any, arguments: Any) -> None:
        if not (isinstance(name, Name) and isinstance(arguments, tuple)):
            msg = f"it calls a {type(name).__name__}, which no saved LabelModel does"
            raise BaselineError(msg)
        self._stack.append(self.makers.made(name, arguments))

    def _on_build(self, _argument: Any) -> None:
        state = self._pop()
        target = self._stack[-1]
        if isinstance(target, dict):
            return  # an OrderedDict with attributes: torch's have some
        if not hasattr(target, "build"):
            msg = f"it changes a {type(target).__name__}, which no saved LabelModel does"
            raise BaselineError(msg)
        target.build(state)

    def _on_binpersid(self, _argument: Any) -> None:
        """Leave the tuple that identifies a storage as it is: its type's name, key and size."""
        pid = self._stack[-1]
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":  # noqa: PLR2004
            msg = "it refers to something outside the file"
            raise BaselineError(msg)


_STEPS: Final[Mapping[str, Callable[[Machine, Any], None]]] = {
    name.upper(): getattr(Machine, f"_on_{name}")
    for name in (
        *("mark", "pop", "pop_mark", "dup", "tuple", "list", "dict", "frozenset"),
        *("append", "appends", "additems", "setitem", "setitems", "memoize"),
        *("put", "binput", "long_binput", "get", "binget", "long_binget", "global", "stack_global"),
        *("reduce", "newobj", "newobj_ex", "build", "binpersid"),
    )
}


def _step_of(opcode: str) -> Callable[[Machine, Any], None]:
    found = _STEPS.get(opcode)
    if found is None:
        msg = f"it has the opcode {opcode}, which no saved LabelModel has"
        raise BaselineError(msg)
    return found


def _small(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        msg = "it holds an integer of more than 512 bits"
        raise BaselineError(msg)
    return bytes(value) if isinstance(value, bytearray) else value


def _extend(target: Any, some: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(some)
    elif not isinstance(target, Inert):
        msg = f"it appends to a {type(target).__name__}"
        raise BaselineError(msg)


def _set_items(target: Any, some: list[Any]) -> None:
    """Set alternating keys and values, and drop keys that are neither strings nor integers.

    They would have to be hashed. (In an optimizer's state, tensors are keys.)
    """
    if not isinstance(target, dict | Inert) or len(some) % 2:
        msg = f"it sets items of a {type(target).__name__}"
        raise BaselineError(msg)
    if isinstance(target, dict):
        pairs = zip(some[::2], some[1::2], strict=True)
        target.update((key, value) for key, value in pairs if type(key) in (str, int))
