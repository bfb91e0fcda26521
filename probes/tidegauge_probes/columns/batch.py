"""One batch of records, and what LFs compute on it once and share.

Everything here is dropped with the batch; no cache survives it (Snorkel's memoised preprocessors
keep every record they ever saw).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

from tidegauge_probes.columns.column import Column
from tidegauge_probes.columns.needles import Needle, Needles
from tidegauge_probes.columns.record_view import Log, original, sealed, views_of
from tidegauge_probes.columns.scope import Scope
from tidegauge_probes.columns.texts import Mask, Texts
from tidegauge_probes.interrupts import pass_on_interrupt
from tidegauge_probes.model import ABSENT, Fields, lookup

Chain = tuple[Callable[[Any], Any], ...]


@dataclass(frozen=True, eq=False)
class PreprocessedField:
    """A field after the preprocessors of a chain."""

    name: str
    chain: Chain

    def _key(self) -> tuple[str, tuple[int, ...]]:
        return self.name, tuple(map(id, self.chain))  # user objects need not be hashable

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PreprocessedField) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


ColumnRef = str | PreprocessedField
"""Where a column comes from: a field's path, or a field after preprocessors."""

AT_ONCE: Final = 500
"""Number of records whose fields are read together and passed to Python LFs one after another: as
many as fit in a processor's cache."""

_NO_NEEDLES: Final[Mapping[ColumnRef, Needles]] = MappingProxyType({})


class Batch:
    """*n* records with their columns and preprocessed views, computed on first use.

    *needles*: field → the words that will be searched for, so that one pass finds them all.
    *fields*: the fields that will be read, so that each record is visited once.
    """

    def __init__(
        self,
        records: Sequence[Fields],
        needles: Mapping[ColumnRef, Needles] = _NO_NEEDLES,
        fields: Collection[str] = (),
    ) -> None:
        self.records = records
        self._fields = fields
        self._needles = needles
        self._found: dict[ColumnRef, Mask] = {}
        self._columns: dict[ColumnRef, Column] = {}
        self._texts: dict[tuple[ColumnRef, tuple[str, ...]], Texts] = {}
        self._views: dict[tuple[int, ...], list[Any]] = {}
        self._log = Log()
        self._scope = Scope()

    @cached_property
    def parts(self) -> Sequence[Batch]:
        """The batch in parts of at most AT_ONCE records, which share the batch's views."""
        if len(self) <= AT_ONCE:
            return (self,)
        starts = range(0, len(self), AT_ONCE)
        parts = [Batch(self.records[start : start + AT_ONCE]) for start in starts]
        for part in parts:
            part._scope = self._scope  # noqa: SLF001  (of the same class)
            part._log = self._log  # noqa: SLF001
        return parts

    def close(self) -> None:
        """Drop what was computed, then what it depended on; call it last."""
        for computed in (self._found, self._columns, self._texts, self._views):
            computed.clear()
        self._log = Log()
        if "parts" in self.__dict__:
            del self.parts
        self._scope.close()

    def __len__(self) -> int:
        return len(self.records)

    def column(self, ref: ColumnRef) -> Column:
        """Return the values at *ref*; ``ABSENT`` where a record has no such field."""
        if ref not in self._columns and ref in self._fields:
            self._read_ahead()
        if ref not in self._columns:
            self._columns[ref] = Column(self._values(ref))
        return self._columns[ref]

    def _read_ahead(self) -> None:
        """Read the fields of some records at a time, because this is limited by memory access."""
        columns: dict[str, list[Any]] = {name: [] for name in self._fields if "." not in name}
        for start in range(0, len(self.records), AT_ONCE):
            some = self.records[start : start + AT_ONCE]
            for name, values in columns.items():
                values.extend(_of_each(some, name))
        self._columns |= {name: Column(values) for name, values in columns.items()}
        self._fields = ()

    def _values(self, ref: ColumnRef) -> list[Any]:
        if isinstance(ref, PreprocessedField):
            return [original(view, ref.name) for view in self.views(ref.chain)]
        if "." in ref:
            return [lookup(fields, ref, ABSENT) for fields in self.records]
        return _of_each(self.records, ref)

    def texts(self, ref: ColumnRef, methods: tuple[str, ...] = ()) -> Texts:
        """Return the texts at *ref*, after applying *methods* of `str` that take no arguments."""
        if not methods:
            return self.column(ref).texts
        key = (ref, methods)
        if key not in self._texts:
            method = getattr(str, methods[-1])
            before = self.texts(ref, methods[:-1])
            self._texts[key] = Texts([method(text) for text in before.values], sure=True)
        return self._texts[key]

    def hits(self, ref: ColumnRef, needle: Needle) -> Mask:
        """Return which texts of the column contain *needle*, bool [n]; do not write to it."""
        needles = self._needles.get(ref)
        if needles is None or needle not in needles.columns:
            alone: Mask = Needles([needle]).find(self.texts(ref))[0]
            return alone
        if ref not in self._found:
            self._found[ref] = needles.find(self.texts(ref))
        hits: Mask = self._found[ref][needles.columns[needle]]
        return hits

    def views(self, chain: Chain = ()) -> list[Any]:
        """Return what LFs see after the preprocessors of *chain*: a view, or the exception.

        Each call undoes whatever was written to the views since the last one, so that no LF sees
        what another LF wrote.
        """
        self._log.restore()
        key = tuple(map(id, chain))  # user objects need not be hashable; the ProbeSet keeps them
        if key not in self._views:
            if len(self) > AT_ONCE:
                of_parts = (part.views(chain) for part in self.parts)
                self._views[key] = [view for views in of_parts for view in views]
            elif chain:
                alone: list[Any] = list(views_of(self.records, Log()))  # a stage may keep some
                made = _preprocess_all(alone, chain, self._scope)
                self._views[key] = sealed(made, self._log)
            else:
                self._views[key] = list(views_of(self.records, self._log))
        return self._views[key]


def _of_each(records: Sequence[Fields], name: str) -> list[Any]:
    try:
        return list(map(itemgetter(name), records))
    except KeyError:
        return [fields.get(name, ABSENT) for fields in records]


def _preprocess_all(views: list[Any], chain: Chain, scope: Scope) -> list[Any]:
    """Run the chain on all records, one by one except in stages that take them all at once."""
    if not any(map(_takes_all, chain)):
        return [_preprocess(view, chain) for view in views]
    for preprocess in chain:
        if _takes_all(preprocess):
            views = preprocess.map_batch(views, scope)  # type: ignore[attr-defined]
        else:
            failed = (isinstance(view, BaseException) for view in views)
            views = [
                view if skip else _preprocess(view, (preprocess,))
                for view, skip in zip(views, failed, strict=True)
            ]
    return views


def _takes_all(preprocess: Callable[[Any], Any]) -> bool:
    """Whether it has its own ``map_batch``; a subclass may do something else for each record."""
    return "map_batch" in type(preprocess).__dict__


def _preprocess(view: Any, chain: Chain) -> Any:
    """Run the chain on one record; a failure becomes the outcome of every LF that needs it."""
    try:
        for preprocess in chain:
            view = preprocess(view)
            if view is None:
                msg = f"preprocessor {getattr(preprocess, 'name', preprocess)!r} returned None"
                return ValueError(msg)
    except BaseException as error:  # noqa: BLE001  (user code may raise anything)
        pass_on_interrupt(error)
        return error
    else:
        return view
