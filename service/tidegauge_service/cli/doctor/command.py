"""``tidegauge doctor``: check an installation, and say how to fix what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from tidegauge_probes.errors import TidegaugeError
from tidegauge_service.cli.console.terminal import out, settings_of, styled
from tidegauge_service.cli.doctor import installation, stream_file, stream_state
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import ServiceError, SettingsError

Check = Callable[[], str]
"""Returns what was found; raises TidegaugeError, with the fix, if something is wrong."""

PEEKED: Final = frozenset({"file", "kafka"})
"""Kinds of sources whose first records can be read without taking part."""


def doctor(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(help="Stream files to check.", metavar="STREAM")
    ] = None,
) -> None:
    """Check settings, clock, database, receivers, codecs and streams."""
    settings = settings_of(context)
    checks = [*_of_installation(settings)]
    if files and len(files) > 1:
        checks.append(("stream names", partial(stream_file.names, files)))
    for path in files or ():
        checks += _of_stream(path, settings)
    failed = [name for name, check in checks if not _passes(name, check)]
    if failed:
        msg = f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}"
        raise ServiceError(msg)


def _of_installation(settings: Settings) -> Iterator[tuple[str, Check]]:
    yield "system clock", installation.clock
    yield "database", partial(installation.database, settings)
    yield "receivers", partial(installation.receivers, settings)
    for name in settings.receivers:
        yield f"receiver {name}", partial(installation.receiver, name, settings)
    yield "kafka codecs", installation.codecs


def _of_stream(path: Path, settings: Settings) -> Iterator[tuple[str, Check]]:
    """Yield the checks of a stream file; if it cannot be read, only that."""
    for name, check in _by_name(path):
        yield f"{path}: {name}", partial(check, path, settings)


def _by_name(path: Path) -> Iterator[tuple[str, Callable[[Path, Settings], str]]]:
    try:
        kind = load_stream(path).source.kind
    except SettingsError:
        yield "file", stream_file.probes
        return
    yield "LFs", stream_file.probes
    yield "baseline", stream_file.baseline
    yield "receivers", stream_file.receivers
    if kind == "kafka":
        yield "format", stream_file.record_format
    yield "source", stream_file.source
    if kind in PEEKED:
        yield "fields", stream_file.fields
    if kind == "file":
        yield "order", stream_file.order
    if kind != "file":
        yield "workers", stream_state.watched
    yield "records", stream_state.records
    yield "comparison", stream_state.comparison
    yield "time zone", stream_state.time_zone
    yield "gaps", stream_state.gaps
    yield "LF failures", stream_state.sight
    yield "alerts", stream_state.alerts


def _passes(name: str, check: Check) -> bool:
    try:
        result = check()
    except TidegaugeError as error:
        out.print(styled("✗", "red"), f"{name}: {error}")
        return False
    out.print(styled("✓", "green"), f"{name}: {result}")
    return True
