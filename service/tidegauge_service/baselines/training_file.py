"""How a file of training records is read: by its own name, and in its own encoding."""

from __future__ import annotations

import codecs
from dataclasses import replace
from pathlib import Path
from typing import Final

from tidegauge_service.config.sources import CsvDialect
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.errors import SourceError
from tidegauge_service.ingest.sources.files.content import Content
from tidegauge_service.ingest.sources.files.identity import FoundFile
from tidegauge_service.ingest.sources.files.kinds import Options, named_format, options_of
from tidegauge_service.ingest.sources.files.source import FileReader

LOOKED_AT: Final = 4 * 1_024 * 1_024
"""Bytes of a file in which another encoding is looked for."""


BASELINE_CSV: Final = "baseline.csv.encoding"


def training_file(
    config: StreamConfig,
    path: Path,
    csv: CsvDialect | None = None,
    encoding_from: str = BASELINE_CSV,
) -> FileReader:
    """Open training records. *csv*: what is known of the file; the rest is as in the stream's.

    *encoding_from*: the setting or option that *csv* has its encoding from.

    SourceError if there is no such file, or if it is UTF-8 but would be read in the encoding of
    the stream's files: its umlauts would turn into other characters, and LFs would not see them.
    """
    given = csv or CsvDialect()
    options = options_of(config)
    known = {key: getattr(given, key) for key in given.model_fields_set}
    options = replace(
        options,
        # The name comes first here: an export of training data is often of another kind.
        format=named_format(path) or options.format,
        csv=options.csv.model_copy(update=known),
        encoding_from=encoding_from if "encoding" in known else options.encoding_from,
    )
    files = FileReader(str(path), Path(), options, missing="check the path")
    if "encoding" not in known:
        for file in files.files:
            _refuse_utf8(file, options)
    return files


def _refuse_utf8(file: FoundFile, options: Options) -> None:
    encoding = options.csv.encoding
    if file.format not in {"csv", "tsv"} or codecs.lookup(encoding).name.startswith("utf-8"):
        return
    content = Content(file.path)
    try:
        content.start()
        while content.end < LOOKED_AT and content.more():
            pass
        head = content.between(content.position, content.end)
    finally:
        content.close()
    if not head.isascii() and _is_utf8(head):
        msg = (
            f"{file.path} looks like UTF-8, but source.csv.encoding is {encoding}, so its special "
            "characters would be misread: give its encoding, with `--encoding` of `baseline fit` "
            "or as `csv: {encoding: utf-8}` next to baseline.path"
        )
        raise SourceError(msg)


def _is_utf8(head: bytes) -> bool:
    """Whether bytes are UTF-8, a character that is cut off at the end apart."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
