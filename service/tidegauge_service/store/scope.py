"""One stream and what its jobs need to work on it."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge_service.clock import Clock
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import StreamRow


@dataclass(frozen=True, slots=True)
class StreamScope:
    """What the worker, the evaluator and the watches of one stream share.

    ``url``: the base URL of the pages, for the links in messages; empty if there is none.
    """

    config: StreamConfig
    stream: StreamRow
    database: Database
    clock: Clock
    url: str = ""

    @property
    def receivers(self) -> tuple[str, ...]:
        """The names of the receivers that this stream alerts."""
        return tuple(self.config.alerts.receivers)
