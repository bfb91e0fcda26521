"""Candidates as people take them away: NDJSON, CSV, Parquet. One row shape for all.

Used by the API and by ``tidegauge candidates export``; memory is bounded by a page, not by
the number of candidates.
"""

from __future__ import annotations

import base64
import codecs
import csv as csv_module
import io
import json
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import islice
from operator import attrgetter
from typing import IO, Any, Final, Literal, cast, get_type_hints

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import TypedDict

from tidegauge_service.clock import to_iso
from tidegauge_service.store.candidates import Candidate

PAGE = 1_000
CHUNK_BYTES = 65_536


class ExportFormat(StrEnum):
    """How candidates are written."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


def as_text(data: bytes, *, complete: bool) -> tuple[Literal["utf-8", "base64"], str]:
    """Return bytes as a text, and how it stands for them.

    Where the end was cut off, half a character at the end is left out.
    """
    try:
        return "utf-8", codecs.getincrementaldecoder("utf-8")().decode(data, final=complete)
    except UnicodeDecodeError:
        return "base64", base64.b64encode(data).decode()


class CandidateRow(TypedDict):
    """A candidate as it is exported.

    The one list of columns: the API's model, the header of CSV and Parquet's schema follow it.
    """

    id: str
    stream: str
    window: str
    record_id: str
    timestamp: str
    reasons: list[str]
    inclusion_probability: dict[str, float]
    alerts: list[str]
    votes: dict[str, str]
    segments: list[str]
    state: str
    probe_set: str
    baseline: str
    partition: int
    offset: int
    payload: dict[str, Any]


_DERIVED: Final[Mapping[str, Callable[[Candidate], Any]]] = {
    "window": lambda c: to_iso(c.window_start_ms),
    "timestamp": lambda c: to_iso(c.timestamp_ms),
    "reasons": lambda c: [r.reason for r in c.reasons],
    "inclusion_probability": lambda c: {r.reason: r.inclusion_probability for r in c.reasons},
    "alerts": lambda c: sorted({r.alert_id for r in c.reasons}),
    "segments": lambda c: list(c.segments),
}
"""What is exported otherwise than the candidate's field of that name."""

_READ: Final[Mapping[str, Callable[[Candidate], Any]]] = {
    name: _DERIVED.get(name, attrgetter(name)) for name in CandidateRow.__annotations__
}


def row(candidate: Candidate) -> CandidateRow:
    """Return the exported form."""
    return cast("CandidateRow", {name: read(candidate) for name, read in _READ.items()})


def ndjson(candidates: Iterable[Candidate]) -> Iterator[bytes]:
    """One JSON object a line."""
    for candidate in candidates:
        yield msgspec.json.encode(row(candidate)) + b"\n"


def csv(candidates: Iterable[Candidate]) -> Iterator[bytes]:
    """A header and one line each; nested values are JSON texts."""
    yield _csv_line(CandidateRow.__annotations__)
    for candidate in candidates:
        yield _csv_line(_cell(value) for value in row(candidate).values())


def _csv_line(cells: Iterable[Any]) -> bytes:
    buffer = io.StringIO()
    csv_module.writer(buffer).writerow(cells)
    return buffer.getvalue().encode()


_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def _cell(value: Any) -> Any:
    """Return a cell that no spreadsheet runs: texts that look like formulas get a quote.

    A text that is a number stays one: `-1.5` runs nothing.

    >>> [_cell(value) for value in ("=1+1", " =1", "\uff1d1", "-1.5", "-1+1", "a=1", -3)]
    ["'=1+1", "' =1", "'\uff1d1", '-1.5', "'-1+1", 'a=1', -3]
    """
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}" if _may_run(value) else value


def _may_run(text: str) -> bool:
    """Whether a spreadsheet may take a text for a formula, or for the start of another cell.

    Some skip what is invisible in front of it, and read fullwidth characters as plain ones.
    """
    if text.startswith(("\t", "\r", "\n")):
        return True
    seen = next((c for c in text if unicodedata.category(c)[0] not in "ZC"), "")
    return unicodedata.normalize("NFKC", seen).startswith(("=", "+", "-", "@"))


_ARROW: Final[Mapping[Any, pa.DataType]] = {
    str: pa.string(),
    int: pa.int64(),
    list[str]: pa.list_(pa.string()),
    dict[str, str]: pa.map_(pa.string(), pa.string()),
    dict[str, float]: pa.map_(pa.string(), pa.float64()),
    dict[str, Any]: pa.string(),  # payloads differ in shape, so they are JSON texts
}


def _schema() -> pa.Schema:
    """Return Parquet's columns: those of all exports, and ``text``, pulled out of the payload."""
    types = {name: _ARROW[kind] for name, kind in get_type_hints(CandidateRow).items()}
    types["partition"] = pa.int32()
    types["text"], types["payload"] = pa.string(), types.pop("payload")
    return pa.schema(list(types.items()))


SCHEMA: Final = _schema()


def spooled(format_: ExportFormat, candidates: Iterable[Candidate]) -> IO[bytes]:
    """Return a temporary file with all candidates, at its beginning.

    An export is read in one transaction. It is written to a file before the first byte is sent,
    so that the transaction does not stay open for as long as the slowest client reads.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115  (the caller closes it)
    try:
        write(format_, candidates, file)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of a file, and close it."""
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def write(format_: ExportFormat, candidates: Iterable[Candidate], file: IO[bytes]) -> None:
    """Write candidates to a file; memory holds a page of them at most."""
    if format_ is ExportFormat.PARQUET:
        write_parquet(candidates, file)
    else:
        file.writelines(ndjson(candidates) if format_ is ExportFormat.NDJSON else csv(candidates))


def write_parquet(candidates: Iterable[Candidate], file: IO[bytes]) -> None:
    """Write a Parquet file of ``SCHEMA``."""
    remaining = iter(candidates)
    with pq.ParquetWriter(file, SCHEMA) as writer:
        while page := list(islice(remaining, PAGE)):
            rows = [_parquet_row(candidate) for candidate in page]
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))


def _parquet_row(candidate: Candidate) -> dict[str, Any]:
    found: dict[str, Any] = {**row(candidate)}
    for name in ("inclusion_probability", "votes"):
        found[name] = list(found[name].items())
    text = candidate.payload.get("text")
    found["text"] = text if isinstance(text, str) else None
    found["payload"] = json.dumps(candidate.payload, ensure_ascii=False)
    return found
