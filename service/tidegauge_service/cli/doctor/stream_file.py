"""Checks of a stream file: what ``tidegauge run`` would refuse."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tidegauge_alerts.rules import check_names
from tidegauge_probes import load
from tidegauge_service.cli.console.first_records import first_inputs
from tidegauge_service.cli.console.terminal import counted
from tidegauge_service.cli.doctor.database import look, opened
from tidegauge_service.clock import now_ms
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.codec.stream_codec import check_format, open_codec
from tidegauge_service.ingest.partitions import origin
from tidegauge_service.ingest.record_paths import MappingReport, check_mapping
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.registry import open_source
from tidegauge_service.ingest.sources.source import Source
from tidegauge_service.runtime.pipeline import check_receivers
from tidegauge_service.store import streams


def probes(path: Path, settings: Settings) -> str:
    """Return the number of LFs and their ProbeSet; an error if `run` would refuse them."""
    config = load_stream(path)
    probe_set = load(config.probes, Path(config.folder))
    for rule in config.alerts.user_rules:
        check_names(rule, probe_set.layout.probes, probe_set.classes)
    look(
        path,
        settings,
        lambda connection, stream: streams.check_registered(connection, stream, config, probe_set),
    )
    return f"{counted(len(probe_set.probes), 'LF')}, ProbeSet {probe_set.id}"


def receivers(path: Path, settings: Settings) -> str:
    """Return the receivers of the stream's alerts; an error if the settings do not define one."""
    config = load_stream(path)
    check_receivers(config, settings)
    return (
        ", ".join(config.alerts.receivers)
        or "none, so alerts appear only on the page and in the API"
    )


def record_format(path: Path, settings: Settings) -> str:
    """Return the format of Kafka records; an error if it needs what is missing here."""
    return check_format(load_stream(path), settings)


def source(path: Path, settings: Settings) -> str:
    """Return kind and partitions of the source; an error if `run` would refuse it."""
    config = load_stream(path)
    with (
        closing(opened(settings)) as database,
        closing(open_source(config, settings, database)) as reader,
    ):
        found, needed = database.version()
        if found == needed:  # otherwise the check of the database says what to do
            origin.check(database, config, reader)
        if config.source.kind == "log":
            return f"log, {counted(config.source.partitions, 'partition')} in the database"
        n = len(reader.beginnings())
        return f"{config.source.kind}, {counted(n, 'partition')}{_file_formats(reader)}"


def _file_formats(reader: Source) -> str:
    formats = {file.format for file in reader.files} if isinstance(reader, FileReader) else set()
    return "".join(f", {one}" for one in sorted(formats))


def fields(path: Path, settings: Settings) -> str:
    """Return the fields of the first records; an error if a path of the stream file finds none."""
    config = load_stream(path)
    inputs = first_inputs(config, settings)
    if not inputs:
        return "no record yet"
    found = check_mapping(config, open_codec(config, settings, now_ms), inputs)
    faults = found.faults(config.limits.dead_letter_share)
    if faults:
        msg = f"{'; '.join(faults)}. The records have: {found.columns}. Correct {path}"
        raise SettingsError(msg)
    return _described(found)


def _described(found: MappingReport) -> str:
    dead = f", {found.dead} of them cannot be used ({found.why})" if found.dead else ""
    return f"{found.inputs} records read{dead}; they have: {found.columns}"
