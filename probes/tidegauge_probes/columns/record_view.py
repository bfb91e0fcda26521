"""A record as a Python LF sees it. The LF may write to it, and no one else sees the change.

Segments, payloads, samples and the other LFs must see the record as it arrived. Copying every
record for every LF would cost more than most LFs do, so a view costs nothing until it is touched:

- Lists, dicts and other values that can be changed in place are not in the view. When an LF reads
  one, ``__getattr__`` puts a copy there.
- Changes to a view are noted in the log of its batch, which undoes them before the next LF
  runs.

For example, ``x.tags.sort()`` sorts a copy of ``tags``, and the next LF gets a new copy in the
record's order.
"""

from __future__ import annotations

import copy
from collections.abc import (
    Callable,
    Iterable,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
)
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from itertools import chain
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final
from uuid import UUID

import numpy as np

from tidegauge_probes.model import ABSENT, Fields

Held = Mapping[str, Callable[[], Any]]
"""Fields that nobody has read yet, so they are not in the view; each with its copy function."""

_NOTHING: Final[Held] = MappingProxyType({})

_ATOMS: Final[frozenset[type]] = frozenset(
    {str, int, float, bool, type(None), bytes, datetime, date, time, timedelta, Decimal, UUID}
)
"""Types that cannot be changed in place; most values are of these and need no further check."""

_CHANGEABLE: Final = (
    *(list, dict, tuple, np.ndarray),  # a tuple may hold a list
    *(MutableSequence, MutableMapping, MutableSet),  # set, deque, bytearray, array, …
)
"""Classes whose objects are copied; those on the first line are found quickly."""

_dict_of: Callable[[SimpleNamespace], dict[str, Any]] = vars(SimpleNamespace)["__dict__"].__get__
"""Returns the dict that the interpreter reads attributes from."""


class RecordView(SimpleNamespace):
    """A record as an LF sees it: ``x.text`` and ``x["text"]``.

    A ``SimpleNamespace``, so that Snorkel's preprocessors can pickle, hash and extend it.
    """

    def __getitem__(self, name: str) -> Any:
        """Return a field by name; KeyError if the record has none of that name."""
        return self.__dict__[name]

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field by name, or *default*."""
        return self.__dict__.get(name, default)


class GuardedView(RecordView):
    """The view that LFs get. A copy of it is a plain ``RecordView``, which no one else sees."""

    __slots__ = ("__guard",)  # a mangled name is nobody's field

    def __getitem__(self, name: str) -> Any:
        inside = _dict_of(self)
        return inside[name] if name in inside else _copy_in(self, name)

    def __contains__(self, name: object) -> bool:
        guard = _get_guard(self)
        return name in _dict_of(self) or (guard is not None and name in guard[1])

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def __getattr__(self, name: str) -> Any:
        """Copy in a field that can be changed; called for names that are not in the view."""
        try:
            return _copy_in(self, name)
        except KeyError:
            pass
        msg = f"'{RecordView.__name__}' object has no attribute '{name}'"
        raise AttributeError(msg, name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        _open(self)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        _open(self)
        super().__delattr__(name)

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        """All fields, for ``vars(x)``; LFs may write to them."""
        return _open(self)

    def __reduce__(self) -> tuple[type[RecordView], tuple[()], dict[str, Any]]:
        """Pickle or copy all fields."""
        return RecordView, (), _open(self)

    def __repr__(self) -> str:
        return repr(RecordView(**_open(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SimpleNamespace):
            return NotImplemented
        return bool(_open(self) == vars(other))

    def __ne__(self, other: object) -> bool:
        """Compare all fields; the base class would compare only what is in the views."""
        return not self == other

    __hash__ = None  # type: ignore[assignment]


@dataclass(slots=True)
class Log:
    """What happened to the views of a batch since they were last restored."""

    copied_in: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    """A view's dict, and the field that was stored in it."""
    opened: list[tuple[GuardedView, _Guard]] = field(default_factory=list)
    """Views that were or may have been written to, and their guards."""

    def restore(self) -> None:
        """Restore all views to what they were, and clear the log."""
        for inside, name in self.copied_in:
            inside.pop(name, None)
        for view, guard in self.opened:
            inside = _dict_of(view)
            inside.clear()
            fields, held, _ = guard
            inside.update((name, fields[name]) for name in fields if name not in held)
            _set_guard(view, guard)
        self.copied_in.clear()
        self.opened.clear()


