"""One batch of records, and what probes compute on it once and share.

Everything here is dropped with the batch: no cache survives it (Snorkel's memoised
preprocessors keep every record they ever saw).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from tidegauge_probes.column import ABSENT, Column
from tidegauge_probes.model import Fields, RecordView, lookup
from tidegauge_probes.needles import Needle, Needles
from tidegauge_probes.texts import Mask

_NO_NEEDLES: Final[Mapping[str, Needles]] = MappingProxyType({})

Chain = tuple[Callable[[Any], Any], ...]


class Batch:
    """*n* records with their columns and preprocessed views, computed on first use.

    *needles*: field → the words that will be asked for, so that one pass can find them all.
    """

    def __init__(
        self, records: Sequence[Fields], needles: Mapping[str, Needles] = _NO_NEEDLES
    ) -> None:
        self.records = records
        self._needles = needles
        self._found: dict[str, Mask] = {}
        self._columns: dict[str, Column] = {}
        self._views: dict[tuple[int, ...], list[Any]] = {}

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.records)

    def column(self, path: str) -> Column:
        """Return the values at *path*, ``ABSENT`` where a record has no such field."""
        if path not in self._columns:
            if "." in path:
                values = [lookup(fields, path, ABSENT) for fields in self.records]
            else:
                values = [fields.get(path, ABSENT) for fields in self.records]
            self._columns[path] = Column(values)
        return self._columns[path]

    def hits(self, path: str, needle: Needle) -> Mask:
        """Return which texts of the column hold *needle*, bool [n]; not to be written to."""
        needles = self._needles.get(path)
        if needles is None or needle not in needles.columns:
            alone: Mask = Needles([needle]).find(self.column(path).texts)[0]
            return alone
        if path not in self._found:
            self._found[path] = needles.find(self.column(path).texts)
        hits: Mask = self._found[path][needles.columns[needle]]
        return hits

    def views(self, chain: Chain = ()) -> list[Any]:
        """Return what LFs see after the preprocessors of *chain*: a view, or the exception."""
        key = tuple(map(id, chain))  # user objects need not be hashable; the ProbeSet keeps them
        if key not in self._views:
            if chain:
                self._views[key] = [_preprocess(view, chain) for view in self.views()]
            else:
                self._views[key] = [RecordView(**fields) for fields in self.records]
        return self._views[key]


def _preprocess(view: Any, chain: Chain) -> Any:
    """Run the chain on one record; a failure becomes the outcome of every LF that needs it."""
    try:
        for preprocess in chain:
            view = preprocess(view)
            if view is None:
                msg = f"preprocessor {getattr(preprocess, 'name', preprocess)!r} returned None"
                return ValueError(msg)
    except Exception as error:  # noqa: BLE001  (user code may raise anything)
        return error
    else:
        return view
