"""What a drain has brought, in a line for each stream, and where to look next."""

from __future__ import annotations

from collections.abc import Sequence

from tidegauge_alerts.model import AlertState
from tidegauge_service.cli.console.terminal import out
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.windows import queries
from tidegauge_service.store.windows.queries import StreamSummary


def show_outcome(database: Database, configs: Sequence[StreamConfig]) -> None:
    """Print what the database holds of each stream now."""
    with database.read() as connection:
        found = [
            (queries.summary(connection, stream), config.file)
            for config in configs
            if (stream := streams.find(connection, config.name)) is not None
        ]
    for summary, file in found:
        for line in outcome(summary, file):
            out.print(line)


def outcome(summary: StreamSummary, file: str) -> tuple[str, ...]:
    """Return the figures of a stream, and what to call to see more of them."""
    name, dead = summary.stream.name, sum(summary.dead_letters.values())
    opened = sum(n for (state, _, _), n in summary.alerts.items() if state != AlertState.RESOLVED)
    counted = f"{summary.records:,} records in {summary.windows:,} windows"
    figures = (
        f"{name}: {counted}, {summary.late:,} late, {dead:,} dead letters, {opened:,} open alerts"
    )
    lines = [figures, f"  the page has the alerts and charts: `tidegauge run {file}`"]
    if dead:
        lines.append(f"  what the dead letters are: `tidegauge dead-letters list {name}`")
    if summary.late or any(one.broken for one in summary.blind or ()):
        lines.append(f"  what may be wrong with the records: `tidegauge doctor {file}`")
    return tuple(lines)