_Guard = tuple[Fields, Held, Log]  # a NamedTuple takes ten times as long to make
"""What a view was made from, which parts of it are held, and the log of its batch."""

_SLOT: Any = vars(GuardedView)["_GuardedView__guard"]
_get_guard: Callable[[GuardedView], _Guard | None] = _SLOT.__get__
"""Returns a view's guard; None if the view was already opened."""
_set_guard: Callable[[GuardedView, _Guard | None], None] = _SLOT.__set__


def views_of(records: Sequence[Fields], log: Log) -> list[GuardedView]:
    """Return a view of each record; changes to it are noted in *log* and never reach the record."""
    if _ATOMS.issuperset(map(type, chain.from_iterable(fields.values() for fields in records))):
        views = [GuardedView(**fields) for fields in records]
        for view, fields in zip(views, records, strict=True):
            _set_guard(view, (fields, _NOTHING, log))
        return views
    return [_view_of(fields, log) for fields in records]


def sealed(results: Iterable[Any], log: Log) -> list[Any]:
    """Return views of what preprocessors returned; a result that is no namespace stays as it is.

    A memoised preprocessor returns the same object for equal records; each gets its own view.
    """
    return [
        _view_of(dict(vars(result)), log) if type(result) in _NAMESPACES else result
        for result in results
    ]


_NAMESPACES: Final = frozenset({RecordView, GuardedView, SimpleNamespace})


def original(view: Any, name: str) -> Any:
    """Return a field of a sealed view, only to be read; ABSENT if there is none."""
    guard = _get_guard(view) if type(view) is GuardedView else None
    return ABSENT if guard is None else guard[0].get(name, ABSENT)


def copied(value: Any) -> Any:
    """Return *value* with copies of everything that can be changed in place; the rest is shared.

    Objects of other classes are also shared: a preprocessor may have added a spaCy ``Doc``.
    """
    kind = type(value)
    if kind is list:
        return [each if type(each) in _ATOMS else copied(each) for each in value]
    if kind is dict:
        return {k: each if type(each) in _ATOMS else copied(each) for k, each in value.items()}
    if kind is tuple:
        return tuple(each if type(each) in _ATOMS else copied(each) for each in value)
    if kind is np.ndarray and not value.dtype.hasobject:
        return value.copy()
    return copy.deepcopy(value) if isinstance(value, _CHANGEABLE) else value


def _view_of(fields: Fields, log: Log) -> GuardedView:
    held: dict[str, Callable[[], Any]] = {}
    inside = {}
    for name, value in fields.items():
        if type(value) in _ATOMS or not isinstance(value, _CHANGEABLE):
            inside[name] = value
        else:
            held[name] = partial(_first_copy, held, name, value)
    view = GuardedView(**inside)
    _set_guard(view, (fields, held, log))
    return view


def _first_copy(held: dict[str, Callable[[], Any]], name: str, value: Any) -> Any:
    """Copy *value* and remember how, only now, because most values are never read."""
    held[name] = _copier(value)
    return held[name]()


def _copier(value: Any) -> Callable[[], Any]:
    """Return what copies *value*: the built-in ``copy`` where nothing in it can be changed."""
    kind = type(value)
    if (kind is list and _ATOMS.issuperset(map(type, value))) or (
        kind is dict and _ATOMS.issuperset(map(type, value.values()))
    ):
        copier: Callable[[], Any] = value.copy
        return copier
    return partial(_copied, value)


def _copied(value: Any) -> Any:
    try:
        return copied(value)
    except RecursionError:  # a preprocessor made it contain itself
        return copy.deepcopy(value)


def _copy_in(view: GuardedView, name: str) -> Any:
    """Put a copy of a held field into the view; KeyError if there is none with that name."""
    guard = _get_guard(view)
    if guard is None:
        raise KeyError(name)
    _, held, log = guard
    value = held[name]()
    inside = _dict_of(view)
    inside[name] = value
    log.copied_in.append((inside, name))
    return value


def _open(view: GuardedView) -> dict[str, Any]:
    """Put all fields into the view and return its dict, which may then be written to."""
    inside = _dict_of(view)
    guard = _get_guard(view)
    if guard is None:
        return inside
    fields, held, log = guard
    if held:
        whole = {n: inside[n] if n in inside else held[n]() for n in fields}  # in their order
        inside.clear()
        inside.update(whole)
    _set_guard(view, None)  # a field that is deleted from now on stays away
    log.opened.append((view, guard))
    return inside
