"""Checks of a stream file: what ``tidegauge run`` would refuse."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Final

from tidegauge_alerts.rules import check_names
from tidegauge_probes import load
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.model import Record
from tidegauge_service.baselines.class_balance import class_balance
from tidegauge_service.baselines.lookup import find_baseline
from tidegauge_service.cli.console.first_records import FIRST, first_inputs
from tidegauge_service.cli.console.terminal import counted
from tidegauge_service.cli.doctor.database import look, opened
from tidegauge_service.cli.probes.sample import stream_inputs
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import (
    BaselineName,
    BaselinePath,
    BaselineRange,
    StreamConfig,
    load_stream,
)
from tidegauge_service.config.stream_names import check_names_differ
from tidegauge_service.errors import SettingsError, SourceError
from tidegauge_service.ingest.codec.stream_codec import check_format, open_codec
from tidegauge_service.ingest.partitions import origin
from tidegauge_service.ingest.record_paths import MappingReport, check_mapping
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.registry import open_source
from tidegauge_service.ingest.sources.source import Source
from tidegauge_service.runtime.pipeline import check_receivers
from tidegauge_service.store import baselines, registration
from tidegauge_service.store.streams import StreamRow

ENOUGH_STEPS: Final = 10
MOST_STEPS: Final = 0.9
"""Of so many steps from one record to the next, if more than this share go back in time, the
file is sorted newest first."""


def names(paths: Sequence[Path]) -> str:
    """Return "OK"; an error if two stream files have the same name."""
    check_names_differ(map(load_stream, paths))
    return "OK"


def probes(path: Path, settings: Settings) -> str:
    """Return the number of LFs and their ProbeSet; an error if `run` would refuse them."""
    config = load_stream(path)
    probe_set = load(config.probes, Path(config.folder))
    for rule in config.alerts.user_rules:
        check_names(rule, probe_set.layout.probes, probe_set.classes)
    look(
        path,
        settings,
        lambda connection, stream: registration.check_registered(
            connection, stream, config, probe_set
        ),
    )
    said = f"{counted(len(probe_set.probes), 'LF')}, ProbeSet {probe_set.id}"
    live = _row(path, settings)
    if live is None or live.probe_set == probe_set.id:
        return said
    return (
        f"{said}. Warning: not live; ProbeSet {live.probe_set} is. To make this one live: "
        f"`tidegauge probes deploy {path}`"
    )


def _row(path: Path, settings: Settings) -> StreamRow | None:
    return look(path, settings, lambda _, stream: stream)


def baseline(path: Path, settings: Settings) -> str:
    """Return where the baseline comes from, and which is in use; an error if `run` would refuse it.

    Training data is not read: that takes as long as fitting the baseline.
    """
    config = load_stream(path)
    chosen, probe_set = config.baseline, load(config.probes, Path(config.folder))
    row = _row(path, settings)
    if not isinstance(chosen, BaselineName):
        class_balance(chosen.balance, probe_set.layout.classes)
    if isinstance(chosen, BaselineRange):
        span = f"{to_iso(chosen.from_)} to {to_iso(chosen.until)}"
        said = f"the stream's own windows, {span}"
    elif isinstance(chosen, BaselinePath):
        said = _training_data(path, Path(config.folder) / chosen.path)
    elif row is not None and row.baseline is not None and row.probe_set == probe_set.id:
        return f"{row.baseline}, which the stream is compared with"
    else:
        said = _named(config, chosen, probe_set, settings, row)
    return _in_use(said, probe_set, row)


def _in_use(said: str, probe_set: ProbeSet, row: StreamRow | None) -> str:
    """Add to the baseline of the file which one the stream is compared with, if it has one."""
    if row is None:
        return said
    if row.probe_set != probe_set.id:
        other = f"with {row.baseline}" if row.baseline else "with none yet"
        return f"{said}. Warning: not in use; the live ProbeSet {row.probe_set} is compared {other}"
    return said if row.baseline is None else f"{said}; in use: {row.baseline}"


def _named(
    config: StreamConfig,
    chosen: BaselineName,
    probe_set: ProbeSet,
    settings: Settings,
    row: StreamRow | None,
) -> str:
    """Return the name; an error if `run` would refuse that baseline.

    Of LFs that are not live it is not used, so it is not checked.
    """
    if row is not None and row.probe_set != probe_set.id:
        return chosen.name
    with closing(opened(settings)) as database:
        found, needed = database.version()
        if found is not None and found != needed:
            return f"{chosen.name}; not checked, because the database must be upgraded first"
        if found is None:
            raise baselines.unknown(chosen.name, ())
        find_baseline(config, probe_set, database, now_ms)
    return chosen.name


def _training_data(path: Path, data: Path) -> str:
    if not data.is_file():
        msg = f"{data} does not exist: check baseline.path in {path}"
        raise SettingsError(msg)
    return f"fitted from {data}"


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


def order(path: Path, settings: Settings) -> str:
    """Return whether the first records come in order of time; an error if newest first."""
    config = load_stream(path)
    inputs = stream_inputs(config, FIRST)
    codec = open_codec(config, settings, now_ms)
    decoded = [codec.decode(raw) for raw in inputs or ()]
    times = [record.timestamp_ms for record in decoded if isinstance(record, Record)]
    steps = [after - before for before, after in pairwise(times) if after != before]
    if len(steps) >= ENOUGH_STEPS and sum(step < 0 for step in steps) > MOST_STEPS * len(steps):
        msg = (
            "the first records are sorted newest first, so most of the others would be late and "
            f"not counted. Sort the files by time, oldest first: {config.source.path}"  # type: ignore[union-attr]
        )
        raise SourceError(msg)
    return "OK" if times else "no record yet"


def _described(found: MappingReport) -> str:
    dead = f", {found.dead} of them cannot be used ({found.why})" if found.dead else ""
    return f"{found.inputs} records read{dead}; they have: {found.columns}"
