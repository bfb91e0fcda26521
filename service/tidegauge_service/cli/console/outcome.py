"""What a drain has brought, in a line for each stream, and where to look next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tidegauge_alerts.messages import phrases
from tidegauge_alerts.model import AlertState
from tidegauge_probes.drift.baseline import LEARNING_WINDOWS
from tidegauge_service.cli.console.terminal import counted, out
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.store import baselines, streams
from tidegauge_service.store.alerting import outbox
from tidegauge_service.store.engine import Connection, Database
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import comparisons, newest, queries
from tidegauge_service.store.windows.comparisons import Learning
from tidegauge_service.store.windows.queries import StreamSummary


def show_outcome(database: Database, configs: Sequence[StreamConfig]) -> None:
    """Print what the database holds of each stream now."""
    with database.read() as connection:
        found = [
            (
                queries.summary(connection, stream),
                newest.failing(connection, stream),
                config.file,
                comparisons.why_not(connection, stream),
                outbox.scheduled(connection, stream.id, now_ms()),
            )
            for config in configs
            if (stream := streams.find(connection, config.name)) is not None
        ]
    for summary, failing, file, uncompared, scheduled in found:
        for line in outcome(summary, file, failing, uncompared, scheduled):
            out.print(line)


def outcome(
    summary: StreamSummary,
    file: str,
    failing: Mapping[str, float] = MappingProxyType({}),
    uncompared: str = "",
    scheduled: int = 0,
) -> tuple[str, ...]:
    """Return the figures of a stream, and what to call to see more of them.

    *failing*: LF → the share (0…1) of the newest records on which it fails. *uncompared*: why
    the newest window was not compared with a baseline. *scheduled*: messages that are not due yet.
    """
    name, dead = summary.stream.name, sum(summary.dead_letters.values())
    opened = sum(n for (state, _, _), n in summary.alerts.items() if state != AlertState.RESOLVED)
    counted = f"{summary.records:,} records in {summary.windows:,} windows"
    figures = (
        f"{name}: {counted}, {summary.late:,} late, {dead:,} dead letters, {opened:,} open alerts"
    )
    wrong = [*_broken(summary, failing), *_undelivered(summary, scheduled)]
    lines = [figures, *(f"  {text}" for text in wrong)]
    if uncompared:
        lines.append(f"  {no_comparison(uncompared, file)}")
    lines.append(f"  To see the alerts and charts: `tidegauge run {file}`")
    if dead:
        lines.append(f"  To see the dead letters: `tidegauge dead-letters list {name}`")
    if summary.late or wrong:
        lines.append(f"  To see what may be wrong: `tidegauge doctor {file}`")
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class LearningPeriod:
    """A period of learning, and how many windows its two baselines have."""

    learning: Learning
    windows: int
    learned: int | None


def learning_period(connection: Connection, stream: StreamRow) -> LearningPeriod | None:
    """Return how the stream learned what is normal; None if its baseline knew it."""
    found = comparisons.learning(connection, stream)
    if found is None:
        return None
    windows = len(baselines.load(connection, found.baseline).starts)
    after = found.learned
    learned = None if after is None else len(baselines.load(connection, after).starts)
    return LearningPeriod(found, windows, learned)


def learning_text(period: LearningPeriod) -> str:
    """Say what the stream could find while it learned, and when that ended."""
    found = period.learning
    span = f"{to_iso(found.since_ms)} to {to_iso(found.until_ms)}"
    few = (
        f"its baseline of {counted(period.windows, 'window')} is too short "
        f"({LEARNING_WINDOWS} are needed, over two days or more)"
        if period.windows
        else "its baseline has no windows to learn the normal variation from"
    )
    said = (
        f"learning: {few}, so {counted(found.windows, 'window')} ({span}) could only show shifts "
        "of an odds ratio of 3 or more. "
    )
    if period.learned is None:
        return f"{said}Learning has not ended"
    return f"{said}Learning then ended, with a baseline of {period.learned} windows"


def no_comparison(why: str, file: str) -> str:
    """Say that no alert can be raised, why (``comparisons.why_not``), and what to check."""
    return (
        f"no window is compared, so no alert can be raised: {why}. Check `baseline` and "
        f"`record.timestamp` in {file}"
    )


def _broken(summary: StreamSummary, failing: Mapping[str, float]) -> list[str]:
    """Say what is broken; of too few records for that, at least which LFs fail on all."""
    broken = [one for one in summary.blind or () if one.broken]
    named = {one.probe for one in broken}
    rest = {
        lf: share
        for lf, share in failing.items()
        if lf not in named and (summary.blind is not None or share == 1)
    }
    return [*phrases.blind(broken), *([f"LFs fail: {phrases.failures(rest)}"] if rest else [])]


def _undelivered(summary: StreamSummary, scheduled: int) -> list[str]:
    """Say how many messages no receiver has taken so far, though they were due."""
    failed = summary.notifications.get(outbox.FAILED, 0)
    waiting = summary.notifications.get(outbox.WAITING, 0) - scheduled
    if not failed and not waiting:
        return []
    return [f"messages: {failed:,} failed for good, {waiting:,} waiting to be sent"]
