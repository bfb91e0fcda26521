"""Checks of a stream that runs, or has run: what the database knows about it."""

from __future__ import annotations

from pathlib import Path

from tidegauge_alerts.messages import phrases
from tidegauge_alerts.messages.notices import late_advice
from tidegauge_probes.drift.civil_time import UTC
from tidegauge_service.cli.console.outcome import no_comparison
from tidegauge_service.cli.doctor.database import look
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import ServiceError, SourceError
from tidegauge_service.jobs.punctuality import arrived, mostly_late
from tidegauge_service.store.alerting import alerts as alert_rows
from tidegauge_service.store.alerting import notice_state
from tidegauge_service.store.alerting.notice_state import Trouble
from tidegauge_service.store.ingest.decisions import of_stream
from tidegauge_service.store.ingest.gap import GapCause
from tidegauge_service.store.streams import partitions
from tidegauge_service.store.windows import comparisons, newest
from tidegauge_service.store.windows import sight as sights
from tidegauge_service.store.windows.clock_change import followed_clock


def records(path: Path, settings: Settings) -> str:
    """Return how many records were read and how many late; an error if most are late."""
    found = look(
        path,
        settings,
        lambda connection, stream: (
            arrived(partitions(connection, stream.id)),
            notice_state.since(connection, stream.id, Trouble.LATE),
        ),
    )
    if found is None:
        return "none yet"
    came, told = found
    said = f"{came.records} read, {came.late} of them too late to be counted"
    if told is not None or mostly_late(came):
        raise SourceError(f"{said}. {late_advice(load_stream(path).source.kind)}")
    return said


def time_zone(path: Path, settings: Settings) -> str:
    """Return the stream's time zone, with a warning if its daily cycle follows another."""
    zone = load_stream(path).timezone
    found = look(path, settings, followed_clock)
    return zone if found is None or zone != UTC else f"{zone}. Warning: {found.advice}"


def comparison(path: Path, settings: Settings) -> str:
    """Return whether windows are compared with a baseline, and if not yet, what must come first.

    That is no error: the range of a baseline takes its time.
    """
    why = look(path, settings, comparisons.why_not)
    if why is None:
        return "nothing counted yet"
    return f"Warning: {no_comparison(why, str(path))}" if why else "OK"


def gaps(path: Path, settings: Settings) -> str:
    """Return what the source had lost before it was read; an error while a gap waits for you."""
    found = look(path, settings, lambda connection, stream: of_stream(connection, stream.id))
    gaps = [gap for gap in found or () if gap.cause != GapCause.PARTITION_ADDED]
    if not gaps:
        return "none"
    name = load_stream(path).name
    see = f"see `tidegauge streams gaps {name}`"
    held = [str(gap.partition) for gap in gaps if gap.applied_ms is None]
    if held:
        msg = (
            f"partition {', '.join(held)} is halted, because the source no longer has its next "
            f"inputs: {see}, then `tidegauge streams accept-gap {name}`"
        )
        raise SourceError(msg)
    return f"{len(gaps)}, with {sum(gap.lost for gap in gaps)} inputs never read: {see}"


def sight(path: Path, settings: Settings) -> str:
    """Return which LFs fail; an error if the stream cannot see its traffic."""
    found = look(
        path,
        settings,
        lambda connection, stream: (
            sights.load(connection, stream.id),
            newest.failing(connection, stream),
        ),
    )
    if found is None:
        return "nothing counted yet"
    seen, shares = found
    if seen.found is None:
        return "too few records counted to tell"
    said = ". ".join(phrases.blind(seen.found))
    if any(one.broken for one in seen.found):
        raise ServiceError(said)
    failing = phrases.failures(shares)
    if failing:
        said += ". " if said else ""
        said += f"in the newest windows: {failing}. `tidegauge probes check {path}` says why"
    return said or "none"


def alerts(path: Path, settings: Settings) -> str:
    """Return how many alerts are firing, which is not an error of the installation."""
    n = look(path, settings, lambda connection, stream: alert_rows.firing(connection, stream.id))
    if not n:
        return "none is firing"
    return f"{n} firing: to see them, `tidegauge run {path}` and open the page"
