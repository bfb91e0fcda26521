"""Checks of a stream that runs, or has run: what the database knows about it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tidegauge_alerts.messages import phrases
from tidegauge_alerts.messages.notices import late_advice
from tidegauge_probes.counts.analysis import lf_errors
from tidegauge_probes.counts.blindness import FAILING
from tidegauge_probes.drift.civil_time import UTC
from tidegauge_service.cli.console.outcome import no_comparison
from tidegauge_service.cli.doctor.database import look
from tidegauge_service.clock import now_ms, to_duration
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import ServiceError, SourceError
from tidegauge_service.jobs.punctuality import arrived, mostly_late
from tidegauge_service.store import baselines
from tidegauge_service.store.alerting import alerts as alert_rows
from tidegauge_service.store.alerting import notice_state
from tidegauge_service.store.alerting.notice_state import Trouble
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.ingest.decisions import of_stream
from tidegauge_service.store.ingest.gap import GapCause
from tidegauge_service.store.streams import REPLAYED, StreamRow, partitions
from tidegauge_service.store.windows import comparisons, newest
from tidegauge_service.store.windows import sight as sights
from tidegauge_service.store.windows.clock_change import followed_clock

QUIET_MS: Final = 120_000
"""A worker writes every few seconds, even if there is nothing to read; an LF may take longer."""


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
    found = look(
        path,
        settings,
        lambda connection, stream: (
            comparisons.why_not(connection, stream),
            _failed_in_baseline(connection, stream),
        ),
    )
    if found is None:
        return "nothing counted yet"
    why, failed = found
    if why:
        return f"Warning: {no_comparison(why, str(path))}"
    if not failed:
        return "OK"
    return (
        f"Warning: when the baseline was fitted, LFs failed: {phrases.failures(failed)}. Their "
        "shifts cannot be found. Once they work again, accept windows after that as the new "
        f"baseline: `tidegauge baseline accept {path} --from TIME`"
    )


def _failed_in_baseline(connection: Connection, stream: StreamRow) -> dict[str, float]:
    """Return LF → the share of the baseline's records on which it failed, if on most of them."""
    if stream.baseline is None:
        return {}
    found = baselines.load(connection, stream.baseline)
    shares = lf_errors(found.total).tolist()
    named = zip(found.plan.layout.probes, shares, strict=True)
    return {name: share for name, share in named if share > FAILING}


def watched(path: Path, settings: Settings) -> str:
    """Return when a worker last wrote; a warning if that is so long ago that none can be running.

    That is no error: a stream may be checked before it is started.
    """
    start = f"To start one: `tidegauge run {path}`"
    found = look(path, settings, lambda connection, stream: partitions(connection, stream.id))
    owned = [one for one in found or () if one.partition > REPLAYED]
    if not owned:
        return f"Warning: no process has read this stream yet. {start}"
    ago = now_ms() - max(max(one.updated_ms, one.end_ms or 0) for one in owned)
    if ago <= QUIET_MS:
        return "OK"
    since = to_duration(ago // 60_000 * 60_000)
    return f"Warning: no process reads this stream: none has written for {since}. {start}"


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
