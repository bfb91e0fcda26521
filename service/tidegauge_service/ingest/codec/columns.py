"""Which fields records have, in words: what to compare a path of the stream file with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from tidegauge_probes.model import Fields

MOST_NAMED: Final = 30
"""Maximum number of fields that a message lists."""

MOST_CHARACTERS: Final = 60
"""Maximum characters of a field name in a message."""

_DEPTH: Final = 4


def columns(records: Iterable[Fields]) -> str:
    """Return the paths that the records have, in the order in which they first come.

    >>> columns([{"id": 1, "mail": {"body": "a"}}, {"id": 2, "ts": 3}])
    'id, mail.body, ts'
    """
    found = dict.fromkeys(path for fields in records for path in _paths(fields))
    named = [_short(path) for path in islice(found, MOST_NAMED)]
    more = len(found) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "") or "no field"


def _paths(fields: Mapping[str, Any], depth: int = _DEPTH) -> Iterator[str]:
    for name, value in fields.items():
        if depth and value and isinstance(value, Mapping):
            yield from (f"{name}.{path}" for path in _paths(value, depth - 1))
        else:
            yield str(name)


def _short(path: str) -> str:
    return path if len(path) <= MOST_CHARACTERS else f"{path[: MOST_CHARACTERS - 1]}…"
