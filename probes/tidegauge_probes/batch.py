"""One batch of records, and what probes compute on it once and share.

Everything here is dropped with the batch: no cache survives it (Snorkel's memoised
preprocessors keep every record they ever saw).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.literals import ODD
from tidegauge_probes.model import Fields, RecordView, lookup
from tidegauge_probes.needles import Needles

Mask = npt.NDArray[np.bool_]

_NO_NEEDLES: Final[Mapping[str, Needles]] = MappingProxyType({})

Chain = tuple[Callable[[Any], Any], ...]


class Absent:
    """Marks a field that a record does not have (``None`` is a value like any other)."""

    def __repr__(self) -> str:
        """Say so."""
        return "absent"


ABSENT = Absent()


class Batch:
    """*n* records with their columns and preprocessed views, computed on first use.

    *needles*: field → the words that will be asked for, so that one pass can find them all.
    """

    def __init__(
        self, records: Sequence[Fields], needles: Mapping[str, Needles] = _NO_NEEDLES
    ) -> None:
        self.records = records
        self._needles = needles
        self._found: dict[str, Mask | None] = {}
        self._odd: dict[str, Mask] = {}
        self._words: dict[str, list[int]] = {}
        self._columns: dict[str, list[Any]] = {}
        self._lowered: dict[str, list[Any]] = {}
        self._types: dict[str, set[type]] = {}
        self._views: dict[tuple[int, ...], list[Any]] = {}

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.records)

    def column(self, path: str) -> list[Any]:
        """Return the values at *path*, ``ABSENT`` where a record has no such field."""
        if path not in self._columns:
            if "." in path:
                self._columns[path] = [lookup(fields, path, ABSENT) for fields in self.records]
            else:
                self._columns[path] = [fields.get(path, ABSENT) for fields in self.records]
        return self._columns[path]

    def types(self, path: str) -> set[type]:
        """Return the types that occur in a column: most columns need no check per value."""
        if path not in self._types:
            self._types[path] = set(map(type, self.column(path)))
        return self._types[path]

    def lowered(self, path: str) -> list[Any]:
        """Return the column with its texts in lower case."""
        if path not in self._lowered:
            column = self.column(path)
            self._lowered[path] = [v.lower() if isinstance(v, str) else v for v in column]
        return self._lowered[path]

    def hits(self, path: str, word: str) -> Mask | None:
        """Return which lowered texts hold *word*, bool [n]; None if it must be looked for."""
        column = self._needles[path].columns.get(word) if path in self._needles else None
        if column is None:
            return None
        if path not in self._found:
            self._found[path] = self._needles[path].find(_texts(self.lowered(path)))
        found = self._found[path]
        return None if found is None else found[:, column]

    def odd(self, path: str) -> Mask:
        """Return which texts hold a character that makes ``lower`` and `re` disagree."""
        if path not in self._odd:
            texts = _texts(self.column(path))
            whole = "".join(texts)
            mask = np.zeros(len(texts), dtype=np.bool_)
            for letter in ODD:
                if letter in whole:
                    mask |= np.array([letter in text for text in texts], dtype=np.bool_)
            self._odd[path] = mask
        return self._odd[path]

    def words(self, path: str) -> list[int]:
        """Return how many words each text of a column of texts has."""
        if path not in self._words:
            self._words[path] = [len(text.split()) for text in self.column(path)]
        return self._words[path]

    def views(self, chain: Chain = ()) -> list[Any]:
        """Return what LFs see after the preprocessors of *chain*: a view, or the exception."""
        key = tuple(map(id, chain))  # user objects need not be hashable; the ProbeSet keeps them
        if key not in self._views:
            if chain:
                self._views[key] = [_preprocess(view, chain) for view in self.views()]
            else:
                self._views[key] = [RecordView(**fields) for fields in self.records]
        return self._views[key]


def _texts(column: Sequence[Any]) -> list[str]:
    return [value if type(value) is str else "" for value in column]


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
